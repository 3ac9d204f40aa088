"""What stands on panels besides the nine stickers: digits of old seasons, practice targets, letters, patterns.

Drawings are masks as those of `stickers`; `variant` picks one of `VARIANTS` ways to draw a kind.
"""

from __future__ import annotations

from functools import lru_cache

import cv2
import numpy as np

from nanodet_kp_core.synthetic.stickers import SHIFT, Points, mask_shape, pixels, sticker_mask

VARIANTS = 6

# Digits of old seasons as strokes; as round as their points are many.
_OLD: dict[str, list[Points]] = {
    "1": [[(-15, -32), (5, -46), (5, 46)]],
    "2": [[(-26, -30), (-19, -42), (0, -47), (19, -42), (26, -28), (20, -12), (-26, 45), (28, 45)]],
    "3": [[(-26, -40), (-8, -47), (12, -45), (25, -34), (24, -18), (12, -5), (-6, -3)],
          [(-6, -3), (16, 1), (27, 14), (25, 33), (11, 45), (-8, 47), (-27, 39)]],
    "4": [[(12, 47), (12, -46), (-32, 20), (35, 20)]],
    "5": [[(24, -46), (-20, -46), (-24, -7), (0, -13), (20, -6), (28, 15), (19, 37), (-2, 47), (-26, 40)]],
}  # fmt: skip

# The same out of straight segments, as stencils and displays have them.
_SEGMENTS: dict[str, list[Points]] = {
    "1": [[(0, -46), (0, 46)]],
    "2": [[(-24, -44), (24, -44), (24, 0), (-24, 0), (-24, 44), (24, 44)]],
    "3": [[(-24, -44), (24, -44), (24, 44), (-24, 44)], [(-14, 0), (24, 0)]],
    "4": [[(-24, -44), (-24, 0), (24, 0)], [(24, -44), (24, 44)]],
    "5": [[(24, -44), (-24, -44), (-24, 0), (24, 0), (24, 44), (-24, 44)]],
}

_WORDS = ("A", "6", "K", "8", "RM", "0", "X", "7", "H", "9", "UE", "T1")  # none of them is a class


def old_mask(number: str, plate_width: float, scale: float, variant: int) -> np.ndarray:
    """A digit in the lettering of another season, uint8 [h, w]; number: "1" to "5"."""
    shape = mask_shape(plate_width, scale)
    mask = np.zeros(shape, np.uint8)
    drawing = _SEGMENTS if variant % 3 == 2 else _OLD
    slim = (0.8, 1.0)[variant % 2]
    strokes = [pixels(np.asarray(points) * (slim, 0.95), shape, scale) for points in drawing[number]]
    width = (9, 13, 17)[variant % 3]
    cv2.polylines(mask, strokes, False, 255, max(1, round(width * scale)), cv2.LINE_AA, SHIFT)
    return mask


