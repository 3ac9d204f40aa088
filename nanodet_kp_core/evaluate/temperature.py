"""The temperature that makes the scores of numbers say how often a number is right.

Source: Guo et al., On Calibration of Modern Neural Networks, 2017: one factor on the logits changes no answer, only how
sure it is. The targets are those of Platt, Probabilistic Outputs for Support Vector Machines, 1999.
"""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from nanodet_kp_core.classes import class_factors
from nanodet_kp_core.errors import ModelError
from nanodet_kp_core.evaluate.torch_detector import matched_rows
from nanodet_kp_core.labels.sample import Record
from nanodet_kp_core.runtime.detection.detector import Detector

TEMPERATURES = np.geomspace(0.1, 10.0, 185)
"""That are tried, 2.5 % apart."""


def number_evidence(records: Sequence[Record], detector: Detector) -> tuple[np.ndarray, np.ndarray]:
    """Of every hit whose number can be read: its number logits [H, numbers] before the temperature, and the true number
    [H], an index into them.

    Raises ModelError for a detector without a second stage.
    """
    many = len(class_factors(detector.metadata.class_names)[1])
    if detector.refiner is None:
        raise ModelError(f"model {detector.model_path}: expected one that names a refiner, got one without")
    matches, logits = matched_rows(detector, records, lambda _: detector.number_logits)
    hits = [hit for hit in matches.hits if hit.record.number_known[hit.plate]]
    numbers = np.array([hit.record.labels[hit.plate] % many for hit in hits], np.int64)
    return np.array([logits[id(hit.prediction)] for hit in hits]).reshape(-1, many), numbers


def fit_temperature(logits: np.ndarray, numbers: np.ndarray) -> float:
    """Of TEMPERATURES the one under which the true numbers [H] are likeliest, logits [H, numbers], H above 0; 1 where
    there is one number only.

    A share 1 / (H + 2) of each plate counts as any other number: a few images on which every number is right do not
    prove that none is ever wrong.
    """
    if logits.shape[1] < 2:
        return 1.0
    doubt = 1 / (len(numbers) + 2)
    targets = np.full(logits.shape, doubt / (logits.shape[1] - 1))
    targets[np.arange(len(numbers)), numbers] = 1 - doubt
    losses = [_cross_entropy(logits.astype(np.float64) / temperature, targets) for temperature in TEMPERATURES]
    return float(TEMPERATURES[int(np.argmin(losses))])


def _cross_entropy(logits: np.ndarray, targets: np.ndarray) -> float:
    """Mean over the rows of -sum(targets * log softmax(logits))."""
    below = logits - logits.max(axis=1, keepdims=True)
    log_softmax = below - np.log(np.exp(below).sum(axis=1, keepdims=True))
    return float(-(targets * log_softmax).sum(axis=1).mean())
