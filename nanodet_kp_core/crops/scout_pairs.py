"""What the scout's weights are fitted to: pairs of lit bars in rendered images, and which of them are plates."""

from __future__ import annotations

from collections.abc import Iterable

import numpy as np

from nanodet_kp_core.geometry import diagonals
from nanodet_kp_core.labels.sample import Sample
from nanodet_kp_core.runtime.refinement.bar_pairs import WEIGHTS, candidate_pairs, corners_of_pairs, pair_features
from nanodet_kp_core.runtime.refinement.scout import Scout

POSITIVE_DISTANCE, NEGATIVE_DISTANCE = 0.22, 0.4
"""Mean corner distance over the plate's diagonal: a pair nearer than the first is a plate, one beyond
the second is none. What lies between teaches nothing."""


def pairs_of(samples: Iterable[Sample]) -> tuple[np.ndarray, np.ndarray]:
    """Features float64 [K, 10] (runtime.refinement.bar_pairs) of all pairs that the scout may propose, and bool [K]
    whether each is a plate. Pairs in ignore boxes are left out."""
    scout = Scout()
    features, plates = [np.zeros((0, len(WEIGHTS)))], [np.zeros(0, bool)]
    for sample in samples:
        sight = scout.look(sample.image)
        if sight is None:
            continue
        left, right = candidate_pairs(sight.bars)
        corners = (corners_of_pairs(sight.bars, left, right) + 0.5) * sight.shrunk - 0.5
        distances = _distances(corners, sample.corners)
        far = (distances > NEGATIVE_DISTANCE) & ~_inside(corners.mean(axis=1), sample.ignore_boxes)
        told = (distances < POSITIVE_DISTANCE) | far
        features.append(pair_features(sight, left[told], right[told]))
        plates.append(distances[told] < POSITIVE_DISTANCE)
    return np.concatenate(features), np.concatenate(plates)


def average_precision(scores: np.ndarray, plates: np.ndarray) -> float:
    """Of pairs ranked by their scores, best first."""
    found = plates[np.argsort(-scores)]
    return float((np.cumsum(found) / np.arange(1, len(found) + 1))[found].mean())


def _distances(corners: np.ndarray, plates: np.ndarray) -> np.ndarray:
    """Of corners [K, 4, 2] to the nearest of plates [N, 4, 2], over its mean diagonal, [K]."""
    if not len(plates):
        return np.full(len(corners), np.inf)
    return (np.linalg.norm(corners[:, None] - plates, axis=3).mean(axis=2) / diagonals(plates)).min(axis=1)


def _inside(points: np.ndarray, boxes: np.ndarray) -> np.ndarray:
    """Whether points [K, 2] lie in any of boxes [N, 4], bool [K]."""
    over, under = points[:, None] > boxes[None, :, :2], points[:, None] < boxes[None, :, 2:]
    inside = np.asarray((over & under).all(axis=2))
    return np.asarray(inside.any(axis=1))
