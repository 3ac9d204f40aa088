"""The node: images in, `armors` out. `ros2 run nanodet_kp_ros detector_node`, or the launch file."""

from __future__ import annotations

import sys
import time
from collections.abc import Sequence

import numpy as np
from rcl_interfaces.msg import SetParametersResult
from rclpy.node import Node
from rclpy.parameter import Parameter
from rclpy.time import Time
from sensor_msgs.msg import CompressedImage, Image

from nanodet_kp_core.errors import ConfigError, ImageError
from nanodet_kp_core.runtime.detector import Detector
from nanodet_kp_core.runtime.draw import draw
from nanodet_kp_ros.images import from_compressed, from_image, to_image
from nanodet_kp_ros.messages import to_armor_array
from nanodet_kp_ros.msg import ArmorArray
from nanodet_kp_ros.parameters import Setting, checked, declare
from nanodet_kp_ros.qos import armors_qos, image_qos
from nanodet_kp_ros.runner import run
from nanodet_kp_ros.watchdog import Watchdog

SETTINGS = (
    Setting("model", "", "ONNX model with nanodet_kp metadata; empty: the bundled one"),
    Setting("score_threshold", 0.5, "plates with a lower score are left out", 0.0, 1.0, live=True),
    Setting("nms_threshold", 0.5, "of two plates that overlap more (IoU), the better one stays", 0.0, 1.0, live=True),
    Setting("max_detections", 50, "most plates in one message", 1, 1000, live=True),
    Setting("threads", 2, "threads of onnxruntime for one image", 1, 64),
    Setting("image_transport", "raw", "what the camera sends", choices=("raw", "compressed")),
    Setting("image_qos", "best_effort", "best_effort receives from both kinds of publisher",
            choices=("best_effort", "reliable")),
    Setting("image_timeout", 3.0, "seconds without an image until the warning", 0.1, 3600.0),
)  # fmt: skip

_REPORT_PERIOD_S = 10.0
_ERROR_PERIOD_S = 5.0


class DetectorNode(Node):
    """Runs the detector on the latest image of `image_raw` and publishes what it finds, with the image's header.

    Raises ConfigError for a parameter and ModelError for a model that cannot be used.
    """

    def __init__(self) -> None:
        super().__init__("detector_node")
        values = declare(self, SETTINGS)
        self._detector = Detector(
            values["model"] or None,
            threads=values["threads"],
            score_threshold=values["score_threshold"],
            nms_threshold=values["nms_threshold"],
            max_detections=values["max_detections"],
        )
        self.add_on_set_parameters_callback(self._on_parameters)
        self._latencies_ms: list[float] = []
        self._inference_ms: list[float] = []
        self._reported = time.monotonic()
        self._armors = self.create_publisher(ArmorArray, "armors", armors_qos())
        # Reliable, because image viewers ask for either kind.
        self._annotated = self.create_publisher(Image, "armors/image", image_qos("reliable"))
        self._subscribe(values["image_transport"], values["image_qos"], values["image_timeout"])

    def _subscribe(self, transport: str, reliability: str, timeout_s: float) -> None:
        # As image_transport does it: the compressed topic follows the remapped name of the raw one.
        topic = self.resolve_topic_name("image_raw")
        message_type, convert = Image, from_image
        if transport == "compressed":
            topic, message_type, convert = f"{topic}/compressed", CompressedImage, from_compressed
        qos = image_qos(reliability)
        self._convert = convert
        # Depth 1: while one image is worked on the middleware keeps the newest of those that come, and drops the rest.
        self._subscription = self.create_subscription(message_type, topic, self._on_image, qos)
        self._watchdog = Watchdog(self, topic, f"sensor_msgs/msg/{message_type.__name__}", qos, timeout_s)
        self.get_logger().info(f"model {self._detector.model_path}: {topic} -> {self._armors.topic_name}")

    def _on_image(self, message: Image | CompressedImage) -> None:
        self._watchdog.image_arrived()
        try:
            image = self._convert(message)
        except ImageError as error:
            self.get_logger().error(str(error), throttle_duration_sec=_ERROR_PERIOD_S)
            return
        started = time.perf_counter()
        detections = self._detector(image)
        self._inference_ms.append(1e3 * (time.perf_counter() - started))
        height, width = image.shape[:2]
        self._armors.publish(to_armor_array(detections, message.header, width, height))
        self._latencies_ms.append((self.get_clock().now() - Time.from_msg(message.header.stamp)).nanoseconds / 1e6)
        if self._annotated.get_subscription_count() > 0:
            self._annotated.publish(to_image(draw(image, detections), message.header))
        self._report()

    def _report(self) -> None:
        """Every ten seconds one line with the rate, the time in the detector and the age of the result."""
        elapsed = time.monotonic() - self._reported
        if elapsed < _REPORT_PERIOD_S:
            return
        rate = len(self._latencies_ms) / elapsed
        inference, latency = np.median(self._inference_ms), np.median(self._latencies_ms)
        self.get_logger().info(
            f"{rate:.1f} images/s, detector {inference:.1f} ms, image stamp to publish {latency:.1f} ms (medians)"
        )
        self._inference_ms.clear()
        self._latencies_ms.clear()
        self._reported = time.monotonic()

    def _on_parameters(self, parameters: list[Parameter]) -> SetParametersResult:
        """Checks all, then takes over all: the set is atomic. Read-only ones were refused before."""
        live = {setting.name: setting for setting in SETTINGS if setting.live}
        try:
            values = {p.name: checked(live[p.name], p.value) for p in parameters if p.name in live}
        except ConfigError as error:
            return SetParametersResult(successful=False, reason=str(error))
        for name, value in values.items():
            setattr(self._detector, name, value)
        return SetParametersResult(successful=True)


def main(arguments: Sequence[str] | None = None) -> int:
    """Runs the node; returns the exit code."""
    return run("detector_node", DetectorNode, arguments)


if __name__ == "__main__":
    sys.exit(main())
