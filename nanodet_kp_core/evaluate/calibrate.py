"""The shift of the score logits that makes 0.5 the operating point, found on the validation set of the run."""

from __future__ import annotations

import math
from collections.abc import Sequence

import numpy as np
import torch
from torch import nn

from nanodet_kp_core.config import TrainConfig
from nanodet_kp_core.data.dataset import read_dataset
from nanodet_kp_core.errors import TrainingError
from nanodet_kp_core.evaluate.metrics import Score, match, score_matches
from nanodet_kp_core.evaluate.torch_detector import predict, torch_detector
from nanodet_kp_core.labels.sample import Record
from nanodet_kp_core.numerics import sigmoid
from nanodet_kp_core.runtime.detection.detector import Detector

_LOGITS = np.linspace(-2.2, 4.6, 137)
"""Of the thresholds that are tried, 0.1 to 0.99: equal steps of the score itself would be coarse where it is high."""


def calibrate(model: nn.Module, config: TrainConfig, precision: float) -> tuple[float, dict[str, float]]:
    """(offset, metrics): adding `offset` to the score logits moves the wanted threshold to 0.5.

    QFL trains scores towards the IoU with the plate, so that 0.5 means nothing in particular. The wanted threshold is
    the lowest one with that precision on data.val, or the most precise one where none reaches it. The metrics are
    those of data.val at the threshold.
    """
    data = config.data.val
    records = read_dataset(data, config.class_names)
    detector = torch_detector(model, config, data.input_size, torch.device("cpu"), score_threshold=0.05)
    offset, score = offset_for(precision, records, detector)
    values = {k: float(getattr(score, k)) for k in ("precision", "recall", "err", "err_px", "color", "number")}
    return offset, {f"val_{k}": round(v, 4) for k, v in values.items() if math.isfinite(v)}


def offset_for(precision: float, records: Sequence[Record], detector: Detector) -> tuple[float, Score]:
    """What to add to the score logits so that 0.5 is the lowest threshold with that precision (or the most precise one
    where none reaches it), and the score of the records there. `detector` must let low scores through.

    Raises TrainingError when nothing is found.
    """
    matches = match(records, predict(detector, records))
    best, chosen = None, 0.5
    for threshold in sigmoid(_LOGITS).tolist():
        score = score_matches(matches.at(threshold), detector.metadata.class_names)
        if score.hits and (best is None or score.precision > best.precision):
            best, chosen = score, threshold
        if score.hits and score.precision >= precision:
            break
    if best is None:
        raise TrainingError(f"{len(records)} images: expected detections to calibrate on, got none; train longer")
    return -math.log(chosen / (1 - chosen)), best
