"""The nine stickers as our own vector drawings, rendered to plate textures.

A texture shows the whole panel between the bars, in millimetres: x from the left bar's centre line to the right one's,
y over the panel's height. Values are albedo, 0..1.
"""

from __future__ import annotations

from functools import lru_cache

import cv2
import numpy as np

PANEL_HEIGHT = 125.0
"""Height of the panel in mm; the lit bars are about 56 mm of it."""

_SCALE = 2.0  # texture pixels per mm
_SHIFT = 4  # cv2 drawing with 1/16 pixel


def _arc(cx: float, cy: float, rx: float, ry: float, start: float, stop: float) -> list[tuple[float, float]]:
    """Points of an ellipse arc; degrees, 0 to the right, clockwise because y points down."""
    angles = np.radians(np.linspace(start, stop, 24))
    return [(cx + rx * float(np.cos(a)), cy + ry * float(np.sin(a))) for a in angles]


# Strokes as (points, width) or fills as (points, 0), in mm around the panel's centre, y down.
_STROKES: dict[str, list[tuple[list[tuple[float, float]], float]]] = {
    "1": [([(-24, -33), (4, -50), (15, -50), (15, 52), (-4, 52), (-4, -30), (-24, -19)], 0)],
    "2": [
        (_arc(-2, -22, 24, 22, 195, 385) + [(-18, 40)], 17),
        ([(-33, 35), (33, 35), (33, 52), (-33, 52)], 0),
    ],
    "3": [(_arc(-6, -23, 25, 20, 215, 450), 16), (_arc(-6, 22, 30, 22, 270, 508), 16)],
    "4": [
        ([(6, -51), (22, -51), (22, 52), (5, 52), (5, -27), (-18, 10), (-38, 16), (-38, 8)], 0),
        ([(-38, 12), (38, 12), (38, 28), (-38, 28)], 0),
    ],
    "5": [
        ([(-26, -51), (27, -51), (27, -36), (-11, -36), (-14, -4), (-31, -4)], 0),
        (_arc(-8, 20, 31, 25, 240, 500), 16),
    ],
    "G": [
        ([(-32, 2), (-36, -36), (-8, -42), (14, -40), (18, -26)], 5),
        ([(18, -26), (42, -31), (44, -19), (20, -13), (8, 2), (-32, 2)], 5),
        ([(-8, 2), (-4, 18), (10, 18), (12, 2)], 5),
        ([(-38, 46), (-16, 24), (20, 24), (42, 46), (-38, 46)], 5),
    ],
    "O": [
        ([(-18, -46), (18, -46), (18, -26), (-18, -26), (-18, -46)], 5),
        (_arc(0, -35, 6, 5, 0, 360), 4),
        ([(-13, -24), (-24, 24), (-34, 24), (-40, 48), (-14, 48), (-10, 22)], 5),
        ([(-10, 22), (10, 22), (14, 48), (40, 48), (34, 24), (24, 24), (13, -24)], 5),
        ([(0, -18), (0, 10)], 6),
    ],
    "Bs": [
        ([(-12, -42), (12, -42), (18, -34), (34, 30), (42, 46), (-42, 46), (-34, 30), (-18, -34), (-12, -42)], 5),
        ([(-7, -32), (7, -32), (7, 8), (-7, 8), (-7, -32)], 4),
        ([(-38, 24), (38, 24)], 5),
        ([(-14, 24), (-18, 46)], 4),
        ([(14, 24), (18, 46)], 4),
    ],
}
_STROKES["Bb"] = _STROKES["Bs"]


def _draw(mask: np.ndarray, points: list[tuple[float, float]], width: float) -> None:
    centre = np.array([mask.shape[1], mask.shape[0]]) / 2
    pixels = np.round((np.asarray(points) * _SCALE + centre) * (1 << _SHIFT)).astype(np.int32)
    if width == 0:
        cv2.fillPoly(mask, [pixels], 255, cv2.LINE_AA, _SHIFT)
    else:
        cv2.polylines(mask, [pixels], False, 255, max(1, round(width * _SCALE)), cv2.LINE_AA, _SHIFT)


@lru_cache(maxsize=64)
def sticker_mask(number: str, plate_width: float, rings: bool = False) -> np.ndarray:
    """White part of the sticker, float32 [h, w] in 0..1, `_SCALE` pixels per mm.

    rings: the practice target some teams print: circles with a small sticker in the middle.
    """
    size = (round(PANEL_HEIGHT * _SCALE), round(plate_width * _SCALE))
    mask = np.zeros(size, np.uint8)
    for points, width in _STROKES[number]:
        _draw(mask, [(0.35 * x, 0.35 * y) for x, y in points] if rings else points, 0.45 * width if rings else width)
    if rings:
        for radius in (24, 34, 44, 54):
            _draw(mask, _arc(0, 0, radius, radius, 0, 360), 5)
    return mask.astype(np.float32) / 255


def panel_texture(
    rng: np.random.Generator, number: str, plate_width: float, rings: bool
) -> tuple[np.ndarray, float, float]:
    """Albedo of a panel, float32 [h, w]; with the albedos of its white and of its black."""
    white = float(rng.uniform(0.35, 0.95))
    black = float(rng.uniform(0.01, 0.09))
    mask = sticker_mask(number, plate_width, rings)
    if rng.random() < 0.5:  # prints differ in weight
        size = int(rng.integers(2, 5))
        kernel = np.ones((size, size), np.uint8)
        mask = cv2.erode(mask, kernel) if rng.random() < 0.5 else cv2.dilate(mask, kernel)
    zoom = rng.uniform(0.82, 1.08)
    centre = (mask.shape[1] / 2, mask.shape[0] / 2)
    matrix = cv2.getRotationMatrix2D(centre, float(rng.normal(0, 1.5)), float(zoom))
    matrix[:, 2] = matrix[:, 2] + rng.normal(0, 4, 2)
    mask = cv2.warpAffine(mask, matrix, (mask.shape[1], mask.shape[0]))
    return black + (white - black) * mask, white, black
