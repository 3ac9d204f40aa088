"""Corner order, priors and boxes. Everything that must agree between training, export and the robot sits here."""

from __future__ import annotations

import math
from collections.abc import Sequence

import numpy as np

CORNER_NAMES = ("left-top", "left-bottom", "right-bottom", "right-top")
"""Order of the four corners everywhere: the ends of the two lit bars, counter-clockwise from the left-top one."""


def _mirror_permutation(axis: int) -> tuple[int, ...]:
    """Which corner of the mirrored plate was which corner before; axis 0 swaps left/right, 1 swaps top/bottom."""
    swap = {"left": "right", "right": "left"} if axis == 0 else {"top": "bottom", "bottom": "top"}
    return tuple(
        CORNER_NAMES.index("-".join(swap.get(part, part) for part in name.split("-"))) for name in CORNER_NAMES
    )


BOX_CORNERS = (0, 1, 0, 3, 2, 3, 2, 1)
"""Which of a box's x_min, y_min, x_max, y_max are x0, y0, .. x3, y3 of its corners, in the order of CORNER_NAMES."""

MIRROR_LEFT_RIGHT = _mirror_permutation(0)
MIRROR_UP_DOWN = _mirror_permutation(1)


def make_priors(height: int, width: int, strides: Sequence[int], offset: float = 0.0) -> np.ndarray:
    """Priors of an input of `height` x `width` pixels.

    Returns float32 [num_priors, 4] in [x, y, stride, stride]: x = (column + offset) * stride, y = (row + offset) *
    stride, rows outer, columns inner, levels concatenated, a level of ceil(height / stride) x ceil(width / stride)
    cells. offset: HeadLayout.prior_offset.
    """
    levels = []
    for stride in strides:
        rows, columns = math.ceil(height / stride), math.ceil(width / stride)
        y, x = (np.mgrid[0:rows, 0:columns].astype(np.float32) + np.float32(offset)) * stride
        side = np.full(rows * columns, stride, np.float32)
        levels.append(np.stack([x.ravel(), y.ravel(), side, side], axis=1))
    return np.concatenate(levels)


def boxes_of_corners(corners: np.ndarray) -> np.ndarray:
    """Smallest boxes [K, 4] (x_min, y_min, x_max, y_max) around corners [K, 4, 2], same unit."""
    return np.concatenate([corners.min(axis=-2), corners.max(axis=-2)], axis=-1)


def _turn_matrix() -> np.ndarray:
    """[8, 16]: corners x0, y0, .. y3 -> x of the four sides, y of those that follow; y of the sides, x of those that
    follow. One product instead of many small steps: the time of a few plates is that of the number of operations."""
    side = np.roll(np.eye(4), -1, axis=1) - np.eye(4)  # [corner, side]: the next corner minus the own
    x, y = np.array([[1], [0]]), np.array([[0], [1]])
    following = np.roll(side, -1, axis=1)
    return np.hstack([np.kron(side, x), np.kron(following, y), np.kron(side, y), np.kron(following, x)])


_TURNS = _turn_matrix()


def corner_turns(corners: np.ndarray) -> np.ndarray:
    """How far quadrilaterals [K, 4, 2] turn at each side's end, [K, 4]: cross products of neighboring sides.

    All are positive in a convex one whose corners are in the order of CORNER_NAMES (y points down), and in no other.
    """
    sides = corners.reshape(-1, 8) @ _TURNS
    return np.asarray(sides[:, 8:12] * sides[:, 12:] - sides[:, :4] * sides[:, 4:8])


_NO_AREA = np.float32(1e-30)
"""Stands for an area of 0, so that empty boxes overlap nothing."""


def box_iou(first: np.ndarray, second: np.ndarray) -> np.ndarray:
    """IoU [N, M] of boxes [N, 4] and [M, 4] in x_min, y_min, x_max, y_max; 0 where a box is empty."""
    # Columns instead of points, and few steps: the time of a few boxes is that of the number of operations.
    x_min, y_min, x_max, y_max = first.T[:, :, None]
    x_mins, y_mins, x_maxs, y_maxs = second.T[:, None]
    overlap = np.maximum(np.minimum(x_max, x_maxs) - np.maximum(x_min, x_mins), 0)
    overlap *= np.maximum(np.minimum(y_max, y_maxs) - np.maximum(y_min, y_mins), 0)
    area = np.maximum(x_max - x_min, 0) * np.maximum(y_max - y_min, 0)
    areas = np.maximum(x_maxs - x_mins, 0) * np.maximum(y_maxs - y_mins, 0)
    return (overlap / np.maximum(area + areas - overlap, _NO_AREA)).astype(first.dtype, copy=False)


def diagonals(corners: np.ndarray) -> np.ndarray:
    """Mean of the two diagonals of each quadrilateral: [G, 4, 2] -> [G]."""
    across = corners[:, :2] - corners[:, 2:]
    return np.asarray(np.hypot(across[..., 0], across[..., 1]).mean(axis=1))
