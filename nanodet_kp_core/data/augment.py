"""Random warps and light changes of a training sample; corners and picture always go through the same matrix."""

from __future__ import annotations

from typing import TYPE_CHECKING

import cv2
import numpy as np

from nanodet_kp_core.data.sample import Sample
from nanodet_kp_core.data.warp import (
    compose_warp,
    resize_matrix,
    scale_matrix,
    translation_matrix,
    warp_boxes,
    warp_corners,
    warp_image,
)
from nanodet_kp_core.geometry import boxes_of_corners
from nanodet_kp_core.runtime.metadata import PAD_VALUE

if TYPE_CHECKING:
    from nanodet_kp_core.config import PipelineConfig

MIN_SIDE = 6.0
"""Plates narrower than this many input pixels are neither plate nor background."""


def random_matrix(
    rng: np.random.Generator,
    source: tuple[int, int],
    target: tuple[int, int],
    pipeline: PipelineConfig,
    keep_ratio: bool,
) -> np.ndarray:
    """Matrix [3, 3] from source to target pixels; sizes are (width, height)."""
    width, height = source
    zoom = float(np.exp(rng.uniform(*np.log(pipeline.scale))))
    angle = np.radians(rng.uniform(-pipeline.rotation, pipeline.rotation))
    turn = np.array([[np.cos(angle), -np.sin(angle), 0], [np.sin(angle), np.cos(angle), 0], [0, 0, 1]])
    shift = rng.uniform(-pipeline.translate, pipeline.translate, 2) * (width, height)
    back = translation_matrix(width / 2 + shift[0], height / 2 + shift[1])
    resize = resize_matrix(source, target, keep_ratio)
    return compose_warp(source, [scale_matrix(zoom, zoom), turn, back, resize])


def warp_sample(sample: Sample, matrix: np.ndarray, target: tuple[int, int]) -> Sample:
    """The sample through `matrix`, in a picture of `target` (width, height).

    Corners outside the picture stay what they are. A plate whose box leaves the picture by more than a fifth, or that
    became too small, turns into an ignore box; one that is outside altogether is dropped, and so are ignore boxes.
    """
    width, height = target
    corners = warp_corners(sample.corners, matrix).astype(np.float32)
    boxes = boxes_of_corners(corners)
    ignores = warp_boxes(sample.ignore_boxes, matrix).astype(np.float32)
    seen = _share_inside(boxes, width, height)
    big = boxes[:, 2] - boxes[:, 0] >= MIN_SIDE
    keep = (seen >= 0.8) & big
    doubtful = np.concatenate([boxes[(seen > 0) & ~keep], ignores])
    return Sample(
        image=warp_image(sample.image, matrix, target, PAD_VALUE),
        corners=corners[keep],
        labels=sample.labels[keep],
        visible=sample.visible[keep],
        number_known=sample.number_known[keep],
        ignore_boxes=doubtful[_share_inside(doubtful, width, height) > 0],
        name=sample.name,
    )


def _share_inside(boxes: np.ndarray, width: int, height: int) -> np.ndarray:
    """Share [K] of each box's area that lies in the picture."""
    low, high = np.maximum(boxes[:, :2], 0), np.minimum(boxes[:, 2:], (width, height))
    inside = np.clip(high - low, 0, None).prod(axis=1)
    return inside / np.maximum((boxes[:, 2:] - boxes[:, :2]).prod(axis=1), 1e-6)


def change_light(rng: np.random.Generator, image: np.ndarray, pipeline: PipelineConfig) -> np.ndarray:
    """Brightness, contrast and saturation; the hue stays, because red must stay red."""
    gain = float(rng.uniform(*pipeline.contrast))
    offset = 255 * float(rng.uniform(-pipeline.brightness, pipeline.brightness))
    saturation = float(rng.uniform(*pipeline.saturation))
    if saturation != 1.0:
        grey = cv2.cvtColor(cv2.cvtColor(image, cv2.COLOR_BGR2GRAY), cv2.COLOR_GRAY2BGR)
        return cv2.addWeighted(image, gain * saturation, grey, gain * (1 - saturation), offset)
    return cv2.convertScaleAbs(image, alpha=gain, beta=max(offset, 0.0)) if offset >= 0 else cv2.subtract(
        cv2.convertScaleAbs(image, alpha=gain), np.full(3, -offset)
    )
