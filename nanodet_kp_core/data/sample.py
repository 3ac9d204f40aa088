"""One labelled image, whatever format it came from."""

from __future__ import annotations

from dataclasses import dataclass, field

import numpy as np


@dataclass
class Sample:
    """Image and plates of it; coordinates are pixels of `image`, pixel (0, 0) has its centre at (0, 0).

    image: uint8 [H, W, 3] BGR.
    corners: float32 [G, 4, 2], left-top, left-bottom, right-bottom, right-top; may lie outside the image.
    labels: int64 [G], index into the class names.
    number_known: bool [G]; False where the colour counts but nobody can read the sticker ("B_?").
    ignore_boxes: float32 [I, 4] x_min, y_min, x_max, y_max: neither plate nor background.
    name: file name relative to the data set, or the seed of a rendered image.
    """

    image: np.ndarray
    corners: np.ndarray = field(default_factory=lambda: np.zeros((0, 4, 2), np.float32))
    labels: np.ndarray = field(default_factory=lambda: np.zeros(0, np.int64))
    number_known: np.ndarray = field(default_factory=lambda: np.zeros(0, bool))
    ignore_boxes: np.ndarray = field(default_factory=lambda: np.zeros((0, 4), np.float32))
    name: str = ""
