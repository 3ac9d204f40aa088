"""Small upright images cut out of the camera's: what the second stage's networks see, in training as on the robot.

A plate's crop shows it with both bars and its surroundings, a bar's crop one bar alone, larger. How a crop lies in
the image is an affine transform [2, 3] from pixels of the crop to pixels of the image.
"""

from __future__ import annotations

import cv2
import numpy as np

from nanodet_kp_core.geometry import corner_turns

CROP_SIZE = (64, 40)
"""Width and height of a plate's crop, pixels."""

CROP_CORNERS = np.array([[14, 12], [14, 28], [50, 28], [50, 12]], np.float32)
"""Where the proposed corners come to lie in the crop, [4, 2]. Around them there is room for bars that were proposed at
the wrong place, and for the panel, which is more than twice as high as its bars."""

BAR_SIZE = (24, 56)
"""Width and height of a bar's crop, pixels."""

BAR_ENDS = np.array([[11.5, 14], [11.5, 42]], np.float32)
"""Where the upper and the lower end of the bar are expected in its crop, [2, 2]."""

FROM_HALVED = 2.0
"""What is this many times as large in the image as in the crop is cut out of the halved image, where there is one: a
quarter of the memory to read, and averaged already. Nothing else is averaged, however large: what is near has pixels
enough (the same recall on real frames, 0.01 less on rendered ones, the same corners), and time counts."""

_SAMPLED = cv2.INTER_LINEAR | cv2.WARP_INVERSE_MAP

# What is linear in the corners is one product with a matrix that is made here: a look has few proposals, so that its
# time is that of the number of operations.


def _fit(points: np.ndarray) -> np.ndarray:
    """[2 P, 6]: from points of the image, x and y in turn, to the affine transform that brings `points` [P, 2] of the
    crop nearest to them."""
    inverse = np.linalg.pinv(np.column_stack([points, np.ones(len(points))])).T
    return np.hstack([np.kron(inverse, axis) for axis in ([[1], [0]], [[0], [1]])])


def _bars() -> np.ndarray:
    """[4, 6]: ends of a bar -> its transform, by a third point beside the upper end, as far away as the lower one."""
    (x, y), (_, lower) = BAR_ENDS.tolist()
    beside = np.array([[1, 1], [-1, 1], [0, -1], [1, 0]])  # x0 - y0 + y1, x0 + y0 - x1
    return np.hstack([np.eye(4), beside]) @ _fit(np.array([[x, y], [x, lower], [x + lower - y, y]]))


_OF_PLATES, _OF_BARS = _fit(CROP_CORNERS), _bars()


def are_usable(corners: np.ndarray) -> np.ndarray:
    """Which of the quadrilaterals [K, 4, 2] are finite, convex and in the order of geometry.CORNER_NAMES: bool [K].

    No other one can be turned upright.
    """
    # NaN compares false; infinite corners give NaN.
    return np.asarray(corner_turns(corners).min(axis=1) > 1e-3)


def plate_transforms(corners: np.ndarray) -> np.ndarray:
    """How the crops of plates lie: corners [K, 4, 2] -> float64 [K, 2, 3].

    The parallelogram nearest to the corners comes to lie on CROP_CORNERS.
    """
    return (corners.reshape(-1, 8) @ _OF_PLATES).reshape(-1, 2, 3)


def bar_transforms(ends: np.ndarray) -> np.ndarray:
    """How the crops of bars lie: ends [N, 2, 2], upper and lower -> float64 [N, 2, 3]. Angles and shapes are kept."""
    return (ends.reshape(-1, 4) @ _OF_BARS).reshape(-1, 2, 3)


def cut(
    image: np.ndarray, transforms: np.ndarray, size: tuple[int, int], halved: np.ndarray | None = None
) -> np.ndarray:
    """Crops out of an image; beyond its border the last pixel is repeated.

    Args:
        image: uint8 [height, width, channels] or [height, width].
        transforms: [K, 2, 3].
        size: width and height of a crop.
        halved: the image at half its size, averaged, if that is there.

    Returns:
        uint8 [K, height, width, channels], without channels where the image has none.
    """
    width, height = size
    crops = np.empty((len(transforms), height, width, *image.shape[2:]), np.uint8)
    sources = [(image, transform) for transform in transforms]
    if halved is not None:
        scales = np.hypot(transforms[:, 0], transforms[:, 1])[:, :2].max(axis=1)
        in_half = transforms / 2 - (0, 0, 0.25)  # pixels of the halved image: its first center lies between two
        for k in np.flatnonzero(scales >= FROM_HALVED):
            sources[k] = (halved, in_half[k])
    for crop, (source, transform) in zip(crops, sources):
        cv2.warpAffine(source, transform, size, crop, _SAMPLED, cv2.BORDER_REPLICATE)
    return crops


def to_image(points: np.ndarray, transforms: np.ndarray) -> np.ndarray:
    """Points [K, P, 2] of the crops in pixels of the image."""
    return points @ transforms[:, :, :2].transpose(0, 2, 1) + transforms[:, None, :, 2]


def to_crop(points: np.ndarray, transforms: np.ndarray) -> np.ndarray:
    """Points [K, P, 2] of the image in pixels of the crops."""
    inverse = np.linalg.inv(transforms[:, :, :2])
    return (points - transforms[:, None, :, 2]) @ inverse.transpose(0, 2, 1)


def ends_of(corners: np.ndarray) -> np.ndarray:
    """The bars of plates: corners [K, 4, 2] -> ends [2 K, 2, 2], of each plate the left bar, then the right one."""
    return corners[:, [0, 1, 3, 2]].reshape(-1, 2, 2)


def corners_of(ends: np.ndarray) -> np.ndarray:
    """The plates of bars [2 K, 2, 2], as ends_of gives them: corners [K, 4, 2]."""
    return ends.reshape(-1, 4, 2)[:, [0, 1, 3, 2]]
