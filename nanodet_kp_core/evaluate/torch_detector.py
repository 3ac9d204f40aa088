"""The runtime's detector around a torch model: same preprocessing, decode and NMS as on the robot."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass, replace
from pathlib import Path

import numpy as np
import torch
from torch import nn

from nanodet_kp_core.config import DataConfig, TrainConfig
from nanodet_kp_core.config.describe import describe
from nanodet_kp_core.data.dataset import read_dataset
from nanodet_kp_core.evaluate.coco import coco_score
from nanodet_kp_core.evaluate.full_score import full_score
from nanodet_kp_core.evaluate.metrics import Matches, Prediction, Score, match
from nanodet_kp_core.labels.sample import Record
from nanodet_kp_core.runtime.detection.detector import Detections, Detector
from nanodet_kp_core.runtime.detection.options import DetectOptions


class TorchSession:
    """Takes the place of an onnxruntime session: blob float32 [1, 3, H, W] of gray levels -> raw [1, P, C].

    refiner: file of the second stage; None without one.
    """

    def __init__(
        self, model: nn.Module, config: TrainConfig, size: tuple[int, int], device: torch.device, refiner: Path | None
    ) -> None:
        self.path = (refiner.parent if refiner else Path()) / "the network in training"
        self.metadata = replace(describe(config, size), reader=refiner.name if refiner else "")
        self.model = model
        mean, std = config.data.train.pipeline.normalize
        self.device = device
        self.mean = torch.tensor(mean, device=device).reshape(1, 3, 1, 1)
        self.std = torch.tensor(std, device=device).reshape(1, 3, 1, 1)

    @torch.inference_mode()
    def run(self, blob: np.ndarray) -> np.ndarray:
        """Raw head output [1, P, C]."""
        images = (torch.from_numpy(blob).to(self.device) - self.mean) / self.std
        raw = self.model(images.contiguous(memory_format=torch.channels_last))
        return raw[:1].float().cpu().numpy()


def torch_detector(
    model: nn.Module,
    config: TrainConfig,
    size: tuple[int, int],
    device: torch.device,
    score_threshold: float = 0.05,
    refiner: Path | None = None,
) -> Detector:
    """A Detector that runs `model` (in eval mode) on inputs of `size` (width, height).

    refiner: file of the second stage; None without one. Raises ModelError when it is none.
    """
    return Detector(session=TorchSession(model, config, size, device, refiner), score_threshold=score_threshold)


@dataclass(frozen=True)
class Evaluation:
    """Records, what was found in each (by record name, all scores the detector lets through), and the figures."""

    score: Score
    records: list[Record]
    predictions: dict[str, list[Prediction]]


def predict(
    detector: Detector, records: Iterable[Record], options: DetectOptions | None = None
) -> dict[str, list[Prediction]]:
    """Detections of every record's image, by record name. options: as for a call of the detector."""
    return {record.name: to_predictions(detector, detector(record.load().image, options)) for record in records}


def matched_rows(
    detector: Detector, records: Sequence[Record], rows: Callable[[Detections], np.ndarray]
) -> tuple[Matches, dict[int, np.ndarray]]:
    """Matches of what the detector finds at its score threshold, and the row of each prediction by its id.

    rows: called after each image with its K detections, gives [K, n].
    """
    predictions: dict[str, list[Prediction]] = {}
    by_id: dict[int, np.ndarray] = {}
    for record in records:
        found = detector(record.load().image)
        predictions[record.name] = to_predictions(detector, found)
        by_id.update(zip(map(id, predictions[record.name]), rows(found)))
    return match(records, predictions, detector.options.score_threshold), by_id


def to_predictions(detector: Detector, detections: Detections) -> list[Prediction]:
    """What the detector has found, under its likeliest classes. Only a second stage has number scores."""
    has_corners = detector.metadata.head.has_corners
    sure = detections.number_scores if detector.refiner else np.full(len(detections), np.nan)
    rows = zip(detections.class_labels, detections.scores, detections.corners, detections.boxes, sure, strict=True)
    return [
        Prediction(label, float(score), corners, box, has_corners, float(number_score))
        for label, score, corners, box, number_score in rows
    ]


def evaluate_images(
    detector: Detector, data: DataConfig, class_names: Sequence[str], threshold: float = 0.5
) -> Evaluation:
    """Run a detector once on a labeled data set and score it; the detector's own threshold must be low (0.05)."""
    records = read_dataset(data, class_names)
    predictions = predict(detector, records)
    coco = coco_score(records, predictions, class_names)
    return Evaluation(full_score(match(records, predictions), threshold, class_names, coco), records, predictions)


def evaluate(detector: Detector, data: DataConfig, class_names: Sequence[str], threshold: float = 0.5) -> Score:
    """Score of a detector on a labeled data set: what a training asks after each validation."""
    return evaluate_images(detector, data, class_names, threshold).score
