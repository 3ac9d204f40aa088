"""Non-maximum suppression over all classes, and the mean corners of each kept box and those that it suppressed."""

from __future__ import annotations

from typing import Any

import cv2
import numpy as np

from nanodet_kp_core.geometry import box_iou

_FAR_AWAY = 1e12
"""Pixels; no box comes here, and whole numbers are still exact."""

_LEAST = np.float32(1e-15)
"""Smallest score in a weight: its square is still above 0 in float32."""


def nms(boxes: np.ndarray, scores: np.ndarray, iou_threshold: float, max_detections: int = -1) -> np.ndarray:
    """Greedy suppression without regard to the class: one physical plate has one label.

    Args:
        boxes: [N, 4] x_min, y_min, x_max, y_max. Empty ones overlap nothing.
        scores: [N].
        iou_threshold: a box goes when its IoU with a better kept one is above this.
        max_detections: keep at most so many; -1 keeps all.

    Returns:
        int64 [K] indices of the kept boxes, best score first; equal scores keep their input order.
    """
    order = np.argsort(-scores, kind="stable")
    if len(order) > 1:
        rectangles = boxes[order].astype(np.float64)
        sides = rectangles[:, 2:]
        sides -= rectangles[:, :2]
        if sides.min() <= 0:
            # To OpenCV two empty boxes are the same; each gets a place of its own.
            empty = np.flatnonzero((sides <= 0).any(axis=1))
            rectangles[empty, :2] = _FAR_AWAY + 2 * empty[:, None]
            sides[empty] = 1
        # Ranks instead of scores: OpenCV drops boxes with a score of 0.
        ranks = np.arange(len(order), 0, -1, dtype=np.float32)
        kept: Any = cv2.dnn.NMSBoxes(rectangles, ranks, 0.0, iou_threshold)  # type: ignore[arg-type]  # arrays will do
        order = order[np.ravel(kept)]
    return order if max_detections < 0 else order[:max_detections]


def merge_corners(
    kept: np.ndarray, boxes: np.ndarray, scores: np.ndarray, corners: np.ndarray, iou_threshold: float
) -> np.ndarray:
    """Corners [K, 4, 2] of the boxes that nms kept: the mean over each and those that it took away, weighted by the
    squares of the scores.

    Every prior near a plate guesses its corners; their mean is nearer to the truth than the guess of the best one.

    Args:
        kept: [K], best first; boxes, scores, corners: [N, ...], also of boxes whose score was too low to be kept.
    """
    if not len(kept):
        return corners[:0]
    overlapping = box_iou(boxes, boxes[kept]) > iou_threshold
    overlapping[kept, np.arange(len(kept))] = True  # also where a box is empty
    owners = overlapping.argmax(axis=1)  # the first that overlaps, which is the best
    members = np.flatnonzero(overlapping[np.arange(len(boxes)), owners])
    weights = np.zeros((len(kept), len(members)), scores.dtype)
    weights[owners[members], np.arange(len(members))] = np.maximum(scores[members], _LEAST) ** 2
    merged = weights @ corners[members].reshape(len(members), 8) / weights.sum(axis=1, keepdims=True)
    return np.asarray(merged.reshape(-1, 4, 2))
