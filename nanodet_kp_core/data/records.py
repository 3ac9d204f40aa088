"""Labels of one image on disk, before the pixels are read."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

import cv2
import numpy as np

from nanodet_kp_core.data.sample import Sample
from nanodet_kp_core.errors import DataError


@dataclass(frozen=True)
class Record:
    """Labels in pixels of the image at `path`; fields as in `Sample`. `name` is relative to the image folder."""

    path: Path
    name: str
    width: int
    height: int
    corners: np.ndarray
    labels: np.ndarray
    number_known: np.ndarray
    ignore_boxes: np.ndarray

    def load(self) -> Sample:
        """Read the pixels. Raises DataError when the file is unreadable or of another size than the labels say."""
        image = cv2.imread(str(self.path), cv2.IMREAD_COLOR)
        if image is None:
            raise DataError(f"{self.path}: expected a readable image, got a missing or broken file")
        if image.shape[:2] != (self.height, self.width):
            raise DataError(
                f"{self.path}: expected {self.width}x{self.height} as labelled, "
                f"got {image.shape[1]}x{image.shape[0]}; the corners belong to another picture"
            )
        return Sample(image, self.corners, self.labels, self.number_known, self.ignore_boxes, self.name)
