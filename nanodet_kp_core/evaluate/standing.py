"""One scorer for every model of a run: the whole pipeline as it is deployed, on own and on rendered images."""

from __future__ import annotations

import json
import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path

import numpy as np

from nanodet_kp_core.evaluate.groups import GroupRow, group_rows, recalls_at
from nanodet_kp_core.evaluate.metrics import Matches, Prediction, Score, match, score_matches
from nanodet_kp_core.evaluate.points import points
from nanodet_kp_core.evaluate.torch_detector import predict
from nanodet_kp_core.files import write_atomically
from nanodet_kp_core.labels.sample import Record
from nanodet_kp_core.runtime.detection.detector import Detector

THRESHOLD = 0.5
"""Score from which on a detection counts, as in the node."""

LOWEST = 0.05
"""Score from which on detections are kept, for the mean recall."""

PRECISIONS = tuple(round(0.95 + 0.001 * k, 3) for k in range(41))
"""0.95 to 0.99. The recall at one of them jumps with a single false alarm: the mean over all has three quarters of its
noise."""

MEAN_RECALL = f"mean recall at precision {PRECISIONS[0]:g} to {PRECISIONS[-1]:g}"
"""Its name for a reader."""

Predictions = Mapping[str, Sequence[Prediction]]


@dataclass(frozen=True)
class Standing:
    """What a model does on one set of images. source_of: by record name."""

    records: Sequence[Record]
    predictions: Predictions
    class_names: tuple[str, ...]
    source_of: Mapping[str, str]

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
    def mean_recall(self) -> float:
        """Mean of the recalls at PRECISIONS, each at the threshold that it takes."""
        return float(np.mean([recall for recall, _ in recalls_at(self.everything, PRECISIONS)]))

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
            f"precision {s.precision:.3f}, recall {s.recall:.3f}, {MEAN_RECALL} {self.mean_recall:.3f}, "
            f"corner error {s.err:.4f}, color {s.color:.3f}, number {s.number:.3f} ({s.plates} plates)"
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
