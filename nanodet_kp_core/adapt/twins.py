"""Images that show the same: in training and validation alike they make every figure flatter."""

from __future__ import annotations

from collections.abc import Sequence

import cv2
import numpy as np

from nanodet_kp_core.labels.pixels import read_pixels
from nanodet_kp_core.labels.sample import Record

SIDE = 32
"""Cells a side that an image is averaged to."""

ALIKE = 4.0
"""Gray levels by which no cell differs between two copies of an image: another size or another JPEG quality stay below
it, a robot that moves does not."""


def thumbnail(record: Record) -> np.ndarray:
    """Mean gray level of SIDE x SIDE cells of the image: float32 [SIDE * SIDE]. Raises DataError for a broken file."""
    gray = cv2.cvtColor(read_pixels(record.path), cv2.COLOR_BGR2GRAY)
    return cv2.resize(gray.astype(np.float32), (SIDE, SIDE), interpolation=cv2.INTER_AREA).ravel()


def twins(train: Sequence[Record], validation: Sequence[Record]) -> list[tuple[str, str]]:
    """(name in training, name in validation) of every training image that a validation image shows as well."""
    if not train or not validation:
        return []
    known = np.stack([thumbnail(record) for record in validation])
    means = known.mean(axis=1)
    found = []
    for record in train:
        own = thumbnail(record)
        near = np.flatnonzero(np.abs(means - own.mean()) <= ALIKE)
        same = near[np.abs(known[near] - own).max(axis=1) <= ALIKE] if len(near) else near
        if len(same):
            found.append((record.name, validation[int(same[0])].name))
    return found
