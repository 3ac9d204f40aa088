"""Plates of another image pasted into this one: more plates, on backgrounds that they were not labeled on."""

from __future__ import annotations

from collections.abc import Iterator

import cv2
import numpy as np

from nanodet_kp_core.data.augment import MIN_SIDE, warp_plate_boxes
from nanodet_kp_core.data.geometric import fit_ratio, warp_corners, warp_points
from nanodet_kp_core.data.mosaic import merged
from nanodet_kp_core.geometry import box_iou, boxes_of_corners
from nanodet_kp_core.labels.sample import Sample
from nanodet_kp_core.runtime.models.metadata import PAD_VALUE

MARGIN = (0.15, 0.55)
"""What is cut out around the corners, in widths and heights of the quadrilateral: sticker and glow reach past it."""

SCALE = (0.7, 1.4)
TURN = 10.0
"""Degrees, either way."""

WOBBLE = 0.06
"""Most that a corner moves, in lengths of the plate's shortest side."""

TRIES = 8
"""Places tried for a plate before it is left out."""

MOST_PADDING = 0.3
"""Share of padding from which a place counts as outside: a plate in mid-air teaches nothing."""

GAMMA = (0.6, 1.7)
"""Limits of the tone curve that fits a plate to its new surroundings."""


def paste_plates(rng: np.random.Generator, sample: Sample, donor: Sample, most: int = 3) -> Sample:
    """The sample with up to `most` plates of `donor`; they are painted into the sample's image, which is not copied.

    A pasted plate has about the size that its image would have in this one, is turned and distorted a little, and
    lies clear of all plates with their stickers and of ignore boxes; where there is no room it is left out. Its cut-out
    ends in a soft border, and a tone curve that keeps black and white fits it to its surroundings.
    """
    height, width = sample.image.shape[:2]
    ratio = fit_ratio((donor.image.shape[1], donor.image.shape[0]), (width, height))
    chosen = rng.permutation(np.flatnonzero(_whole_plates(donor)))[:most]
    image, parts = sample.image, [sample]
    for plate in chosen:
        taken = np.concatenate([box for part in parts for box in (_hulls(part.corners), part.boxes, part.ignore_boxes)])
        for matrix in _places(rng, donor.corners[plate], ratio, (width, height)):
            region = warp_points(cut_out(donor.corners[plate]), matrix)
            hull = boxes_of_corners(region[None])
            if not _is_free(image, hull, taken):
                continue
            _blend(image, donor.image, matrix, region)
            parts.append(_pasted(donor, plate, matrix))
            break
    return merged(image, parts)


def cut_out(corners: np.ndarray) -> np.ndarray:
    """Corners [4, 2] of what is cut out with a plate of corners [4, 2]: MARGIN further out, in its perspective."""
    x, y = MARGIN
    wide = np.array([[-x, -y], [-x, 1 + y], [1 + x, 1 + y], [1 + x, -y]])
    return warp_points(wide, _square_to(corners))


def _hulls(corners: np.ndarray) -> np.ndarray:
    """Boxes float32 [G, 4] around what would be cut out with plates of corners [G, 4, 2]."""
    quads = np.array([cut_out(plate) for plate in corners], np.float32)
    return boxes_of_corners(quads.reshape(-1, 4, 2))


def _square_to(corners: np.ndarray) -> np.ndarray:
    """Matrix [3, 3] from the unit square to corners [4, 2]."""
    square = np.array([[0, 0], [0, 1], [1, 1], [1, 0]], np.float32)
    return cv2.getPerspectiveTransform(square, corners.astype(np.float32))


def _whole_plates(donor: Sample) -> np.ndarray:
    """Mask [G] of plates that can be cut out: every corner seen, all in the image, and nothing else comes with it."""
    height, width = donor.image.shape[:2]
    hulls = _hulls(donor.corners)
    inside = (hulls >= 0).all(axis=1) & (hulls <= (width - 1, height - 1) * 2).all(axis=1)
    overlap = box_iou(hulls, np.concatenate([donor.boxes, donor.ignore_boxes])) > 0
    alone = overlap.sum(axis=1) == 1  # itself
    return inside & alone & (donor.visible == 2).all(axis=1)


