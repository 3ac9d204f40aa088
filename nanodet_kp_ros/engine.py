"""The detector with the settings that belong to it; replaced, and tried on an image, when the model changes."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from nanodet_kp_core.errors import ConfigError, ModelError
from nanodet_kp_core.runtime.detection.detector import Detections, Detector
from nanodet_kp_core.runtime.detection.options import DetectOptions, class_ids_of
from nanodet_kp_core.runtime.detection.roi import RoiDetector
from nanodet_kp_core.runtime.images.image_message import ImageView
from nanodet_kp_core.runtime.poses.mounting import Mounting, make_mounting
from nanodet_kp_ros.settings import NodeSettings

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

    def __call__(self, image: ImageView) -> Found:
        """Raises ImageError, ModelError as the detector does."""
        if not self.recording:
            found = self.detect(image.pixels, self.options, image.order)
            return Found(found, found)
        found = self.detect(image.pixels, self.options.lowered(UNSURE), image.order)
        certain = found[found.scores >= self.options.score_threshold]
        return Found(certain[self.options.select(certain)], found)


def make_engine(settings: NodeSettings, loaded: Engine | None = None) -> Engine:
    """An engine by the node's settings. With the model of another engine nothing is loaded.

    Raises ModelError for a model that cannot be used, ConfigError for a `keep` or `large_plates` that names
    classes it does not have.
    """
    if loaded is None:
        model, threads = settings.model or None, settings.threads
        detector = Detector(model, threads=threads, spin=settings.spin, scout=settings.scout)
        detect = RoiDetector(detector, settings.roi_every) if settings.roi_every else detector
    else:
        detector, detect, threads = loaded.detector, loaded.detect, loaded.threads
    return Engine(
        detector,
        detect,
        threads,
        _options(settings, detector),
        bool(settings.record_folder),
        _mounting(settings, detector.metadata.class_names),
    )


def _options(settings: NodeSettings, detector: Detector) -> DetectOptions:
    names = settings.keep.replace(",", " ").split()
    try:
        wanted = class_ids_of(names, detector.metadata.class_names) if names else None
    except ConfigError as error:
        raise ConfigError(f"parameter keep: {error}") from None
    return DetectOptions(
        score_threshold=settings.score_threshold,
        nms_threshold=settings.nms_threshold,
        max_detections=settings.max_detections,
        number_threshold=settings.number_threshold,
        class_ids=wanted,
    )


def _mounting(settings: NodeSettings, class_names: Sequence[str]) -> Mounting:
    return make_mounting(settings.large_plates, settings.plate_lean, settings.camera_pitch, class_names)


def try_model(engine: Engine, image: ImageView | None) -> Engine:
    """The engine, after it has answered this image, if there is one. Raises ModelError when it cannot."""
    if image is None:
        return engine
    try:
        engine(image)
    except Exception as error:  # onnxruntime's own errors share no base class but Exception
        raise ModelError(
            f"model {engine.detector.model_path}: expected an answer to the camera's last image, got: "
            f"{' '.join(str(error).split())}"
        ) from error
    return engine
