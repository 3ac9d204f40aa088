"""The arena in which the robots of a clip drive: walls, ramps, lamps and the two teams' lines of light."""

from __future__ import annotations

import cv2
import numpy as np

from nanodet_kp_core.synthetic.arena import shine_line
from nanodet_kp_core.synthetic.background import roughen
from nanodet_kp_core.synthetic.canvas import Canvas, encode, paint
from nanodet_kp_core.synthetic.hall import fill

HORIZON = 0.36
"""Share of the height above which the walls are."""

_BLUE, _RED = np.array([1.0, 0.45, 0.1], np.float32), np.array([0.12, 0.08, 1.0], np.float32)
_WHITE = np.array([0.95, 0.97, 0.9], np.float32)


def stage(size: tuple[int, int]) -> Canvas:
    """The arena without robots in an image of `size` (width, height); always the same."""
    w, h = size
    scale = np.array([w, h])
    image = np.empty((h, w, 3), np.uint8)
    rows = np.linspace(0, 1, h, dtype=np.float32)
    wall, floor = 0.16 + 0.2 * rows / HORIZON, 0.1 + 0.12 * (rows - HORIZON) / (1 - HORIZON)
    image[:] = encode(np.where(rows < HORIZON, wall, floor)[:, None] * (1.05, 1.0, 0.97))[:, None]
    _wall(image)
    _floor(image)
    roughen(np.random.default_rng(5), image, 0.16)
    canvas = Canvas(image, np.zeros((h, w, 3), np.float32), np.zeros((h, w), np.uint8))
    _ramp(canvas, np.array([[-0.02, 0.44], [0.2, 0.3], [0.27, 0.3], [0.13, 0.44]]), _BLUE)
    _ramp(canvas, np.array([[1.02, 0.44], [0.8, 0.3], [0.73, 0.3], [0.87, 0.44]]), _RED)
    for x in (0.18, 0.36, 0.64, 0.82):  # lamps under the ceiling
        near, far = np.array([x, 0.04]), np.array([0.5 + 0.7 * (x - 0.5), 0.12])
        shine_line(canvas, near * scale, far * scale, 0.012 * w, 0.008 * w, _WHITE * 1.6)
    for side, light in ((0.0, _BLUE), (1.0, _RED)):  # the border, and where it meets the far wall
        start, stop = np.array([side, 0.66]), np.array([0.5 + 0.72 * (side - 0.5), 0.415])
        shine_line(canvas, start * scale, stop * scale, 0.011 * w, 0.004 * w, light * 1.4)
        shine_line(canvas, stop * scale, np.array([0.5, 0.415]) * scale, 0.004 * w, 0.003 * w, light * 1.1)
    return canvas


def _wall(image: np.ndarray) -> None:
    """Panels with seams, and a dark foot."""
    h, w = image.shape[:2]
    bottom = HORIZON * h
    for k in range(13):
        x = k * w // 12
        cv2.line(image, (x, 0), (x, int(bottom)), (96, 92, 90), max(1, w // 400), cv2.LINE_AA)
    fill(image, np.array([[0, 0.29 * h], [0, bottom], [w, bottom], [w, 0.29 * h]]), (74, 70, 66))
    fill(image, np.array([[0, 0], [0, 0.03 * h], [w, 0.03 * h], [w, 0]]), (40, 38, 36))


def _floor(image: np.ndarray) -> None:
    """Joints that meet on the horizon, and a worn zone in the middle."""
    h, w = image.shape[:2]
    middle, thick = (w // 2, int(HORIZON * h)), max(1, w // 500)
    for x in np.linspace(-3 * w, 4 * w, 22):
        cv2.line(image, middle, (int(x), h + 20), (78, 76, 74), thick, cv2.LINE_AA)
    for k in range(1, 9):
        y = int(HORIZON * h + (1 - HORIZON) * h / k * 1.1)
        cv2.line(image, (0, y), (w, y), (78, 76, 74), thick, cv2.LINE_AA)
    ring, code = (int(0.26 * w), int(0.09 * h)), (118, 114, 110)
    cv2.ellipse(image, (w // 2, int(0.56 * h)), ring, 0, 0, 360, code, max(1, w // 160), cv2.LINE_AA)


def _ramp(canvas: Canvas, quad: np.ndarray, light: np.ndarray) -> None:
    """A ramp along the wall with one lit edge; quad [4, 2] as shares of the image, its first side is the lit one."""
    w, h = canvas.size
    points = quad * (w, h)
    paint(canvas, points, (112, 108, 106), 0)
    shine_line(canvas, points[0], points[1], 0.007 * w, 0.004 * w, light * 1.3)
