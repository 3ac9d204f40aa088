"""The scene as it is painted: what reflects (albedo), what shines (emission) and who is in front (owner).

Albedo is kept as its square root in 8 bit: OpenCV smooths edges in such images only, and fills them fast.
"""

from __future__ import annotations

from dataclasses import dataclass

import cv2
import numpy as np

from nanodet_kp_core.numerics import log_uniform

OCCLUDER = 255
BODY = 254
"""Owners that are no plate; 0 is the background."""

_SHIFT = 4
_LINEAR = (np.arange(256) / 255.0).astype(np.float32) ** 2
_FAR = 16000.0 * (1 << _SHIFT)  # OpenCV's coordinates overflow further out

Code = tuple[int, int, int]


@dataclass
class Canvas:
    """albedo: uint8 [H, W, 3] BGR, square root; emission: float32 [H, W, 3], linear; owner: uint8 [H, W]."""

    albedo: np.ndarray
    emission: np.ndarray
    owner: np.ndarray

    @property
    def size(self) -> tuple[int, int]:
        """Width, height."""
        return self.albedo.shape[1], self.albedo.shape[0]

    def reflected(self) -> np.ndarray:
        """Linear albedo, float32 [H, W, 3] in 0..1."""
        return np.asarray(cv2.LUT(self.albedo, _LINEAR))


def encode(albedo: np.ndarray | float) -> np.ndarray:
    """Linear albedo 0..1 as it stands in a canvas, uint8."""
    return np.round(255 * np.sqrt(np.clip(albedo, 0, 1))).astype(np.uint8)


def _color_table() -> np.ndarray:
    """Codes uint8 [4096, 3] of surfaces from dark to bright: mostly gray, at times saturated."""
    rng = np.random.default_rng(20)
    level = np.exp(np.linspace(np.log(0.004), np.log(0.95), 4096))
    spread = np.where(rng.random(4096) < 0.8, 0.08, 0.4)
    tint = rng.normal(0, 1, (4096, 3)) * spread[:, None]
    return encode(np.clip(level[:, None] * (1 + tint), 0.003, 0.95))


_COLORS = [(int(b), int(g), int(r)) for b, g, r in _color_table()]


def surface(rng: np.random.Generator, low: float = 0.02, high: float = 0.8) -> Code:
    """Code of a random surface with an albedo between `low` and `high`."""
    first, last = (int(4095 * np.log(value / 0.004) / np.log(0.95 / 0.004)) for value in (low, high))
    return _COLORS[max(0, min(4095, int(rng.integers(first, last + 1))))]


def reach(rng: np.random.Generator, canvas: Canvas, low: float, high: float) -> float:
    """Log-uniform part of the image's width, pixels."""
    return canvas.size[0] * log_uniform(rng, low, high)


def paint(canvas: Canvas, points: np.ndarray, code: Code, owner: int) -> None:
    """Cover a convex polygon [n, 2] with one surface; it hides what shines behind it."""
    fixed = np.minimum(np.maximum(points * (1 << _SHIFT), -_FAR), _FAR).astype(np.int32)
    cv2.fillConvexPoly(canvas.albedo, fixed, code, cv2.LINE_AA, _SHIFT)
    cv2.fillConvexPoly(canvas.emission, fixed, (0.0, 0.0, 0.0), cv2.LINE_8, _SHIFT)
    cv2.fillConvexPoly(canvas.owner, fixed, owner, cv2.LINE_8, _SHIFT)


def paint_line(canvas: Canvas, start: np.ndarray, stop: np.ndarray, code: Code, width: float, owner: int) -> None:
    """Cover a stroke from `start` [2] to `stop` [2], `width` pixels wide."""
    along = stop - start
    length = float(np.hypot(along[0], along[1]))
    if length < 1e-3:
        return
    half = np.array([-along[1], along[0]]) * (max(width, 0.8) / (2 * length))
    paint(canvas, np.array([start - half, stop - half, stop + half, start + half]), code, owner)


