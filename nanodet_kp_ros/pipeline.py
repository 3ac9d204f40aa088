"""From a message to what is published: on the worker's thread, one image after the other."""

from __future__ import annotations

import time
from collections.abc import Callable
from dataclasses import dataclass

from rclpy.clock import Clock
from rclpy.impl.rcutils_logger import RcutilsLogger

from nanodet_kp_core.errors import ImageError
from nanodet_kp_core.runtime.detection.detector import Detections
from nanodet_kp_core.runtime.images.image_bytes import dark_sentence
from nanodet_kp_core.runtime.images.image_message import ImageView
from nanodet_kp_core.runtime.poses.mounting import Mounting
from nanodet_kp_core.runtime.poses.pose import Pose
from nanodet_kp_ros.camera_source import CameraSource
from nanodet_kp_ros.counters import Counters
from nanodet_kp_ros.engine import Engine
from nanodet_kp_ros.image_input import ImageMessage
from nanodet_kp_ros.outputs import Outputs
from nanodet_kp_ros.poses import PlatePoses
from nanodet_kp_ros.recorder import Recorder
from nanodet_kp_ros.stamp_monitor import plausible_age_ms
from nanodet_kp_ros.throttled_log import ThrottledLog

_BITS_PERIOD_S = 60.0


@dataclass(frozen=True)
class Frame:
    """A message as it arrived. stamp_s: its stamp. arrived_s: steady time. transport_ms: its age then, if known."""

    message: ImageMessage
    stamp_s: float
    arrived_s: float
    transport_ms: float | None


class Pipeline:
    """convert -> detect -> pose -> publish; the rest (drawing, recording) when the plates are out.

    engine: may be replaced at any time, the next image takes the new one.
    image: the latest image, to try a new model on. debug: one log line for each image.
    """

    def __init__(
        self,
        engine: Engine,
        view: Callable[[ImageMessage], ImageView],
        outputs: Outputs,
        cameras: CameraSource,
        recorder: Recorder | None,
        counters: Counters,
        log: ThrottledLog,
        clock: Clock,
        logger: RcutilsLogger,
    ) -> None:
        self.engine = engine
        self.picture: ImageView | None = None
        self.debug = False
        self._view = view
        self._outputs = outputs
        self._cameras = cameras
        self._recorder = recorder
        self._counters = counters
        self._log = log
        self._clock = clock
        self._logger = logger
        self._poses = PlatePoses()
        self._bits = 0  # the most that an image of 16 bits has used: a dark one says nothing about the next

    def process(self, frame: Frame) -> None:
        """Answers the image. Raises ImageError for one that cannot be used, and what the detector raises."""
        engine = self.engine
        taken = time.monotonic()
        picture = self._view(frame.message)
        converted = time.monotonic()
        if picture.bits is not None:
            self._look_at_bits(picture.bits)
        found = engine(picture)
        self.picture = picture
        detected = time.monotonic()
        height, width = picture.pixels.shape[:2]
        poses = self._solve(found.published, width, height, frame.stamp_s, engine.mounting)
        solved = time.monotonic()
        header = frame.message.header
        self._outputs.publish(found.published, poses, header, width, height)
        published = time.monotonic()
        stages = {
            "wait": 1e3 * (taken - frame.arrived_s),
            "convert": 1e3 * (converted - taken),
            **engine.detector.times,
            "detector": 1e3 * (detected - converted),
            "pose": 1e3 * (solved - detected),
            "publish": 1e3 * (published - solved),
        }
        if frame.transport_ms is not None:
            stages["transport"] = frame.transport_ms
        latency = plausible_age_ms(frame.stamp_s, self._clock.now().nanoseconds / 1e9)
        if latency is not None:
            stages["latency"] = latency
        self._counters.answered(stages)
        if self.debug:
            self._logger.info(_line(frame, found.published, stages))
        self._outputs.publish_views(picture, found.published, poses, header)
        self._record(picture, found.all, frame.stamp_s)

    def failed(self, error: Exception) -> None:
        """What `process` raised is counted and said; the old plates are not published again."""
        if isinstance(error, ImageError):
            self._counters.count("malformed")
            self._log.error("malformed", str(error))
            return
        self._counters.count("failed")
        self._log.error("failed", f"an image could not be answered: {type(error).__name__}: {error}")

    def _look_at_bits(self, bits: int) -> None:
        self._bits = max(self._bits, bits)
        sentence = dark_sentence(self._bits)
        if sentence is not None:
            self._log.warning("bits", sentence, _BITS_PERIOD_S)

    def _solve(
        self, detections: Detections, width: int, height: int, stamp_s: float, mounting: Mounting
    ) -> list[Pose | None]:
        camera = self._cameras.camera_for(width, height)
        if camera is None:
            return []
        poses = self._poses.solve(detections, camera, stamp_s, mounting)
        if self._poses.warning is not None:
            self._log.warning("calibration", self._poses.warning)
        return poses

    def _record(self, picture: ImageView, detections: Detections, stamp_s: float) -> None:
        if self._recorder is None:
            return
        self._recorder.offer(picture.bgr, detections, stamp_s)
        if self._recorder.error is not None:
            self._log.error("recorder", self._recorder.error)


def _line(frame: Frame, detections: Detections, stages: dict[str, float]) -> str:
    times = " ".join(f"{stage} {value:.2f}" for stage, value in stages.items())
    plates = " ".join(f"{label} {score:.2f}" for label, score in zip(detections.labels, detections.scores, strict=True))
    return f"image {frame.stamp_s:.3f}: {plates or 'no plates'}; ms: {times}"
