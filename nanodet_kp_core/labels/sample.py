"""The plates of one image, with its pixels or before they are read, whatever format they came from."""

from __future__ import annotations

from dataclasses import dataclass, field, fields
from pathlib import Path
from typing import Any

import numpy as np

from nanodet_kp_core.errors import DataError
from nanodet_kp_core.geometry import boxes_of_corners
from nanodet_kp_core.labels.pixels import read_pixels

PLATE_FIELDS = ("corners", "labels", "boxes", "visible", "number_known")
"""The arrays of `Plates` that have one row per plate."""


@dataclass(kw_only=True)
class Plates:
    """Labels of one image; coordinates are its pixels, pixel (0, 0) has its center at (0, 0).

    corners: float32 [G, 4, 2], left-top, left-bottom, right-bottom, right-top; may lie outside the image.
    labels: int64 [G], index into the class names.
    boxes: float32 [G, 4] x_min, y_min, x_max, y_max as labeled; the hull of the corners when not given.
    visible: int8 [G, 4], a corner is 0 not labeled, 1 labeled but hidden or outside, 2 seen; 2 when not given. The
        coordinates of a corner that is not labeled are those of the box.
    number_known: bool [G]; False where the color counts but nobody can read the sticker ("B_?"); True when not given.
    ignore_boxes: float32 [I, 4]: neither plate nor background.
    name: file name relative to the image folder, or the seed of a rendered image.
    """

    corners: np.ndarray = field(default_factory=lambda: np.zeros((0, 4, 2), np.float32))
    labels: np.ndarray = field(default_factory=lambda: np.zeros(0, np.int64))
    boxes: np.ndarray = None  # type: ignore[assignment]
    visible: np.ndarray = None  # type: ignore[assignment]
    number_known: np.ndarray = None  # type: ignore[assignment]
    ignore_boxes: np.ndarray = field(default_factory=lambda: np.zeros((0, 4), np.float32))
    name: str = ""

    def __post_init__(self) -> None:
        if self.boxes is None:
            self.boxes = boxes_of_corners(self.corners)
        if self.visible is None:
            self.visible = np.full(self.corners.shape[:2], 2, np.int8)
        if self.number_known is None:
            self.number_known = np.ones(len(self.corners), bool)

    def label_fields(self) -> dict[str, Any]:
        """All fields of Plates by name, without those that a subclass adds."""
        return {f.name: getattr(self, f.name) for f in fields(Plates)}

    def fields_of_plates(self, keep: np.ndarray) -> dict[str, Any]:
        """The arrays that have one row per plate, with the chosen rows only; for dataclasses.replace."""
        return {name: getattr(self, name)[keep] for name in PLATE_FIELDS}


@dataclass(kw_only=True)
class Sample(Plates):
    """Plates and their pixels; image: uint8 [H, W, 3] BGR."""

    image: np.ndarray


@dataclass(kw_only=True)
class Record(Plates):
    """Plates of the image at `path`, which is width x height pixels and not read yet."""

    path: Path
    width: int
    height: int

    def load(self) -> Sample:
        """Read the pixels. Raises DataError when the file is unreadable or of another size than the labels say."""
        image = read_pixels(self.path)
        if image.shape[:2] != (self.height, self.width):
            raise DataError(
                f"{self.path}: expected {self.width}x{self.height} as labeled, "
                f"got {image.shape[1]}x{image.shape[0]}; the corners belong to another image"
            )
        return Sample(image=image, **self.label_fields())
