"""What the bundled model finds on rendered images: the figures and the examples of tools/draw_docs.py."""

from __future__ import annotations

import json
from collections.abc import Callable, Sequence
from itertools import pairwise
from pathlib import Path
from typing import Any

import numpy as np

from nanodet_kp_core.classes import ARMOR_CLASSES, COLORS
from nanodet_kp_core.errors import DataError
from nanodet_kp_core.evaluate.metrics import Hit, Matches, Prediction, label_parts, match
from nanodet_kp_core.evaluate.tables import plate_widths
from nanodet_kp_core.labels.sample import Record
from nanodet_kp_core.runtime.detection.detector import Detector
from nanodet_kp_core.synthetic.records import RenderedRecord, RenderedRecords

FIRST_SEED = 932_000_000
"""Images that neither trained nor calibrated a bundled model."""

SIZE, PLATE_PX = (640, 480), (8.0, 400.0)
LOWEST = 0.05
NARROW = 24


class Measured:
    """What the model finds on `count` rendered images, with and without its second stage; made when first asked for.

    evaluation: JSON file of `nanodet-kp evaluate`.
    """

    def __init__(self, count: int, evaluation: Path | None) -> None:
        self.count = count
        self._evaluation = evaluation
        self._made: tuple[Matches, Matches] | None = None

    @property
    def figures(self) -> dict[str, Any]:
        """Of the evaluation. Raises DataError without one."""
        if self._evaluation is None:
            raise DataError("--only pose: expected --figures with the JSON of nanodet-kp evaluate, got none")
        figures: dict[str, Any] = json.loads(self._evaluation.read_text(encoding="utf-8"))
        return figures

    @property
    def alone(self) -> Matches:
        """Of the detector without a second stage, from LOWEST on."""
        return self._matches()[0]

    @property
    def whole(self) -> Matches:
        """Of both stages, from LOWEST on."""
        return self._matches()[1]

    def _matches(self) -> tuple[Matches, Matches]:
        if self._made is None:
            alone, whole = Detector(score_threshold=LOWEST, second_stage=False), Detector(score_threshold=LOWEST)
            seen = [look(record, (alone, whole)) for record in RenderedRecords(self.count, FIRST_SEED, SIZE, PLATE_PX)]
            records = [record for record, _ in seen]
            by_name = [{record.name: found[k] for record, found in seen} for k in (0, 1)]
            self._made = match(records, by_name[0], LOWEST), match(records, by_name[1], LOWEST)
        return self._made


def look(record: RenderedRecord, detectors: Sequence[Detector]) -> tuple[RenderedRecord, list[list[Prediction]]]:
    """The record with its labels, and what each detector finds in it."""
    sample = record.load()
    labels = {"corners": sample.corners, "labels": sample.labels, "boxes": sample.boxes, "visible": sample.visible}
    labels |= {"number_known": sample.number_known, "ignore_boxes": sample.ignore_boxes}
    known = RenderedRecord(**{**vars(record), **labels})
    found = []
    for detector in detectors:
        made = detector(sample.image)
        rows = zip(made.class_labels, made.scores, made.corners, made.boxes, made.number_scores)
        found.append([Prediction(n, float(s), c, box, True, float(sure)) for n, s, c, box, sure in rows])
    return known, found


def share_rows(
    scores: Sequence[float], right: Sequence[bool], edges: Sequence[float]
) -> list[tuple[float, float, int]]:
    """Mean score, share of right ones and number, for the scores between two edges; without empty rows."""
    values, correct, rows = np.array(scores), np.array(right, bool), []
    for low, high in pairwise(edges):
        here = (values >= low) & ((values < high) | (high == edges[-1]))
        if here.any():
            rows.append((float(values[here].mean()), float(correct[here].mean()), int(here.sum())))
    return rows


def miss_lines(matches: Matches) -> list[str]:
    """How many plates are missed, and what becomes of those from 24 pixels on, by color."""
    missed = {(id(record), plate) for record, plate in matches.misses}
    plates = [(record, plate) for record in matches.records for plate in range(len(record.labels))]
    narrow = sum(width(*plate) < NARROW for plate in matches.misses)
    lines = [f"{len(missed)} of {len(plates)} plates missed, {narrow} of them narrower than {NARROW} px"]
    for color in COLORS:
        of_color = [(r, k) for r, k in plates if _color(r, k) == color and width(r, k) >= NARROW]
        found = sum((id(record), plate) not in missed for record, plate in of_color)
        hits = [hit for hit in matches.hits if _color(hit.record, hit.plate) == color]
        wrong = sum(label_parts(hit.prediction.label)[0] != color for hit in hits)
        lines.append(f"{color}: {found} of {len(of_color)} from {NARROW} px on; {wrong} of {len(hits)} another color")
    return lines


def _color(record: Record, plate: int) -> str:
    return label_parts(ARMOR_CLASSES[record.labels[plate]])[0]


def is_read(hit: Hit) -> bool:
    """Whether the number of a hit is right, whatever its color."""
    return label_parts(hit.prediction.label)[1] == label_parts(ARMOR_CLASSES[hit.record.labels[hit.plate]])[1]


def nearest(hits: Sequence[Hit], wanted: float, score: Callable[[Hit], float], taken: set[int]) -> Hit:
    """Of the hits whose score is within 0.03 of what is wanted, or of the next one, that with a width nearest to 60
    pixels. Plates at the image's edge and those that are `taken` are left out; it is taken then."""
    fit = [hit for hit in hits if id(hit.record) not in taken and has_room(hit)]
    if not fit:
        raise DataError("expected plates that the model finds, got none; draw with a larger --count")
    reach = max(0.03, min(abs(score(hit) - wanted) for hit in fit))
    close = [hit for hit in fit if abs(score(hit) - wanted) <= reach]
    best = min(close, key=lambda hit: abs(np.log(width(hit.record, hit.plate) / 60)))
    taken.add(id(best.record))
    return best


def has_room(hit: Hit) -> bool:
    """Whether what is around the plate lies in the image, too."""
    corners = hit.record.corners[hit.plate]
    margin = 0.6 * float(np.ptp(corners, axis=0).max())
    return bool((corners > margin).all() and (corners < np.array(SIZE) - margin).all())


def width(record: Record, plate: int) -> float:
    """Of a plate of a record, pixels."""
    return float(plate_widths(record.corners[[plate]])[0])
