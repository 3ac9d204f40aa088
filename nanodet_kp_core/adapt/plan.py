"""What a user asks for, and the own data set that it names."""

from __future__ import annotations

import logging
from collections.abc import Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from zlib import crc32

import numpy as np

from nanodet_kp_core.adapt.sources import Split, sources_of, split_records
from nanodet_kp_core.adapt.twins import twins
from nanodet_kp_core.errors import DataError
from nanodet_kp_core.labels import SHORT_NAMES, default_images, guess_format, read_labels, read_records
from nanodet_kp_core.labels.check import check_dataset
from nanodet_kp_core.labels.corner_order import corner_faults
from nanodet_kp_core.labels.labels import Fault, raise_faults
from nanodet_kp_core.labels.sample import Record

log = logging.getLogger(__name__)

MOST_TURNED = 0.05
"""Share of the plates up to which corners that look turned may be meant: robots that lie on their side. More of them
are an order of corners that is not ours."""


@dataclass(frozen=True)
class Plan:
    """One command.

    data, images: labels and the folder of their images (None: beside the labels). format: short name of the label
    format, None to guess it. out: folder of the run. start: exported model to start from, None for the bundled one.
    validation, validation_images: labels to judge by instead of a part of `data`. minutes: budget.
    workers: processes that render and cut crops.
    """

    data: Path
    out: Path
    images: Path | None = None
    format: str | None = None
    start: Path | None = None
    validation: Path | None = None
    validation_images: Path | None = None
    minutes: float = 20.0
    seed: int = 0
    workers: int = 1


def read_own(plan: Plan, class_names: tuple[str, ...]) -> tuple[list[Record], list[Record]]:
    """Records of --data and of --validation (none without). Raises DataError for wrong labels."""
    own = read_records(*_place(plan, plan.data, plan.images), class_names)
    if plan.validation is None:
        return own, []
    return own, read_records(*_place(plan, plan.validation, plan.validation_images or plan.images), class_names)


def check_own(plan: Plan, class_names: tuple[str, ...]) -> list[str]:
    """A line on what is there and on each of the first warnings. Raises DataError for what is wrong."""
    lines = []
    for labels, images in ((plan.data, plan.images), (plan.validation, plan.validation_images or plan.images)):
        if labels is None:
            continue
        place = _place(plan, labels, images)
        report = check_dataset(*place, class_names)
        turned = _turned(*place)
        meant = turned if len(turned) <= MOST_TURNED * sum(report.class_counts.values()) else set()
        raise_faults([fault for fault in report.errors if fault not in meant])
        lines += [f"{labels}: {line}" for line in report.summary().splitlines()[:-1]]
        warnings = [*sorted(meant, key=str), *report.warnings]
        lines += [f"warning: {fault}" for fault in warnings[:5]]
        if len(warnings) > 5:
            lines.append(f"warning: and {len(warnings) - 5} more; nanodet-kp check lists them all")
    return lines


def _turned(name: str, images: Path, labels: Path) -> set[Fault]:
    """Plates whose corners are in order only if the robot leans by 40 degrees or more."""
    labeled = read_labels(name, images, labels, [])
    return set(corner_faults(labeled)) - set(corner_faults(labeled, turned=False))


def split_own(own: Sequence[Record], validation: Sequence[Record]) -> Split:
    """Both parts, without training images that validation shows as well. Raises DataError as split_records does."""
    if not validation:
        split = split_records(own)
    else:
        if not any(len(record.labels) for record in validation):
            raise DataError(f"--validation: expected labeled plates, got none in {len(validation)} images")
        source_of = sources_of([record.name for record in validation])
        split = Split(list(own), list(validation), source_of, "validation is what --validation names")
    same = twins(split.train, split.validation)
    if not same:
        return split
    copies = {name for name, _ in same}
    kept = [record for record in split.train if record.name not in copies]
    if not any(len(record.labels) for record in kept):
        raise DataError(
            f"labels: expected training images that are no validation images as well, got {len(same)} that are, such "
            f"as {same[0][0]} and {same[0][1]}; name other labels as --validation"
        )
    how = f"{split.how}; {len(same)} training image(s) show the same as one of validation and are left out, such as "
    return replace(split, train=kept, how=f"{how}{same[0][0]} ({same[0][1]})")


def fingerprint(records: Sequence[Record]) -> str:
    """Changes with the names, sizes and labels of the records."""
    value = 0
    for record in records:
        value = crc32(f"{record.name} {record.width} {record.height}".encode(), value)
        for array in (record.corners, record.labels, record.visible, record.number_known, record.ignore_boxes):
            value = crc32(np.ascontiguousarray(array).tobytes(), value)
    return f"{len(records)} images {value:08x}"


def _place(plan: Plan, labels: Path, images: Path | None) -> tuple[str, Path, Path]:
    """Format, image folder and labels, as read_records takes them."""
    name = SHORT_NAMES[plan.format] if plan.format else guess_format(labels)
    return name, images or default_images(name, labels), labels
