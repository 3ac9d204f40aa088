"""A short moving scene for `make demo`: robots drive and turn in front of a fixed camera."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import cv2
import numpy as np

from nanodet_kp_core.data.synthetic.background import background
from nanodet_kp_core.data.synthetic.generator import random_camera
from nanodet_kp_core.data.synthetic.lights import stray_lights
from nanodet_kp_core.data.synthetic.robot import draw_robot
from nanodet_kp_core.data.synthetic.sensor import Exposure, expose
from nanodet_kp_core.errors import SourceError

_EXPOSURE = Exposure(
    ambient=0.35, gamma=1 / 2.0, black=0.0, noise=0.008, blur=0.0, angle=0.0, defocus=0.6, near=1.6, near_share=0.1,
    wide_share=0.02, broad_share=0.004, halo=(8.0, 24.0),
)  # fmt: skip


def clip_frames(seconds: float, fps: float, seed: int, size: tuple[int, int]) -> Iterator[np.ndarray]:
    """Frames uint8 [H, W, 3] BGR. Every random draw but the paths is the same in each frame, so looks stay fixed."""
    w, h = size
    count = max(1, round(seconds * fps))
    paths = np.random.default_rng(seed)
    robots = [
        (paths.uniform(0, 6.3), paths.uniform(0.6, 1.2), w * (0.06 + 0.05 * k), paths.uniform(-1, 1)) for k in range(3)
    ]
    for frame in range(count):
        now = frame / fps
        rng = np.random.default_rng(seed)
        canvas = background(rng, size)
        stray_lights(rng, canvas)
        camera = random_camera(rng, size)
        for owner, (phase, speed, px, spin) in enumerate(robots, start=1):
            x = (0.5 + 0.32 * np.sin(phase + speed * now + 2.1 * owner)) * w
            y = (0.45 + 0.1 * owner + 0.04 * np.cos(phase + now)) * h
            zoom = px * (1.2 + 0.4 * np.sin(0.7 * now + phase))
            looks = np.random.default_rng([seed, owner])
            turn = spin * np.sin(0.9 * now) * 0.9
            at = np.array([x, y])
            draw_robot(looks, canvas, camera, at, float(zoom), 4 * owner, _EXPOSURE, float(turn))
        yield expose(np.random.default_rng([seed, 7]), canvas, _EXPOSURE, None)


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
