"""What the build of an armor plate forbids, as the last word on what the second stage accepts."""

from __future__ import annotations

import numpy as np

from nanodet_kp_core.geometry import box_iou, boxes_of_corners

LEAST_GAP = 0.6
"""Distance of a plate's bars in lengths of them, at least. The bars of a small plate are 2.4 lengths apart; this is its
look at a yaw of 75 degrees. No plate of some 580 labelled ones lies below 0.94."""

SHARED = 0.3
"""Mean distance of the ends of two bars, in their length, below which they are one bar."""


def obeying(corners: np.ndarray) -> np.ndarray:
    """Which plates keep the rules: indices int64 [M] in the order of `corners`.

    The bars of a plate are no closer together than LEAST_GAP, and a bar belongs to one plate: of two plates with the
    same bar the first stays.

    Args:
        corners: float [K, 4, 2], the best plate first.
    """
    bars = corners[:, [[0, 1], [3, 2]]].astype(np.float64)  # [K, left and right, upper and lower end, 2]
    lengths = np.linalg.norm(bars[:, :, 1] - bars[:, :, 0], axis=2)
    middles = bars.mean(axis=2)
    gaps = np.linalg.norm(middles[:, 1] - middles[:, 0], axis=1)
    kept = np.flatnonzero(gaps >= LEAST_GAP * lengths.mean(axis=1))
    if len(kept) < 2:
        return kept
    ends, length = bars[kept].reshape(-1, 4), lengths[kept].ravel()
    apart = np.linalg.norm((ends[:, None] - ends[None]).reshape(len(ends), -1, 2, 2), axis=3).mean(axis=2)
    same = (apart < SHARED * np.minimum(length[:, None], length)).reshape(len(kept), 2, len(kept), 2).any(axis=(1, 3))
    stays = np.ones(len(kept), bool)
    for k in range(1, len(kept)):
        stays[k] = not (same[k, :k] & stays[:k]).any()
    return kept[stays]


def new_among(corners: np.ndarray, known: np.ndarray, most_overlap: float) -> np.ndarray:
    """Indices of the quadrilaterals [K, 4, 2] whose boxes overlap no box of `known` [M, 4, 2] by more than that IoU."""
    if not len(corners) or not len(known):
        return np.arange(len(corners))
    overlap = box_iou(boxes_of_corners(corners), boxes_of_corners(known))
    return np.flatnonzero(overlap.max(axis=1) <= most_overlap)
