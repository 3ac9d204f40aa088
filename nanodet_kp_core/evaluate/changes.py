"""What changed from one model to another: plates found or lost, false alarms new or gone, labels in doubt."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from nanodet_kp_core.evaluate.metrics import Hit, Matches, Prediction
from nanodet_kp_core.evaluate.standing import Standing
from nanodet_kp_core.evaluate.tables import right_class
from nanodet_kp_core.geometry import box_iou
from nanodet_kp_core.labels.sample import Record

MOVED = 0.03
"""Diagonals by which a corner error must differ to count: less is the noise of labels."""

SAME_ALARM = 0.5
"""IoU from which two false alarms are the same one."""

_WORDS = ("missed", "found with another number or color", "found")


@dataclass(frozen=True)
class Change:
    """One difference at `corners` [4, 2] of a record. better: of the second model. weight: how much it matters, for
    the order."""

    record: Record
    corners: np.ndarray
    note: str
    better: bool
    weight: float


@dataclass(frozen=True)
class Doubt:
    """A label, or a place without one, that a model does not agree with. plate: row of the record, -1 for none.
    weight: 0..1."""

    record: Record
    plate: int
    corners: np.ndarray
    note: str
    weight: float


def changes(before: Standing, after: Standing) -> list[Change]:
    """All changes between two models on the same records, those that matter most first."""
    found = [*_plate_changes(before, after)]
    found += _alarm_changes(before.matches, after.matches, better=False)
    found += _alarm_changes(after.matches, before.matches, better=True)
    return sorted(found, key=lambda change: -change.weight)


def _plate_changes(before: Standing, after: Standing) -> list[Change]:
    first, second = (
        {(hit.record.name, hit.plate): hit for hit in standing.matches.hits} for standing in (before, after)
    )
    found = []
    for record in before.records:
        for plate, corners in enumerate(record.corners):
            old, new = first.get((record.name, plate)), second.get((record.name, plate))
            was, now = (_rank(hit, before.class_names) for hit in (old, new))
            if was != now:
                note = f"{_WORDS[was]}, now {_WORDS[now]}"
                found.append(Change(record, corners, note, now > was, abs(now - was) / 2))
            elif old is not None and new is not None and abs(old.err - new.err) > MOVED:
                note = f"corner error {old.err:.3f}, now {new.err:.3f} diagonals"
                found.append(Change(record, corners, note, new.err < old.err, min(0.4, abs(old.err - new.err))))
    return found


def _rank(hit: Hit | None, class_names: tuple[str, ...]) -> int:
    """Index of _WORDS."""
    return 0 if hit is None else 1 + right_class(hit, class_names)


def _alarm_changes(without: Matches, having: Matches, better: bool) -> list[Change]:
    """False alarms of one model that the other does not have. better: the second model is the one without."""
    known: dict[str, list[Prediction]] = {}
    for record, alarm in without.false_alarms:
        known.setdefault(record.name, []).append(alarm)
    found = []
    for record, alarm in having.false_alarms:
        others = [other.hull for other in known.get(record.name, ())]
        if others and float(box_iou(alarm.hull[None], np.stack(others)).max()) >= SAME_ALARM:
            continue
        note = f"false alarm {alarm.label} {alarm.score:.2f} {'gone' if better else 'is new'}"
        found.append(Change(record, np.asarray(alarm.corners), note, better, alarm.score))
    return found


def doubts(standing: Standing) -> list[Doubt]:
    """Labels by how little the model agrees, worst first: it sees no plate there, another number, or other corners; or
    it is sure of a plate where there is no label."""
    found = []
    hits = {(hit.record.name, hit.plate): hit for hit in standing.everything.hits}
    for record in standing.records:
        for plate, corners in enumerate(record.corners):
            weight, note = _doubt(hits.get((record.name, plate)), standing.class_names)
            found.append(Doubt(record, plate, corners, f"{standing.class_names[record.labels[plate]]}: {note}", weight))
    for record, alarm in standing.matches.false_alarms:
        note = f"no label, the model sees {alarm.label} with score {alarm.score:.2f}"
        found.append(Doubt(record, -1, np.asarray(alarm.corners), note, alarm.score))
    return sorted(found, key=lambda doubt: -doubt.weight)


def _doubt(hit: Hit | None, class_names: tuple[str, ...]) -> tuple[float, str]:
    if hit is None:
        return 1.0, "the model sees no plate"
    said = hit.prediction
    sure = 1.0 if np.isnan(said.number_score) else said.number_score
    reasons = [(1 - said.score, f"the model is not sure of a plate ({said.score:.2f})")]
    if not right_class(hit, class_names):
        reasons.append((sure, f"the model reads {said.label} ({sure:.2f})"))
    if np.isfinite(hit.err):
        reasons.append((min(1.0, hit.err / 0.15), f"the model's corners are {hit.err:.3f} diagonals away"))
    return max(reasons)
