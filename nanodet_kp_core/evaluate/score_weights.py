"""The weights with which the final score of the second stage tells plates from what is none: those of the detector's
score, of the scout's pairs and of the size. They come from what the detector makes of labeled images."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from nanodet_kp_core.classes import UNLIT, class_factors
from nanodet_kp_core.errors import DataError
from nanodet_kp_core.evaluate.metrics import Prediction, match
from nanodet_kp_core.evaluate.torch_detector import to_predictions
from nanodet_kp_core.geometry import diagonals
from nanodet_kp_core.labels.sample import Record
from nanodet_kp_core.numerics import finite_logit, logistic_weights, sigmoid
from nanodet_kp_core.runtime.detection.detections import Detections
from nanodet_kp_core.runtime.detection.detector import Detector
from nanodet_kp_core.runtime.refinement.refiner import USUAL_SIZE, Refiner

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
    scores of the detector. sizes: float64 [K], logarithms of the diagonals over USUAL_SIZE. plate: bool [K], the truth.
    """

    logits: np.ndarray
    proposed: np.ndarray
    sizes: np.ndarray
    plate: np.ndarray


def collected(records: Sequence[Record], detector: Detector) -> Evidence:
    """Of what the detector, which has a second stage, finds at its score threshold; that must let low scores through.
    What lies in ignore boxes is left out."""
    assert detector.refiner is not None
    predictions: dict[str, list[Prediction]] = {}
    rows: dict[int, np.ndarray] = {}
    for record in records:
        found = detector(record.load().image)
        predictions[record.name] = to_predictions(detector, found)
        rows.update(zip(map(id, predictions[record.name]), _parts(found, detector.proposed, detector.refiner)))
    matches = match(records, predictions, detector.options.score_threshold)
    judged = [hit.prediction for hit in matches.hits] + [false for _, false in matches.false_alarms]
    logits, proposed, sizes = np.array([rows[id(one)] for one in judged]).reshape(-1, 3).T
    return Evidence(logits, proposed, sizes, np.arange(len(judged)) < len(matches.hits))


def _parts(found: Detections, proposed: np.ndarray, refiner: Refiner) -> np.ndarray:
    """[K, 3]: logit of the looks, score of the detector, size."""
    known = refiner.metadata
    sizes = np.log(np.maximum(diagonals(found.corners), 1) / USUAL_SIZE)
    logits = finite_logit(found.scores) - known.offset - known.detector_weight * finite_logit(proposed)
    logits -= known.size_weight * sizes + known.unlit_offset * _unlit(found)
    return np.stack([logits, proposed, sizes], axis=1)


def _unlit(found: Detections) -> np.ndarray:
    """Which plates have their lights off, bool [K]."""
    colors, numbers = class_factors(found.class_names)
    if UNLIT not in colors:
        return np.zeros(len(found), bool)
    return np.asarray(found.class_ids // len(numbers) == colors.index(UNLIT))


def fit_score_weights(evidence: Evidence, scout_score: float) -> ScoreWeights:
    """The weights under which the truth [K] is likeliest.

    scout_score: with which the evidence was collected; it marks what only the scout has proposed.
    Raises DataError where plates or others are fewer than LEAST.
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
    detector = max(detector, 1e-3 * looked)
    return ScoreWeights(
        detector_weight=round(float(np.clip(detector / looked, 0, 10)), 3),
        scout_score=round(float(sigmoid(np.array(scout / detector))), 3),
        size_weight=round(float(np.clip(size / looked, -10, 10)), 3),
    )
