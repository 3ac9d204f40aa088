"""Logits and scores as arrays."""

from __future__ import annotations

import numpy as np


def sigmoid(logits: np.ndarray) -> np.ndarray:
    """Scores in 0..1 of logits, same shape and type. No logit overflows."""
    small = np.exp(-np.abs(logits))  # of a number that is not positive
    return np.where(logits >= 0, logits.dtype.type(1), small) / (1 + small)


def logit(scores: np.ndarray | float) -> np.ndarray:
    """Logits float64 of scores in 0..1, same shape; -inf of 0, inf of 1."""
    scores = np.asarray(scores, np.float64)
    with np.errstate(divide="ignore"):
        return np.asarray(np.log(scores) - np.log1p(-scores))
