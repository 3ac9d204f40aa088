"""The runtime's detector around a torch model: same preprocessing, decode and NMS as on the robot."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from pathlib import Path

import numpy as np
import torch
from torch import nn

from nanodet_kp_core.config import DataConfig, TrainConfig
from nanodet_kp_core.data.formats.coco import read_coco
from nanodet_kp_core.data.sample import Record
from nanodet_kp_core.evaluate.metrics import Prediction, Score, score_predictions
from nanodet_kp_core.export.describe import describe
from nanodet_kp_core.runtime.detector import Detector


class TorchSession:
    """Takes the place of an onnxruntime session: blob float32 [1, 3, H, W] of grey levels -> raw [P, C]."""

    def __init__(self, model: nn.Module, config: TrainConfig, size: tuple[int, int], device: torch.device) -> None:
        self.path = Path("torch")
        self.metadata = describe(config, size)
        self.model = model
        mean, std = config.data.train.pipeline.normalize
        self.device = device
        self.mean = torch.tensor(mean, device=device).reshape(1, 3, 1, 1)
        self.std = torch.tensor(std, device=device).reshape(1, 3, 1, 1)

    @torch.inference_mode()
    def run(self, blob: np.ndarray) -> np.ndarray:
        """Raw head output [P, C]."""
        images = (torch.from_numpy(blob).to(self.device) - self.mean) / self.std
        raw = self.model(images.contiguous(memory_format=torch.channels_last))
        return raw[0].float().cpu().numpy()


def torch_detector(
    model: nn.Module, config: TrainConfig, size: tuple[int, int], device: torch.device, score_threshold: float = 0.05
) -> Detector:
    """A Detector that runs `model` (in eval mode) on inputs of `size` (width, height)."""
    return Detector(session=TorchSession(model, config, size, device), score_threshold=score_threshold)


def predict(detector: Detector, records: Iterable[Record]) -> dict[str, list[Prediction]]:
    """Detections of every record's image, by record name."""
    found = {}
    for record in records:
        detections = detector(record.load().image)
        found[record.name] = [
            Prediction(label, float(score), corners)
            for label, score, corners in zip(detections.labels, detections.scores, detections.corners)
        ]
    return found


def evaluate(detector: Detector, data: DataConfig, class_names: Sequence[str], threshold: float = 0.5) -> Score:
    """Score of a detector on a labelled data set."""
    records = read_coco(data.ann_path, data.img_path, class_names)
    return score_predictions(records, predict(detector, records), class_names, threshold)
