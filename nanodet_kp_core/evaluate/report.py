"""Everything that is known about a model on a labeled data set, from one run of the detector."""

from __future__ import annotations

import json
import math
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass
from typing import Any

import numpy as np

from nanodet_kp_core.evaluate.coco import OKS_SIGMA, CocoScore, coco_score
from nanodet_kp_core.evaluate.full_score import full_score
from nanodet_kp_core.evaluate.metrics import Matches, Prediction, Score, match
from nanodet_kp_core.evaluate.pose_error import PoseRow, PoseScore, pose_errors, pose_rows, pose_score
from nanodet_kp_core.evaluate.reliability import Reliability, reliability
from nanodet_kp_core.evaluate.tables import (
    Confusion,
    CornerError,
    CurvePoint,
    SizeRow,
    confusion,
    corner_errors,
    curve,
    size_rows,
)
from nanodet_kp_core.labels.sample import Record
from nanodet_kp_core.runtime.poses.pose import Camera


@dataclass(frozen=True)
class Report:
    """Figures of one model on one data set.

    scores: by score threshold.
    corners, sizes, numbers, confusion, pose, pose_rows: at the first of these thresholds, `threshold`.
    curve: over all thresholds from that of the detector on.
    matches: at the threshold of the detector, for plots and gallery; not written to JSON.
    """

    model: str
    data: str
    class_names: tuple[str, ...]
    threshold: float
    scores: dict[float, Score]
    coco: CocoScore
    corners: list[CornerError]
    sizes: list[SizeRow]
    numbers: Reliability
    curve: list[CurvePoint]
    confusion: list[Confusion]
    pose: PoseScore | None
    pose_rows: list[PoseRow]
    matches: Matches

    def to_json(self) -> str:
        """JSON text; null where there was nothing to measure."""
        values: dict[str, Any] = {
            "model": self.model,
            "data": self.data,
            "class_names": list(self.class_names),
            "threshold": self.threshold,
            "oks_sigma": OKS_SIGMA,
            "scores": {f"{threshold:g}": asdict(score) for threshold, score in self.scores.items()},
            "coco": asdict(self.coco),
            "corners": [asdict(row) for row in self.corners],
            "sizes": [asdict(row) for row in self.sizes],
            "number_reliability": asdict(self.numbers),
            "pose": None if self.pose is None else asdict(self.pose),
            "pose_by_distance": [asdict(row) for row in self.pose_rows],
            "curve": [asdict(point) for point in self.curve],
            "confusion": [{"names": list(c.names), "counts": c.counts.tolist()} for c in self.confusion],
        }
        return json.dumps(_finite(values), indent=1, allow_nan=False)


def build_report(
    records: Sequence[Record],
    predictions: Mapping[str, Sequence[Prediction]],
    class_names: Sequence[str],
    thresholds: Sequence[float] = (0.5,),
    cameras: Mapping[str, Camera] | None = None,
    lowest: float = 0.05,
    model: str = "",
    data: str = "",
) -> Report:
    """Compute everything from predictions (by record name) that a detector made at the score threshold `lowest`.

    cameras: by record name, where they are known. thresholds below `lowest` cannot be answered and are no use.
    """
    everything = match(records, predictions, lowest)
    coco = coco_score(records, predictions, class_names, plates_too=True)
    first = everything.at(thresholds[0])
    errors = pose_errors(first.hits, cameras, class_names) if cameras else None
    return Report(
        model=model,
        data=data,
        class_names=tuple(class_names),
        threshold=thresholds[0],
        scores={t: full_score(everything, t, class_names, coco) for t in thresholds},
        coco=coco,
        corners=corner_errors(first.hits),
        sizes=size_rows(first),
        numbers=reliability(first.hits, class_names),
        curve=curve(everything, class_names),
        confusion=confusion(first, class_names),
        pose=None if errors is None else pose_score(errors),
        pose_rows=[] if errors is None else pose_rows(errors),
        matches=everything,
    )


def _finite(value: Any) -> Any:
    """The same with null for numbers that JSON does not know, and plain numbers for numpy's."""
    if isinstance(value, dict):
        return {key: _finite(item) for key, item in value.items()}
    if isinstance(value, (list, tuple)):
        return [_finite(item) for item in value]
    if isinstance(value, np.generic):
        value = value.item()
    return None if isinstance(value, float) and not math.isfinite(value) else value
