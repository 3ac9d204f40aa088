"""Non-maximum suppression in numpy: one over all classes for the detector, one per class as in NanoDet."""

from __future__ import annotations

import numpy as np

from nanodet_kp_core.geometry import box_iou


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
    order = np.argsort(-scores, kind="stable")
    kept: list[int] = []
    # One turn per kept box, not per candidate: cheap even when a low score threshold lets thousands in.
    while order.size and (max_detections < 0 or len(kept) < max_detections):
        best, rest = order[0], order[1:]
        kept.append(int(best))
        order = rest[box_iou(boxes[best : best + 1], boxes[rest])[0] <= iou_threshold]
    return np.asarray(kept, np.int64)


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
