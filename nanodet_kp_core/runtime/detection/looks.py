"""The looks of the second stage at what was proposed, one after the other: the refiner once or twice, then the bars."""

from __future__ import annotations

from dataclasses import replace

import numpy as np

from nanodet_kp_core.geometry import boxes_of_corners
from nanodet_kp_core.numerics import finite_logit, sigmoid
from nanodet_kp_core.runtime.detection.detections import Detections
from nanodet_kp_core.runtime.detection.options import DetectOptions
from nanodet_kp_core.runtime.nms import nms
from nanodet_kp_core.runtime.refinement.bar_rules import are_reflections, possible_plates
from nanodet_kp_core.runtime.refinement.refiner import Refinements, Refiner, number_scores

RELOOK_SCORE = 0.05
"""Lowest score at the first look with which a proposal gets a second one. Where its corners were off, the first look
corrects them, and only the second can judge it."""

CONFIDENT_SCORE = 0.85
"""Score at the first look from which there is no second one when the bars follow, but for RELOOK_MOVED. It makes the
corners of most such plates no better, and the scores of some worse (docs/experiments.md)."""

RELOOK_MOVED = 8.0
"""Crop pixels. A plate whose corners the first look moves by more gets a second look whatever its score: they come
nearer by a sixth to a third."""

FIRST_SHARE = 0.22
"""Weight of the first look in the logit of a proposal that had two: from other corners it has seen other pixels."""

NAMELESS = 0.5
"""Number score below which a plate may be the reflection of another one."""


def refined(
    refiner: Refiner,
    image: np.ndarray,
    proposals: Detections,
    options: DetectOptions,
    channel_order: str = "bgr",
    halved: np.ndarray | None = None,
) -> Refinements:
    """What the looks make of at least one proposal: plates from `options.score_threshold` on, best first.

    From corners that are nearly right the refiner reads and corrects better than from those that were proposed. Then
    each light bar is refined alone. image, channel_order, halved: as of a call of the refiner.
    """
    threshold, bars = options.score_threshold, refiner.bars
    found = refiner(image, proposals.corners, proposals.scores, channel_order, halved)
    found = found.part(_suppressed(found, min(RELOOK_SCORE, threshold), options))
    confident = np.inf if bars is None else max(CONFIDENT_SCORE, threshold)
    again = np.flatnonzero((found.scores < confident) | (found.moved > RELOOK_MOVED))
    if len(again):
        second = refiner(image, found.corners[again], found.proposed[again], channel_order, halved)
        scores = scores_of_looks(found.scores[again], second.scores, FIRST_SHARE)
        found.replace(again, replace(second, scores=scores))
        found = found.part(_suppressed(found, threshold, options))
    if bars is not None:
        found = replace(found, corners=bars(image, found.corners, channel_order, halved))
    if refiner.metadata.light_bars:
        found = found.part(possible_plates(found.corners, image.shape[1::-1]))
        found = _without_reflections(refiner, found)
    return found


def _without_reflections(refiner: Refiner, found: Refinements) -> Refinements:
    """The plates that are no reflections of others."""
    if len(found.scores) < 2:  # a single plate is nothing's reflection
        return found
    nameless = number_scores(found.number_logits, refiner.metadata.number_temperature) < NAMELESS
    if not nameless.any():
        return found
    reflections = are_reflections(found.corners, nameless, refiner.colors(found.class_ids))
    return found.part(np.flatnonzero(~reflections))


def scores_of_looks(first: np.ndarray, second: np.ndarray, share: float) -> np.ndarray:
    """Scores float32 [K] of proposals that were looked at twice: the logit of the first look has the weight `share`,
    that of the second the rest. What the second look could not turn upright scores 0."""
    logits = share * finite_logit(first) + (1 - share) * finite_logit(second)
    return np.where(second > 0, sigmoid(logits), 0).astype(np.float32)


def _suppressed(found: Refinements, score: float, options: DetectOptions) -> np.ndarray:
    """Indices of the refinements with at least this score that NMS keeps, best first."""
    likely = np.flatnonzero(found.scores >= score)
    boxes = boxes_of_corners(found.corners[likely])
    return likely[nms(boxes, found.scores[likely], options.nms_threshold, options.max_unselected)]
