"""Random warps of a training sample: one matrix and one warp move the image, its corners and its boxes."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

from nanodet_kp_core.data.geometric import (
    compose_warp,
    corners_of_boxes,
    is_mirror,
    perspective_matrix,
    resize_matrix,
    rotation_matrix,
    scale_matrix,
    shear_matrix,
    translation_matrix,
    warp_boxes,
    warp_corners,
    warp_depth,
    warp_image,
)
from nanodet_kp_core.geometry import MIRROR_LEFT_RIGHT, boxes_of_corners
from nanodet_kp_core.labels.sample import Sample
from nanodet_kp_core.runtime.models.metadata import PAD_VALUE

if TYPE_CHECKING:
    from nanodet_kp_core.config import PipelineConfig

MIN_SIDE = 6.0
"""Plates narrower than this many input pixels are neither plate nor background."""

MIN_SHARE = 0.8
"""A plate of whose box less than this share lies in the image is neither plate nor background."""

HULL_TOLERANCE = 1.0
"""A labeled box this near to the hull of its corners, in pixels, is their hull; label tools round to whole pixels."""

STEEPEST_TILT = 0.6
"""Most that a perspective may add to or take from the depth (1) inside the image: the horizon stays outside."""


def random_matrix(
    rng: np.random.Generator,
    source: tuple[float, float],
    target: tuple[float, float],
    pipeline: PipelineConfig,
    keep_ratio: bool,
) -> np.ndarray:
    """Matrix [3, 3] from source to target pixels; sizes are (width, height).

    As in NanoDet's pipeline: perspective, scale, stretch, rotation, shear, flip, translate, resize, in this order;
    each draws uniformly from its range and changes half of the samples. The flip has its own probability.
    """
    width, height = source
    tilt = _sometimes(rng, rng.uniform(-1, 1, 2) * pipeline.perspective, 0.0)
    tilt = tilt * min(1.0, STEEPEST_TILT / max(np.abs(tilt) @ (width / 2, height / 2), 1e-9))
    zoom = _sometimes(rng, rng.uniform(*pipeline.scale, 1), 1.0)
    stretch = _sometimes(rng, rng.uniform(*np.transpose(pipeline.stretch)), 1.0)
    angle = _sometimes(rng, rng.uniform(-1, 1, 1) * pipeline.rotation, 0.0)
    shear = _sometimes(rng, rng.uniform(-1, 1, 2) * pipeline.shear, 0.0)
    mirror = -1.0 if rng.random() < pipeline.flip else 1.0
    center = 0.5 + _sometimes(rng, rng.uniform(-1, 1, 2) * pipeline.translate, 0.0)
    factors = [
        perspective_matrix(*tilt),
        scale_matrix(zoom[0], zoom[0]),
        scale_matrix(*stretch),
        rotation_matrix(angle[0]),
        shear_matrix(*shear),
        scale_matrix(mirror, 1.0),
        translation_matrix(*(center * source)),
        resize_matrix(source, target, keep_ratio),
    ]
    return compose_warp(source, factors)


def _sometimes(rng: np.random.Generator, drawn: np.ndarray, neutral: float) -> np.ndarray:
    """What was drawn in half of the cases, else what changes nothing. Both coin and draw are used up either way."""
    return drawn if rng.random() < 0.5 else np.full_like(drawn, neutral)


def warp_sample(sample: Sample, matrix: np.ndarray, target: tuple[int, int]) -> Sample:
    """The sample through `matrix`, in an image of `target` (width, height).

    Corners outside the image stay what they are and count as not seen (visible 1). In a mirror left and right change
    names. A plate that leaves the image by more than a fifth, or that became too small, turns into an ignore box; one
    that is outside altogether is dropped, and so are ignore boxes. What is left of those ends at the border.
    """
    source = (sample.image.shape[1], sample.image.shape[0])
    corners = warp_corners(sample.corners, matrix).astype(np.float32)
    visible = np.where(_inside(sample.corners, source) & _inside(corners, target), sample.visible, 1)
    visible = np.minimum(visible, sample.visible)
    boxes = warp_plate_boxes(sample.boxes, sample.corners, corners, matrix)
    if is_mirror(matrix):
        corners, visible = corners[:, MIRROR_LEFT_RIGHT], visible[:, MIRROR_LEFT_RIGHT]
    in_front = (warp_depth(sample.corners, matrix) > 0).all(axis=1) & _box_in_front(sample.boxes, matrix)
    seen = np.minimum(share_inside(sample.boxes, source), share_inside(boxes, target)) * in_front
    keep = (seen >= MIN_SHARE) & (boxes[:, 2] - boxes[:, 0] >= MIN_SIDE)
    ignores = sample.ignore_boxes[_box_in_front(sample.ignore_boxes, matrix)]
    doubtful = np.concatenate([boxes[(seen > 0) & ~keep], warp_boxes(ignores, matrix).astype(np.float32)])
    doubtful = doubtful[share_inside(doubtful, target) > 0]
    return Sample(
        image=warp_image(sample.image, matrix, target, PAD_VALUE),
        corners=np.ascontiguousarray(corners[keep]),
        labels=sample.labels[keep],
        boxes=boxes[keep],
        visible=visible[keep].astype(np.int8),
        number_known=sample.number_known[keep],
        ignore_boxes=np.clip(doubtful, 0, np.array(target * 2, np.float32)),
        name=sample.name,
    )


def warp_plate_boxes(boxes: np.ndarray, before: np.ndarray, after: np.ndarray, matrix: np.ndarray) -> np.ndarray:
    """Boxes [G, 4] of plates whose corners [G, 4, 2] went from `before` to `after` through `matrix`; float32.

    The hull of the corners stays their hull; another box becomes the hull of its own four warped corner points.
    """
    is_hull = (np.abs(boxes - boxes_of_corners(before)) <= HULL_TOLERANCE).all(axis=1)
    warped = warp_boxes(boxes, matrix).astype(np.float32)
    return np.where(is_hull[:, None], boxes_of_corners(after), warped)


def share_inside(boxes: np.ndarray, size: tuple[int, int]) -> np.ndarray:
    """Share [K] of each box's area that lies in an image of `size` (width, height)."""
    low, high = np.maximum(boxes[:, :2], 0), np.minimum(boxes[:, 2:], size)
    inside = np.clip(high - low, 0, None).prod(axis=1)
    return inside / np.maximum((boxes[:, 2:] - boxes[:, :2]).prod(axis=1), 1e-6)


def _inside(corners: np.ndarray, size: tuple[int, int]) -> np.ndarray:
    """Mask [G, 4] of corners [G, 4, 2] that lie in an image of `size`."""
    return np.all((corners >= 0) & (corners < np.array(size, np.float32)), axis=-1)


def _box_in_front(boxes: np.ndarray, matrix: np.ndarray) -> np.ndarray:
    """Mask [K] of boxes no corner of which lies behind the horizon of `matrix`."""
    return np.min(warp_depth(corners_of_boxes(boxes), matrix), axis=1) > 0
