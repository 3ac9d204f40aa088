"""Whether the score of a number means what it says: of the numbers with score 0.9, nine of ten must be right."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from itertools import pairwise

import numpy as np

from nanodet_kp_core.evaluate.metrics import Hit, label_parts, nanmean

SCORE_EDGES = (0.0, 0.3, 0.5, 0.6, 0.7, 0.8, 0.9, 0.95, 0.98, 0.99, 1.0)
"""Number scores that share a row; narrow where most plates are."""


@dataclass(frozen=True)
class ReliabilityRow:
    """Numbers with a score in low..high (the last row includes its end): how many, their mean score, the share of right
    ones; nan without any. kept: share of all numbers from `low` on, kept_right: the share of right ones among them."""

    low: float
    high: float
    plates: int
    score: float
    right: float
    kept: float
    kept_right: float


@dataclass(frozen=True)
class Reliability:
    """Of all hits whose number can be read and has a score. score: their mean; right: the share of right numbers.

    ece: expected calibration error, the mean over the plates of |right - score| of their row.
    """

    plates: int
    score: float
    right: float
    ece: float
    rows: list[ReliabilityRow]


def reliability(hits: Sequence[Hit], class_names: Sequence[str]) -> Reliability:
    """Number scores of the hits against whether the number is right; rows without a plate too, in order."""
    known = [hit for hit in hits if hit.record.number_known[hit.plate] and not np.isnan(hit.prediction.number_score)]
    scores = np.array([hit.prediction.number_score for hit in known], float)
    right = np.array([_is_right(hit, class_names) for hit in known], float)
    places = np.minimum(np.searchsorted(SCORE_EDGES, scores, side="right") - 1, len(SCORE_EDGES) - 2)
    rows, ece = [], 0.0
    for place, (low, high) in enumerate(pairwise(SCORE_EDGES)):
        here, from_here = places == place, places >= place
        row = ReliabilityRow(
            low, high, int(here.sum()), nanmean(scores[here]), nanmean(right[here]),
            nanmean(from_here.astype(float)), nanmean(right[from_here]),
        )  # fmt: skip
        rows.append(row)
        if row.plates:
            ece += abs(row.right - row.score) * row.plates / len(known)
    return Reliability(len(known), nanmean(scores), nanmean(right), ece if known else float("nan"), rows)


def _is_right(hit: Hit, class_names: Sequence[str]) -> bool:
    true = class_names[hit.record.labels[hit.plate]]
    return label_parts(true)[1] == label_parts(hit.prediction.label)[1]
