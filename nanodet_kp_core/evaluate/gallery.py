"""Crops of what went wrong: labels green, predictions orange, a dot on the first corner (left-top) of each."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass

import cv2
import numpy as np

from nanodet_kp_core.evaluate.metrics import Hit, Matches, Prediction, label_parts
from nanodet_kp_core.evaluate.tables import plate_widths, right_class
from nanodet_kp_core.geometry import boxes_of_corners
from nanodet_kp_core.labels.sample import Record
from nanodet_kp_core.runtime.detection.draw import SHIFT, fixed_point
from nanodet_kp_core.runtime.models.metadata import PAD_VALUE

LABEL_COLOR = (60, 200, 60)
PREDICTION_COLOR = (0, 150, 255)
IGNORE_COLOR = (170, 170, 170)

_OUTSIDE = (PAD_VALUE,) * 3  # of the image
_SIDE = 256  # pixels of a crop


@dataclass(frozen=True)
class GalleryImage:
    """A crop of the gallery: JPEG bytes, the image's name, and what there is to say about it."""

    jpeg: bytes
    name: str
    note: str


@dataclass(frozen=True)
class Gallery:
    """Misses (widest plate first), false alarms (best score first), and hits with the worst corners or class."""

    misses: list[GalleryImage]
    false_alarms: list[GalleryImage]
    worst_corners: list[GalleryImage]
    wrong_classes: list[GalleryImage]


def make_gallery(everything: Matches, threshold: float, class_names: tuple[str, ...], most: int = 24) -> Gallery:
    """Images at a score threshold, at most so many of each kind.

    everything: matches at the detector's own, low threshold: they tell at which score a missed plate would be found.
    """
    matches = everything.at(threshold)
    seen = Shown(matches)
    later = {(id(hit.record), hit.plate): hit.prediction.score for hit in everything.hits}

    def width(record: Record, plate: int) -> float:
        return float(plate_widths(record.corners[[plate]])[0])

    misses = []
    for record, plate in sorted(matches.misses, key=lambda miss: -width(*miss))[:most]:
        score = later.get((id(record), plate))
        found = "not found at any score" if score is None else f"found at score {score:.2f}"
        note = f"{_name(record, plate, class_names)}, {width(record, plate):.0f} px wide, {found}"
        misses.append(seen.picture(record, record.corners[plate], note))
    alarms = []
    for record, prediction in sorted(matches.false_alarms, key=lambda alarm: -alarm[1].score)[:most]:
        note = f"{prediction.label} {prediction.score:.2f}"
        alarms.append(seen.picture(record, prediction.corners, note))
    measured = [hit for hit in matches.hits if np.isfinite(hit.err)]
    worst = [
        seen.picture(hit.record, hit.record.corners[hit.plate], _hit_note(hit, class_names))
        for hit in sorted(measured, key=lambda hit: -hit.err)[:most]
    ]
    confused = [hit for hit in matches.hits if not right_class(hit, class_names)]
    wrong = [
        seen.picture(hit.record, hit.record.corners[hit.plate], _hit_note(hit, class_names))
        for hit in sorted(confused, key=lambda hit: -hit.prediction.score)[:most]
    ]
    return Gallery(misses, alarms, worst, wrong)


class Shown:
    """Draws every label and prediction of an image, whichever of them the crop is about."""

    def __init__(self, matches: Matches) -> None:
        self.by_record: dict[int, list[Prediction]] = {}
        pairs: Iterable[tuple[Record, Prediction]] = [(hit.record, hit.prediction) for hit in matches.hits]
        for record, prediction in [*pairs, *matches.false_alarms]:
            self.by_record.setdefault(id(record), []).append(prediction)

    def picture(self, record: Record, corners: np.ndarray, note: str) -> GalleryImage:
        """A square crop around `corners`, two and a half times as large as their box, enlarged to a fixed side."""
        image = record.load().image
        box = boxes_of_corners(corners)
        side = int(np.ceil(np.clip(2.5 * (box[2:] - box[:2]).max(), 40, max(image.shape[:2]))))
        left, top = np.round((box[:2] + box[2:]) / 2 - side / 2).astype(int)
        crop = cv2.warpAffine(image, np.array([[1.0, 0, -left], [0, 1, -top]]), (side, side), borderValue=_OUTSIDE)
        scale = _SIDE / side
        canvas = cv2.resize(crop, (_SIDE, _SIDE), interpolation=cv2.INTER_LINEAR if scale > 1 else cv2.INTER_AREA)

        def place(points: np.ndarray) -> np.ndarray:
            return (points - (left, top) + 0.5) * scale - 0.5

        for ignored in record.ignore_boxes:
            _outline(canvas, place(ignored[[0, 1, 0, 3, 2, 3, 2, 1]].reshape(4, 2)), IGNORE_COLOR)
        for plate in record.corners:
            _outline(canvas, place(plate), LABEL_COLOR)
        for prediction in self.by_record.get(id(record), ()):
            _outline(canvas, place(prediction.corners), PREDICTION_COLOR)
        jpeg = cv2.imencode(".jpg", canvas, [cv2.IMWRITE_JPEG_QUALITY, 88])[1].tobytes()
        return GalleryImage(jpeg, record.name, note)


def _outline(canvas: np.ndarray, corners: np.ndarray, color: tuple[int, int, int]) -> None:
    points = fixed_point(corners)
    cv2.polylines(canvas, [points.reshape(-1, 1, 2)], True, color, 1, cv2.LINE_AA, SHIFT)
    if color != IGNORE_COLOR:
        x, y = points[0].tolist()
        cv2.circle(canvas, (x, y), 3 << SHIFT, color, -1, cv2.LINE_AA, SHIFT)


def _name(record: Record, plate: int, class_names: tuple[str, ...]) -> str:
    name = class_names[record.labels[plate]]
    return name if record.number_known[plate] else f"{label_parts(name)[0]}_?"


def _hit_note(hit: Hit, class_names: tuple[str, ...]) -> str:
    error = f", {hit.err_px:.1f} px = {hit.err:.3f} diagonals" if np.isfinite(hit.err) else ""
    said = hit.prediction
    return f"label {_name(hit.record, hit.plate, class_names)}, said {said.label} {said.score:.2f}{error}"
