"""The nine stickers as our own vector drawings, and the masks that plate textures are made of.

A mask shows the whole panel between the bars: x from the left bar's center line to the right one's, y over the
panel's height. Drawings are in millimetres around the panel's center, y down.
"""

from __future__ import annotations

from functools import lru_cache

import cv2
import numpy as np

PANEL_HEIGHT = 125.0
"""Height of the panel in mm; the lit bars are about 56 mm of it."""

SHIFT = 4  # cv2 drawing with 1/16 pixel
_LINE = 5.0  # mm, the stroke of the pictograms

Points = list[tuple[float, float]]

# The digits as outlines; a second outline is a hole.
DIGITS: dict[str, list[Points]] = {
    "1": [[(3, -48), (15, -48), (15, 49), (-5, 49), (-5, -26), (-16, -20), (-28, -16.5), (-28, -33), (-12, -39)]],
    "2": [[
        (-28, -43), (-15, -48), (-2, -50), (14, -47), (25, -38), (30, -25), (28, -12), (20, 0), (8, 10), (-3, 19),
        (-8, 26), (-10, 32), (31, 32), (31, 48), (-33, 48), (-32, 37), (-28, 24), (-20, 13), (-8, 2), (3, -7),
        (9, -15), (10, -22), (7, -29), (0, -34), (-10, -34), (-20, -30), (-28, -24),
    ]],
    "3": [[
        (-28, -46), (-16, -50), (-3, -51), (12, -48), (24, -40), (28, -27), (25, -15), (18, -7), (9, -3), (20, 1),
        (29, 10), (32, 22), (28, 36), (17, 46), (0, 50), (-18, 49), (-31, 44), (-31, 28), (-20, 34), (-8, 36),
        (4, 32), (10, 23), (8, 14), (0, 8), (-10, 6), (-21, 6), (-21, -10), (-10, -10), (0, -13), (7, -18), (8, -25),
        (5, -31), (-3, -35), (-15, -35), (-28, -30),
    ]],
    "4": [
        [(6, -49), (26, -49), (26, 14), (40, 14), (40, 28), (26, 28), (26, 50), (6, 50), (6, 28), (-38, 28), (-38, 13),
         (-24, -2), (-8, -22)],
        [(6, -23), (6, 14), (-20, 14), (-4, -6)],
    ],
    "5": [[
        (-25, -49), (28, -49), (28, -32), (-8, -32), (-10, -11), (3, -11), (20, -6), (29, 4), (32, 18), (30, 32),
        (21, 44), (8, 50), (-10, 51), (-30, 46), (-30, 30), (-17, 37), (-2, 36), (7, 30), (11, 20), (8, 10), (-2, 4),
        (-14, 3), (-29, 5),
    ]],
}  # fmt: skip

_BASE: list[Points] = [
    [(-49, 35), (-45, 27), (-38, 12), (41, 12), (46, 27), (52, 35), (-49, 35)],
    [(-33, 12), (-20, -31), (-16, -35), (18, -35), (23, -31), (36, 12)],
    [(-7, -33), (-7, -25), (-10, 1), (-13, 10)],
    [(9, -33), (9, -25), (12, 1), (15, 10)],
    [(-16, 12), (-19, 34)],
    [(19, 12), (22, 34)],
]  # fmt: skip

# The pictograms as strokes.
_PICTOGRAMS: dict[str, list[Points]] = {
    "G": [
        [(-21, 14), (-17, 3), (-20, -4), (-36, -5), (-39, -29), (-25, -33), (-22, -36), (7, -39), (8, -33), (18, -30),
         (21, -24), (31, -25), (41, -27), (43, -14), (32, -11), (12, -8), (5, -2), (3, 4), (7, 14)],
        [(-24, 8), (-24, 15), (9, 15), (9, 8)],
        [(-41, 38), (-26, 22), (12, 22), (26, 38), (-41, 38)],
    ],
    "O": [
        [(-14, -43), (14, -43), (14, -23), (9, -18), (-9, -18), (-14, -23), (-14, -43)],
        [(0, -30), (0, -26)],
        [(-14, -20), (-20, 22), (-26, 22), (-30, 44), (30, 44), (26, 22), (20, 22), (14, -20)],
        [(-12, 44), (-9, 17), (9, 17), (12, 44)],
        [(0, -10), (0, 8)],
    ],
    "Bs": _BASE,
    "Bb": _BASE,
}  # fmt: skip


