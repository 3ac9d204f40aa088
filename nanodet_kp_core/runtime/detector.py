"""The detector: one image in, its armor plates out. Everything on the way is one function per file."""

from __future__ import annotations

import time
from dataclasses import dataclass
from pathlib import Path
from typing import Protocol

import numpy as np

from nanodet_kp_core.errors import ConfigError
from nanodet_kp_core.runtime.bundled import bundled_model
from nanodet_kp_core.runtime.decode import decode
from nanodet_kp_core.runtime.metadata import ModelMetadata
from nanodet_kp_core.runtime.nms import nms
from nanodet_kp_core.runtime.preprocess import preprocess
from nanodet_kp_core.runtime.session import load_session


@dataclass(frozen=True)
class Detections:
    """Plates of one image, best score first, in image pixels (the centre of the left-top pixel is (0, 0)).

    scores float32 [K] in 0..1, class_ids int64 [K], boxes float32 [K, 4] (x_min, y_min, x_max, y_max),
    corners float32 [K, 4, 2] (left-top, left-bottom, right-bottom, right-top), class_names of the model.
    A model without corners (corner_codec "none") reports those of the box. Boxes and corners may lie outside the image;
    all numbers are finite.
    """

    scores: np.ndarray
    class_ids: np.ndarray
    boxes: np.ndarray
    corners: np.ndarray
    class_names: tuple[str, ...]

    def __len__(self) -> int:
        return len(self.scores)

    @property
    def labels(self) -> list[str]:
        """Class name of every plate."""
        return [self.class_names[class_id] for class_id in self.class_ids]


class InferenceSession(Protocol):
    """What the detector needs of a network; see `runtime.session.Session` for the usual one."""

    path: Path
    metadata: ModelMetadata

    def run(self, blob: np.ndarray) -> np.ndarray:
        """Input float32 [1, 3, H, W] -> output [num_priors, channels]."""
        ...


class Detector:
    """Finds armor plates with an exported model on the CPU.

    Attributes:
        metadata: what the model says about itself.
        score_threshold, nms_threshold, max_detections: may be changed between calls.
        times: milliseconds of the last call: "preprocess", "network", "decode" (with NMS). Empty before the
            first.

    An instance serves one thread at a time.
    """

    def __init__(
        self,
        model: str | Path | None = None,
        *,
        threads: int = 2,
        score_threshold: float = 0.5,
        nms_threshold: float = 0.5,
        max_detections: int = 50,
        session: InferenceSession | None = None,
    ) -> None:
        """Load the model; None takes the bundled one. `session` replaces loading: evaluation puts a torch
        model there.

        Raises:
            ModelError: see `load_session` and `bundled_model`.
            ConfigError: a threshold outside 0..1, or threads or max_detections below 1.
        """
        _check_fraction("score_threshold", score_threshold)
        _check_fraction("nms_threshold", nms_threshold)
        if max_detections < 1:
            raise ConfigError(f"max_detections: expected a whole number of at least 1, got {max_detections}")
        self._session = session or load_session(bundled_model() if model is None else model, threads)
        self.score_threshold = score_threshold
        self.nms_threshold = nms_threshold
        self.max_detections = max_detections
        self.times: dict[str, float] = {}

    @property
    def metadata(self) -> ModelMetadata:
        return self._session.metadata

    @property
    def model_path(self) -> Path:
        """The file that was loaded."""
        return self._session.path

    def __call__(self, image: np.ndarray) -> Detections:
        """Detect the plates of a BGR image.

        Args:
            image: uint8 [height, width, 3]; it is not changed.

        Raises:
            ImageError: the image is empty or of another type or shape.
        """
        start = time.perf_counter()
        blob, placed = preprocess(image, self.metadata.input)
        prepared = time.perf_counter()
        output = self._session.run(blob)
        computed = time.perf_counter()
        found = decode(output, self.metadata, self.score_threshold)
        kept = nms(found.boxes, found.scores, self.nms_threshold, self.max_detections)
        boxes = placed.to_image(found.boxes[kept].reshape(-1, 2, 2)).reshape(-1, 4)
        corners = placed.to_image(found.corners[kept])
        detections = Detections(
            scores=found.scores[kept],
            class_ids=found.class_ids[kept],
            boxes=boxes.astype(np.float32),
            corners=corners.astype(np.float32),
            class_names=self.metadata.class_names,
        )
        done = time.perf_counter()
        self.times = {
            "preprocess": 1000 * (prepared - start),
            "network": 1000 * (computed - prepared),
            "decode": 1000 * (done - computed),
        }
        return detections


def _check_fraction(name: str, value: float) -> None:
    if not 0 <= value <= 1:  # also refuses NaN
        raise ConfigError(f"{name}: expected a number in 0..1, got {value}")
