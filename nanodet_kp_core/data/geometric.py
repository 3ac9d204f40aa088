"""Geometric transforms of a training sample as 3x3 matrices, and their use on boxes, corners and images.

A matrix maps homogeneous column vectors of source pixels to target pixels. Sizes are (width, height).
Arithmetic is float64. Conventions follow NanoDet's shape transform, so that published pipelines give the same
pixels.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence

import cv2
import numpy as np

from nanodet_kp_core.errors import DataError


def compose_warp(source_size: Sequence[float], factors: Iterable[np.ndarray]) -> np.ndarray:
    """One matrix [3, 3] of `factors` in order of application, the first of them around the source's center.

    The order of the published pipeline is perspective, scale, stretch, rotation, shear, flip, translate,
    resize. The center is moved to the origin first and not back: the translation (by half the size when
    nothing is random) does it.
    """
    width, height = source_size
    matrix = translation_matrix(-width / 2, -height / 2)
    for factor in factors:
        if np.shape(factor) != (3, 3):
            raise DataError(f"warp factor: expected a 3x3 matrix, got shape {np.shape(factor)}")
        matrix = np.asarray(factor, np.float64) @ matrix
    return matrix


def translation_matrix(dx: float, dy: float) -> np.ndarray:
    """Shift by (dx, dy) pixels, [3, 3]."""
    return np.array([[1, 0, dx], [0, 1, dy], [0, 0, 1]], np.float64)


def scale_matrix(sx: float, sy: float) -> np.ndarray:
    """Scale about the origin, [3, 3]; -1 mirrors."""
    return np.diag([sx, sy, 1.0])


def perspective_matrix(px: float, py: float) -> np.ndarray:
    """Depth 1 + px * x + py * y, [3, 3]; px and py in 1 / pixel."""
    return np.array([[1, 0, 0], [0, 1, 0], [px, py, 1]], np.float64)


def rotation_matrix(degrees: float) -> np.ndarray:
    """Turn about the origin, [3, 3]; clockwise in the image, whose y points down."""
    sine, cosine = np.sin(np.radians(degrees)), np.cos(np.radians(degrees))
    return np.array([[cosine, -sine, 0], [sine, cosine, 0], [0, 0, 1]])


def shear_matrix(x_degrees: float, y_degrees: float) -> np.ndarray:
    """x grows with y by the tangent of `x_degrees`, y with x by that of `y_degrees`, [3, 3]."""
    along_x, along_y = np.tan(np.radians([x_degrees, y_degrees]))
    return np.array([[1, along_x, 0], [along_y, 1, 0], [0, 0, 1]])


def resize_matrix(source_size: Sequence[float], target_size: Sequence[float], keep_ratio: bool) -> np.ndarray:
    """Source image to target image, [3, 3].

    keep_ratio: one factor for both axes, the largest that fits, centered in the target; otherwise stretched.
    """
    (width, height), (target_width, target_height) = source_size, target_size
    if not keep_ratio:
        return scale_matrix(target_width / width, target_height / height)
    ratio = fit_ratio(source_size, target_size)
    to_origin = translation_matrix(-width / 2, -height / 2)
    return translation_matrix(target_width / 2, target_height / 2) @ scale_matrix(ratio, ratio) @ to_origin


def fit_ratio(source_size: Sequence[float], target_size: Sequence[float]) -> float:
    """Largest factor with which the source still fits into the target."""
    (width, height), (target_width, target_height) = source_size, target_size
    return target_height / height if width / height < target_width / target_height else target_width / width


def is_mirror(matrix: np.ndarray) -> bool:
    """Whether `matrix` shows the image as in a mirror; any rotation of such an image is a mirror too."""
    return bool(np.linalg.det(matrix) < 0)


def warp_depth(points: np.ndarray, matrix: np.ndarray) -> np.ndarray:
    """Third homogeneous coordinate [...] of points [..., 2] through `matrix`; not positive behind the horizon."""
    return np.asarray(points, np.float64) @ matrix[2, :2] + matrix[2, 2]


def warp_points(points: np.ndarray, matrix: np.ndarray, clip_size: Sequence[int] | None = None) -> np.ndarray:
    """Points [..., 2] through `matrix`, float64.

    clip_size: (width, height); with it the result is limited to 0..width and 0..height.
    """
    points = np.asarray(points, np.float64)
    mapped = points @ matrix[:2, :2].T + matrix[:2, 2]
    mapped = mapped / warp_depth(points, matrix)[..., None]
    return mapped if clip_size is None else np.clip(mapped, 0, np.asarray(clip_size, np.float64))


def warp_corners(corners: np.ndarray, matrix: np.ndarray, clip_size: Sequence[int] | None = None) -> np.ndarray:
    """Corners [K, 4, 2] through `matrix`. A mirror does not re-order them: see geometry.MIRROR_LEFT_RIGHT."""
    return warp_points(np.reshape(corners, (-1, 4, 2)), matrix, clip_size)


def corners_of_boxes(boxes: np.ndarray) -> np.ndarray:
    """The four corner points [K, 4, 2] of boxes [K, 4], in no particular order."""
    return np.reshape(boxes, (-1, 4))[:, [0, 1, 2, 3, 0, 3, 2, 1]].reshape(-1, 4, 2)


def warp_boxes(boxes: np.ndarray, matrix: np.ndarray, clip_size: Sequence[int] | None = None) -> np.ndarray:
    """Boxes [K, 4] around the warped corner points of boxes [K, 4]; clipping as in warp_points."""
    corners = warp_points(corners_of_boxes(boxes), matrix, clip_size)
    return np.concatenate([corners.min(axis=1), corners.max(axis=1)], axis=1)


def warp_image(
    image: np.ndarray, matrix: np.ndarray, target_size: Sequence[int], border: Sequence[float] | float = 0
) -> np.ndarray:
    """Image [H, W, 3] through `matrix` into (width, height), bilinear; `border` fills what has no source."""
    value = (border,) * 3 if isinstance(border, (int, float)) else tuple(border)
    return cv2.warpPerspective(image, matrix, dsize=tuple(int(side) for side in target_size), borderValue=value)
