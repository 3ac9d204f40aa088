"""The detector with the settings that belong to it; replaced, and tried on an image, when the model changes."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from nanodet_kp_core.errors import ConfigError, ModelError
from nanodet_kp_core.runtime.detection.detector import Detections, Detector
from nanodet_kp_core.runtime.detection.options import DetectOptions, class_ids_of
from nanodet_kp_core.runtime.detection.roi import RoiDetector
from nanodet_kp_core.runtime.images.image_message import ImageView
from nanodet_kp_core.runtime.poses.mounting import Mounting, make_mounting
from nanodet_kp_ros.parameters import Value

UNSURE = 0.2
"""Scores this near to score_threshold are what the recorder is after."""


@dataclass(frozen=True)
class Found:
    """published: plates as the parameters ask for them. all: while images are recorded, also those of other classes and
    of scores down to UNSURE below the threshold."""

    published: Detections
    all: Detections


@dataclass(frozen=True)
class Engine:
    """Replaced as a whole, so that an image is never answered with half of the old parameters.

    detector: the loaded model. detect: what answers an image: the detector, or a RoiDetector around it.
    options: what is published.
    """

    detector: Detector
    detect: Detector | RoiDetector
    threads: int
    options: DetectOptions
    recording: bool
    mounting: Mounting

    def __call__(self, picture: ImageView) -> Found:
        """Raises ImageError, ModelError as the detector does."""
        if not self.recording:
            found = self.detect(picture.pixels, self.options, picture.order)
            return Found(found, found)
        found = self.detect(picture.pixels, self.options.lowered(UNSURE), picture.order)
        certain = found[found.scores >= self.options.score_threshold]
        return Found(certain[self.options.select(certain)], found)


def make_engine(values: Mapping[str, Value], loaded: Engine | None = None) -> Engine:
    """An engine by the node's parameters. With the model of another engine nothing is loaded.

    Raises ModelError for a model that cannot be used, ConfigError for a `keep` or `large_plates` that names
    classes it does not have.
    """
    detector = _load(values) if loaded is None else loaded.detector
    every = int(values["roi_every"])
    detect = loaded.detect if loaded else RoiDetector(detector, every) if every else detector
    return Engine(
        detector,
        detect,
        int(values["threads"]),
        _options(values, detector),
        bool(values["record_folder"]),
        _mounting(values, detector.metadata.class_names),
    )


def _mounting(values: Mapping[str, Value], class_names: Sequence[str]) -> Mounting:
    lean, pitch = float(values["plate_lean"]), float(values["camera_pitch"])
    return make_mounting(str(values["large_plates"]), lean, pitch, class_names)


def _load(values: Mapping[str, Value]) -> Detector:
    threads, spin, scout = int(values["threads"]), bool(values["spin"]), bool(values["scout"])
    return Detector(str(values["model"]) or None, threads=threads, spin=spin, scout=scout)


def _options(values: Mapping[str, Value], detector: Detector) -> DetectOptions:
    names = str(values["keep"]).replace(",", " ").split()
    try:
        wanted = class_ids_of(names, detector.metadata.class_names) if names else None
    except ConfigError as error:
        raise ConfigError(f"parameter keep: {error}") from None
    return DetectOptions(
        score_threshold=float(values["score_threshold"]),
        nms_threshold=float(values["nms_threshold"]),
        max_detections=int(values["max_detections"]),
        number_threshold=float(values["number_threshold"]),
        class_ids=wanted,
    )


def try_model(engine: Engine, picture: ImageView | None) -> Engine:
    """The engine, after it has answered this image, if there is one. Raises ModelError when it cannot."""
    if picture is None:
        return engine
    try:
        engine(picture)
    except Exception as error:  # onnxruntime's own errors share no base class but Exception
        raise ModelError(
            f"model {engine.detector.model_path}: expected an answer to the camera's last image, got: "
            f"{' '.join(str(error).split())}"
        ) from error
    return engine
