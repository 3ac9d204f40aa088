"""What a caller asks of a detector, passed with each image."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass, replace

import numpy as np

from nanodet_kp_core.classes import split_label
from nanodet_kp_core.errors import ConfigError, shown
from nanodet_kp_core.runtime.detection.detections import UNKNOWN, Detections

MAX_UNSELECTED = 1000
"""Detections of an image before those of unwanted classes are dropped."""


@dataclass(frozen=True)
class DetectOptions:
    """Which plates of an image are reported, and how.

    score_threshold: lowest score, 0..1.
    nms_threshold: of two plates with a larger IoU, the one with the higher score stays, whatever their classes are.
    max_detections: per image, best first.
    number_threshold: a number with a lower score is unknown, see Detections.number_known.
    class_ids: wanted classes; None wants all. A plate of unknown number is wanted when all classes of its color are,
        one of unknown class when all are.
    merge_corners: the corners of a plate are the weighted mean over all candidates that NMS assigns to it, down to
        merge_floor, instead of those of the best one: 10 % nearer on real frames (docs/runtime.md). Plates, scores and
        boxes do not depend on it. Proposals for a refiner are never merged: the refiner corrects each.
    merge_floor: lowest score of the candidates that are merged; None takes half of score_threshold. A caller that
        lowers score_threshold to see more plates keeps the corners of the others by keeping the floor.
    Raises ConfigError for a value out of range.
    """

    score_threshold: float = 0.5
    nms_threshold: float = 0.5
    max_detections: int = 50
    number_threshold: float = 0.0
    class_ids: frozenset[int] | None = None
    merge_corners: bool = True
    merge_floor: float | None = None

    def __post_init__(self) -> None:
        for name in ("score_threshold", "nms_threshold", "number_threshold"):
            value = getattr(self, name)
            if not 0 <= value <= 1:  # refuses NaN too
                raise ConfigError(f"{name}: expected a number in 0..1, got {value}")
        if self.max_detections < 1:
            raise ConfigError(f"max_detections: expected a whole number of at least 1, got {self.max_detections}")

    @property
    def lowest_merged(self) -> float:
        """Lowest score of the candidates that are merged."""
        return self.score_threshold / 2 if self.merge_floor is None else self.merge_floor

    @property
    def max_unselected(self) -> int:
        """Detections of an image before `select`."""
        return self.max_detections if self.class_ids is None else MAX_UNSELECTED

    def of_all_classes(self) -> DetectOptions:
        """The same for every class. Its detections hold all that `select` of these options needs."""
        return replace(self, class_ids=None, max_detections=self.max_unselected)

    def lowered(self, by: float) -> DetectOptions:
        """The same for every class and for lower scores. Plates that were reported before keep their corners."""
        return replace(
            self.of_all_classes(),
            score_threshold=max(0.0, self.score_threshold - by),
            merge_floor=self.lowest_merged,
        )

    def select(self, detections: Detections) -> np.ndarray:
        """Indices of the detections of wanted classes, the first max_detections of them. Scores are not looked at."""
        if self.class_ids is None:
            return np.arange(min(len(detections), self.max_detections))
        wanted = np.isin(detections.class_ids, list(self.class_ids))
        labels = detections.labels
        for row in np.flatnonzero(wanted & ~detections.number_known):
            wanted[row] = self._wants_color(labels[row], detections.class_names)
        return np.flatnonzero(wanted)[: self.max_detections]

    def _wants_color(self, color: str, class_names: Sequence[str]) -> bool:
        ids = {index for index, name in enumerate(class_names) if color in (UNKNOWN, name.partition("_")[0])}
        return self.class_ids is None or ids <= self.class_ids


def class_ids_of(names: Iterable[str], class_names: Sequence[str]) -> frozenset[int]:
    """Ids of the classes that are named one by one ("B_3") or by their color ("B").

    Raises ConfigError for a name that the model does not have.
    """
    colors = [split_label(label)[0] for label in class_names]
    found: set[int] = set()
    for name in names:
        ids = [index for index, label in enumerate(class_names) if name in (label, colors[index])]
        if not ids:
            known = [*dict.fromkeys(color for color in colors if color), *class_names]
            raise ConfigError(f"expected names out of {' '.join(known)}, got {shown(name)}")
        found.update(ids)
    return frozenset(found)
