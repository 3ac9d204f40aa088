"""What of a rendered image can really be seen: plates, ignore boxes, and stickers that can be read."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from nanodet_kp_core.classes import ARMOR_CLASSES
from nanodet_kp_core.geometry import boxes_of_corners
from nanodet_kp_core.labels.sample import Sample
from nanodet_kp_core.synthetic.robot import PlateView
from nanodet_kp_core.synthetic.sensor import Exposure

_MIN_FACING = 0.30  # seen flatter than about 72 degrees, a plate is neither plate nor background
_MIN_BAR_PX = 3.0
_MIN_WIDTH_PX = 7.0
_MIN_ALONE_PX = 10.0  # of the only bar of a plate that can be seen
_MIN_CONTRAST = 18  # gray levels between a bar and what is beside it
_MOST_COVERED = 0.4  # of a bar
_MOST_JOINED = 0.85  # of the distance between the bars that the patch of light of one may be wide
_MOST_SMEARED = 2.0  # lengths of a bar that it may be smeared along itself
_READ_SIGMA, _READ_BLUR = 0.22, 0.7  # lengths of a bar; a digit's stroke is 0.3 of it
_JPEG_STEP = 250.0  # gray levels that JPEG takes for nothing, times its quality


@dataclass(frozen=True)
class Blob:
    """What blur makes of a bar, pixels: how wide it grows, how far it is smeared along itself, and how far its axis is
    from that of the other bar."""

    across: float
    along: float
    apart: float


def label(
    picture: np.ndarray, owner: np.ndarray, plates: list[PlateView], exposure: Exposure, name: str
) -> tuple[Sample, list[PlateView]]:
    """The image with its labels, and the plates that became labels, in the same order."""
    kept, ignored = [], []
    for plate in plates:
        verdict = _verdict(picture, owner, plate, exposure)
        if verdict == "plate":
            kept.append(plate)
        elif verdict == "ignore":
            ignored.append(plate)
    boxes = [boxes_of_corners(plate.corners) + _margin(plate) for plate in ignored]
    sample = Sample(
        image=picture,
        corners=np.array([plate.corners for plate in kept], np.float32).reshape(-1, 4, 2),
        labels=np.array([ARMOR_CLASSES.index(f"{p.color}_{p.number}") for p in kept], np.int64),
        number_known=np.array([_readable(plate, exposure) for plate in kept], bool),
        ignore_boxes=np.array(boxes, np.float32).reshape(-1, 4),
        name=name,
    )
    return sample, kept


def _margin(plate: PlateView) -> np.ndarray:
    reach = 0.1 * float(np.linalg.norm(plate.corners[1] - plate.corners[0])) + 1
    return np.array([-reach, -reach, reach, reach])


def _verdict(picture: np.ndarray, owner: np.ndarray, plate: PlateView, exposure: Exposure) -> str:
    """ "plate", "ignore" (somebody could argue) or "outside"."""
    h, w = owner.shape
    c = plate.corners
    share = np.linspace(0.08, 0.92, 7)[:, None]
    bars = np.stack([c[0] + share * (c[1] - c[0]), c[3] + share * (c[2] - c[3])])  # [2, 7, 2]
    inside = ((bars >= 0) & (bars < (w, h))).all(-1)
    if not inside.any():
        return "outside" if not _touches(c, w, h) else "ignore"
    at = np.clip(np.round(bars).astype(int), 0, (w - 1, h - 1))
    covered = owner[at[..., 1], at[..., 0]] != plate.owner
    if covered.all():
        return "outside"
    if inside.mean(1).min() < 0.8 or not plate.bars_lit:
        return "ignore"
    bar_px = min(np.linalg.norm(c[1] - c[0]), np.linalg.norm(c[2] - c[3]))
    width_px = 0.5 * np.linalg.norm(c[3] + c[2] - c[0] - c[1])
    if plate.facing < _MIN_FACING or bar_px < _MIN_BAR_PX or width_px < _MIN_WIDTH_PX:
        return "ignore"
    blob = blob_reach(c, exposure)
    if blob.across > _MOST_JOINED * blob.apart or blob.along > _MOST_SMEARED * bar_px:
        return "ignore"  # one patch of light, or the ends are anywhere
    if covered.mean(1).max() > _MOST_COVERED:
        return "ignore"
    if plate.hidden is not None and bar_px < _MIN_ALONE_PX:
        return "ignore"
    if (plate.color == "N" or plate.hidden is not None) and not _readable(plate, exposure):
        return "ignore"  # with neither light nor sticker anything dark could be a plate, with one bar any lamp
    return "plate" if _visible(picture, plate, at, blob) else "ignore"


def blob_reach(corners: np.ndarray, exposure: Exposure) -> Blob:
    """How far blur spreads the bars of the plate with these corners [4, 2]."""
    down = (corners[1] + corners[2] - corners[0] - corners[3]) / 2
    across = (corners[3] + corners[2] - corners[0] - corners[1]) / 2
    along = down / max(float(np.linalg.norm(down)), 1e-6)
    side = np.array([-along[1], along[0]])
    motion = exposure.blur * np.array([np.cos(exposure.angle), np.sin(exposure.angle)])
    soft = 2 * exposure.disc + 2 * exposure.defocus
    return Blob(soft + abs(float(motion @ side)), abs(float(motion @ along)), abs(float(across @ side)))


def _touches(corners: np.ndarray, w: int, h: int) -> bool:
    low, high = corners.min(0), corners.max(0)
    return bool((high >= 0).all() and low[0] < w and low[1] < h)


def _visible(picture: np.ndarray, plate: PlateView, at: np.ndarray, blob: Blob) -> bool:
    """Whether each bar that is not hidden stands out from what is beside it in the finished image; with strong blur,
    from the middle between the bars."""
    c = plate.corners
    across = (c[3] + c[2] - c[0] - c[1]) / 2
    width = float(np.linalg.norm(across))
    reach = max(3.0, 0.14 * width, min(0.5 * width, 0.5 * blob.across + 0.05 * width))
    step = across / max(float(np.linalg.norm(across)), 1e-6) * reach
    h, w = picture.shape[:2]
    for k, (bar, sign) in enumerate(zip(at, (1, -1))):
        if k == plate.hidden:
            continue
        beside = np.clip(np.round(bar + sign * step).astype(int), 0, (w - 1, h - 1))
        on = picture[bar[:, 1], bar[:, 0]].astype(float).mean(0)
        off = picture[beside[:, 1], beside[:, 0]].astype(float).mean(0)
        if (on - off).max() < _MIN_CONTRAST:
            return False
    return True


def _readable(plate: PlateView, exposure: Exposure) -> bool:
    """Whether a person could read the sticker: large and sharp enough, with contrast above the noise."""
    if not plate.printed.readable:
        return False
    c = plate.corners
    height = 0.5 * (np.linalg.norm(c[1] - c[0]) + np.linalg.norm(c[2] - c[3]))
    width = 0.5 * np.linalg.norm(c[3] + c[2] - c[0] - c[1])
    contrast = exposure.level(plate.printed.white) - exposure.level(plate.printed.black)
    grain = 2.0 * 255 * exposure.noise * min(1.0, 12 / max(float(height), 1.0))  # the eye averages over a large sticker
    coarse = _JPEG_STEP / exposure.quality if exposure.quality else 0.0
    if contrast < max(9.0, grain, coarse):
        return False
    sigma = float(np.hypot(exposure.sigma(), 0.5 / exposure.shrink - 0.5))
    if sigma > _READ_SIGMA * height or exposure.blur > _READ_BLUR * height:
        return False
    return bool(height > 4.5 + 0.8 * exposure.blur + 1.5 * sigma and width > 9 + 0.8 * exposure.blur)
