"""Points of a model on labeled images: one figure for plates found, false alarms, wrong numbers and corners together,
image by image, so that two models can be compared on few images."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import numpy as np

from nanodet_kp_core.evaluate.metrics import Matches
from nanodet_kp_core.evaluate.tables import right_class

WRONG = 0.5
"""Points that a hit with the wrong color or number costs."""

CORNERS, FARTHEST = 0.5, 0.1
"""A hit whose corners are off by FARTHEST of the diagonal or more costs CORNERS points, others in proportion."""


def points(matches: Matches, class_names: Sequence[str]) -> dict[str, float]:
    """Points by record name: a hit counts 1 less WRONG and CORNERS, a false alarm -1."""
    total = {record.name: 0.0 for record in matches.records}
    for hit in matches.hits:
        corners = 0.0 if np.isnan(hit.err) else CORNERS * min(1.0, hit.err / FARTHEST)
        total[hit.record.name] += 1 - corners - WRONG * (not right_class(hit, class_names))
    for record, _ in matches.false_alarms:
        total[record.name] -= 1
    return total


@dataclass(frozen=True)
class Gain:
    """Points that one model has more than another. total: over all images. noise: one standard error of it, from the
    differences of the images."""

    total: float
    noise: float


def gain(before: Mapping[str, float], after: Mapping[str, float]) -> Gain:
    """Of the points of two models on the same images."""
    differences = np.array([after[name] - before[name] for name in before])
    if not len(differences):
        return Gain(0.0, 0.0)
    spread = float(np.sqrt(((differences - differences.mean()) ** 2).sum()))
    return Gain(float(differences.sum()), spread)
