"""What stands in front of everything: meshes, posts, barrels, and the banners of a broadcast."""

from __future__ import annotations

import cv2
import numpy as np

from nanodet_kp_core.numerics import log_uniform
from nanodet_kp_core.synthetic.canvas import OCCLUDER, Canvas, Code, paint, surface
from nanodet_kp_core.synthetic.lights import bar_quad
from nanodet_kp_core.synthetic.stickers import letters, sticker_mask


def paint_occluders(rng: np.random.Generator, canvas: Canvas) -> None:
    """Posts, fences, barrels and edges; a mesh lets plates stay plates, what covers a bar does not."""
    w, h = canvas.size
    if rng.random() < 0.07:
        _mesh(rng, canvas)
    for _ in range(rng.poisson(0.35)):
        center = rng.uniform(0, 1, 2) * (w, h)
        length, width = np.exp(rng.uniform(np.log(0.05), np.log(0.6), 2)) * w * (1.0, 0.3)
        angle = float(rng.normal(0, 0.3)) + (0.0 if rng.random() < 0.5 else np.pi / 2)
        quad = bar_quad(center, float(length), float(width), angle)
        code = surface(rng)
        paint(canvas, quad, code, OCCLUDER)
        if rng.random() < 0.4:  # round: a barrel, a pipe
            bright = (min(255, code[0] * 2 + 20), min(255, code[1] * 2 + 20), min(255, code[2] * 2 + 20))
            paint(canvas, bar_quad(center, float(length), float(width) * 0.3, angle), bright, OCCLUDER)


def _mesh(rng: np.random.Generator, canvas: Canvas) -> None:
    """A fence or a protective grid in front of a part of the image."""
    w, h = canvas.size
    step = log_uniform(rng, 4, 28)
    width = max(0.35, step * float(rng.uniform(0.06, 0.22)))
    center, size = rng.uniform(0.2, 0.8, 2) * (w, h), rng.uniform(0.3, 2.0, 2) * (w, h)
    low = np.clip(center - size / 2, 0, (w, h)).astype(int)
    high = np.clip(center + size / 2, 0, (w, h)).astype(int)
    lines = np.zeros((h, w), np.uint8)
    angle = float(rng.uniform(0, np.pi))
    directions = (angle, angle + np.pi / 3, angle + 2 * np.pi / 3) if rng.random() < 0.5 else (angle, angle + np.pi / 2)
    reach = np.hypot(w, h)
    thick = max(1, round(width))
    for direction in directions:
        along = np.array([np.cos(direction), np.sin(direction)])
        across = np.array([-along[1], along[0]])
        for k in np.arange(-reach / 2, reach / 2, step):
            a, b = ((np.array([w, h]) / 2 + k * across + t * reach * along) * 16 for t in (-1, 1))
            ends = [tuple(int(v) for v in np.round(end)) for end in (a, b)]
            cv2.line(lines, ends[0], ends[1], 255, thick, cv2.LINE_AA, 4)
    keep = (slice(low[1], high[1]), slice(low[0], high[0]))
    cover = lines[keep][..., None].astype(np.float32) * np.float32(min(1.0, width) / 255)
    below = canvas.albedo[keep]
    canvas.albedo[keep] = (below + cover * (np.array(surface(rng, 0.01, 0.6), np.float32) - below)).astype(np.uint8)
    canvas.emission[keep] *= 1 - cover


def broadcast_overlay(rng: np.random.Generator, image: np.ndarray, owner: np.ndarray) -> None:
    """Banners in team colors with badges and writing over the finished image; `owner` learns what they cover."""
    h, w = image.shape[:2]
    height = int(h * rng.uniform(0.04, 0.16))
    top = (0, h - height, int(rng.integers(0, h - height)))[int(rng.integers(3))]
    team = np.array((20, 20, 220) if rng.random() < 0.5 else (210, 90, 10))
    shade = np.clip(team + rng.normal(0, 25, 3), 0, 255)
    color = (int(shade[0]), int(shade[1]), int(shade[2]))
    left, right = sorted(int(v) for v in rng.uniform(-0.5, 1.5, 2) * w)
    cv2.rectangle(image, (left, top), (right, top + height), color, -1)
    if rng.random() < 0.4:  # the other team's half
        cv2.rectangle(image, ((left + right) // 2, top), (right, top + height), color[::-1], -1)
    for _ in range(rng.integers(1, 4)):
        at = (int(rng.uniform(left, right + 1)), top + height // 2)
        if rng.random() < 0.65:
            radius = max(2, int(height * rng.uniform(0.35, 0.9)))
            _badge(rng, image, owner, at, radius, color)
            if rng.random() < 0.6:
                _counts_beside(rng, image, at, radius)
        else:
            text = letters(rng, "0123456789ABRGK ", 2, 9)
            cv2.putText(image, text, (at[0], top + height - 2), 0, height / 32, (255, 255, 255), 1, cv2.LINE_AA)
    owner[max(0, top) : top + height, max(0, left) : max(0, right)] = OCCLUDER


def _badge(
    rng: np.random.Generator, image: np.ndarray, owner: np.ndarray, at: tuple[int, int], radius: int, color: Code
) -> None:
    """A white disc with a mark, or the number of a robot in it."""
    cv2.circle(image, at, radius, (245, 245, 245), -1, cv2.LINE_AA)
    dark = rng.integers(0, 90, 3)
    ink = color if rng.random() < 0.5 else (int(dark[0]), int(dark[1]), int(dark[2]))
    if rng.random() < 0.4 and radius > 4:
        _number_on(image, at, radius, ink, "1234G"[int(rng.integers(5))])
    else:
        mark = np.asarray(at) + rng.uniform(-0.7, 0.7, (int(rng.integers(3, 7)), 2)) * radius
        closed = bool(rng.random() < 0.5)
        cv2.polylines(image, [mark.astype(np.int32)], closed, ink, max(1, radius // 5), cv2.LINE_AA)
    owner[max(0, at[1] - radius) : at[1] + radius, max(0, at[0] - radius) : at[0] + radius] = OCCLUDER


def _counts_beside(rng: np.random.Generator, image: np.ndarray, at: tuple[int, int], radius: int) -> None:
    """The teams' counts left and right of a clock: two light strokes at the same height, as the bars of a plate are."""
    apart, size, letter = radius * rng.uniform(1.3, 3.0), radius / rng.uniform(14, 28), "01I|8"[int(rng.integers(5))]
    for side in (-1, 1):
        place = (int(at[0] + side * apart - 10 * size), int(at[1] + 11 * size))
        cv2.putText(image, letter, place, 0, size, (245, 245, 245), max(1, int(2 * size)), cv2.LINE_AA)


def _number_on(image: np.ndarray, at: tuple[int, int], radius: int, ink: Code, number: str) -> None:
    h, w = image.shape[:2]
    side = radius // 2 + 1
    x0, x1, y0, y1 = max(0, at[0] - side), min(w, at[0] + side), max(0, at[1] - side), min(h, at[1] + side)
    if x1 - x0 < 2 * side or y1 - y0 < 2 * side:
        return
    mask = cv2.resize(sticker_mask(number, 135.0), (2 * side, 2 * side), interpolation=cv2.INTER_AREA)
    weight = mask[..., None].astype(np.float32) / 255
    window = image[y0:y1, x0:x1]
    window[:] = (window + weight * (np.array(ink, np.float32) - window)).astype(np.uint8)
