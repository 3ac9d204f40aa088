"""One labelled picture from one seed: scene, robots, lights, sensor, and labels of what can really be seen."""

from __future__ import annotations

import cv2
import numpy as np

from nanodet_kp_core.classes import ARMOR_CLASSES
from nanodet_kp_core.data.sample import Sample
from nanodet_kp_core.data.synthetic.background import background, random_albedo
from nanodet_kp_core.data.synthetic.canvas import Canvas, paint
from nanodet_kp_core.data.synthetic.geometry import Camera, rotation_xz
from nanodet_kp_core.data.synthetic.lights import bar_quad, lights_beside, stray_lights, team_light
from nanodet_kp_core.data.synthetic.robot import PlateView, draw_robot
from nanodet_kp_core.data.synthetic.sensor import Exposure, draw_exposure, expose, jpeg
from nanodet_kp_core.geometry import boxes_of_corners

_OCCLUDER = 255
_MIN_FACING = 0.30  # seen flatter than about 72 degrees, a plate is neither plate nor background
_MIN_BAR_PX = 3.0
_MIN_WIDTH_PX = 7.0


def random_camera(rng: np.random.Generator, size: tuple[int, int]) -> Camera:
    """A camera of 40 to 90 degrees that looks slightly up or down, at times rolled."""
    w, h = size
    focal = w * float(rng.uniform(0.8, 4.0))
    roll = float(rng.normal(0, 0.06) if rng.random() < 0.8 else rng.uniform(-0.45, 0.45))
    centre = (w / 2 + rng.uniform(-1, 1) * w * 0.3, h / 2 + rng.uniform(-1, 1) * h * 0.3)
    return Camera(focal, centre, rotation_xz(float(rng.normal(-0.06, 0.14)), roll))


def render(seed: int, size: tuple[int, int] = (256, 256), plate_px: tuple[float, float] = (9.0, 160.0)) -> Sample:
    """Picture of `size` (width, height) with labels; the same arguments give the same picture.

    plate_px: range of the width of a small plate seen from the front, log-uniform, pixels.
    """
    rng = np.random.default_rng(seed)
    canvas = background(rng, size)
    stray_lights(rng, canvas)
    camera = random_camera(rng, size)
    exposure = draw_exposure(rng)
    w, h = size
    widths = np.exp(rng.uniform(np.log(plate_px[0]), np.log(plate_px[1]), int(rng.choice(5, p=_ROBOTS))))
    plates: list[PlateView] = []
    for owner, px in enumerate(sorted(widths), start=1):  # far robots first
        at = rng.uniform(0.06, 0.94, 2) * (w, h)
        plates += draw_robot(rng, canvas, camera, at, float(px), owner)
    lights_beside(rng, canvas, [plate.corners for plate in plates])
    _reflection(rng, canvas, plates)
    _occluders(rng, canvas)
    picture = expose(rng, canvas, exposure, _underglow(rng, canvas, plates))
    if rng.random() < 0.2:
        _broadcast_overlay(rng, picture, canvas)
    return _label(jpeg(rng, picture), canvas, plates, exposure, str(seed))


_ROBOTS = [0.06, 0.36, 0.3, 0.18, 0.1]  # probability of 0, 1, .. robots in a picture


def _reflection(rng: np.random.Generator, canvas: Canvas, plates: list[PlateView]) -> None:
    """A shiny floor mirrors the lights below the robots, stretched and dim."""
    if not plates or rng.random() > 0.5:
        return
    plate = plates[int(rng.integers(len(plates)))]
    height = float(np.linalg.norm(plate.corners[1] - plate.corners[0]))
    line = int(plate.corners[:, 1].max() + height * rng.uniform(0.3, 1.5))
    h = canvas.size[1]
    depth = min(h - line, line)
    if line <= 0 or depth < 2:
        return
    mirrored = canvas.emission[line - depth : line][::-1]
    mirrored = cv2.blur(mirrored, (1 + 2 * int(rng.integers(0, 2)), max(1, int(height * rng.uniform(0.05, 1.2)))))
    canvas.emission[line : line + depth] += mirrored * np.float32(np.exp(rng.uniform(np.log(0.03), np.log(0.6))))


