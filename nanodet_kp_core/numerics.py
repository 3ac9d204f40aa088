"""Logits and scores as arrays, and log-uniform draws."""

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


def finite_logit(scores: np.ndarray) -> np.ndarray:
    """As logit, of scores that are cut to 1e-6 from 0 and from 1."""
    return logit(np.minimum(np.maximum(scores.astype(np.float64), 1e-6), 1 - 1e-6))  # clip takes twice the time


def log_uniform(rng: np.random.Generator, low: float, high: float) -> float:
    """A random number from low to high, both above 0. Its logarithm is uniform: every doubling is as likely."""
    return float(np.exp(rng.uniform(np.log(low), np.log(high))))


def logistic_weights(features: np.ndarray, truth: np.ndarray, ridge: float = 1e-3) -> np.ndarray:
    """Weights float64 [F] of features [K, F] in the logit that the truth, bool [K], holds.

    Logistic regression by Newton's method on standardized features (Hastie et al., The Elements of Statistical
    Learning, 2009, section 4.4.1). ridge: weight of the squared weights, which keeps separable data finite.
    """
    mean, spread = features.mean(axis=0), features.std(axis=0) + 1e-9
    inputs = np.column_stack([(features - mean) / spread, np.ones(len(features))])
    weights = np.zeros(inputs.shape[1])
    for _ in range(30):
        chances = sigmoid(inputs @ weights)
        slopes = inputs * (chances * (1 - chances) + 1e-6)[:, None]
        curvature = slopes.T @ inputs / len(inputs) + ridge * np.eye(len(weights))
        weights -= np.linalg.solve(curvature, inputs.T @ (chances - truth) / len(inputs) + ridge * weights)
    return weights[:-1] / spread
