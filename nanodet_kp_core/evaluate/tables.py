"""Figures of a report that come from matched predictions: corner errors, sizes, curves, confusion."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from itertools import pairwise

import numpy as np

from nanodet_kp_core.classes import factors
from nanodet_kp_core.evaluate.metrics import Hit, Matches, Prediction, label_parts, nanmean, nanpercentile
from nanodet_kp_core.geometry import CORNER_NAMES

BACKGROUND = "background"
SIZE_EDGES = (0.0, 12.0, 16.0, 24.0, 32.0, 48.0, 64.0, 96.0, 160.0, float("inf"))
"""Widths of plates in pixels of the original image that share a row of the size table."""

THRESHOLDS = tuple(round(0.05 + 0.01 * k, 2) for k in range(91))
"""Score thresholds of the curves, 0.05 to 0.95."""


@dataclass(frozen=True)
class CornerError:
    """Errors of one corner over the hits; nan without any. bias_x, bias_y: mean of predicted minus labeled, pixels."""

    name: str
    mean_px: float
    p95_px: float
    mean_diagonal: float
    p95_diagonal: float
    bias_x: float
    bias_y: float


@dataclass(frozen=True)
class SizeRow:
    """Plates whose width lies in low..high pixels."""

    low: float
    high: float
    plates: int
    recall: float
    err_px: float
    err_px_p95: float
    err: float


@dataclass(frozen=True)
class CurvePoint:
    """At one score threshold: precision, recall and F1 of plates, whatever their class, and with the right class."""

    threshold: float
    precision: float
    recall: float
    f1: float
    class_precision: float
    class_recall: float
    class_f1: float


@dataclass(frozen=True)
class Confusion:
    """counts int [n, n]: row the label, column the prediction; the last of `names` is the background."""

    names: tuple[str, ...]
    counts: np.ndarray


def corner_errors(hits: Sequence[Hit]) -> list[CornerError]:
    """Error of each corner in the order of CORNER_NAMES, then of all four."""
    offsets = np.array([hit.offsets for hit in hits], float).reshape(-1, 4, 2)
    pixels = np.linalg.norm(offsets, axis=2)
    relative = pixels / np.array([hit.diagonal for hit in hits], float)[:, None]
    table = []
    for name, k in [*((name, [k]) for k, name in enumerate(CORNER_NAMES)), ("all", [0, 1, 2, 3])]:
        table.append(
            CornerError(
                name=name,
                mean_px=nanmean(pixels[:, k]),
                p95_px=nanpercentile(pixels[:, k], 95),
                mean_diagonal=nanmean(relative[:, k]),
                p95_diagonal=nanpercentile(relative[:, k], 95),
                bias_x=nanmean(offsets[:, k, 0]),
                bias_y=nanmean(offsets[:, k, 1]),
            )
        )
    return table


def plate_widths(corners: np.ndarray) -> np.ndarray:
    """Widths [G] in pixels of plates [G, 4, 2]: mean of the upper and the lower distance between the bars."""
    return np.linalg.norm(corners[:, [0, 1]] - corners[:, [3, 2]], axis=2).mean(axis=1)


def size_rows(matches: Matches) -> list[SizeRow]:
    """Recall and corner error by the width of the labeled plate; rows without a plate are left out."""
    all_widths = [plate_widths(record.corners) for record in matches.records]
    every = np.concatenate(all_widths) if all_widths else np.zeros(0)
    own = np.array([plate_widths(hit.record.corners[[hit.plate]])[0] for hit in matches.hits])
    pixels, relative = (np.array([getattr(hit, name) for hit in matches.hits]) for name in ("err_px", "err"))
    rows = []
    for low, high in pairwise(SIZE_EDGES):
        plates = int(((every >= low) & (every < high)).sum())
        chosen = (own >= low) & (own < high)
        if plates:
            px, share = pixels[chosen], relative[chosen]
            recall = float(chosen.sum() / plates)
            rows.append(SizeRow(low, high, plates, recall, nanmean(px), nanpercentile(px, 95), nanmean(share)))
    return rows


def curve(matches: Matches, class_names: Sequence[str]) -> list[CurvePoint]:
    """Precision, recall and F1 at every threshold from that of the matches on."""
    scores = np.array([hit.prediction.score for hit in matches.hits])
    right = np.array([right_class(hit, class_names) for hit in matches.hits], bool)
    strays = np.array([prediction.score for _, prediction in matches.false_alarms])
    plates = matches.plates
    points = []
    for threshold in THRESHOLDS:
        if threshold < matches.threshold:
            continue
        hits = int((scores >= threshold).sum())
        good = int((scores[right] >= threshold).sum())
        said = hits + int((strays >= threshold).sum())
        points.append(CurvePoint(threshold, *_rates(hits, said, plates), *_rates(good, said, plates)))
    return points


def right_class(hit: Hit, class_names: Sequence[str]) -> bool:
    """Whether color and number are right; a number that nobody could read is not asked for."""
    true = label_parts(class_names[hit.record.labels[hit.plate]])
    said = label_parts(hit.prediction.label)
    return true == said or (not hit.record.number_known[hit.plate] and true[0] == said[0])


def confusion(matches: Matches, class_names: Sequence[str]) -> list[Confusion]:
    """Confusion of all classes; of colors and of numbers apart where the classes are their product.

    A plate whose number nobody could read counts for its color only, and so does a prediction without one.
    """
    tables = [_confusion(matches, class_names, tuple(class_names), part=None)]
    pair = factors(class_names)
    if pair is not None:
        tables += [_confusion(matches, class_names, pair[k], part=k) for k in range(2)]
    return tables


def _confusion(matches: Matches, class_names: Sequence[str], names: tuple[str, ...], part: int | None) -> Confusion:
    """part: None the whole label, 0 its color, 1 its number."""
    index = {name: k for k, name in enumerate(names)}
    counts = np.zeros((len(names) + 1, len(names) + 1), int)

    def place(label: str) -> int:
        return index[label if part is None else label.split("_")[part]]

    def counted(prediction: Prediction) -> bool:
        return part == 0 or prediction.label in class_names

    for hit in matches.hits:
        if part == 0 or (hit.record.number_known[hit.plate] and counted(hit.prediction)):
            counts[place(class_names[hit.record.labels[hit.plate]]), place(hit.prediction.label)] += 1
    for record, plate in matches.misses:
        if part == 0 or record.number_known[plate]:
            counts[place(class_names[record.labels[plate]]), -1] += 1
    for _, prediction in matches.false_alarms:
        if counted(prediction):
            counts[-1, place(prediction.label)] += 1
    return Confusion((*names, BACKGROUND), counts)


def _rates(hits: int, said: int, plates: int) -> tuple[float, float, float]:
    """Precision (1 where nothing is said), recall and F1."""
    precision, recall = hits / said if said else 1.0, hits / max(plates, 1)
    return precision, recall, 2 * precision * recall / max(precision + recall, 1e-9)
