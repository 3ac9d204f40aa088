"""What lights do around a robot: colored pools on the floor, mirrored bars."""

from __future__ import annotations

import cv2
import numpy as np

from nanodet_kp_core.synthetic.canvas import Canvas
from nanodet_kp_core.synthetic.geometry import Camera
from nanodet_kp_core.synthetic.lights import team_light
from nanodet_kp_core.synthetic.robot import PlateView

_STEP = 4  # light on the scene is soft: a quarter of the size is enough


def underglow(
    rng: np.random.Generator, canvas: Canvas, camera: Camera, plates: list[PlateView], ambient: float
) -> np.ndarray | None:
    """Light of the robots' own colors on floor and body, float32 [H / 4, W / 4, 3]; None for none.

    A third of the plates throw a pool of light below themselves, so most robots with several plates have one.
    """
    w, h = canvas.size
    light = None
    for plate in plates:
        if rng.random() > 0.35 or plate.color == "N":
            continue
        if light is None:
            light = np.zeros((h // _STEP, w // _STEP, 3), np.float32)
        under = plate.pose.center + (0, rng.uniform(0.05, 0.15), 0) - plate.pose.normal * rng.uniform(0, 0.2)
        angles = np.linspace(0, 2 * np.pi, 13)[:-1]
        reach = rng.uniform(0.1, 0.4, 2)
        ring = np.stack([reach[0] * np.cos(angles), np.zeros(12), reach[1] * np.sin(angles)], axis=1)
        points = np.clip(camera.project(under + ring) / _STEP, -4000, 4000)
        color = team_light(rng, plate.color) * (np.exp(rng.uniform(-2.5, 1.2)) * max(ambient, 0.03) ** 0.5)
        fresh = np.zeros_like(light)
        hull = cv2.convexHull(np.round(points).astype(np.int32))
        cv2.fillConvexPoly(fresh, hull, [float(c) for c in color])
        soft = max(0.8, float(np.ptp(points[:, 1])) * rng.uniform(0.1, 0.5))
        light += cv2.GaussianBlur(fresh, (0, 0), min(soft, 30.0))
    return light


def reflect(rng: np.random.Generator, canvas: Canvas, plates: list[PlateView]) -> None:
    """A shiny floor mirrors the lights of a robot, dim and mostly smeared downward; call it before what is nearer."""
    if not plates or rng.random() > 0.4:
        return
    w, h = canvas.size
    corners = np.concatenate([plate.corners for plate in plates])
    height = float(np.linalg.norm(plates[-1].corners[1] - plates[-1].corners[0]))
    line = int(corners[:, 1].max() + height * rng.uniform(0.25, 2.5))
    left, right = (int(np.clip(v, 0, w)) for v in (corners[:, 0].min() - 2 * height, corners[:, 0].max() + 2 * height))
    depth = min(h - line, line, int(9 * height) + 2)
    if depth < 2 or right - left < 2:
        return
    mirrored = canvas.emission[line - depth : line, left:right][::-1]
    sharp = rng.random() < 0.4  # polished: nearly a second robot
    smear = max(1, int(height * (rng.uniform(0.02, 0.15) if sharp else rng.uniform(0.2, 1.5))))
    blurred = cv2.blur(mirrored, (1 + 2 * int(rng.integers(0, 2)), smear))
    share = np.exp(rng.uniform(np.log(0.02), np.log(0.5 if sharp else 0.25)))
    canvas.emission[line : line + depth, left:right] += blurred * np.float32(share)
