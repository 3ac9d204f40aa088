"""The node: images in, `armors` out. `ros2 run nanodet_kp_ros detector_node`, or the launch file."""

from __future__ import annotations

from nanodet_kp_ros.early_interrupt import end_quietly

if __name__ == "__main__":
    end_quietly()

import sys
import threading
import time
import weakref
from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor

from diagnostic_msgs.msg import DiagnosticArray
from rcl_interfaces.msg import SetParametersResult
from rclpy.clock import Clock, ClockType
from rclpy.node import Node
from rclpy.parameter import Parameter
from std_srvs.srv import SetBool

from nanodet_kp_core.errors import ImageError, reason_of
from nanodet_kp_core.paths import resolved
from nanodet_kp_core.runtime.detection.detector import Detector
from nanodet_kp_core.runtime.models.denormals import flush_denormals
from nanodet_kp_ros.camera_info import CameraSource
from nanodet_kp_ros.counters import Counters, Summary
from nanodet_kp_ros.diagnostics import MOST_LOST, Health, report_line, to_diagnostics
from nanodet_kp_ros.engine import UNSURE, Engine, make_engine, try_model
from nanodet_kp_ros.image_input import ImageInput, ImageMessage
from nanodet_kp_ros.memory import trim_heap
from nanodet_kp_ros.outputs import Outputs
from nanodet_kp_ros.parameters import declare, settings_of, updated
from nanodet_kp_ros.pipeline import Pipeline, ReceivedImage
from nanodet_kp_ros.recorder import Recorder
from nanodet_kp_ros.runner import run
from nanodet_kp_ros.settings import NodeSettings
from nanodet_kp_ros.silence import LOSS_ADVICE
from nanodet_kp_ros.slot import Slot
from nanodet_kp_ros.stamp_monitor import StampMonitor, plausible_age_ms
from nanodet_kp_ros.throttled_log import ThrottledLog
from nanodet_kp_ros.watchdog import Watchdog
from nanodet_kp_ros.worker import Worker

_RELOADS = frozenset(setting.name for setting in settings_of(NodeSettings) if setting.reloads)
_SUBSCRIPTION_PERIOD_S = 0.2
_DIAGNOSTICS_PERIOD_S = 1.0
_REPORT_EVERY = 10  # diagnostics
_LOSS_PERIOD_S = 60.0
_LEAST_LOST = 5  # images, before a share of them means anything
_PATIENCE_S = 1.0  # for the current image, when the node ends


