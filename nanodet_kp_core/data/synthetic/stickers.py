"""The nine stickers as our own vector drawings, rendered to plate textures.

A texture shows the whole panel between the bars: x from the left bar's centre line to the right one's, y over the
panel's height. Drawings are in millimetres around the panel's centre, y down.
"""

from __future__ import annotations

from dataclasses import dataclass
from functools import lru_cache

import cv2
import numpy as np

from nanodet_kp_core.data.synthetic.canvas import encode

PANEL_HEIGHT = 125.0
"""Height of the panel in mm; the lit bars are about 56 mm of it."""

_SCALES = (0.5, 1.0, 2.0, 4.0)  # texture pixels per mm
_SHIFT = 4  # cv2 drawing with 1/16 pixel
_LINE = 5.0  # mm, the stroke of the pictograms

_Points = list[tuple[float, float]]

# The digits as outlines; a second outline is a hole.
_DIGITS: dict[str, list[_Points]] = {
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

_BASE: list[_Points] = [
    [(-49, 35), (-45, 27), (-38, 12), (41, 12), (46, 27), (52, 35), (-49, 35)],
    [(-33, 12), (-20, -31), (-16, -35), (18, -35), (23, -31), (36, 12)],
    [(-7, -33), (-7, -25), (-10, 1), (-13, 10)],
    [(9, -33), (9, -25), (12, 1), (15, 10)],
    [(-16, 12), (-19, 34)],
    [(19, 12), (22, 34)],
]  # fmt: skip

# The pictograms as strokes.
_PICTOGRAMS: dict[str, list[_Points]] = {
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


@dataclass(frozen=True)
class Print:
    """How one plate is printed: albedos, kind and place of the sticker; drawn once, whatever size the plate has.

    kind: "sticker", "rings" (a practice target: circles around a small sticker) or "blank".
    """

    white: float
    black: float
    frame: float
    kind: str
    weight: float  # mm the strokes are thicker
    matrix: np.ndarray  # [2, 3] mm to mm

    @property
    def readable(self) -> bool:
        """Whether a near and sharp picture shows which sticker it is."""
        return self.kind == "sticker"


def draw_print(rng: np.random.Generator, rings: bool) -> Print:
    """A random print; `rings`: a practice target instead of the sticker."""
    kind = "rings" if rings else "blank" if rng.random() < 0.06 else "sticker"
    zoom, turn = rng.uniform(0.84, 1.06), np.radians(rng.normal(0, 1.5))
    c, s = zoom * np.cos(turn), zoom * np.sin(turn)
    shift = rng.normal(0, 2.5, 2)
    black = float(np.exp(rng.uniform(np.log(0.008), np.log(0.09))))
    return Print(
        white=float(rng.uniform(0.3, 0.95)),
        black=black,
        frame=float(rng.uniform(0.05, 0.6)) if rng.random() < 0.15 else black,
        kind=kind,
        weight=float(rng.normal(0, 1.0)),
        matrix=np.array([[c, -s, shift[0]], [s, c, shift[1]]]),
    )


def _pixels(points: np.ndarray | _Points, shape: tuple[int, int], scale: float) -> np.ndarray:
    centre = np.array([shape[1] - 1, shape[0] - 1]) / 2
    return np.round((np.asarray(points) * scale + centre) * (1 << _SHIFT)).astype(np.int32)


def _shape(width: float, scale: float) -> tuple[int, int]:
    return round(PANEL_HEIGHT * scale), round(width * scale)


@lru_cache(maxsize=256)
def sticker_mask(number: str, plate_width: float, rings: bool = False, scale: float = 2.0) -> np.ndarray:
    """White part of the sticker, uint8 [h, w], `scale` pixels per mm; of a large plate's sticker too."""
    shape = _shape(plate_width, scale)
    mask = np.zeros(shape, np.uint8)
    zoom = 0.36 if rings else 1.0
    if number in _DIGITS:
        outlines = [_pixels(zoom * np.asarray(points), shape, scale) for points in _DIGITS[number]]
        cv2.fillPoly(mask, outlines, 255, cv2.LINE_AA, _SHIFT)
    else:
        strokes = [_pixels(zoom * np.asarray(points), shape, scale) for points in _PICTOGRAMS[number]]
        cv2.polylines(mask, strokes, False, 255, max(1, round(_LINE * zoom * scale)), cv2.LINE_AA, _SHIFT)
    if rings:
        for radius in (25, 36, 47, 57):
            centre = _pixels([(0.0, 0.0)], shape, scale)[0]
            length = round(radius * scale * (1 << _SHIFT))
            axes, thick = (length, length), max(1, round(5.5 * scale))
            cv2.ellipse(mask, tuple(map(int, centre)), axes, 0, 0, 360, 255, thick, cv2.LINE_AA, _SHIFT)
    return mask


@lru_cache(maxsize=64)
def _frame_mask(plate_width: float, scale: float) -> np.ndarray:
    """Edge of the panel, cut-outs beside the bars and the four screws, uint8 [h, w]."""
    shape = _shape(plate_width, scale)
    x, y = plate_width / 2, PANEL_HEIGHT / 2
    inner = [(4 - x, 5 - y), (x - 4, 5 - y), (x - 4, -31), (x - 8, -26), (x - 8, 26), (x - 4, 31), (x - 4, y - 5),
             (4 - x, y - 5), (4 - x, 31), (8 - x, 26), (8 - x, -26), (4 - x, -31)]  # fmt: skip
    mask = np.full(shape, 255, np.uint8)
    cv2.fillPoly(mask, [_pixels(inner, shape, scale)], 0, cv2.LINE_AA, _SHIFT)
    for hole in ((20 - x, 13 - y), (x - 20, 13 - y), (20 - x, y - 13), (x - 20, y - 13)):
        centre = _pixels([hole], shape, scale)[0]
        cv2.circle(mask, tuple(map(int, centre)), round(4.5 * scale * (1 << _SHIFT)), 255, -1, cv2.LINE_AA, _SHIFT)
    return mask


def panel_texture(printed: Print, number: str, plate_width: float, height_px: float) -> np.ndarray:
    """Canvas codes of a panel, uint8 [h, w, 3], fine enough for a panel that is `height_px` pixels high."""
    scale = next((s for s in _SCALES if s * PANEL_HEIGHT >= 1.2 * height_px), _SCALES[-1])
    frame = _frame_mask(plate_width, scale)
    h, w = frame.shape
    code = np.full((h, w), encode(printed.black), np.uint8)
    if printed.kind != "blank":
        mask = _jittered(sticker_mask(number, plate_width, printed.kind == "rings", scale), printed, scale)
        code = _blend(code, mask, encode(printed.white))
    if printed.frame != printed.black:
        code = _blend(code, frame, encode(printed.frame))
    return cv2.cvtColor(code, cv2.COLOR_GRAY2BGR)


def _jittered(mask: np.ndarray, printed: Print, scale: float) -> np.ndarray:
    size = round(abs(printed.weight) * scale)
    if size:
        kernel = np.ones((size + 1, size + 1), np.uint8)
        mask = cv2.dilate(mask, kernel) if printed.weight > 0 else cv2.erode(mask, kernel)
    h, w = mask.shape
    centre = np.array([w - 1, h - 1]) / 2
    matrix = printed.matrix.copy()
    matrix[:, 2] = matrix[:, 2] * scale + centre - matrix[:, :2] @ centre
    return cv2.warpAffine(mask, matrix, (w, h))


def _blend(code: np.ndarray, mask: np.ndarray, value: np.ndarray) -> np.ndarray:
    weight = mask.astype(np.float32) / 255
    return (code + weight * (np.float32(value) - code) + 0.5).astype(np.uint8)