@lru_cache(maxsize=192)
def target_mask(kind: str, number: str, plate_width: float, scale: float, variant: int) -> np.ndarray:
    """Printed part of a practice target or of a pattern, uint8 [h, w].

    kind: "rings" (circles around a small sticker), "polygon", "framed" (a small sticker in a circle or a square),
    "cross", "letter", "code" (squares at random), "bare" (holes, tape, slots of an empty panel).
    """
    mask = np.zeros(mask_shape(plate_width, scale), np.uint8)
    rng = np.random.default_rng([7, variant])
    if kind == "rings":
        mask = sticker_mask(number, plate_width, scale, 0.36).copy()
        for radius in (25, 36, 47, 57):
            _ring(mask, scale, radius, 5.5)
    elif kind == "polygon":
        _polygons(mask, scale, variant)
    elif kind == "framed":
        mask = sticker_mask(number, plate_width, scale, 0.5 + 0.04 * variant).copy()
        if variant % 2:
            _ring(mask, scale, 50, (4, 8, 12)[variant // 2])
        else:
            _outline(mask, scale, 4, 62, np.pi / 4, (4, 8, 12)[variant // 2])
    elif kind == "cross":
        _cross(mask, scale, variant)
    elif kind == "letter":
        _letters(mask, scale, variant)
    elif kind == "code":
        _code(mask, scale, rng)
    else:
        _details(mask, scale, plate_width, variant, rng)
    return mask


def _ring(mask: np.ndarray, scale: float, radius: float, width: float) -> None:
    center = pixels([(0.0, 0.0)], mask.shape[:2], scale)[0]
    axes = (round(radius * scale * (1 << SHIFT)),) * 2
    thick = max(1, round(width * scale)) if width else -1
    cv2.ellipse(mask, tuple(map(int, center)), axes, 0, 0, 360, 255, thick, cv2.LINE_AA, SHIFT)


def _outline(mask: np.ndarray, scale: float, sides: int, radius: float, turn: float, width: float) -> None:
    angles = np.arange(sides) * 2 * np.pi / sides + turn
    points = pixels(radius * np.stack([np.cos(angles), np.sin(angles)], axis=1), (mask.shape[0], mask.shape[1]), scale)
    if width:
        cv2.polylines(mask, [points], True, 255, max(1, round(width * scale)), cv2.LINE_AA, SHIFT)
    else:
        cv2.fillPoly(mask, [points], 255, cv2.LINE_AA, SHIFT)


def _polygons(mask: np.ndarray, scale: float, variant: int) -> None:
    sides = (8, 8, 6, 3, 5, 4)[variant]
    if variant == 1:
        _outline(mask, scale, sides, 46, np.pi / 8, 0)
        return
    for radius in (54, 36, 18)[: 1 + variant % 3 + (variant == 0)]:
        _outline(mask, scale, sides, radius, np.pi / 8 if sides == 8 else -np.pi / 2, 6)


def _cross(mask: np.ndarray, scale: float, variant: int) -> None:
    shape, width = (mask.shape[0], mask.shape[1]), max(1, round((3, 6, 10)[variant % 3] * scale))
    upright: list[Points] = [[(-52, 0), (52, 0)], [(0, -52), (0, 52)]]
    slanted: list[Points] = [[(-45, -45), (45, 45)], [(-45, 45), (45, -45)]]
    pair = slanted if variant == 3 else upright
    for line in pair:
        cv2.polylines(mask, [pixels(line, shape, scale)], False, 255, width, cv2.LINE_AA, SHIFT)
    if variant in (0, 2, 4):
        _ring(mask, scale, 34, 4)
    if variant in (4, 5):
        _ring(mask, scale, 14, 0)


def _letters(mask: np.ndarray, scale: float, variant: int) -> None:
    if variant == 5:  # a logo: a ring with a wedge
        _outline(mask, scale, 3, 34, -np.pi / 2, 0)
        _ring(mask, scale, 48, 7)
        return
    for text in _WORDS[variant::VARIANTS][:1]:
        font, size, thick = cv2.FONT_HERSHEY_DUPLEX, (3.6 if len(text) == 1 else 2.2) * scale, round(11 * scale)
        (w, h), _ = cv2.getTextSize(text, font, size, max(1, thick))
        at = ((mask.shape[1] - w) // 2, (mask.shape[0] + h) // 2)
        cv2.putText(mask, text, at, font, size, 255, max(1, thick), cv2.LINE_AA)


def _code(mask: np.ndarray, scale: float, rng: np.random.Generator) -> None:
    cells = int(rng.integers(5, 11))
    bits = (rng.random((cells, cells)) < 0.5).astype(np.uint8) * 255
    bits[0, :] = bits[-1, :] = bits[:, 0] = bits[:, -1] = 255 if rng.random() < 0.5 else 0
    side = max(2, round(float(rng.uniform(70, 100)) * scale))
    y, x = (mask.shape[0] - side) // 2, (mask.shape[1] - side) // 2
    mask[y : y + side, x : x + side] = cv2.resize(bits, (side, side), interpolation=cv2.INTER_NEAREST)


def _details(mask: np.ndarray, scale: float, width: float, variant: int, rng: np.random.Generator) -> None:
    """What an empty panel shows from near; half of them show nothing."""
    shape = (mask.shape[0], mask.shape[1])
    if variant == 3:  # drilled
        for x, y in rng.uniform(-0.4, 0.4, (12, 2)) * (width, 125):
            at = pixels([(float(x), float(y))], shape, scale)[0]
            cv2.circle(mask, tuple(map(int, at)), round(3 * scale * (1 << SHIFT)), 255, -1, cv2.LINE_AA, SHIFT)
    elif variant == 4:  # tape
        a = float(rng.uniform(-30, 30))
        line = pixels([(-width / 2, a), (width / 2, a + 12)], shape, scale)
        cv2.polylines(mask, [line], False, 255, max(1, round(18 * scale)), cv2.LINE_AA, SHIFT)
    elif variant == 5:  # slots
        for y in (-35.0, -12.0, 12.0, 35.0):
            line = pixels([(-width * 0.3, y), (width * 0.3, y)], shape, scale)
            cv2.polylines(mask, [line], False, 255, max(1, round(6 * scale)), cv2.LINE_AA, SHIFT)
