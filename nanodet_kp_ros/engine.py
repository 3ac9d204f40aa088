"""The detector with the parameters that belong to it; made anew, and proved, when the model changes."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from nanodet_kp_core.errors import ModelError
from nanodet_kp_core.runtime.detection.detector import Detections, Detector
from nanodet_kp_core.runtime.detection.roi import RoiDetector
from nanodet_kp_core.runtime.images.image_message import ImageView
from nanodet_kp_core.runtime.poses.mounting import Mounting, make_mounting
from nanodet_kp_ros.keep import select, wanted_classes
from nanodet_kp_ros.parameters import Value

UNSURE = 0.2
"""Scores this near to score_threshold are what the recorder is after."""

_MOST_BEFORE_KEEP = 1000  # plates that the detector may report where others are thrown away afterwards


@dataclass(frozen=True)
class Found:
    """published: plates as the parameters ask for them. all: with those of other classes, and of scores down to UNSURE
    below the threshold while images are recorded."""

    published: Detections
    all: Detections


@dataclass(frozen=True)
class Engine:
    """Replaced as a whole, so that an image is never answered with half of the old parameters."""

    detector: Detector
    threads: int
    score_threshold: float
    number_threshold: float
    nms_threshold: float
    most: int
    wanted: frozenset[int] | None
    recording: bool
    mounting: Mounting

    def __call__(self, picture: ImageView) -> Found:
        """Raises ImageError, ModelError as the detector does."""
        detector = self.detector
        detector.score_threshold = max(0.0, self.score_threshold - UNSURE) if self.recording else self.score_threshold
        detector.merge_floor = self.score_threshold / 2  # recording must not change the corners that are published
        detector.number_threshold = self.number_threshold
        detector.nms_threshold = self.nms_threshold
        detector.max_detections = self.most if self.wanted is None else _MOST_BEFORE_KEEP
        found = detector(picture.pixels, channel_order=picture.order)
        threshold = self.score_threshold if self.recording else 0.0  # else the detector has applied it already
        return Found(select(found, threshold, self.wanted, self.most), found)


def make_engine(values: Mapping[str, Value], detector: Detector | None = None) -> Engine:
    """An engine by the node's parameters. With the detector of another engine no model is loaded.

    Raises ModelError for a model that cannot be used, ConfigError for a `keep` or `large_plates` that names
    classes it does not have.
    """
    detector = detector or _load(values)
    return Engine(
        detector=detector,
        threads=int(values["threads"]),
        score_threshold=float(values["score_threshold"]),
        number_threshold=float(values["number_threshold"]),
        nms_threshold=float(values["nms_threshold"]),
        most=int(values["max_detections"]),
        wanted=wanted_classes(str(values["keep"]), detector.metadata.class_names),
        recording=bool(values["record_folder"]),
        mounting=_mounting(values, detector.metadata.class_names),
    )


def _mounting(values: Mapping[str, Value], class_names: Sequence[str]) -> Mounting:
    lean, pitch = float(values["plate_lean"]), float(values["camera_pitch"])
    return make_mounting(str(values["large_plates"]), lean, pitch, class_names)


def _load(values: Mapping[str, Value]) -> Detector:
    model, every = str(values["model"]) or None, int(values["roi_every"])
    threads, spin, scout = int(values["threads"]), bool(values["spin"]), bool(values["scout"])
    if every:
        return RoiDetector(model, threads=threads, spin=spin, scout=scout, every=every)
    return Detector(model, threads=threads, spin=spin, scout=scout)


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
