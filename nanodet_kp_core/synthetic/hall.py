"""Halls and corridors: pale walls with seams and pillars, a ceiling with lamps, ramps, a floor that shines."""

from __future__ import annotations

import cv2
import numpy as np

from nanodet_kp_core.synthetic.canvas import Code, encode

_LIGHT_STEP = 4  # reflections in a floor are soft: a quarter of the size is enough


def fill(image: np.ndarray, polygon: np.ndarray, code: Code) -> None:
    """Fill any polygon [n, 2] in the codes `picture` [H, W, 3]."""
    cv2.fillPoly(image, [np.round(polygon * 16).astype(np.int32)], code, cv2.LINE_AA, 4)


def gray(rng: np.random.Generator, low: float, high: float, tint: float = 0.06) -> Code:
    """Code of paint or concrete with an albedo between `low` and `high`, slightly colored."""
    code = encode(rng.uniform(low, high) * (1 + rng.normal(0, tint, 3)))
    return int(code[0]), int(code[1]), int(code[2])


def hall(rng: np.random.Generator, image: np.ndarray) -> None:
    """Paint a bright hall into the codes `picture` [H, W, 3]."""
    h, w = image.shape[:2]
    horizon, slope = float(rng.uniform(0.1, 0.65)) * h, float(rng.normal(0, 0.04)) * w
    image[:] = gray(rng, 0.3, 0.85, 0.04)
    _walls(rng, image, horizon)
    floor = gray(rng, 0.08, 0.6, 0.1)
    fill(image, np.array([[0, horizon - slope], [w, horizon + slope], [w, h], [0, h]]), floor)
    if rng.random() < 0.5:
        _joints(rng, image, horizon, floor)
    for _ in range(int(rng.integers(0, 3))):
        _ramp(rng, image, horizon)
    for _ in range(int(rng.integers(0, 5))):  # things that stand along the wall
        x, bw, bh = rng.uniform(-0.1, 1) * w, rng.uniform(0.02, 0.2) * w, rng.uniform(0.03, 0.3) * h
        y = horizon + rng.uniform(0, 0.12) * h
        fill(image, np.array([[x, y - bh], [x + bw, y - bh], [x + bw, y], [x, y]]), gray(rng, 0.01, 0.6, 0.25))
    if rng.random() < 0.6:
        _gloss(rng, image, horizon)


def _walls(rng: np.random.Generator, image: np.ndarray, horizon: float) -> None:
    """Ceiling with beams, seams between panels, pillars, a darker foot of the wall."""
    h, w = image.shape[:2]
    seam, step = gray(rng, 0.1, 0.6), rng.uniform(0.05, 0.3) * w
    lean = rng.normal(0, 0.04) * w
    for x in np.arange(rng.uniform(-step, 0), w * 1.1, step):
        cv2.line(image, (int(x + lean), 0), (int(x), int(horizon)), seam, max(1, w // 256), cv2.LINE_AA)
    for _ in range(int(rng.integers(0, 3))):
        x, bw = rng.uniform(0, 1) * w, rng.uniform(0.02, 0.08) * w
        fill(image, np.array([[x, 0], [x, horizon], [x + bw, horizon], [x + bw, 0]]), gray(rng, 0.15, 0.8))
    if rng.random() < 0.5:
        foot = horizon - rng.uniform(0.05, 0.25) * h
        fill(image, np.array([[0, foot], [0, horizon + 1], [w, horizon + 1], [w, foot]]), gray(rng, 0.08, 0.5))
    ceiling = horizon * float(rng.uniform(0, 0.6))
    if ceiling < 0.04 * h:
        return
    fill(image, np.array([[0, 0], [0, ceiling], [w, ceiling], [w, 0]]), gray(rng, 0.1, 0.7))
    beam, middle = gray(rng, 0.02, 0.3), rng.uniform(0.2, 0.8) * w
    for x in np.linspace(-2 * w, 3 * w, int(rng.integers(6, 18))):
        end = (int(middle + 0.3 * (x - middle)), int(ceiling))
        cv2.line(image, (int(x), 0), end, beam, max(1, int(0.01 * w)), cv2.LINE_AA)


def _joints(rng: np.random.Generator, image: np.ndarray, horizon: float, floor: Code) -> None:
    """Joints between the plates of a floor: they meet on the horizon; a little darker than the floor."""
    h, w = image.shape[:2]
    share = rng.uniform(0.5, 0.9)
    code = (int(floor[0] * share), int(floor[1] * share), int(floor[2] * share))
    middle = (int(rng.uniform(0, w)), int(horizon))
    for x in np.linspace(-3 * w, 4 * w, int(rng.integers(8, 24))):
        cv2.line(image, middle, (int(x), h + 20), code, 1, cv2.LINE_AA)
    for k in range(1, 8):
        y = int(horizon + (h - horizon) * 1.2 / k)
        cv2.line(image, (0, y), (w, y), code, 1, cv2.LINE_AA)


def _ramp(rng: np.random.Generator, image: np.ndarray, horizon: float) -> None:
    """A ramp with a side that is darker than its top."""
    h, w = image.shape[:2]
    x, y = rng.uniform(-0.2, 1) * w, horizon + rng.uniform(0.02, 0.4) * h
    long, high = rng.uniform(0.15, 0.7) * w * (1 if rng.random() < 0.5 else -1), rng.uniform(0.05, 0.3) * h
    deep = np.array([rng.normal(0, 0.1) * w, -rng.uniform(0.02, 0.1) * h])
    top, side = gray(rng, 0.15, 0.6), gray(rng, 0.05, 0.35)
    foot, head, below = np.array([x, y]), np.array([x + long, y - high]), np.array([x + long, y])
    fill(image, np.array([foot, head, head + deep, foot + deep]), top)
    fill(image, np.array([foot, head, below]), side)
    if rng.random() < 0.4:  # a painted or worn edge
        edge = gray(rng, 0.3, 0.9, 0.3)
        cv2.line(image, tuple(foot.astype(int)), tuple(head.astype(int)), edge, max(1, w // 128), cv2.LINE_AA)


def _gloss(rng: np.random.Generator, image: np.ndarray, horizon: float) -> None:
    """Lamps and windows mirrored in the floor: pale upright streaks and patches."""
    h, w = image.shape[:2]
    small = np.zeros((h // _LIGHT_STEP + 1, w // _LIGHT_STEP + 1), np.uint8)
    for _ in range(int(rng.integers(1, 6))):
        x, bw = rng.uniform(0, 1) * w, rng.uniform(0.01, 0.1) * w
        y, bh = rng.uniform(horizon, h), rng.uniform(0.1, 0.7) * h
        quad = np.array([[x, y], [x, y + bh], [x + bw, y + bh], [x + bw, y]]) / _LIGHT_STEP
        cv2.fillConvexPoly(small, quad.astype(np.int32), int(rng.integers(30, 200)))
    small[: max(0, int(horizon) // _LIGHT_STEP)] = 0
    soft = float(rng.uniform(1.0, 3.0)) * w / 256
    small = cv2.GaussianBlur(small, (0, 0), soft, sigmaY=3 * soft)
    mask = cv2.resize(small, None, fx=_LIGHT_STEP, fy=_LIGHT_STEP, interpolation=cv2.INTER_LINEAR)[:h, :w]
    cv2.add(image, cv2.cvtColor(mask, cv2.COLOR_GRAY2BGR), image)
