"""What a game client lays over the image that an operator sees: bars, a cross-hair, a minimap, frames."""

from __future__ import annotations

import cv2
import numpy as np

from nanodet_kp_core.synthetic.canvas import OCCLUDER

_BLUE, _RED, _GREEN, _WHITE, _AMBER = (235, 140, 30), (45, 45, 230), (70, 210, 60), (240, 240, 240), (30, 180, 250)
_COLORS = (_BLUE, _RED, _GREEN, _WHITE, _AMBER)


def hud(rng: np.random.Generator, image: np.ndarray, owner: np.ndarray) -> None:
    """Draw over the finished image [H, W, 3]; `owner` [H, W] learns what is covered for good."""
    for _ in range(int(rng.integers(1, 5))):
        _health(rng, image, owner)
    if rng.random() < 0.7:
        _cross_hair(rng, image)
    if rng.random() < 0.5:
        _minimap(rng, image, owner)
    if rng.random() < 0.4:
        _brackets(rng, image)
    if rng.random() < 0.4:
        _side_bars(rng, image, owner)


def _pick(rng: np.random.Generator) -> tuple[int, int, int]:
    return _COLORS[int(rng.integers(len(_COLORS)))]


def _block(
    image: np.ndarray, owner: np.ndarray, at: tuple[int, int], size: tuple[int, int], code: tuple[int, int, int]
) -> None:
    x, y = max(0, at[0]), max(0, at[1])
    right, bottom = max(0, at[0] + size[0]), max(0, at[1] + size[1])
    image[y:bottom, x:right] = code
    owner[y:bottom, x:right] = OCCLUDER


def _health(rng: np.random.Generator, image: np.ndarray, owner: np.ndarray) -> None:
    """A bar with marks, partly filled, with a number beside it."""
    h, w = image.shape[:2]
    size = (int(w * rng.uniform(0.06, 0.35)) + 4, max(3, int(h * rng.uniform(0.01, 0.035))))
    at = (int(rng.uniform(0, w - 4)), int(rng.uniform(0, h - 4)))
    _block(image, owner, (at[0] - 1, at[1] - 1), (size[0] + 2, size[1] + 2), (30, 30, 30))
    filled = int(size[0] * rng.uniform(0.1, 1))
    _block(image, owner, at, (filled, size[1]), _pick(rng))
    for x in range(at[0], at[0] + size[0], max(4, size[0] // 6)):
        cv2.line(image, (x, at[1]), (x, at[1] + size[1]), (20, 20, 20), 1)
    if rng.random() < 0.6:
        text, place = str(int(rng.integers(1, 600))), (at[0], at[1] - 2)
        cv2.putText(image, text, place, 0, max(0.25, h / 900), _WHITE, 1, cv2.LINE_AA)


def _cross_hair(rng: np.random.Generator, image: np.ndarray) -> None:
    """Lines around the middle of the image, and the marks below it by which one aims farther."""
    h, w = image.shape[:2]
    x, y = (int(v) for v in rng.uniform(0.3, 0.7, 2) * (w, h))
    reach, code, thick = int(w * rng.uniform(0.02, 0.12)) + 2, _pick(rng), max(1, w // 400)
    if rng.random() < 0.5:
        cv2.circle(image, (x, y), reach, code, thick, cv2.LINE_AA)
    gap = reach // 3
    for dx, dy in ((1, 0), (-1, 0), (0, 1), (0, -1)):
        a, b = (x + dx * gap, y + dy * gap), (x + dx * reach, y + dy * reach)
        cv2.line(image, a, b, code, thick, cv2.LINE_AA)
    for k in range(int(rng.integers(0, 5))):
        half, below = reach // (k + 2), y + (k + 1) * gap
        cv2.line(image, (x - half, below), (x + half, below), code, thick)


def _minimap(rng: np.random.Generator, image: np.ndarray, owner: np.ndarray) -> None:
    h, w = image.shape[:2]
    size = (int(w * rng.uniform(0.12, 0.3)), int(h * rng.uniform(0.1, 0.25)))
    at = ((2, w - size[0] - 2)[int(rng.integers(2))], (2, h - size[1] - 2)[int(rng.integers(2))])
    _block(image, owner, at, size, (60, 58, 52))
    cv2.rectangle(image, at, (at[0] + size[0], at[1] + size[1]), (150, 150, 140), 1)
    for _ in range(int(rng.integers(3, 10))):
        spot = at + rng.uniform(0.05, 0.9, 2) * size
        place, radius = (int(spot[0]), int(spot[1])), max(1, size[0] // 20)
        if rng.random() < 0.5:
            cv2.circle(image, place, radius, (_BLUE, _RED)[int(rng.integers(2))], -1, cv2.LINE_AA)
        else:
            far = (place[0] + size[0] // 6, place[1] + size[1] // 8)
            cv2.rectangle(image, place, far, (110, 108, 100), -1)


def _brackets(rng: np.random.Generator, image: np.ndarray) -> None:
    """Two upright strokes or brackets around what is locked: thin, as far apart as the bars of a plate."""
    h, w = image.shape[:2]
    height = int(h * rng.uniform(0.03, 0.25)) + 3
    gap, code = int(height * rng.uniform(0.8, 3)), _pick(rng)
    x, y = (int(v) for v in rng.uniform(0.05, 0.9, 2) * (w, h))
    hook, thick = (height // 4 if rng.random() < 0.6 else 0), max(1, w // 320)
    for side, inward in ((x, 1), (x + gap, -1)):
        points = [(side + inward * hook, y), (side, y), (side, y + height), (side + inward * hook, y + height)]
        cv2.polylines(image, [np.array(points, np.int32)], False, code, thick, cv2.LINE_AA)


def _side_bars(rng: np.random.Generator, image: np.ndarray, owner: np.ndarray) -> None:
    """Upright gauges left and right: heat and energy."""
    h, w = image.shape[:2]
    size = (max(2, int(w * rng.uniform(0.008, 0.025))), int(h * rng.uniform(0.1, 0.4)))
    top, apart = int(h * rng.uniform(0.1, 0.7)), int(w * rng.uniform(0.1, 0.45))
    for x in (w // 2 - apart, w // 2 + apart):
        code, lit = _pick(rng), int(size[1] * rng.uniform(0.3, 1))
        _block(image, owner, (x, top), size, (50, 50, 50))
        _block(image, owner, (x, top + size[1] - lit), (size[0], lit), code)
