"""Says why no image arrives: once for each silence, and again when the reason has changed."""

from __future__ import annotations

import time

from rclpy.clock import Clock, ClockType
from rclpy.node import Node
from rclpy.qos import QoSProfile, ReliabilityPolicy

IMAGE_TYPES = ("sensor_msgs/msg/Image", "sensor_msgs/msg/CompressedImage")

LOSS_ADVICE = (
    "start the publisher with the environment variable FASTDDS_DEFAULT_PROFILES_FILE (Humble, Jazzy: "
    "FASTRTPS_DEFAULT_PROFILES_FILE) set to this package's config/fastdds_images.xml, or send smaller or compressed "
    "images"
)


class Watchdog:
    """Warns when no image came for `timeout_s` seconds: who publishes on the topic, with which QoS, and what else does.

    topic: the resolved name. message_type: the type that the node takes, such as "sensor_msgs/msg/Image".
    """

    def __init__(self, node: Node, topic: str, message_type: str, qos: QoSProfile, timeout_s: float) -> None:
        self.timeout_s = timeout_s
        self._node = node
        self._topic = topic
        self._message_type = message_type
        self._qos = qos
        self._last = time.monotonic()
        self._due = self._last + timeout_s
        self._said = ""
        # On a steady clock: with use_sim_time and a paused simulation the node's own clock stands still.
        clock = Clock(clock_type=ClockType.STEADY_TIME)
        self._timer = node.create_timer(min(0.5, timeout_s / 6), self._check, clock=clock)

    def image_arrived(self) -> None:
        """Starts the time anew, and allows one more warning. Also for while nobody waits for images."""
        self._last = time.monotonic()
        self._due = self._last + self.timeout_s
        self._said = ""

    @property
    def silent(self) -> bool:
        """Whether no image came for `timeout_s` seconds."""
        return time.monotonic() - self._last > self.timeout_s

    def _check(self) -> None:
        if time.monotonic() < self._due:
            return
        self._due = time.monotonic() + self.timeout_s
        report = self.report()
        # A camera that starts late, on another topic, is worth a second word; the same sentence is not.
        if report != self._said:
            self._node.get_logger().warning(report)
        self._said = report

    def report(self) -> str:
        """The warning: topic, its publishers and their QoS, ours, other topics with images, and what to do."""
        publishers = self._node.get_publishers_info_by_topic(self._topic)
        others = self._other_topics()
        listed = "; ".join(
            f"{info.node_namespace.rstrip('/')}/{info.node_name} sends {info.topic_type}, "
            f"{_reliability(info.qos_profile)}"
            for info in publishers
        )
        parts = [
            f"no image on {self._topic} for {self.timeout_s:g} s: expected {self._message_type}, "
            f"{_reliability(self._qos)}; it has {len(publishers)} publisher{'' if len(publishers) == 1 else 's'}"
            + (f" ({listed})" if listed else ""),
            f"Other topics that carry images: {', '.join(others) if others else 'none'}",
            self._advice([info.topic_type for info in publishers], bool(others)),
        ]
        return ". ".join(parts) + "."

    def _advice(self, types: list[str], others: bool) -> str:
        if self._message_type in types and self._qos.reliability == ReliabilityPolicy.RELIABLE:
            return "Set image_qos to best_effort, which receives from both kinds of publisher"
        if self._message_type in types:
            return f"If it does send, large images are lost on the way: {LOSS_ADVICE}"
        if types and not set(types) & set(IMAGE_TYPES):
            return "That is no image: remap image_raw to the camera's image (launch argument image:=TOPIC)"
        if types:
            return "The type is another one: remap image_raw to the raw image, and set image_transport as it needs"
        if others:
            return "Remap image_raw to one of them (launch argument image:=TOPIC), with image_transport as it needs"
        return "Start the camera, and give it the same ROS_DOMAIN_ID"

    def _other_topics(self) -> list[str]:
        return [
            f"{name} ({types[0]})"
            for name, types in sorted(self._node.get_topic_names_and_types())
            if name != self._topic and types[0] in IMAGE_TYPES and self._is_input(name)
        ]

    def _is_input(self, topic: str) -> bool:
        """Whether a node other than ours publishes on it; our own annotated image would only mislead."""
        own = (self._node.get_name(), self._node.get_namespace())
        publishers = self._node.get_publishers_info_by_topic(topic)
        return any((info.node_name, info.node_namespace) != own for info in publishers)


def _reliability(qos: QoSProfile) -> str:
    return {ReliabilityPolicy.RELIABLE: "reliable", ReliabilityPolicy.BEST_EFFORT: "best effort"}.get(
        qos.reliability, "unknown reliability"
    )
