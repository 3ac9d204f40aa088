"""Publishers whose quality of service the user may change by ROS's own parameters."""

from __future__ import annotations

from typing import TypeVar

from rclpy.node import Node
from rclpy.publisher import Publisher
from rclpy.qos import QoSProfile
from rclpy.qos_overriding_options import QoSOverridingOptions

Message = TypeVar("Message")


def create_publisher(node: Node, message_type: type[Message], topic: str, qos: QoSProfile) -> Publisher[Message]:
    """A publisher on `topic`, with qos_overrides.TOPIC.publisher.reliability, .history and .depth as parameters.

    TOPIC is the resolved name, such as /armors. Raises RuntimeError for a value that is no policy.
    """
    options = QoSOverridingOptions.with_default_policies()
    return node.create_publisher(message_type, topic, qos, qos_overriding_options=options)
