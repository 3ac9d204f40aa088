"""The scene as it is painted: what reflects (albedo), what shines (emission) and who is in front (owner)."""

from __future__ import annotations

from dataclasses import dataclass

import cv2
import numpy as np

_SHIFT = 4
_SUPER = 2  # polygons are drawn at twice the size and averaged down: bars of far plates are a pixel wide


@dataclass
class Canvas:
    """albedo, emission: float32 [H, W, 3] BGR, linear; owner: uint8 [H, W], 0 background, 255 an occluder."""

    albedo: np.ndarray
    emission: np.ndarray
    owner: np.ndarray

    @property
    def size(self) -> tuple[int, int]:
        """Width, height."""
        return self.albedo.shape[1], self.albedo.shape[0]


def polygon_mask(points: np.ndarray, size: tuple[int, int]) -> tuple[np.ndarray, tuple[slice, slice]] | None:
    """Coverage of a convex polygon [n, 2]: float32 [h, w, 1] of the window it touches, and that window.

    None when it lies outside the picture of `size` (width, height).
    """
    low = np.maximum(np.floor(points.min(0)) - 1, 0).astype(int)
    high = np.minimum(np.ceil(points.max(0)) + 2, size).astype(int)
    if (high <= low).any():
        return None
    w, h = high - low
    mask = np.zeros((h * _SUPER, w * _SUPER), np.uint8)
    local = (points - low + 0.5) * _SUPER - 0.5
    cv2.fillConvexPoly(mask, np.round(local * (1 << _SHIFT)).astype(np.int32), 255, cv2.LINE_AA, _SHIFT)
    small = cv2.resize(mask, (int(w), int(h)), interpolation=cv2.INTER_AREA)
    return small[..., None].astype(np.float32) / 255, (slice(low[1], high[1]), slice(low[0], high[0]))


def paint(canvas: Canvas, points: np.ndarray, albedo: np.ndarray, owner: int) -> None:
    """Cover a convex polygon [n, 2] with one albedo [3]; it hides what shines behind it."""
    found = polygon_mask(points, canvas.size)
    if found is None:
        return
    mask, window = found
    canvas.albedo[window] += mask * (albedo - canvas.albedo[window])
    canvas.emission[window] *= 1 - mask
    canvas.owner[window][mask[..., 0] > 0.5] = owner


def shine(canvas: Canvas, points: np.ndarray, radiance: np.ndarray) -> None:
    """Let a convex polygon [n, 2] shine with radiance [3]."""
    found = polygon_mask(points, canvas.size)
    if found is None:
        return
    mask, window = found
    canvas.emission[window] = np.maximum(canvas.emission[window], mask * radiance)


def paint_texture(canvas: Canvas, texture: np.ndarray, quad: np.ndarray, owner: int) -> None:
    """Warp a grey texture [h, w] onto a quad [4, 2] (left-top, left-bottom, right-bottom, right-top)."""
    found = polygon_mask(quad, canvas.size)
    if found is None:
        return
    mask, window = found
    height_px = max(float(np.linalg.norm(quad[1] - quad[0])), float(np.linalg.norm(quad[2] - quad[3])), 2.0)
    shrink = height_px * 1.5 / texture.shape[0]
    if shrink < 1:  # averaged down first, or the digits of far plates would alias
        size = (max(2, round(texture.shape[1] * shrink)), max(2, round(texture.shape[0] * shrink)))
        texture = cv2.resize(texture, size, interpolation=cv2.INTER_AREA)
    h, w = texture.shape
    source = np.array([[-0.5, -0.5], [-0.5, h - 0.5], [w - 0.5, h - 0.5], [w - 0.5, -0.5]], np.float32)
    target = (quad - [window[1].start, window[0].start]).astype(np.float32)
    matrix = cv2.getPerspectiveTransform(source, target)
    patch = cv2.warpPerspective(
        texture, matrix, (mask.shape[1], mask.shape[0]), flags=cv2.INTER_LINEAR, borderMode=cv2.BORDER_REPLICATE
    )
    canvas.albedo[window] += mask * (patch[..., None] - canvas.albedo[window])
    canvas.emission[window] *= 1 - mask
    canvas.owner[window][mask[..., 0] > 0.5] = owner
