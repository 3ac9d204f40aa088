"""Figures of matched predictions by group (size, number, source of the image), and recall at a fixed precision."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass, field
from itertools import pairwise

import numpy as np

from nanodet_kp_core.evaluate.metrics import Matches, label_parts, nanmean
from nanodet_kp_core.evaluate.tables import plate_widths, right_class
from nanodet_kp_core.labels.sample import Record

SIZES = (0.0, 24.0, 48.0, 96.0, float("inf"))
"""Widths of plates in pixels of the image that share a row: few and wide, since own data are few."""

KINDS = ("size", "number", "source")
"""What plates are grouped by, in the order of group_rows."""

UNREAD = "?"
"""Number of a plate whose sticker nobody could read."""


@dataclass
class GroupRow:
    """Plates of one group.

    kind: one of KINDS. name: of the group. plates: labeled ones. found: hits. wrong: hits with another color or
    number than labeled. false_alarms: of that size, number (as predicted) or source. err: mean corner distance of
    the hits in diagonals of the plate, nan without any.
    """

    kind: str
    name: str
    plates: int = 0
    found: int = 0
    wrong: int = 0
    false_alarms: int = 0
    err: float = float("nan")
    errs: list[float] = field(default_factory=list, repr=False, compare=False)


def group_rows(matches: Matches, class_names: tuple[str, ...], source_of: Callable[[Record], str]) -> list[GroupRow]:
    """A row for every group that has a plate or a false alarm: sizes small first, numbers and sources by name."""
    rows: dict[tuple[str, str], GroupRow] = {}

    def of(corners: np.ndarray, number: str, record: Record) -> Iterable[GroupRow]:
        names = (size_name(float(plate_widths(corners[None])[0])), number, source_of(record))
        return [rows.setdefault((kind, name), GroupRow(kind, name)) for kind, name in zip(KINDS, names)]

    def of_plate(record: Record, plate: int) -> Iterable[GroupRow]:
        known = record.number_known[plate]
        number = label_parts(class_names[record.labels[plate]])[1] if known else UNREAD
        return of(record.corners[plate], number, record)

    for record in matches.records:
        for plate in range(len(record.labels)):
            for row in of_plate(record, plate):
                row.plates += 1
    for hit in matches.hits:
        for row in of_plate(hit.record, hit.plate):
            row.found += 1
            row.wrong += not right_class(hit, class_names)
            row.errs.append(hit.err)
    for record, prediction in matches.false_alarms:
        for row in of(np.asarray(prediction.corners), label_parts(prediction.label)[1], record):
            row.false_alarms += 1
    for row in rows.values():
        row.err = nanmean(np.array(row.errs, float))
    sizes = [name_of_sizes(low, high) for low, high in pairwise(SIZES)]

    def place(row: GroupRow) -> tuple[int, int, str]:
        return KINDS.index(row.kind), sizes.index(row.name) if row.name in sizes else 0, row.name

    return sorted(rows.values(), key=place)


def size_name(width: float) -> str:
    """The group of a plate of `width` pixels."""
    return next(name_of_sizes(low, high) for low, high in pairwise(SIZES) if width < high)


def name_of_sizes(low: float, high: float) -> str:
    """Words for widths from low to high pixels."""
    if not np.isfinite(high):
        return f"above {low:g} px"
    return f"{low:g} to {high:g} px" if low else f"below {high:g} px"


def recall_at(matches: Matches, precision: float) -> tuple[float, float]:
    """(recall, score threshold): the highest recall that any threshold reaches with at least this precision.

    (0, 1) where none does, and where nothing is labeled. The matches must hold low scores as well.
    """
    return recalls_at(matches, (precision,))[0]


def recalls_at(matches: Matches, precisions: Sequence[float]) -> list[tuple[float, float]]:
    """As recall_at, for each of the precisions."""
    scores = np.array([h.prediction.score for h in matches.hits] + [p.score for _, p in matches.false_alarms])
    hit = np.arange(len(scores)) < len(matches.hits)
    order = np.argsort(-scores, kind="stable")
    scores, hits = scores[order], hit[order].cumsum()
    last = np.append(scores[1:] < scores[:-1], True)[: len(scores)]  # equal scores pass a threshold together
    found = []
    for precision in precisions:
        good = np.flatnonzero(last & (hits >= precision * np.arange(1, len(scores) + 1)))
        reached = len(good) and matches.plates
        found.append((float(hits[good[-1]] / matches.plates), float(scores[good[-1]])) if reached else (0.0, 1.0))
    return found
