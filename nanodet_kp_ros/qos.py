"""Quality-of-service profiles by the names that the parameters use."""

from __future__ import annotations

from rclpy.qos import HistoryPolicy, QoSProfile, ReliabilityPolicy

RELIABILITY = {"best_effort": ReliabilityPolicy.BEST_EFFORT, "reliable": ReliabilityPolicy.RELIABLE}


def image_qos(reliability: str) -> QoSProfile:
    """Only the latest image is kept: an older one is of no use to a robot."""
    return QoSProfile(history=HistoryPolicy.KEEP_LAST, depth=1, reliability=RELIABILITY[reliability])


def armors_qos() -> QoSProfile:
    """Reliable, so that subscribers of both kinds receive it; ten arrays, for a receiver that is late for a moment."""
    return QoSProfile(history=HistoryPolicy.KEEP_LAST, depth=10, reliability=ReliabilityPolicy.RELIABLE)
