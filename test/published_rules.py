"""Rules of the published code that only the comparison with it needs."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
import torch
from torch import Tensor

from nanodet_kp_core.data.geometric import fit_ratio
from nanodet_kp_core.runtime.nms import nms


def multiclass_nms(
    boxes: np.ndarray,
    scores: np.ndarray,
    corners: np.ndarray,
    score_threshold: float,
    iou_threshold: float,
    max_detections: int = -1,
) -> tuple[np.ndarray, np.ndarray, np.ndarray, np.ndarray]:
    """Suppression per class as NanoDet evaluates: every class of a prior above the threshold is a candidate
    of its own.

    Source: the semantics of NanoDet's `multiclass_nms`; the detector itself uses `nms`.

    Args:
        boxes: [N, 4]; corners: [N, 4, 2]; scores: [N, C] of every class.
        score_threshold: candidates are strictly above it.
        iou_threshold: a box goes when its IoU with a better kept one of its class is above this.
        max_detections: keep the best so many over all classes; -1 keeps all.

    Returns:
        boxes [K, 4], scores [K], labels int64 [K], corners [K, 4, 2], best score first.
    """
    prior, label = np.nonzero(scores > score_threshold)
    score = scores[prior, label]
    kept = [np.empty(0, np.int64)]
    for one_class in np.unique(label):
        members = np.flatnonzero(label == one_class)
        kept.append(members[nms(boxes[prior[members]], score[members], iou_threshold)])
    chosen = np.sort(np.concatenate(kept))
    chosen = chosen[np.argsort(-score[chosen], kind="stable")]
    if max_detections >= 0:
        chosen = chosen[:max_detections]
    picked = prior[chosen]
    return boxes[picked], score[chosen], label[chosen].astype(np.int64), corners[picked]


def clip_coordinates(coordinates: Tensor, max_shape: Sequence[int]) -> Tensor:
    """Alternating x, y [..., 2k] limited to 0..width and 0..height; max_shape is (height, width)."""
    height, width = max_shape
    limit = coordinates.new_tensor([width, height]).repeat(coordinates.shape[-1] // 2)
    return torch.minimum(coordinates.clamp(min=0), limit)


def minimum_size(source_size: Sequence[int], target_size: Sequence[int], divisor: int = 0) -> tuple[int, int]:
    """Smallest (width, height) that holds the source scaled by fit_ratio.

    Rounded up to multiples of `divisor`, and at least `divisor`; 0 turns rounding off. An image with its
    ratio kept then needs little padding.
    """
    ratio = fit_ratio(source_size, target_size)
    width, height = (int(ratio * side) for side in source_size)
    if divisor <= 0:
        return width, height
    return max(divisor, -(-width // divisor) * divisor), max(divisor, -(-height // divisor) * divisor)


def normalise(image: np.ndarray, mean: Sequence[float], std: Sequence[float]) -> np.ndarray:
    """(image - mean) / std, float32; mean and std in gray levels, in the image's channel order."""
    return (image.astype(np.float32) - np.asarray(mean, np.float32)) / np.asarray(std, np.float32)