def _places(rng: np.random.Generator, corners: np.ndarray, ratio: float, size: tuple[int, int]) -> Iterator[np.ndarray]:
    """Matrices [3, 3] from the donor's pixels to random places in an image of `size`."""
    middle = corners.mean(axis=0)
    for _ in range(TRIES):
        zoom, angle = ratio * np.exp(rng.uniform(*np.log(SCALE))), np.radians(rng.uniform(-TURN, TURN))
        turn = np.array([[np.cos(angle), -np.sin(angle)], [np.sin(angle), np.cos(angle)]])
        shape = zoom * (corners - middle) @ turn.T
        shortest = np.linalg.norm(shape - np.roll(shape, 1, axis=0), axis=1).min()
        shape += shortest * rng.uniform(-WOBBLE, WOBBLE, (4, 2))
        place = shape + rng.uniform(0, 1, 2) * size
        if np.ptp(place[:, 0]) >= MIN_SIDE:
            yield cv2.getPerspectiveTransform(corners.astype(np.float32), place.astype(np.float32))


def _is_free(image: np.ndarray, hull: np.ndarray, taken: np.ndarray) -> bool:
    """Whether box `hull` [1, 4] lies in the image, clear of the `taken` boxes [K, 4], and not mostly in padding."""
    height, width = image.shape[:2]
    if (hull < 0).any() or (hull > (width - 1, height - 1) * 2).any() or (box_iou(hull, taken) > 0).any():
        return False
    left, top, right, bottom = np.round(hull[0]).astype(int)
    return bool((image[top : bottom + 1, left : right + 1] == PAD_VALUE).all(axis=2).mean() < MOST_PADDING)


def _blend(image: np.ndarray, source: np.ndarray, matrix: np.ndarray, region: np.ndarray) -> None:
    """Paint the part of `source` that `matrix` maps into the quadrilateral `region` [4, 2] over `image`."""
    low, high = np.floor(region.min(axis=0)).astype(int), np.ceil(region.max(axis=0)).astype(int) + 1
    window = image[low[1] : high[1], low[0] : high[0]]
    size = (window.shape[1], window.shape[0])
    shift = np.array([[1, 0, -low[0]], [0, 1, -low[1]], [0, 0, 1]], np.float64)
    crop = cv2.warpPerspective(source, shift @ matrix, size, borderMode=cv2.BORDER_REPLICATE)
    weight = soft_mask(region - low, size)
    ring = (weight > 0) & (weight < 1)
    crop = _fit_tone(crop, crop[ring], window[ring])
    weight = weight[..., None]
    window[:] = (weight * crop + (1 - weight) * window + 0.5).astype(np.uint8)


def soft_mask(region: np.ndarray, size: tuple[int, int]) -> np.ndarray:
    """Weight float32 [h, w] in a window of `size`: 0 at the border of the quadrilateral, 1 where the plate begins."""
    mask = np.zeros((size[1], size[0]), np.uint8)
    cv2.fillConvexPoly(mask, np.round(region).astype(np.int32), 255)
    left_top, left_bottom, _, right_top = region
    across, down = np.linalg.norm(right_top - left_top), np.linalg.norm(left_bottom - left_top)
    reach = np.array(MARGIN) / (1 + 2 * np.array(MARGIN))
    border = float(np.min(reach * (across, down)))
    distance = cv2.distanceTransform(cv2.copyMakeBorder(mask, 1, 1, 1, 1, cv2.BORDER_CONSTANT), cv2.DIST_L2, 3)
    return np.clip(distance[1:-1, 1:-1] / max(0.6 * border, 1.0), 0, 1)


def _fit_tone(crop: np.ndarray, old: np.ndarray, new: np.ndarray) -> np.ndarray:
    """The crop through a gamma that brings the median of its border to that of what it replaces.

    Black and white stay: a lit bar is as bright in a dim hall as in a bright one.
    """
    if not len(old):
        return crop
    before, after = (np.log(np.clip(np.median(part), 4, 250) / 255) for part in (old, new))
    gamma = np.clip(after / before, *GAMMA)
    return cv2.LUT(crop, (255 * np.linspace(0, 1, 256) ** gamma + 0.5).astype(np.uint8))


def _pasted(donor: Sample, plate: int, matrix: np.ndarray) -> Sample:
    """The plate's labels alone, through `matrix`."""
    rows = slice(plate, plate + 1)
    corners = warp_corners(donor.corners[rows], matrix).astype(np.float32)
    return Sample(
        image=donor.image,
        corners=corners,
        labels=donor.labels[rows],
        boxes=warp_plate_boxes(donor.boxes[rows], donor.corners[rows], corners, matrix),
        visible=donor.visible[rows],
        number_known=donor.number_known[rows],
        name=donor.name,
    )
