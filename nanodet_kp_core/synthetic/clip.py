"""A short moving scene for `make demo`: three robots drive and turn in an arena before a fixed camera."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, replace
from functools import cache
from pathlib import Path

import cv2
import numpy as np

from nanodet_kp_core.errors import SourceError
from nanodet_kp_core.synthetic.canvas import Canvas
from nanodet_kp_core.synthetic.cast import Actor, find_actor
from nanodet_kp_core.synthetic.floor import reflect
from nanodet_kp_core.synthetic.geometry import Camera, rotation_xz
from nanodet_kp_core.synthetic.robot import draw_robot
from nanodet_kp_core.synthetic.sensor import Exposure, Finish, expose
from nanodet_kp_core.synthetic.stage import HORIZON, stage

QUICK_SEED = 30
"""Of a clip whose robots are found at once; with most other seeds the search for them takes seconds."""

_EXPOSURE = Exposure(
    ambient=0.35, gamma=1 / 2.0, black=0.0, noise=0.008, blur=0.0, angle=0.0, defocus=0.6, near=1.6, near_share=0.1,
    wide_share=0.02, broad_share=0.004, halo=(8.0, 24.0),
)  # fmt: skip
_LIGHT = replace(
    _EXPOSURE, ambient=0.6, noise=0.004, near=2.2, near_share=0.25, wide_share=0.04,
    finish=Finish(bayer=0.0, sharpen=(1.0, 0.3, 0.3)),
)  # fmt: skip
_SENSOR_SEED = 10  # draws white balance and saturation: a neutral image
_DROP = 1.9  # a plate is so many of its widths below the horizon: the camera's height over 135 mm


@dataclass(frozen=True)
class _Part:
    """A robot's part in the scene: its team, where it starts (share of the width), how wide its plate is there (share
    of the width), which way it looks then (yaw, radians), and how far and how fast it drives and turns."""

    color: str
    x: float
    px: float
    yaw: float
    drive: float
    speed: float
    turn: float


_PARTS = (
    _Part("R", 0.55, 0.070, 0.20, 0.05, 0.9, 0.8),
    _Part("R", 0.81, 0.102, -0.40, -0.05, 0.7, -0.7),
    _Part("B", 0.25, 0.135, 0.35, 0.07, 0.8, 0.75),
)


def clip_frames(seconds: float, fps: float, seed: int, size: tuple[int, int]) -> Iterator[np.ndarray]:
    """Frames uint8 [H, W, 3] BGR; the first one shows each robot from its front.

    seed: other robots. A robot looks the same in each frame, and each of its plates carries a lit pair of bars and a
    sticker that can be read, so that what a detector says about it does not change either.
    """
    w, h = size
    empty = stage(size)
    camera = Camera(1.15 * w, (w / 2, HORIZON * h), rotation_xz(0.0, 0.0))
    cast = _cast(seed)
    for frame in range(max(1, round(seconds * fps))):
        now = frame / fps
        canvas = Canvas(empty.albedo.copy(), empty.emission.copy(), empty.owner.copy())
        for owner, (part, actor) in enumerate(zip(_PARTS, cast), start=1):
            px = w * part.px * (1 + 0.16 * np.sin(0.8 * part.speed * now))
            x = w * (part.x + part.drive * np.sin(part.speed * now))
            turn = part.yaw - actor.yaw + part.turn * np.sin(1.1 * part.speed * now)
            at = np.array([x, h * HORIZON + _DROP * px])
            rng = np.random.default_rng(actor.looks)
            plates = draw_robot(rng, canvas, camera, at, float(px), 4 * owner, _LIGHT, float(turn), exact=True)
            reflect(np.random.default_rng(2), canvas, plates)
        yield expose(np.random.default_rng(_SENSOR_SEED), canvas, _LIGHT, None)


@cache
def _cast(seed: int) -> tuple[Actor, ...]:
    """A robot for each part; no two have the same number. To find them takes seconds."""
    cast: list[Actor] = []
    for place, part in enumerate(_PARTS):
        cast.append(find_actor((seed, place), part.color, {actor.number for actor in cast}, _LIGHT))
    return tuple(cast)


def write_clip(path: Path, seconds: float, fps: float, seed: int, size: tuple[int, int]) -> int:
    """Write a Motion-JPEG .avi; returns the number of frames. Raises SourceError when it cannot be written."""
    path = Path(path)
    path.parent.mkdir(parents=True, exist_ok=True)
    writer = cv2.VideoWriter(str(path), cv2.VideoWriter.fourcc(*"MJPG"), fps, size)
    if not writer.isOpened():
        raise SourceError(f"{path}: expected a writable .avi path, got one that OpenCV cannot open")
    count = 0
    for frame in clip_frames(seconds, fps, seed, size):
        writer.write(frame)
        count += 1
    writer.release()
    return count
