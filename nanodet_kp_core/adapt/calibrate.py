"""Scores of a new second stage: its 0.5 is to mean what the start's 0.5 means, and its number scores the truth."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

import numpy as np

from nanodet_kp_core.classes import factors
from nanodet_kp_core.evaluate.calibrate import offset_of
from nanodet_kp_core.evaluate.metrics import Matches, Prediction, match
from nanodet_kp_core.evaluate.standing import LOWEST, THRESHOLD
from nanodet_kp_core.evaluate.temperature import fit_temperature
from nanodet_kp_core.evaluate.torch_detector import to_predictions
from nanodet_kp_core.export.crop_network_file import shift_refiner
from nanodet_kp_core.labels.sample import Record
from nanodet_kp_core.runtime.detection.detector import Detector

ROUNDS = 2
"""Which proposals get a second look depends on the offset, so the second time is nearer."""


def calibrate_second_stage(model: Path, records: Sequence[Record], precision: float) -> float:
    """Shift the scores of the model's second stage so that 0.5 is the lowest threshold with that precision on the
    records, and fit the temperature of its numbers. Returns the shift; the file of the second stage changes.

    Raises TrainingError when nothing is found.
    """
    total = 0.0
    for _ in range(ROUNDS):
        detector = Detector(model, score_threshold=LOWEST)
        assert detector.refiner is not None
        matches, logits = _looked(detector, records)
        offset, _ = offset_of(matches, precision, detector.metadata.class_names)
        total += offset
        temperature = _temperature(matches.at(THRESHOLD), logits, detector.metadata.class_names)
        shift_refiner(detector.refiner.path, offset, temperature)
    return total


def _looked(detector: Detector, records: Sequence[Record]) -> tuple[Matches, dict[int, np.ndarray]]:
    """Matches at LOWEST, and the number logits of each prediction by its id."""
    predictions: dict[str, list[Prediction]] = {}
    logits: dict[int, np.ndarray] = {}
    for record in records:
        predictions[record.name] = to_predictions(detector, detector(record.load().image))
        logits.update(zip(map(id, predictions[record.name]), detector.number_logits))
    return match(records, predictions, LOWEST), logits


def _temperature(matches: Matches, logits: dict[int, np.ndarray], class_names: tuple[str, ...]) -> float | None:
    pair = factors(class_names)
    hits = [hit for hit in matches.hits if hit.record.number_known[hit.plate]]
    if not hits or pair is None:
        return None
    numbers = np.array([hit.record.labels[hit.plate] % len(pair[1]) for hit in hits], np.int64)
    return fit_temperature(np.array([logits[id(hit.prediction)] for hit in hits]), numbers)
