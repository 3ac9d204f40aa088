"""What a detector says about one image."""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import Any

import numpy as np

from nanodet_kp_core.classes import factors, split_label

NUMBER_THRESHOLD = 0.5
"""Number score below which the node and the command line take a number for unknown. On real footage it keeps every
number that a person can read, and 0.13 to 0.40 of the others (docs/experiments.md); 0 keeps every number."""

_ARRAYS = ("scores", "class_ids", "boxes", "corners", "number_scores")
UNKNOWN = "?"
"""Label of a target whose class is unknown."""


@dataclass(frozen=True)
class Detections:
    """Plates of one image, best score first, in image pixels (the center of the left-top pixel is (0, 0)).

    scores: float32 [K] in 0..1.
    class_ids: int64 [K], indices of class_names.
    boxes: float32 [K, 4], x_min, y_min, x_max, y_max.
    corners: float32 [K, 4, 2], left-top, left-bottom, right-bottom, right-top; those of the box from a model without
        corners (corner_codec "none").
    class_names: of the model.
    number_scores: float32 [K] in 0..1, the probability that the number of the class is right; 1 without a second stage.
    number_threshold: a number with a lower score is unknown. It changes the labels, never class_ids.

    Boxes and corners may lie outside the image. All numbers are finite.
    """

    scores: np.ndarray
    class_ids: np.ndarray
    boxes: np.ndarray
    corners: np.ndarray
    class_names: tuple[str, ...]
    number_scores: np.ndarray = None  # type: ignore[assignment]
    number_threshold: float = 0.0

    def __post_init__(self) -> None:
        if self.number_scores is None:
            object.__setattr__(self, "number_scores", np.ones(len(self.scores), np.float32))

    def __len__(self) -> int:
        return len(self.scores)

    @property
    def number_known(self) -> np.ndarray:
        """Bool [K]: whether the number's score reaches the threshold."""
        return np.asarray(self.number_scores >= self.number_threshold)

    @property
    def class_labels(self) -> list[str]:
        """Class name of every plate, the likeliest one where the number is unknown."""
        return [self.class_names[class_id] for class_id in self.class_ids]

    @property
    def labels(self) -> list[str]:
        """Class name of every plate, "B_3"; its color alone, "B", where the number is unknown, and UNKNOWN where the
        name has no color. The only class of a model is never unknown."""
        labels = self.class_labels
        if len(self.class_names) == 1 and split_label(self.class_names[0])[0] is None:
            return labels
        for row in np.flatnonzero(~self.number_known):
            colored = split_label(labels[row])[0] is not None or factors(self.class_names) is not None
            labels[row] = labels[row].partition("_")[0] if colored else UNKNOWN
        return labels

    def __getitem__(self, rows: np.ndarray | slice) -> Detections:
        """Those of a mask bool [K], of indices int [M] in that order, or of a slice."""
        return self._with({name: getattr(self, name)[rows] for name in _ARRAYS})

    def joined(self, others: Detections) -> Detections:
        """These, then the others."""
        both = {name: np.concatenate([getattr(self, name), getattr(others, name)]) for name in _ARRAYS}
        return self._with(both)

    def shifted(self, x: float, y: float) -> Detections:
        """The same, moved by x and y pixels."""
        offset = np.array([x, y], np.float32)
        return self._with({"boxes": self.boxes + np.tile(offset, 2), "corners": self.corners + offset})

    def _with(self, arrays: dict[str, Any]) -> Detections:
        return replace(self, **arrays)
