"""Hits, false alarms, corner error, colour and number accuracy of detections in labelled images."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import numpy as np

from nanodet_kp_core.classes import split_label
from nanodet_kp_core.data.sample import Record
from nanodet_kp_core.geometry import box_iou, boxes_of_corners

HIT_IOU = 0.5
IGNORE_IOU = 0.2


@dataclass(frozen=True)
class Prediction:
    """One detection: label, score and corners [4, 2] in pixels of the original image."""

    label: str
    score: float
    corners: np.ndarray


@dataclass(frozen=True)
class Score:
    """err is the mean corner distance of the hits over the plate's mean diagonal, err_px the same in pixels.

    colour and number are accuracies over the hits (number only where it can be read); nan without any.
    """

    images: int
    plates: int
    precision: float
    recall: float
    err: float
    err_p95: float
    err_px: float
    colour: float
    number: float
    hits: int
    false_alarms: int
    missed: int

    def line(self) -> str:
        """One row of text."""
        return (
            f"images {self.images} plates {self.plates} precision {self.precision:.3f} recall {self.recall:.3f} "
            f"err {self.err:.4f} p95 {self.err_p95:.4f} px {self.err_px:.2f} colour {self.colour:.3f} "
            f"number {self.number:.3f} false alarms {self.false_alarms} missed {self.missed}"
        )


def score_predictions(
    records: Sequence[Record],
    predictions: Mapping[str, Sequence[Prediction]],
    class_names: Sequence[str],
    threshold: float = 0.5,
) -> Score:
    """Score predictions (by record name) at a score threshold.

    Best first, each prediction takes the unused plate whose corner box overlaps most, if IoU >= 0.5. What is left is
    a false alarm unless it overlaps an ignore box (IoU > 0.2).
    """
    distances: list[np.ndarray] = []
    diagonals: list[float] = []
    colours: list[bool] = []
    numbers: list[bool] = []
    false_alarms = plates = 0
    for record in records:
        found = sorted((p for p in predictions.get(record.name, ()) if p.score >= threshold), key=lambda p: -p.score)
        plates += len(record.labels)
        free = np.ones(len(record.labels), bool)
        truth = boxes_of_corners(record.corners) if len(record.corners) else np.zeros((0, 4), np.float32)
        for prediction in found:
            own = boxes_of_corners(prediction.corners[None].astype(np.float32))
            overlap = np.where(free, box_iou(own, truth)[0], -1.0)
            k = int(overlap.argmax()) if len(overlap) else -1
            if k < 0 or overlap[k] < HIT_IOU:
                ignored = box_iou(own, record.ignore_boxes)[0]
                false_alarms += not (len(ignored) and ignored.max() > IGNORE_IOU)
                continue
            free[k] = False
            corners = record.corners[k]
            distances.append(np.linalg.norm(prediction.corners - corners, axis=1))
            diagonals.append(float(np.linalg.norm(corners[[0, 1]] - corners[[2, 3]], axis=1).mean()))
            colour, number = _parts(class_names[record.labels[k]])
            said_colour, said_number = _parts(prediction.label)
            colours.append(said_colour == colour)
            if record.number_known[k]:
                numbers.append(said_number == number)
    hits = len(distances)
    pixels = np.array([d.mean() for d in distances])
    relative = pixels / np.array(diagonals) if hits else pixels
    return Score(
        images=len(records),
        plates=plates,
        precision=hits / max(hits + false_alarms, 1),
        recall=hits / max(plates, 1),
        err=_mean(relative),
        err_p95=float(np.percentile(relative, 95)) if hits else float("nan"),
        err_px=_mean(pixels),
        colour=_mean(np.array(colours, float)),
        number=_mean(np.array(numbers, float)),
        hits=hits,
        false_alarms=false_alarms,
        missed=plates - hits,
    )


def _parts(label: str) -> tuple[str, str]:
    colour, number = split_label(label)
    return (label, label) if colour is None else (colour, number)


def _mean(values: np.ndarray) -> float:
    return float(values.mean()) if values.size else float("nan")
