"""Proposed plates cut out of the picture, each turned upright: what the reader sees, in training as on the robot."""

from __future__ import annotations

import cv2
import numpy as np

PATCH_SIZE = (64, 40)
"""Width and height, pixels."""

PATCH_CORNERS = np.array([[14, 12], [14, 28], [50, 28], [50, 12]], np.float32)
"""Where the proposed corners come to lie in the patch, [4, 2]. Around them there is room for bars that were proposed at
the wrong place, and for the panel, which is more than twice as high as its bars."""

SHRUNK_TWICE = 3.0
"""Plates this many times as large as the patch are averaged down, smaller ones sampled as they are: a plate of many
pixels has detail enough, and time counts."""

_NEXT = [1, 2, 3, 0]  # corners in turn

_SAMPLED = cv2.INTER_LINEAR | cv2.WARP_INVERSE_MAP

_FROM_TWICE = np.array([[0.5, 0, -0.25], [0, 0.5, -0.25], [0, 0, 1]])
"""From pixels of a patch twice as fine to those of the patch."""


def are_usable(corners: np.ndarray) -> np.ndarray:
    """Which of the quadrilaterals [K, 4, 2] are finite, convex and in the order of geometry.CORNER_NAMES: bool [K].

    No other one can be turned upright.
    """
    sides = corners[:, _NEXT] - corners
    following = sides[:, _NEXT]
    turns = sides[..., 0] * following[..., 1] - sides[..., 1] * following[..., 0]
    # y points down: in this order every turn is to the left. NaN compares false; infinite corners give NaN.
    return (turns < -1e-3).all(axis=1)


def cut_patches(image: np.ndarray, corners: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Upright patches of usable quadrilaterals, their surroundings beyond the border replicated.

    Args:
        image: uint8 [height, width, channels] or [height, width].
        corners: float [K, 4, 2], pixels of the image.

    Returns:
        patches uint8 [K, 40, 64, channels], and the homographies [K, 3, 3] from patch to image pixels.
    """
    width, height = PATCH_SIZE
    patches = np.empty((len(corners), height, width, *image.shape[2:]), np.uint8)
    homographies = np.empty((len(corners), 3, 3))
    quads = np.ascontiguousarray(corners, np.float32)
    for k, large in enumerate((_sizes(quads) >= SHRUNK_TWICE).tolist()):
        homographies[k] = matrix = cv2.getPerspectiveTransform(PATCH_CORNERS, quads[k])
        if not large:
            patches[k] = cv2.warpPerspective(image, matrix, PATCH_SIZE, None, _SAMPLED, cv2.BORDER_REPLICATE)
            continue
        fine = (2 * width, 2 * height)
        patch = cv2.warpPerspective(image, matrix @ _FROM_TWICE, fine, None, _SAMPLED, cv2.BORDER_REPLICATE)
        patches[k] = cv2.resize(patch, PATCH_SIZE, interpolation=cv2.INTER_AREA)
    return patches, homographies


def from_patches(points: np.ndarray, homographies: np.ndarray) -> np.ndarray:
    """Points [K, P, 2] of the patches in pixels of the image."""
    mapped = points @ homographies[:, :, :2].transpose(0, 2, 1) + homographies[:, None, :, 2]
    return mapped[..., :2] / mapped[..., 2:]


def _sizes(quads: np.ndarray) -> np.ndarray:
    """How many times as large as PATCH_CORNERS, the larger of width and height: [K, 4, 2] -> [K]."""
    left, lower, right, upper = np.hypot(*(quads[:, _NEXT] - quads).transpose(2, 1, 0))
    wide, high = (PATCH_CORNERS[2] - PATCH_CORNERS[0]).tolist()
    return np.maximum((lower + upper) / (2 * wide), (left + right) / (2 * high))
