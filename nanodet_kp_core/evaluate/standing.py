"""One scorer for every model of a run: the whole pipeline as it is deployed, on own and on rendered images."""

from __future__ import annotations

import json
import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path

import numpy as np

from nanodet_kp_core.evaluate.groups import GroupRow, group_rows, recall_at
from nanodet_kp_core.evaluate.metrics import FIXED_PRECISION, Matches, Prediction, Score, match, score_matches
from nanodet_kp_core.evaluate.points import points
from nanodet_kp_core.evaluate.torch_detector import predict
from nanodet_kp_core.files import write_atomically
from nanodet_kp_core.labels.sample import Record
from nanodet_kp_core.runtime.detection.detector import Detector

THRESHOLD = 0.5
"""Score from which on a detection counts, as in the node."""

LOWEST = 0.05
"""Score from which on detections are kept, for the recall at a fixed precision."""

Predictions = Mapping[str, Sequence[Prediction]]


@dataclass(frozen=True)
class Standing:
    """What a model does on one set of images. source_of: by record name. precision: see recall_fixed."""

    records: Sequence[Record]
    predictions: Predictions
    class_names: tuple[str, ...]
    source_of: Mapping[str, str]
    precision: float = FIXED_PRECISION

    @cached_property
    def everything(self) -> Matches:
        """At LOWEST."""
        return match(self.records, self.predictions, LOWEST)

    @cached_property
    def matches(self) -> Matches:
        """At THRESHOLD."""
        return self.everything.at(THRESHOLD)

    @cached_property
    def score(self) -> Score:
        """At THRESHOLD."""
        return score_matches(self.matches, self.class_names)

    @cached_property
    def recall_fixed(self) -> float:
        """Recall at the fixed precision, whatever the threshold."""
        return recall_at(self.everything, self.precision)[0]

    @cached_property
    def wrong(self) -> int:
        """Hits with another color or number than labeled."""
        return sum(row.wrong for row in self.rows if row.kind == "size")

    @cached_property
    def rows(self) -> list[GroupRow]:
        """By size, number and source."""
        return group_rows(self.matches, self.class_names, lambda record: self.source_of[record.name])

    @cached_property
    def points(self) -> dict[str, float]:
        """By record name."""
        return points(self.matches, self.class_names)

    def line(self) -> str:
        """The figures of a model in one line."""
        s = self.score
        return (
            f"precision {s.precision:.3f}, recall {s.recall:.3f}, recall at precision {self.precision:g} "
            f"{self.recall_fixed:.3f}, corner error {s.err:.4f}, color {s.color:.3f}, number {s.number:.3f} "
            f"({s.plates} plates)"
        )


def kept_predictions(path: Path, model: Path, records: Sequence[Record]) -> Predictions:
    """What the model finds in the images, read from `path` where it has been asked before."""
    if not path.exists():
        found = predict(Detector(model, score_threshold=LOWEST), records)
        write_atomically(path, predictions_text(found).encode())
    return read_predictions(path)


def predictions_text(predictions: Predictions) -> str:
    """As JSON: {record name: [{"label", "score", "corners", "number_score"}]}."""
    return json.dumps({
        name: [
            {
                "label": p.label, "score": p.score, "corners": np.asarray(p.corners, float).round(3).ravel().tolist(),
                "number_score": None if math.isnan(p.number_score) else p.number_score,
            }
            for p in found
        ]
        for name, found in predictions.items()
    })  # fmt: skip


def read_predictions(path: Path) -> Predictions:
    """Of a file that kept_predictions has written."""
    return {
        name: [
            Prediction(
                row["label"], row["score"], np.array(row["corners"], np.float32).reshape(4, 2),
                number_score=math.nan if row["number_score"] is None else row["number_score"],
            )
            for row in found
        ]
        for name, found in json.loads(path.read_text(encoding="utf-8")).items()
    }  # fmt: skip
