"""Non-maximum suppression in numpy: one over all classes for the detector, one per class as in NanoDet."""

from __future__ import annotations

import numpy as np

TINY = np.float32(1e-30)
"""Stands for an area of 0, so that empty boxes overlap nothing."""

AT_ONCE = 64
"""Up to so many boxes all pairs are computed in one go; a turn per kept box takes longer then."""


def nms(boxes: np.ndarray, scores: np.ndarray, iou_threshold: float, max_detections: int = -1) -> np.ndarray:
    """Greedy suppression without regard to the class: one physical plate has one label.

    Args:
        boxes: [N, 4] x_min, y_min, x_max, y_max.
        scores: [N].
        iou_threshold: a box goes when its IoU with a better kept one is above this.
        max_detections: keep at most so many; -1 keeps all.

    Returns:
        int64 [K] indices of the kept boxes, best score first; equal scores keep their input order.
    """
    return first_of(nms_groups(boxes, scores, iou_threshold, max_detections))


def nms_groups(
    boxes: np.ndarray,
    scores: np.ndarray,
    iou_threshold: float,
    max_detections: int = -1,
    score_threshold: float = -np.inf,
) -> list[np.ndarray]:
    """The same with what each kept box took away: int64 indices per kept box, itself first, the others by their scores.

    score_threshold: boxes below it are not kept, but may be taken away.
    """
    order = np.argsort(-scores, kind="stable")
    sides = boxes[order].T.copy()
    areas = np.maximum(sides[2] - sides[0], 0) * np.maximum(sides[3] - sides[1], 0)
    most = len(order) if max_detections < 0 else max_detections
    candidates = np.count_nonzero(scores >= score_threshold)
    groups: list[np.ndarray] = []
    if len(order) <= AT_ONCE:
        overlapping = _overlapping(sides[:, :, None], areas[:, None], sides, areas, iou_threshold)
        np.fill_diagonal(overlapping, True)
        free = np.ones(len(order), bool)
        for best in range(candidates):
            if free[best] and len(groups) < most:
                members = overlapping[best] & free
                groups.append(order[members])
                free ^= members
        return groups
    left = np.arange(len(order))
    # One turn per kept box, not per candidate: cheap even when a low score threshold lets thousands in.
    while left.size and left[0] < candidates and len(groups) < most:
        best, rest = left[0], left[1:]
        gone = _overlapping(sides[:, best], areas[best], sides[:, rest], areas[rest], iou_threshold)
        groups.append(order[np.concatenate([left[:1], rest[gone]])])
        left = rest[~gone]
    return groups


def _overlapping(
    one: np.ndarray, area: np.ndarray, others: np.ndarray, areas: np.ndarray, iou_threshold: float
) -> np.ndarray:
    """Which of the boxes [4, ...] and [4, N] have an IoU above the threshold.

    geometry.box_iou, written out: its many small steps took three quarters of the time.
    """
    width = np.minimum(others[2], one[2]) - np.maximum(others[0], one[0])
    height = np.minimum(others[3], one[3]) - np.maximum(others[1], one[1])
    overlap = np.maximum(width, 0) * np.maximum(height, 0)
    return np.asarray(overlap / np.maximum(areas + area - overlap, TINY) > iou_threshold)


def first_of(groups: list[np.ndarray]) -> np.ndarray:
    """The kept boxes of nms_groups, int64 [K]."""
    return np.array([group[0] for group in groups], np.int64)


def merge_corners(groups: list[np.ndarray], scores: np.ndarray, corners: np.ndarray) -> np.ndarray:
    """Corners [K, 4, 2] of groups: the mean over each group, weighted by the squares of the scores.

    Every prior near a plate guesses its corners; their mean is nearer to the truth than the guess of the best one.
    """
    if not groups:
        return corners[:0]
    members = np.concatenate(groups)
    starts = np.cumsum([0, *(len(group) for group in groups[:-1])])
    weights = scores[members, None, None] ** 2
    return np.add.reduceat(corners[members] * weights, starts) / np.add.reduceat(weights, starts)


def multiclass_nms(
    boxes: np.ndarray,
    scores: np.ndarray,
    corners: np.ndarray,
    score_threshold: float,
    iou_threshold: float,
    max_detections: int = -1,
) -> tuple[np.ndarray, np.ndarray, np.ndarray, np.ndarray]:
    """Suppression per class as NanoDet evaluates: every class of a prior above the threshold is a candidate
    of its own.

    Source: the semantics of NanoDet's `multiclass_nms`; the detector itself uses `nms`.

    Args:
        boxes: [N, 4]; corners: [N, 4, 2]; scores: [N, C] of every class.
        score_threshold: candidates are strictly above it.
        iou_threshold: a box goes when its IoU with a better kept one of its class is above this.
        max_detections: keep the best so many over all classes; -1 keeps all.

    Returns:
        boxes [K, 4], scores [K], labels int64 [K], corners [K, 4, 2], best score first.
    """
    prior, label = np.nonzero(scores > score_threshold)
    score = scores[prior, label]
    kept = [np.empty(0, np.int64)]
    for one_class in np.unique(label):
        members = np.flatnonzero(label == one_class)
        kept.append(members[nms(boxes[prior[members]], score[members], iou_threshold)])
    chosen = np.sort(np.concatenate(kept))
    chosen = chosen[np.argsort(-score[chosen], kind="stable")]
    if max_detections >= 0:
        chosen = chosen[:max_detections]
    picked = prior[chosen]
    return boxes[picked], score[chosen], label[chosen].astype(np.int64), corners[picked]
