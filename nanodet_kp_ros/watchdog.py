"""Says why no image arrives: once for each silence, and again when the reason has changed."""

from __future__ import annotations

import os
import time

from rclpy.clock import Clock, ClockType
from rclpy.node import Node
from rclpy.qos import QoSProfile, ReliabilityPolicy
from rclpy.topic_endpoint_info import TopicEndpointInfo

from nanodet_kp_ros.silence import IMAGE_TYPES, Silence

_ANSWERS = "nanodet_kp_ros/msg/ArmorArray"


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
        self._came = False
        self._awaited = False  # a publisher of what we take is there, and had its time to begin
        # On a steady clock: with use_sim_time and a paused simulation the node's own clock stands still.
        clock = Clock(clock_type=ClockType.STEADY_TIME)
        self._timer = node.create_timer(min(0.5, timeout_s / 6), self._check, clock=clock)

    def image_arrived(self) -> None:
        """Starts the time anew, and allows one more warning."""
        self._came = True
        self.not_waiting()

    def not_waiting(self) -> None:
        """The same without an image: nobody needs one now."""
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
        if not self._came and self._publisher_is_new():
            return
        report = self.report()
        # A camera that starts late, on another topic, is worth a second word; the same sentence is not.
        if report != self._said:
            self._node.get_logger().warning(report)
        self._said = report

    def _publisher_is_new(self) -> bool:
        """Whether a fitting publisher was seen for the first time: a camera takes seconds to open after that."""
        fits = any(info.topic_type == self._message_type for info in self._infos(self._topic))
        new, self._awaited = fits and not self._awaited, fits
        return new

    def report(self) -> str:
        """The warning: topic, its publishers and their QoS, ours, other topics with images, and what to do."""
        publishers = self._node.get_publishers_info_by_topic(self._topic)
        others = self._other_topics()
        silence = Silence(
            topic=self._topic,
            wanted=self._message_type,
            reliable=self._qos.reliability == ReliabilityPolicy.RELIABLE,
            types=[info.topic_type for info in publishers],
            others=others,
            came=self._came,
            environment=os.environ,
        )
        listed = "; ".join(
            f"{info.node_namespace.rstrip('/')}/{info.node_name} sends {info.topic_type}, "
            f"{_reliability(info.qos_profile)}"
            for info in publishers
        )
        parts = [
            f"no image on {self._topic} for {self.timeout_s:g} s: expected {self._message_type}, "
            f"{_reliability(self._qos)}; it has {len(publishers)} publisher{'' if len(publishers) == 1 else 's'}"
            + (f" ({listed})" if listed else ""),
            f"Other topics that carry images: {', '.join(f'{name} ({kind})' for name, kind in others) or 'none'}",
            silence.advice(),
        ]
        return ". ".join(parts) + "."

    def _other_topics(self) -> list[tuple[str, str]]:
        found = dict(sorted(self._node.get_topic_names_and_types()))
        detectors = {_owner(info) for name, types in found.items() if _ANSWERS in types for info in self._infos(name)}
        return [
            (name, kind)
            for name, types in found.items()
            for kind in types
            if kind in IMAGE_TYPES
            and name != self._topic
            and not name.lower().endswith("depth")
            # What only detectors publish, we or others, is a drawing.
            and any(_owner(info) not in detectors for info in self._infos(name))
        ]

    def _infos(self, topic: str) -> list[TopicEndpointInfo]:
        return self._node.get_publishers_info_by_topic(topic)


def _owner(info: TopicEndpointInfo) -> tuple[str, str]:
    return info.node_name, info.node_namespace


def _reliability(qos: QoSProfile) -> str:
    return {ReliabilityPolicy.RELIABLE: "reliable", ReliabilityPolicy.BEST_EFFORT: "best effort"}.get(
        qos.reliability, "unknown reliability"
    )
