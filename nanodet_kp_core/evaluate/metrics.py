"""Hits, false alarms, corner error, color and number accuracy of detections in labeled images."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, fields
from functools import cached_property

import numpy as np

from nanodet_kp_core.classes import split_label
from nanodet_kp_core.errors import ConfigError
from nanodet_kp_core.geometry import box_iou, boxes_of_corners
from nanodet_kp_core.labels.sample import Record

HIT_IOU = 0.5
IGNORE_IOU = 0.2

FIXED_PRECISION = 0.97
"""At which models are compared by their recall, each at a threshold of its own."""


@dataclass(frozen=True)
class Prediction:
    """One detection in pixels of the original image.

    corners: [4, 2] in the order of geometry.CORNER_NAMES.
    box: [4] x_min, y_min, x_max, y_max; the hull of the corners when not given.
    number_score: probability that the number of the label is right; nan where the model does not say.
    has_corners: False for a box-only model, whose corners are those of the box and count for nothing.
    """

    label: str
    score: float
    corners: np.ndarray
    box: np.ndarray = None  # type: ignore[assignment]
    has_corners: bool = True
    number_score: float = float("nan")

    def __post_init__(self) -> None:
        if self.box is None:
            object.__setattr__(self, "box", boxes_of_corners(self.corners))

    @property
    def hull(self) -> np.ndarray:
        """Box [4] that the protocol compares: around the corners, or the box of a box-only model."""
        return boxes_of_corners(self.corners) if self.has_corners else self.box


@dataclass(frozen=True)
class Hit:
    """A labeled plate (row `plate` of `record`) and the prediction that found it.

    offsets: [4, 2] predicted minus labeled corner in pixels; nan where a corner is not labeled or not predicted.
    diagonal: mean of the plate's two diagonals, pixels.
    """

    record: Record
    plate: int
    prediction: Prediction
    offsets: np.ndarray
    diagonal: float

    @property
    def distances(self) -> np.ndarray:
        """Corner distances [4] in pixels, nan as in offsets."""
        return np.linalg.norm(self.offsets, axis=1)

    @cached_property
    def err_px(self) -> float:
        """Mean corner distance in pixels; nan without a known corner."""
        return nanmean(self.distances)

    @property
    def err(self) -> float:
        """err_px in diagonals of the plate."""
        return self.err_px / self.diagonal


@dataclass(frozen=True)
class Matches:
    """What became of every prediction at or above `threshold` and of every plate."""

    records: Sequence[Record]
    threshold: float
    hits: list[Hit]
    false_alarms: list[tuple[Record, Prediction]]

    @property
    def plates(self) -> int:
        """Labeled plates in all."""
        return sum(len(record.labels) for record in self.records)

    @property
    def misses(self) -> list[tuple[Record, int]]:
        """Plates (record and row) that no prediction found."""
        found = {(id(hit.record), hit.plate) for hit in self.hits}
        return [(r, k) for r in self.records for k in range(len(r.labels)) if (id(r), k) not in found]

    def at(self, threshold: float) -> Matches:
        """The matches at a higher threshold; the best score goes first, so that lower ones change nothing above."""
        hits = [hit for hit in self.hits if hit.prediction.score >= threshold]
        false_alarms = [(record, p) for record, p in self.false_alarms if p.score >= threshold]
        return Matches(self.records, threshold, hits, false_alarms)


@dataclass(frozen=True)
class Score:
    """Figures of one evaluation, all plain numbers; nan where there is nothing to measure.

    err is the mean corner distance of the hits over the plate's mean diagonal, err_px the same in pixels. color and
    number are accuracies over the hits (number only where it can be read). All of these at one score threshold.
    mAP, AP_50, AP_75 and oks_mAP go over all scores; recall_fixed is the highest recall at a precision of
    FIXED_PRECISION, whatever the threshold; points are those of evaluate.points over the plates. All of these stay nan
    until `full_score` fills them.
    """

    images: int
    plates: int
    precision: float
    recall: float
    f1: float
    err: float
    err_p95: float
    err_px: float
    color: float
    number: float
    hits: int
    false_alarms: int
    missed: int
    mAP: float = float("nan")
    AP_50: float = float("nan")
    AP_75: float = float("nan")
    oks_mAP: float = float("nan")
    recall_fixed: float = float("nan")
    points: float = float("nan")

    def line(self) -> str:
        """One row of text."""
        average = "" if np.isnan(self.mAP) else f" mAP {self.mAP:.3f} oks_mAP {self.oks_mAP:.3f}"
        if not np.isnan(self.points):
            average += f" recall at precision {FIXED_PRECISION:g} {self.recall_fixed:.3f} points {self.points:.3f}"
        return (
            f"images {self.images} plates {self.plates} precision {self.precision:.3f} recall {self.recall:.3f} "
            f"err {self.err:.4f} p95 {self.err_p95:.4f} px {self.err_px:.2f} color {self.color:.3f} "
            f"number {self.number:.3f} false alarms {self.false_alarms} missed {self.missed}{average}"
        )

    def key(self, save_key: str) -> float:
        """The figure that chooses the best checkpoint, higher is better; 0 where there was nothing to measure.

        Raises ConfigError for anything but SAVE_KEYS.
        """
        if save_key not in SAVE_KEYS:
            raise ConfigError(f"evaluator.save_key: expected one of {', '.join(SAVE_KEYS)}, got {save_key!r}")
        value = float(getattr(self, save_key))
        return 0.0 if np.isnan(value) else value


SAVE_KEYS = ("mAP", "AP_50", "AP_75", "oks_mAP", "f1", "precision", "recall", "recall_fixed", "points")


def match(
    records: Sequence[Record], predictions: Mapping[str, Sequence[Prediction]], threshold: float = 0.0
) -> Matches:
    """Match predictions (by record name) with plates, whatever the class says.

    Best first, each prediction takes the unused plate whose corner box overlaps most, if IoU >= 0.5. What is left is
    a false alarm unless it overlaps an ignore box (IoU > 0.2). Plates without a labeled corner compare boxes.
    """
    matches = Matches(records, threshold, [], [])
    for record in records:
        found = sorted((p for p in predictions.get(record.name, ()) if p.score >= threshold), key=lambda p: -p.score)
        labeled = np.asarray((record.visible > 0).any(axis=1))
        truth = np.where(labeled[:, None], boxes_of_corners(record.corners), record.boxes).astype(np.float64)
        free = np.ones(len(truth), bool)
        for prediction in found:
            hull, box = (side[None].astype(np.float64) for side in (prediction.hull, prediction.box))
            overlap = np.where(labeled, box_iou(hull, truth)[0], box_iou(box, truth)[0])
            overlap[~free] = -1.0
            k = int(overlap.argmax()) if len(overlap) else -1
            if k >= 0 and overlap[k] >= HIT_IOU:
                free[k] = False
                matches.hits.append(_hit(record, k, prediction))
                continue
            ignored = box_iou(hull, record.ignore_boxes)[0]
            if not len(ignored) or ignored.max() <= IGNORE_IOU:
                matches.false_alarms.append((record, prediction))
    return matches


def _hit(record: Record, plate: int, prediction: Prediction) -> Hit:
    corners = record.corners[plate].astype(np.float64)
    known = (record.visible[plate] > 0) & prediction.has_corners
    offsets = np.where(known[:, None], prediction.corners - corners, np.nan)
    diagonal = float(np.linalg.norm(corners[[0, 1]] - corners[[2, 3]], axis=1).mean())
    return Hit(record, plate, prediction, offsets, diagonal)


def score_matches(matches: Matches, class_names: Sequence[str]) -> Score:
    """The figures of matched predictions."""
    colors, numbers = [], []
    for hit in matches.hits:
        color, number = label_parts(class_names[hit.record.labels[hit.plate]])
        said_color, said_number = label_parts(hit.prediction.label)
        colors.append(said_color == color)
        if hit.record.number_known[hit.plate]:
            numbers.append(said_number == number)
    hits, false_alarms, plates = len(matches.hits), len(matches.false_alarms), matches.plates
    precision, recall = hits / max(hits + false_alarms, 1), hits / max(plates, 1)
    relative = np.array([hit.err for hit in matches.hits])
    return Score(
        images=len(matches.records),
        plates=plates,
        precision=precision,
        recall=recall,
        f1=2 * precision * recall / max(precision + recall, 1e-9),
        err=nanmean(relative),
        err_p95=nanpercentile(relative, 95),
        err_px=nanmean(np.array([hit.err_px for hit in matches.hits])),
        color=nanmean(np.array(colors, float)),
        number=nanmean(np.array(numbers, float)),
        hits=hits,
        false_alarms=false_alarms,
        missed=plates - hits,
    )


def score_predictions(
    records: Sequence[Record],
    predictions: Mapping[str, Sequence[Prediction]],
    class_names: Sequence[str],
    threshold: float = 0.5,
) -> Score:
    """Score predictions (by record name) at a score threshold; see `match` for what counts as a hit."""
    return score_matches(match(records, predictions, threshold), class_names)


def label_parts(label: str) -> tuple[str, str]:
    """Color and sticker of a class name; a name that is no COLOR_NUMBER stands for both."""
    color, number = split_label(label)
    return (label, label) if color is None else (color, number)


def nanmean(values: np.ndarray) -> float:
    """Mean of the known values; nan without any (numpy would warn)."""
    known = values[~np.isnan(values)]
    return float(known.mean()) if known.size else float("nan")


def nanpercentile(values: np.ndarray, percent: float) -> float:
    """Percentile of the known values; nan without any."""
    known = values[~np.isnan(values)]
    return float(np.percentile(known, percent)) if known.size else float("nan")


SCORE_NAMES = tuple(field.name for field in fields(Score))
"""Names of the figures of a Score, in order."""
