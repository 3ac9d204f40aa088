"""Whether plates look as blue or red as their labels say. Class ids of another tool are ids of ours too, of other
classes: only the pixels can tell."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from nanodet_kp_core.classes import split_label
from nanodet_kp_core.labels.labels import Fault, Plate

CLEAR = 12.0
"""Blue minus red, gray levels, from which a plate looks blue; red below the negative of it."""

STRONG = 60.0
"""The same for plates that are labeled purple, or with their lights off."""

LEAST_PLATES = 3
"""Fewer plates with a clear color say nothing about a set."""

_ALONG, _ACROSS = np.array([0.2, 0.35, 0.5, 0.65, 0.8]), np.array([-0.1, 0.0, 0.1])


@dataclass(frozen=True)
class PlateColor:
    """labeled: color of the class, B R N P. blue_minus_red: of the plate's bars, gray levels. where: of the label."""

    labeled: str
    blue_minus_red: float
    where: str

    @property
    def is_clear(self) -> bool:
        """Whether a wrong label would show."""
        return abs(self.blue_minus_red) >= (CLEAR if self.labeled in "BR" else STRONG)

    @property
    def is_other(self) -> bool:
        """Whether the plate clearly looks of another color than its label says."""
        return self.is_clear and self.labeled != ("B" if self.blue_minus_red > 0 else "R")


def plate_colors(image: np.ndarray, plates: Sequence[Plate]) -> list[PlateColor]:
    """Of plates of an image, uint8 [height, width, 3] BGR, that have four labeled corners and a color in their name."""
    found = []
    for plate in plates:
        color = split_label(plate.name)[0]
        if color is not None and not plate.ignore and all(plate.visible):
            found.append(PlateColor(color, _blue_minus_red(image, np.asarray(plate.corners, np.float64)), plate.where))
    return found


def _blue_minus_red(image: np.ndarray, corners: np.ndarray) -> float:
    """Along both bars and beside them, where a blown out bar has its color."""
    upper, lower = corners[[0, 3]], corners[[1, 2]]
    axis = (lower - upper)[:, None, None]
    beside = axis[..., ::-1] * (-1, 1)
    points = upper[:, None, None] + axis * _ALONG[:, None, None] + beside * _ACROSS[:, None]
    x, y = np.clip(np.round(points), 0, (image.shape[1] - 1, image.shape[0] - 1)).astype(np.intp).reshape(-1, 2).T
    levels = image[y, x].astype(np.float64)
    return float((levels[:, 0] - levels[:, 2]).mean())


def color_faults(colors: Sequence[PlateColor], labels: str) -> list[Fault]:
    """One warning about a set of labels of which at least half of the plates with a clear color look of another one."""
    clear = [color for color in colors if color.is_clear]
    others = [color for color in clear if color.is_other]
    if len(others) < LEAST_PLATES or 2 * len(others) < len(clear):
        return []
    text = (
        f"expected plates of the color of their class, got {len(others)} of {len(clear)} that look of another one, "
        f"first at {others[0].where}; are the class ids those of another tool, or red and blue of the images exchanged?"
    )
    return [Fault(labels, text, "warning")]