def pixels(points: np.ndarray | Points, shape: tuple[int, int], scale: float) -> np.ndarray:
    """Millimetres [n, 2] as OpenCV's fixed-point pixels of a mask of `shape`."""
    center = np.array([shape[1] - 1, shape[0] - 1]) / 2
    return np.round((np.asarray(points) * scale + center) * (1 << SHIFT)).astype(np.int32)


def mask_shape(plate_width: float, scale: float) -> tuple[int, int]:
    """Rows and columns of a mask; plate_width in mm, `scale` pixels per mm."""
    return round(PANEL_HEIGHT * scale), round(plate_width * scale)


def letters(rng: np.random.Generator, alphabet: str, least: int, end: int) -> str:
    """`least` to `end` - 1 random letters, for writing that is no sticker."""
    return "".join(alphabet[k] for k in rng.integers(0, len(alphabet), int(rng.integers(least, end))))


@lru_cache(maxsize=128)
def sticker_mask(number: str, plate_width: float, scale: float = 2.0, zoom: float = 1.0, cut: int = 0) -> np.ndarray:
    """Printed part of the sticker, uint8 [h, w], `scale` pixels per mm; of a large plate's sticker too.

    zoom: size of the drawing, 1 as the rules have it. cut: 0, or one of the ways in which a digit is cut by hand.
    """
    shape = mask_shape(plate_width, scale)
    mask = np.zeros(shape, np.uint8)
    if number in DIGITS:
        drawn = [np.asarray(points, float) for points in DIGITS[number]]
        outlines = [pixels(zoom * (_by_hand(points, cut + k) if cut else points), shape, scale)
                    for k, points in enumerate(drawn)]  # fmt: skip
        cv2.fillPoly(mask, outlines, 255, cv2.LINE_AA, SHIFT)
    else:
        strokes = [pixels(zoom * np.asarray(points), shape, scale) for points in _PICTOGRAMS[number]]
        cv2.polylines(mask, strokes, False, 255, max(1, round(_LINE * zoom * scale)), cv2.LINE_AA, SHIFT)
    return mask


def _by_hand(points: np.ndarray, cut: int) -> np.ndarray:
    """An outline [n, 2] as scissors leave it: straight cuts between fewer points, none where it was."""
    rng = np.random.default_rng([11, cut])
    kept = points if len(points) < 14 else points[np.sort(rng.permutation(len(points))[: int(len(points) * 0.8)])]
    return np.asarray(kept + rng.normal(0, 1.8, kept.shape))


@lru_cache(maxsize=64)
def frame_mask(plate_width: float, scale: float) -> np.ndarray:
    """Edge of the panel, cut-outs beside the bars and the four screws, uint8 [h, w]."""
    shape = mask_shape(plate_width, scale)
    x, y = plate_width / 2, PANEL_HEIGHT / 2
    inner = [(4 - x, 5 - y), (x - 4, 5 - y), (x - 4, -31), (x - 8, -26), (x - 8, 26), (x - 4, 31), (x - 4, y - 5),
             (4 - x, y - 5), (4 - x, 31), (8 - x, 26), (8 - x, -26), (4 - x, -31)]  # fmt: skip
    mask = np.full(shape, 255, np.uint8)
    cv2.fillPoly(mask, [pixels(inner, shape, scale)], 0, cv2.LINE_AA, SHIFT)
    for hole in ((20 - x, 13 - y), (x - 20, 13 - y), (20 - x, y - 13), (x - 20, y - 13)):
        center = pixels([hole], shape, scale)[0]
        cv2.circle(mask, tuple(map(int, center)), round(4.5 * scale * (1 << SHIFT)), 255, -1, cv2.LINE_AA, SHIFT)
    return mask
