"""The shift of the score logits that makes 0.5 the operating point, found on the validation set of the run."""

from __future__ import annotations

import math

import numpy as np
import torch
from torch import nn

from nanodet_kp_core.config import TrainConfig
from nanodet_kp_core.data.formats.coco import read_coco
from nanodet_kp_core.evaluate.metrics import score_predictions
from nanodet_kp_core.evaluate.torch_detector import predict, torch_detector


def calibrate(model: nn.Module, config: TrainConfig) -> tuple[float, dict[str, float]]:
    """(offset, metrics): adding `offset` to the score logits puts the threshold of the best F1 at 0.5.

    QFL trains scores towards the IoU with the plate, so that far plates never come near 1 and 0.5 is not where hits
    and false alarms balance. The metrics are those of data.val at that threshold.
    """
    data = config.data.val
    records = read_coco(data.ann_path, data.img_path, config.class_names)
    detector = torch_detector(model, config, data.input_size, torch.device("cpu"), score_threshold=0.05)
    found = predict(detector, records)
    best, offset, metrics = -1.0, 0.0, {}
    for threshold in np.linspace(0.08, 0.8, 37):
        score = score_predictions(records, found, config.class_names, float(threshold))
        f1 = 2 * score.precision * score.recall / max(score.precision + score.recall, 1e-9)
        if f1 > best:
            best, offset = f1, -math.log(threshold / (1 - threshold))
            values = {k: float(getattr(score, k)) for k in ("precision", "recall", "err", "err_px", "colour", "number")}
            metrics = {f"val_{k}": round(v, 4) for k, v in values.items() if math.isfinite(v)}
    return offset, metrics
