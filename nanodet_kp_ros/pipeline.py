"""From a message to what is published: on the worker's thread, one image after the other."""

from __future__ import annotations

import time
from collections.abc import Callable
from dataclasses import dataclass, field

from rclpy.clock import Clock

from nanodet_kp_core.classes import factors
from nanodet_kp_core.errors import ImageError
from nanodet_kp_core.runtime.detection.detector import Detections
from nanodet_kp_core.runtime.images.image_bytes import dark_sentence
from nanodet_kp_core.runtime.images.image_message import ImageView
from nanodet_kp_core.runtime.poses.mounting import Mounting
from nanodet_kp_core.runtime.poses.plate_poses import PlatePoses
from nanodet_kp_core.runtime.poses.pose import Pose
from nanodet_kp_ros.camera_info import CameraSource
from nanodet_kp_ros.counters import Counters
from nanodet_kp_ros.engine import Engine
from nanodet_kp_ros.image_input import ImageMessage
from nanodet_kp_ros.outputs import Outputs
from nanodet_kp_ros.recorder import Recorder
from nanodet_kp_ros.stamp_monitor import plausible_age_ms
from nanodet_kp_ros.throttled_log import ThrottledLog

_KIND_PERIOD_S = 60.0
_GRAY = (
    "images are gray: the color of a plate is a guess, and so is its label; let the camera driver publish color "
    "images, such as bgr8"
)


@dataclass(frozen=True)
class ReceivedImage:
    """A message as it arrived. stamp_s: its stamp. arrived_s: steady time. transport_ms: its age then, if known."""

    message: ImageMessage
    stamp_s: float
    arrived_s: float
    transport_ms: float | None


@dataclass
class Pipeline:
    """unpack -> detect -> pose -> publish; the rest (drawing, recording) when the plates are out.

    engine: may be replaced at any time, the next image takes the new one.
    unpack: the image of a message, which was checked before. clock: of the images' stamps.
    debug: one log line for each image.
    image: the latest image, to try a new model on.
    """

    engine: Engine
    unpack: Callable[[ImageMessage], ImageView]
    cameras: CameraSource
    outputs: Outputs
    recorder: Recorder | None
    counters: Counters
    log: ThrottledLog
    clock: Clock
    debug: bool = False
    image: ImageView | None = None
    _poses: PlatePoses = field(default_factory=PlatePoses, init=False)
    _bits: int = field(default=0, init=False)  # the most that an image of 16 bits has used: a dark one says nothing

    def process(self, received: ReceivedImage) -> None:
        """Answers the image. Raises ImageError for one that cannot be used, and what the detector raises."""
        engine = self.engine
        taken = time.monotonic()
        image = self.unpack(received.message)
        converted = time.monotonic()
        if image.bits is not None:
            self._look_at_bits(image.bits)
        if image.is_gray and factors(engine.detector.metadata.class_names) is not None:
            self.log.warning("gray", _GRAY, _KIND_PERIOD_S)
        found = engine(image)
        self.image = image
        detected = time.monotonic()
        height, width = image.pixels.shape[:2]
        poses = self._solve(found.published, width, height, received.stamp_s, engine.mounting)
        solved = time.monotonic()
        header = received.message.header
        self.outputs.publish(found.published, poses, header, width, height)
        published = time.monotonic()
        stages = {
            "wait": 1e3 * (taken - received.arrived_s),
            "convert": 1e3 * (converted - taken),
            **engine.detector.times,
            "detector": 1e3 * (detected - converted),
            "pose": 1e3 * (solved - detected),
            "publish": 1e3 * (published - solved),
        }
        if received.transport_ms is not None:
            stages["transport"] = received.transport_ms
        latency = plausible_age_ms(received.stamp_s, self.clock.now().nanoseconds / 1e9)
        if latency is not None:
            stages["latency"] = latency
        self.counters.answered(stages)
        if self.debug:
            self.log.info(_line(received, found.published, stages))
        self.outputs.publish_views(image, found.published, poses, header)
        self._record(image, found.all, received.stamp_s)

    def failed(self, error: Exception) -> None:
        """What `process` raised is counted and said; the old plates are not published again."""
        if isinstance(error, ImageError):
            self.counters.count("malformed")
            self.log.error("malformed", str(error))
            return
        self.counters.count("failed")
        self.log.error("failed", f"an image could not be answered: {type(error).__name__}: {error}")

    def _look_at_bits(self, bits: int) -> None:
        self._bits = max(self._bits, bits)
        sentence = dark_sentence(self._bits)
        if sentence is not None:
            self.log.warning("bits", sentence, _KIND_PERIOD_S)

    def _solve(
        self, detections: Detections, width: int, height: int, stamp_s: float, mounting: Mounting
    ) -> list[Pose | None]:
        camera = self.cameras.camera_for(width, height)
        if camera is None:
            return []
        poses = self._poses.solve(detections, camera, stamp_s, mounting)
        if self._poses.warning is not None:
            self.log.warning("calibration", self._poses.warning)
        return poses

    def _record(self, image: ImageView, detections: Detections, stamp_s: float) -> None:
        if self.recorder is None:
            return
        self.recorder.offer(image.bgr, detections, stamp_s)
        if self.recorder.error is not None:
            self.log.error("recorder", self.recorder.error)


def _line(received: ReceivedImage, detections: Detections, stages: dict[str, float]) -> str:
    times = " ".join(f"{stage} {value:.2f}" for stage, value in stages.items())
    plates = " ".join(f"{label} {score:.2f}" for label, score in zip(detections.labels, detections.scores, strict=True))
    return f"image {received.stamp_s:.3f}: {plates or 'no plates'}; ms: {times}"
