"""TensorBoard: the scalars of results.csv, and validation images with labeled and predicted corners."""

from __future__ import annotations

import logging
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import cv2
import numpy as np

from nanodet_kp_core.labels.sample import Record
from nanodet_kp_core.runtime.detection.detector import Detector
from nanodet_kp_core.runtime.detection.draw import SHIFT, draw, fixed_point

LABEL_COLOR = (255, 255, 255)
SHOWN_SCORE = 0.3
"""Lower than the usual threshold: a plate that is nearly found is worth seeing."""

log = logging.getLogger(__name__)


class Board:
    """Writes events into `folder`, later ones than `step` of an earlier start hidden; does nothing when not `enabled`.

    Without the tensorboard package it says so once.
    """

    def __init__(self, folder: Path, step: int, enabled: bool) -> None:
        self.writer: Any = None
        if not enabled:
            return
        try:
            from torch.utils.tensorboard import SummaryWriter
        except ImportError:
            log.info("log.tensorboard: the package tensorboard is not installed; curves are in results.png only")
            return
        self.writer = SummaryWriter(str(folder), purge_step=step + 1 if step else None)

    def add(self, row: Mapping[str, Any]) -> None:
        """The numbers of a row of results.csv at row["step"]."""
        if self.writer is None:
            return
        for name, value in row.items():
            if name not in ("step", "epoch", "time"):
                self.writer.add_scalar(_tag(name), value, row["step"])
        self.writer.flush()

    def show(self, step: int, detector: Detector, records: Sequence[Record], count: int) -> None:
        """`count` images, evenly spread over the records: predicted corners drawn, labeled ones in white."""
        if self.writer is None:
            return
        chosen = np.linspace(0, len(records) - 1, min(count, len(records))).round().astype(int)
        for index in chosen.tolist():
            drawn = compare(detector, records[index])
            self.writer.add_image(f"validation/{index}", drawn[..., ::-1], step, dataformats="HWC")
        self.writer.flush()

    def close(self) -> None:
        """End the event file."""
        if self.writer is not None:
            self.writer.close()


def compare(detector: Detector, record: Record) -> np.ndarray:
    """The record's image, uint8 [H, W, 3] BGR, with labeled plates in white and what the detector finds."""
    image = record.load().image
    drawn = draw(image, detector(image))
    for corners in record.corners:
        cv2.polylines(drawn, [fixed_point(corners).reshape(-1, 1, 2)], True, LABEL_COLOR, 1, cv2.LINE_AA, SHIFT)
    return drawn


def _tag(name: str) -> str:
    """results.csv's loss_qfl -> train/loss_qfl, val_recall -> val/recall."""
    return f"val/{name.removeprefix('val_')}" if name.startswith("val_") else f"train/{name}"
