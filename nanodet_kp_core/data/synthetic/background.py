"""Backgrounds: halls, rooms and clutter made of noise, planes and shapes."""

from __future__ import annotations

import cv2
import numpy as np

from nanodet_kp_core.data.synthetic.canvas import Canvas


def noise(rng: np.random.Generator, size: tuple[int, int], cells: int, channels: int = 1) -> np.ndarray:
    """Smooth noise float32 [H, W, channels] in -1..1 with about `cells` bumps over the width."""
    w, h = size
    small = rng.uniform(-1, 1, (max(2, cells * h // w + 1), max(2, cells), channels)).astype(np.float32)
    return cv2.resize(small, (w, h), interpolation=cv2.INTER_CUBIC).reshape(h, w, channels)


def random_albedo(rng: np.random.Generator, low: float = 0.02, high: float = 0.8) -> np.ndarray:
    """A colour [3]: mostly grey, at times saturated."""
    level = np.exp(rng.uniform(np.log(low), np.log(high)))
    tint = rng.normal(0, 0.08 if rng.random() < 0.75 else 0.5, 3)
    return np.clip(level * (1 + tint), 0.004, 0.95).astype(np.float32)


def _fill(picture: np.ndarray, polygon: np.ndarray, color: np.ndarray) -> None:
    cv2.fillPoly(picture, [np.round(polygon).astype(np.int32)], [float(c) for c in color], cv2.LINE_8)


def background(rng: np.random.Generator, size: tuple[int, int]) -> Canvas:
    """A canvas with a background and nothing that shines yet."""
    w, h = size
    picture = np.empty((h, w, 3), np.float32)
    kind = rng.random()
    if kind < 0.55:
        _room(rng, picture)
    elif kind < 0.85:
        picture[:] = random_albedo(rng)
        _clutter(rng, picture, int(rng.integers(8, 50)))
    else:
        ramp = np.linspace(0, 1, h, dtype=np.float32)[:, None, None]
        picture[:] = random_albedo(rng) * (1 - ramp) + random_albedo(rng) * ramp
    for cells, strength in ((5, 0.25), (24, 0.15), (110, 0.2)):
        picture *= 1 + noise(rng, size, cells) * rng.uniform(0, strength)
    if rng.random() < 0.3:
        _text(rng, picture)
    np.clip(picture, 0.003, 1, out=picture)
    return Canvas(picture, np.zeros_like(picture), np.zeros((h, w), np.uint8))


def _room(rng: np.random.Generator, picture: np.ndarray) -> None:
    """Wall above, floor below, doors, boxes, shelves and lines on the floor."""
    h, w = picture.shape[:2]
    horizon = float(rng.uniform(-0.2, 0.8)) * h
    slope = float(rng.normal(0, 0.08)) * w
    picture[:] = random_albedo(rng)
    _fill(picture, np.array([[0, horizon - slope], [w, horizon + slope], [w, h], [0, h]]), random_albedo(rng))
    for _ in range(rng.integers(0, 9)):
        x, bw, bh = rng.uniform(-0.2, 1) * w, rng.uniform(0.03, 0.5) * w, rng.uniform(0.05, 0.7) * h
        y = horizon + rng.uniform(-0.05, 0.35) * h
        _fill(picture, np.array([[x, y - bh], [x + bw, y - bh], [x + bw, y], [x, y]]), random_albedo(rng))
    for _ in range(rng.integers(0, 6)):  # lines painted on the floor, posts, shelf edges
        a = rng.uniform(-0.2, 1.2, 2) * (w, h)
        b = a + rng.normal(0, 0.6, 2) * (w, h) if rng.random() < 0.5 else a + (0, rng.uniform(0.1, 0.9) * h)
        color = [float(c) for c in random_albedo(rng, 0.05, 0.95)]
        cv2.line(picture, tuple(a.astype(int)), tuple(b.astype(int)), color, int(rng.integers(1, 7)))
    _clutter(rng, picture, int(rng.integers(0, 14)))


def _clutter(rng: np.random.Generator, picture: np.ndarray, count: int) -> None:
    h, w = picture.shape[:2]
    for _ in range(count):
        centre = rng.uniform(-0.1, 1.1, 2) * (w, h)
        reach = np.exp(rng.uniform(np.log(0.02), np.log(0.35))) * w
        if rng.random() < 0.25:
            axes = (int(reach * rng.uniform(0.2, 1)) + 1, int(reach * rng.uniform(0.2, 1)) + 1)
            color = [float(c) for c in random_albedo(rng)]
            thick = -1 if rng.random() < 0.5 else int(rng.integers(1, 4))
            cv2.ellipse(picture, tuple(centre.astype(int)), axes, float(rng.uniform(0, 180)), 0, 360, color, thick)
            continue
        angles = np.sort(rng.uniform(0, 2 * np.pi, rng.integers(3, 6)))
        radii = reach * rng.uniform(0.3, 1, len(angles))
        points = centre + np.stack([np.cos(angles), np.sin(angles)], 1) * radii[:, None]
        _fill(picture, points, random_albedo(rng))


def _text(rng: np.random.Generator, picture: np.ndarray) -> None:
    """Writing in the scene and overlays of a broadcast: shapes like digits that are no plate."""
    h, w = picture.shape[:2]
    for _ in range(rng.integers(1, 5)):
        letters = "".join(rng.choice(list("0123456789ABRGKMNE:")) for _ in range(rng.integers(1, 6)))
        at = tuple((rng.uniform(0, 0.95, 2) * (w, h)).astype(int))
        color = [float(c) for c in random_albedo(rng, 0.05, 0.95)]
        cv2.putText(picture, letters, at, int(rng.integers(0, 5)), float(rng.uniform(0.3, 2)), color,
                    int(rng.integers(1, 4)), cv2.LINE_8)