@dataclass(frozen=True)
class Window:
    """Pixels that a quad touches: rows, columns, and the pixels' distances [4, h, w] inside its four sides."""

    at: tuple[slice, slice]
    inside: np.ndarray

    def coverage(self) -> np.ndarray:
        """Share [h, w] of each pixel that the quad covers; exact for upright rectangles, however thin."""
        near = np.minimum(self.inside, 0.5)
        slabs = np.clip(near[:2] + near[2:], 0, 1)
        return np.asarray(slabs[0] * slabs[1])


def quad_window(quad: np.ndarray, size: tuple[int, int]) -> Window | None:
    """Distances to the sides of a convex quad [4, 2] (left-top, left-bottom, right-bottom, right-top): left, bottom,
    right, top; None when it lies outside an image of `size` (width, height)."""
    low = np.maximum(np.floor(quad.min(0)) - 1, 0).astype(int)
    high = np.minimum(np.ceil(quad.max(0)) + 2, size).astype(int)
    if (high <= low).any():
        return None
    side = quad[[1, 2, 3, 0]] - quad
    side /= np.maximum(np.hypot(side[:, 0], side[:, 1]), 1e-9)[:, None]
    normal = np.stack([side[:, 1], -side[:, 0]], axis=1).astype(np.float32)  # inward: the quad runs counter-clockwise
    offset = (normal * quad).sum(1).astype(np.float32)
    x = np.arange(low[0], high[0], dtype=np.float32)
    y = np.arange(low[1], high[1], dtype=np.float32)
    inside = normal[:, 0, None, None] * x + normal[:, 1, None, None] * y[:, None] - offset[:, None, None]
    return Window((slice(low[1], high[1]), slice(low[0], high[0])), inside)


def shine(canvas: Canvas, quad: np.ndarray, radiance: np.ndarray) -> None:
    """Let a convex quad [4, 2] (left-top, left-bottom, right-bottom, right-top) shine evenly with radiance [3]."""
    window = quad_window(quad, canvas.size)
    if window is not None:
        light = window.coverage()[..., None] * np.asarray(radiance, np.float32)
        canvas.emission[window.at] = np.maximum(canvas.emission[window.at], light)


def warped(texture: np.ndarray, quad: np.ndarray, window: Window) -> np.ndarray:
    """A texture [h, w, 3] as it lies on a quad [4, 2], in the pixels of the quad's window. Beyond the quad its edge is
    repeated."""
    height_px = max(float(np.linalg.norm(quad[1] - quad[0])), float(np.linalg.norm(quad[2] - quad[3])), 2.0)
    shrink = height_px * 1.3 / texture.shape[0]
    if shrink < 1:  # averaged down first, or the digits of far plates would alias
        size = (max(2, round(texture.shape[1] * shrink)), max(2, round(texture.shape[0] * shrink)))
        texture = cv2.resize(texture, size, interpolation=cv2.INTER_AREA)
    h, w = texture.shape[:2]
    source = np.array([[-0.5, -0.5], [-0.5, h - 0.5], [w - 0.5, h - 0.5], [w - 0.5, -0.5]], np.float32)
    rows, columns = window.at
    matrix = cv2.getPerspectiveTransform(source, (quad - [columns.start, rows.start]).astype(np.float32))
    shape = (columns.stop - columns.start, rows.stop - rows.start)
    return np.asarray(
        cv2.warpPerspective(texture, matrix, shape, flags=cv2.INTER_LINEAR, borderMode=cv2.BORDER_REPLICATE)
    )


def paint_texture(canvas: Canvas, texture: np.ndarray, quad: np.ndarray, owner: int) -> None:
    """Warp codes uint8 [h, w, 3] onto a quad [4, 2] (left-top, left-bottom, right-bottom, right-top)."""
    window = quad_window(quad, canvas.size)
    if window is None:
        return
    mask, patch = window.coverage(), warped(texture, quad, window)
    below = canvas.albedo[window.at]
    mixed = below + mask[..., None] * (patch.astype(np.float32) - below)
    canvas.albedo[window.at] = (mixed + 0.5).astype(np.uint8)
    canvas.emission[window.at] *= 1 - mask[..., None]
    canvas.owner[window.at][mask > 0.5] = owner
