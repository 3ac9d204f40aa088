"""From the network's output to candidates in input pixels; only priors above the threshold are integrated."""

from __future__ import annotations

import math
from dataclasses import dataclass
from functools import lru_cache

import numpy as np

from nanodet_kp_core.geometry import BOX_CORNERS, make_priors
from nanodet_kp_core.layout import DIRECT_REACH, HeadLayout
from nanodet_kp_core.runtime.metadata import ModelMetadata


@dataclass(frozen=True)
class Candidates:
    """Priors above the threshold, in prior order, before NMS; all coordinates in input pixels, all values
    finite.

    scores float32 [K] in 0..1, class_ids int64 [K], boxes float32 [K, 4] (x_min, y_min, x_max, y_max),
    corners float32 [K, 4, 2] (left-top, left-bottom, right-bottom, right-top).
    """

    scores: np.ndarray
    class_ids: np.ndarray
    boxes: np.ndarray
    corners: np.ndarray


def decode(output: np.ndarray, metadata: ModelMetadata, score_threshold: float) -> Candidates:
    """Decode the priors whose best score is at or above the threshold.

    What the channels mean is defined in HeadLayout. Rows with a value that is not finite are dropped: one bad prior
    must not become a NaN in a message.

    Args:
        output: float32 [num_priors, channels], channels as in `metadata.head`.
        metadata: the model's metadata.
        score_threshold: in 0..1.

    Returns:
        The candidates; one per prior, with its best class.
    """
    head = metadata.head
    best = output[:, : head.num_scores].max(axis=1)
    # The threshold is moved to the logits once instead of a sigmoid on every prior; NaN compares false and
    # falls out.
    is_logit = metadata.output.scores == "logits"
    chosen = np.flatnonzero(best >= (_logit(score_threshold) if is_logit else score_threshold))
    chosen = chosen[np.isfinite(output[chosen]).all(axis=1)]
    rows = output[chosen]
    spec = metadata.input
    priors = _priors(spec.height, spec.width, metadata.strides, head.prior_offset)[chosen]
    points, stride = priors[:, :2], priors[:, 2:3]
    scores = _sigmoid(best[chosen]) if is_logit else best[chosen]
    sides = _box_strides(rows, head) * stride
    boxes = np.concatenate([points - sides[:, :2], points + sides[:, 2:]], axis=1)
    corners = boxes[:, BOX_CORNERS].reshape(-1, 4, 2)
    if head.has_corners:
        corners = points[:, None] + (_corner_strides(rows, head) * stride).reshape(-1, 4, 2)
    return Candidates(
        scores=scores.astype(np.float32),
        class_ids=_class_ids(rows, head.num_scores, head.num_numbers),
        boxes=boxes,
        corners=corners,
    )


def _box_strides(rows: np.ndarray, head: HeadLayout) -> np.ndarray:
    """Distances [K, 4] left, top, right, bottom in strides."""
    raw = rows[:, head.box_slice]
    if head.is_direct:
        return np.exp(np.minimum(raw, math.log(DIRECT_REACH)))
    return _integral(raw, head.box_positions())


def _corner_strides(rows: np.ndarray, head: HeadLayout) -> np.ndarray:
    """Offsets [K, 8] of x0, y0, .. x3, y3 from the prior in strides."""
    raw = rows[:, head.corner_slice]
    if head.is_direct:
        return np.clip(raw, -DIRECT_REACH, DIRECT_REACH)
    return _integral(raw, head.corner_positions()) * head.corner_signs()


def _class_ids(rows: np.ndarray, num_scores: int, num_numbers: int) -> np.ndarray:
    """Class id [K]: the best score channel, or best colour * numbers + best number in the factored layout."""
    first = rows[:, :num_scores].argmax(axis=1)
    if num_numbers == 0:
        return first.astype(np.int64)
    number = rows[:, num_scores : num_scores + num_numbers].argmax(axis=1)
    return (first * num_numbers + number).astype(np.int64)


def _integral(logits: np.ndarray, positions: np.ndarray) -> np.ndarray:
    """Mean bin position [K, n] of the distributions in logits [K, n * bins], in strides."""
    bins = logits.reshape(len(logits), logits.shape[1] // len(positions), len(positions))
    weights = np.exp(bins - bins.max(axis=2, keepdims=True))  # shifted: large logits must not overflow
    return (weights @ positions) / weights.sum(axis=2)


def _sigmoid(logits: np.ndarray) -> np.ndarray:
    # exp of a non-positive number on either side, so that no logit overflows.
    small = np.exp(-np.abs(logits))
    return np.where(logits >= 0, 1, small) / (1 + small)


def _logit(probability: float) -> float:
    if probability <= 0:
        return -math.inf
    if probability >= 1:
        return math.inf
    return math.log(probability / (1 - probability))


@lru_cache(maxsize=8)
def _priors(height: int, width: int, strides: tuple[int, ...], offset: float) -> np.ndarray:
    priors = make_priors(height, width, strides, offset)
    priors.setflags(write=False)  # shared between calls
    return priors
