"""What own labels do not show: a model that learns from them alone forgets it."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from nanodet_kp_core.classes import UNLIT, factors
from nanodet_kp_core.evaluate.groups import size_name
from nanodet_kp_core.evaluate.tables import plate_widths
from nanodet_kp_core.labels.sample import Record

FEW = 3
"""Plates of a kind below which it counts as missing."""


def missing(records: Sequence[Record], class_names: tuple[str, ...]) -> dict[str, list[str]]:
    """Numbers, colors and sizes of which there are fewer than FEW plates, by "number", "color" and "size".

    Plates without light are rare in any footage and not asked for.
    """
    pair = factors(class_names)
    assert pair is not None
    colors, numbers = pair
    labels = np.concatenate([record.labels for record in records]) if records else np.zeros(0, np.int64)
    known = np.concatenate([record.number_known for record in records]) if records else np.zeros(0, bool)
    color_counts = np.bincount(labels // len(numbers), minlength=len(colors))
    number_counts = np.bincount(labels[known] % len(numbers), minlength=len(numbers))
    widths = [float(width) for record in records for width in plate_widths(record.corners)]
    sizes = [size_name(width) for width in widths]
    return {
        "number": [name for name, count in zip(numbers, number_counts) if count < FEW],
        "color": [name for name, count in zip(colors, color_counts) if count < FEW and name != UNLIT],
        "size": [name for name in map(size_name, (20, 40, 80, 160)) if sizes.count(name) < FEW],
    }


def warning(lacking: dict[str, list[str]]) -> str:
    """One sentence, empty where nothing lacks."""
    parts = [f"{kind}s {', '.join(names)}" for kind, names in lacking.items() if names]
    if not parts:
        return ""
    return (
        f"the training labels hold fewer than {FEW} plates of {'; '.join(parts)}: rendered plates keep what the start "
        "knows of them, nothing gets better there"
    )