class DetectorNode(Node):
    """Answers the latest image of `image_raw` with what is found, under the image's header.

    The executor's thread only receives: it leaves each image in a slot, from which the worker's thread takes the latest
    when it is free. Raises ConfigError for a parameter and ModelError for a model that cannot be used.
    """

    def __init__(self) -> None:
        super().__init__("detector_node")
        self._settings = settings = declare(self, NodeSettings)
        self._enabled = True
        self._counters, self._stamps = Counters(), StampMonitor()
        self._log = ThrottledLog(self.get_logger())
        engine = make_engine(settings)
        self._slot: Slot[ReceivedImage] = Slot()
        self._input = ImageInput(self, settings.image_transport, settings.image_qos, self._on_image)
        self._outputs = Outputs(self, settings.jpeg_quality, settings.publish_tf)
        self._recorder = _recorder(settings)
        file, geometry = settings.camera_info_file, settings.image_geometry
        self._pipeline = Pipeline(
            engine=engine,
            unpack=self._input.unpack,
            cameras=CameraSource(self, self._input.image_topic, file, self._log, geometry),
            outputs=self._outputs,
            recorder=self._recorder,
            counters=self._counters,
            log=self._log,
            clock=self.get_clock(),
            debug=settings.debug,
        )
        self._loader = ThreadPoolExecutor(1, "loader")  # one for all: each thread has a heap of its own, which stays
        self._replaced: weakref.ref[Detector] | None = None  # a detector whose memory is to be given back
        self._worker = Worker(self._slot, self._pipeline.process, self._failed)
        self._watchdog = Watchdog(
            self, self._input.topic, self._input.type_name, self._input.qos, settings.image_timeout
        )
        self._update_subscription()
        self.add_on_set_parameters_callback(self._on_parameters)
        self.create_service(SetBool, "~/enable", self._on_enable)
        self._diagnostics = self.create_publisher(DiagnosticArray, "/diagnostics", 10)
        self._until_report = _REPORT_EVERY
        steady = Clock(clock_type=ClockType.STEADY_TIME)  # simulated time may stand still, or jump
        self.create_timer(_SUBSCRIPTION_PERIOD_S, self._update_subscription, clock=steady)
        self.create_timer(_DIAGNOSTICS_PERIOD_S, self._publish_diagnostics, clock=steady)
        self.get_logger().info(f"model {engine.detector.model_path}: {self._input.topic} -> {self._outputs.topic}")

    def _on_image(self, message: ImageMessage, sequence: int | None, publisher: bytes) -> None:
        arrived_s, now_s = time.monotonic(), self.get_clock().now().nanoseconds / 1e9
        stamp_s = message.header.stamp.sec + message.header.stamp.nanosec / 1e9
        self._watchdog.image_arrived()
        self._counters.count("received")
        self._counters.count("lost", self._stamps.lost_before(stamp_s, sequence, publisher))
        try:
            self._input.check(message)
        except ImageError as error:
            self._pipeline.failed(error)
            return
        problem = self._stamps.problem(stamp_s, arrived_s, now_s)
        if problem is not None:
            self._log.warning("stamps", f"{self._input.topic}: {problem}")
        if self._slot.put(ReceivedImage(message, stamp_s, arrived_s, plausible_age_ms(stamp_s, now_s))):
            self._counters.count("replaced")

    def _failed(self, error: Exception) -> None:
        if self.context.ok():  # after a signal nothing can be published, and nobody has to be told
            self._pipeline.failed(error)

    def _state(self) -> str:
        if not self._enabled:
            return "off"
        needed = not self._settings.lazy or self._recorder is not None or self._outputs.wanted()
        return "on" if needed else "idle"

    def _update_subscription(self) -> None:
        """Subscribes while images are needed, and unsubscribes while they are not."""
        wanted = self._state() == "on"
        if not wanted:
            self._watchdog.not_waiting()
        if wanted == self._input.listening:
            return
        self._stamps.forget()
        self._input.listen(wanted)
        if not wanted and self._slot.clear():
            self._counters.count("replaced")

    def _on_enable(self, request: SetBool.Request, response: SetBool.Response) -> SetBool.Response:
        self._enabled = request.data
        try:
            self._update_subscription()
        except Exception as error:  # rcl's: who asks must have an answer
            response.message = reason_of(error)
            return response
        response.success = True
        response.message = {"on": "enabled", "idle": "enabled; nobody listens", "off": "disabled"}[self._state()]
        return response

    def _on_parameters(self, parameters: list[Parameter]) -> SetParametersResult:
        """Checks all, then takes over all: the set is atomic. Read-only ones were refused before."""
        try:
            new = {parameter.name: parameter.value for parameter in parameters}
            settings = updated(self._settings, new)
            reloads = not new.keys().isdisjoint(_RELOADS)
            engine = self._load(settings) if reloads else make_engine(settings, self._pipeline.engine)
        except Exception as error:  # whatever a value makes of libraries and system: it must not end the node
            reason = reason_of(error)
            self._log.warning("parameters", f"parameters stay as they are: {reason}")
            return SetParametersResult(successful=False, reason=reason)
        before = self._pipeline.engine.detector
        self._pipeline.engine = engine
        if engine.detector is not before:
            self._replaced = weakref.ref(before)
        self._settings = settings
        self._pipeline.debug = settings.debug
        self._watchdog.timeout_s = settings.image_timeout
        return SetParametersResult(successful=True)

    def _load(self, settings: NodeSettings) -> Engine:
        """A new engine that has answered the last image. The old one answers images meanwhile."""
        future = self._loader.submit(lambda: try_model(make_engine(settings), self._pipeline.image))
        while not future.done() and self.context.ok():
            if not self._input.pump():
                time.sleep(0.002)
        engine = future.result()
        self.get_logger().info(f"model {engine.detector.model_path}, threads {engine.threads}: in use from now on")
        return engine

    def _publish_diagnostics(self) -> None:
        """/diagnostics, and every ten seconds a line in the log."""
        summary, state = self._counters.summary(), self._state()
        self._input.count_publishers()
        engine, image = self._pipeline.engine, self._pipeline.image
        health = Health(
            summary=summary,
            state=state,
            silent=self._watchdog.silent,
            topic=self._input.topic,
            image="none yet" if image is None else f"{image.pixels.shape[1]}x{image.pixels.shape[0]}",
            model=str(engine.detector.model_path),
            run_id=engine.detector.metadata.run_id,
            threads=engine.threads,
            last_error=self._log.last(),
        )
        stamp = self.get_clock().now().to_msg()
        self._diagnostics.publish(to_diagnostics(self.get_fully_qualified_name(), health, stamp))
        if self._replaced is not None and self._replaced() is None:  # before, the worker may have been at it
            self._replaced = None
            trim_heap()
        self._until_report -= 1
        if self._until_report == 0:
            self._until_report = _REPORT_EVERY
            self._report(summary)

    def _report(self, summary: Summary) -> None:
        if summary.recent["received"] == 0:
            return
        self.get_logger().info(report_line(summary))
        lost, received = summary.recent["lost"], summary.recent["received"]
        if lost >= _LEAST_LOST and summary.lost_share > MOST_LOST:
            sentence = (
                f"{self._input.topic}: of {lost + received} images sent in {summary.seconds:.0f} s {lost} did "
                f"not arrive ({summary.lost_share:.0%}): {LOSS_ADVICE}"
            )
            self._log.warning("loss", sentence, _LOSS_PERIOD_S)

    def destroy_node(self) -> None:
        """Ends the worker first: it publishes on what is destroyed here."""
        if hasattr(self, "_worker"):
            self._worker.stop(_PATIENCE_S)
            self._loader.shutdown(wait=False)
            if self._recorder is not None:
                closing = threading.Thread(target=self._recorder.close, daemon=True)
                closing.start()
                closing.join(_PATIENCE_S)  # a disk may hang
        super().destroy_node()


def _recorder(settings: NodeSettings) -> Recorder | None:
    if not settings.record_folder:
        return None
    threshold = settings.score_threshold
    return Recorder(
        resolved(settings.record_folder),
        max_bytes=settings.record_max_mb * 1_000_000,
        max_per_second=settings.record_per_second,
        score_band=(max(0.0, threshold - UNSURE), threshold + UNSURE),
    )


def main(arguments: Sequence[str] | None = None) -> int:
    """Runs the node; returns the exit code."""
    flush_denormals()
    return run("detector_node", DetectorNode, arguments)


if __name__ == "__main__":
    sys.exit(main())