def _occluders(rng: np.random.Generator, canvas: Canvas) -> None:
    """Posts, fences and edges in front of everything."""
    w, h = canvas.size
    if rng.random() < 0.04:  # mesh
        color, step = random_albedo(rng), int(rng.integers(6, 20))
        offset = int(rng.integers(0, step))
        for x in range(offset - h, w + h, step):
            for run in (h, -h):
                cv2.line(canvas.albedo, (x, 0), (x + run, h), [float(c) for c in color], 1)
                cv2.line(canvas.emission, (x, 0), (x + run, h), (0.0, 0.0, 0.0), 1)
    for _ in range(rng.poisson(0.35)):
        centre = rng.uniform(0, 1, 2) * (w, h)
        length, width = np.exp(rng.uniform(np.log(0.05), np.log(0.6), 2)) * w * (1.0, 0.3)
        quad = bar_quad(centre, float(length), float(width), float(rng.normal(0, 0.3) + rng.choice([0, np.pi / 2])))
        paint(canvas, quad, random_albedo(rng), _OCCLUDER)


def _broadcast_overlay(rng: np.random.Generator, picture: np.ndarray, canvas: Canvas) -> None:
    """Banners in team colours with white badges and writing, laid over the picture after the camera."""
    w, h = canvas.size
    height = int(h * rng.uniform(0.04, 0.16))
    top = (0, h - height, int(rng.integers(0, h - height)))[int(rng.integers(3))]
    team = (20, 20, 220) if rng.random() < 0.5 else (210, 90, 10)
    color = [int(np.clip(c + rng.normal(0, 25), 0, 255)) for c in team]
    left, right = sorted(int(v) for v in rng.uniform(-0.5, 1.5, 2) * w)
    cv2.rectangle(picture, (left, top), (right, top + height), color, -1)
    for _ in range(rng.integers(1, 4)):
        at = (int(rng.uniform(left, right + 1)), top + height // 2)
        if rng.random() < 0.65:
            radius = max(2, int(height * rng.uniform(0.35, 0.9)))
            cv2.circle(picture, at, radius, (245, 245, 245), -1, cv2.LINE_AA)
            mark = np.asarray(at) + rng.uniform(-0.7, 0.7, (int(rng.integers(3, 7)), 2)) * radius
            ink = color if rng.random() < 0.5 else [int(v) for v in rng.integers(0, 90, 3)]
            closed = bool(rng.random() < 0.5)
            cv2.polylines(picture, [mark.astype(np.int32)], closed, ink, max(1, radius // 5), cv2.LINE_AA)
            canvas.owner[max(0, at[1] - radius) : at[1] + radius, max(0, at[0] - radius) : at[0] + radius] = _OCCLUDER
        else:
            letters = "".join(rng.choice(list("0123456789ABRGK ")) for _ in range(rng.integers(2, 9)))
            cv2.putText(picture, letters, (at[0], top + height - 2), 0, height / 32, (255, 255, 255), 1, cv2.LINE_AA)
    canvas.owner[top : top + height, max(0, left) : max(0, right)] = _OCCLUDER


def _underglow(rng: np.random.Generator, canvas: Canvas, plates: list[PlateView]) -> np.ndarray | None:
    """Light of the robot's own colour on body and floor around a plate."""
    if not plates or rng.random() > 0.3:
        return None
    w, h = canvas.size
    plate = plates[int(rng.integers(len(plates)))]
    side = float(np.linalg.norm(plate.corners[3] - plate.corners[0])) + 4
    light = np.zeros((h // 4, w // 4, 3), np.float32)
    centre = plate.corners.mean(0) + (0, side * rng.uniform(0, 0.8))
    axes = (int(side * rng.uniform(0.3, 1.2) / 4) + 1, int(side * rng.uniform(0.15, 0.6) / 4) + 1)
    color = team_light(rng, plate.color if plate.color != "N" else "W") * float(np.exp(rng.uniform(-2.5, 1.0)))
    cv2.ellipse(light, tuple((centre / 4).astype(int)), axes, 0, 0, 360, [float(c) for c in color], -1)
    soft = cv2.GaussianBlur(light, (0, 0), max(1.0, side / 12))
    return cv2.resize(soft, (w, h), interpolation=cv2.INTER_LINEAR)


def _label(
    picture: np.ndarray, canvas: Canvas, plates: list[PlateView], exposure: Exposure, name: str
) -> Sample:
    kept, ignored = [], []
    for plate in plates:
        verdict = _verdict(picture, canvas, plate)
        if verdict == "plate":
            kept.append(plate)
        elif verdict == "ignore":
            ignored.append(plate)
    corners = np.array([plate.corners for plate in kept], np.float32).reshape(-1, 4, 2)
    boxes = [boxes_of_corners(plate.corners) + _margin(plate) for plate in ignored]
    return Sample(
        image=picture,
        corners=corners,
        labels=np.array([ARMOR_CLASSES.index(f"{p.color}_{p.number}") for p in kept], np.int64),
        number_known=np.array([_readable(plate, exposure) for plate in kept], bool),
        ignore_boxes=np.array(boxes, np.float32).reshape(-1, 4),
        name=name,
    )


def _margin(plate: PlateView) -> np.ndarray:
    reach = 0.1 * float(np.linalg.norm(plate.corners[1] - plate.corners[0])) + 1
    return np.array([-reach, -reach, reach, reach])


def _verdict(picture: np.ndarray, canvas: Canvas, plate: PlateView) -> str:
    """"plate", "ignore" (somebody could argue) or "outside"."""
    w, h = canvas.size
    c = plate.corners
    share = np.linspace(0.08, 0.92, 7)[:, None]
    bars = np.stack([c[0] + share * (c[1] - c[0]), c[3] + share * (c[2] - c[3])])  # [2, 7, 2]
    inside = ((bars >= 0) & (bars < (w, h))).all(-1)
    if not inside.any():
        return "outside" if not _touches(c, w, h) else "ignore"
    if inside.mean(1).min() < 0.8 or not plate.bars_lit:
        return "ignore"
    bar_px = min(np.linalg.norm(c[1] - c[0]), np.linalg.norm(c[2] - c[3]))
    width_px = 0.5 * np.linalg.norm(c[3] + c[2] - c[0] - c[1])
    if plate.facing < _MIN_FACING or bar_px < _MIN_BAR_PX or width_px < _MIN_WIDTH_PX:
        return "ignore"
    at = np.clip(np.round(bars).astype(int), 0, (w - 1, h - 1))
    covered = canvas.owner[at[..., 1], at[..., 0]] != plate.owner
    if covered.mean(1).max() > 0.4:
        return "ignore"
    return "plate" if _visible(picture, plate, at) else "ignore"


def _touches(corners: np.ndarray, w: int, h: int) -> bool:
    low, high = corners.min(0), corners.max(0)
    return bool((high >= 0).all() and low[0] < w and low[1] < h)


def _visible(picture: np.ndarray, plate: PlateView, at: np.ndarray) -> bool:
    """Whether each bar stands out from what is beside it in the finished picture."""
    c = plate.corners
    across = (c[3] + c[2] - c[0] - c[1]) / 2
    reach = max(3.0, 0.14 * float(np.linalg.norm(across)))
    step = across / max(float(np.linalg.norm(across)), 1e-6) * reach
    h, w = picture.shape[:2]
    for bar, sign in zip(at, (1, -1)):
        beside = np.clip(np.round(bar + sign * step).astype(int), 0, (w - 1, h - 1))
        on = picture[bar[:, 1], bar[:, 0]].astype(float).mean(0)
        off = picture[beside[:, 1], beside[:, 0]].astype(float).mean(0)
        if (on - off).max() < 18:
            return False
    return True


def _readable(plate: PlateView, exposure: Exposure) -> bool:
    """Whether a person could read the sticker: large and sharp enough, with contrast above the noise."""
    if plate.rings:
        return False
    c = plate.corners
    height = 0.5 * (np.linalg.norm(c[1] - c[0]) + np.linalg.norm(c[2] - c[3]))
    width = 0.5 * np.linalg.norm(c[3] + c[2] - c[0] - c[1])
    contrast = exposure.level(plate.white) - exposure.level(plate.black)
    if contrast < max(9.0, 2.0 * 255 * exposure.noise):
        return False
    return bool(height > 4.5 + 0.8 * exposure.blur + 1.5 * exposure.defocus and width > 9 + 0.8 * exposure.blur)
