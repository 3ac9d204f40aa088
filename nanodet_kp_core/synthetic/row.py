"""Robots side by side: their bars stand next to one another at one height, and neighbors' bars make no plate."""

from __future__ import annotations

import numpy as np

from nanodet_kp_core.plate import SMALL_WIDTH
from nanodet_kp_core.synthetic.canvas import Canvas
from nanodet_kp_core.synthetic.geometry import Camera
from nanodet_kp_core.synthetic.robot import PlateView, draw_color, draw_robot
from nanodet_kp_core.synthetic.sensor import Exposure

OWNERS = 16
"""Owners that a row uses at most."""


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
    """Paint two to four robots in a row around `at_pixel`, mostly of one color; returns their plates that face us.

    plate_px and exact as in draw_robot; the owners are first_owner to first_owner + OWNERS - 1 at most.
    """
    count = int(rng.integers(2, 5))
    depth = camera.focal * SMALL_WIDTH / plate_px
    middle = camera.back_project(at_pixel, depth)
    step = np.array([rng.uniform(0.2, 0.55), 0.0, rng.normal(0, 0.05)])
    facing, same, color = float(rng.normal(0, 0.25)), rng.random() < 0.65, draw_color(rng)
    plates: list[PlateView] = []
    for k in rng.permutation(count):
        place = camera.project(middle + (k - (count - 1) / 2) * step)
        yaw = facing + float(rng.normal(0, 0.12))
        plates += draw_robot(
            rng, canvas, camera, place, plate_px, first_owner + 4 * int(k), exposure,
            exact=exact, color=color if same else None, yaw=yaw,
        )  # fmt: skip
    return plates
