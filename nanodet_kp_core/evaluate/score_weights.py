"""The weights with which the final score of the second stage tells plates from what is none: those of the detector's
score, of the scout's pairs and of the size. They come from what the detector makes of labeled images."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from nanodet_kp_core.errors import DataError
from nanodet_kp_core.evaluate.torch_detector import matched_rows
from nanodet_kp_core.labels.sample import Record
from nanodet_kp_core.numerics import finite_logit, logistic_weights, sigmoid
from nanodet_kp_core.runtime.detection.detections import Detections
from nanodet_kp_core.runtime.detection.detector import Detector
from nanodet_kp_core.runtime.refinement.refiner import Refiner, log_sizes

LEAST = 50
"""Plates, and candidates that are none, below which weights would be chance."""

RIDGE = 1e-5
"""A larger one shrinks the logit of the looks, by which the other weights are divided, more than these."""


@dataclass(frozen=True)
class ScoreWeights:
    """As in RefinerMetadata, whose keys these are."""

    detector_weight: float
    scout_score: float
    size_weight: float


@dataclass(frozen=True)
class Evidence:
    """What the final scores of K candidates are made of. logits: float64 [K] of the looks. proposed: float32 [K], the
    scores of the detector. sizes: float64 [K], see log_sizes. plate: bool [K], the truth.
    """

    logits: np.ndarray
    proposed: np.ndarray
    sizes: np.ndarray
    plate: np.ndarray


def collected(records: Sequence[Record], detector: Detector) -> Evidence:
    """Of what the detector, which has a second stage, finds at its score threshold; that must let low scores through.
    What lies in ignore boxes is left out."""
    refiner = detector.refiner
    assert refiner is not None
    matches, rows = matched_rows(detector, records, lambda found: _parts(found, detector.proposed, refiner))
    judged = [hit.prediction for hit in matches.hits] + [false for _, false in matches.false_alarms]
    logits, proposed, sizes = np.array([rows[id(one)] for one in judged]).reshape(-1, 3).T
    return Evidence(logits, proposed, sizes, np.arange(len(judged)) < len(matches.hits))


def _parts(found: Detections, proposed: np.ndarray, refiner: Refiner) -> np.ndarray:
    """[K, 3]: logit of the looks, score of the detector, size."""
    known = refiner.metadata
    sizes = log_sizes(found.corners)
    logits = finite_logit(found.scores) - known.offset - known.detector_weight * finite_logit(proposed)
    logits -= known.size_weight * sizes + known.unlit_offset * refiner.are_unlit(found.class_ids)
    return np.stack([logits, proposed, sizes], axis=1)


def fit_score_weights(evidence: Evidence, scout_score: float) -> ScoreWeights:
    """The weights under which the truth [K] is likeliest.

    scout_score: with which the evidence was collected; it marks what only the scout has proposed, and stays where that
    is nothing.
    Raises DataError where plates or others are fewer than LEAST, or where higher logits of the looks are no more often
    plates.
    """
    plate = evidence.plate
    if min(plate.sum(), (~plate).sum()) < LEAST:
        raise DataError(
            f"--weights: expected {LEAST} plates found in the images of --labels and as many false candidates, "
            f"got {plate.sum()} and {(~plate).sum()}; label more images"
        )
    of_scout = np.isclose(evidence.proposed, scout_score)
    proposed = np.where(of_scout, 0, finite_logit(evidence.proposed))
    columns = np.stack([evidence.logits, proposed, of_scout, evidence.sizes], axis=1)
    looked, detector, scout, size = logistic_weights(columns, plate, RIDGE)
    if looked <= 0:
        raise DataError(
            "--weights: expected a second stage that tells plates from others in the images of --labels, got one whose "
            "higher scores are no more often plates; train another one"
        )
    detector = max(detector, 1e-3 * looked)
    said = sigmoid(np.array(scout / detector)) if of_scout.any() else scout_score
    return ScoreWeights(
        detector_weight=round(float(np.clip(detector / looked, 0, 10)), 3),
        scout_score=round(float(said), 3),
        size_weight=round(float(np.clip(size / looked, -10, 10)), 3),
    )
