"""Robots side by side, as they wait at the border of an arena."""

from __future__ import annotations

import numpy as np

from nanodet_kp_core.data.synthetic.canvas import Canvas
from nanodet_kp_core.data.synthetic.geometry import Camera
from nanodet_kp_core.data.synthetic.robot import PlateView, draw_robot
from nanodet_kp_core.data.synthetic.sensor import Exposure


def draw_row(
    rng: np.random.Generator,
    canvas: Canvas,
    camera: Camera,
    at_pixel: np.ndarray,
    plate_px: float,
    first_owner: int,
    exposure: Exposure,
    exact: bool = False,
) -> list[PlateView]:
    """Paint two to four robots in a row around `at_pixel`; uses at most 16 owners from `first_owner` on."""
    count = int(rng.integers(2, 5))
    plates: list[PlateView] = []
    for k in range(count):
        at = at_pixel + ((k - (count - 1) / 2) * plate_px * 2.5, 0.0)
        plates += draw_robot(rng, canvas, camera, at, plate_px, first_owner + 4 * k, exposure, exact=exact)
    return plates
