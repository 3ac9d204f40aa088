"""Plates with a pose as frames of tf2. They are named by what they are, as apriltag_ros names its tags."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
from geometry_msgs.msg import Transform, TransformStamped, Vector3
from rclpy.impl.rcutils_logger import RcutilsLogger
from rclpy.qos import QoSProfile
from std_msgs.msg import Header

from nanodet_kp_core.runtime.detection.detector import Detections
from nanodet_kp_core.runtime.poses.pose import Pose
from nanodet_kp_ros.messages import to_pose

try:  # comes with every ROS installation, but is no wheel
    from tf2_msgs.msg import TFMessage

    AVAILABLE = True
except ImportError:
    AVAILABLE = False

TOPIC = "/tf"
MISSING = (
    "parameter publish_tf: expected the package tf2_msgs, which is not installed here; the node goes on without tf, "
    "install ros-DISTRO-tf2-msgs and start it again"
)
_TOLD_EVERY_S = 60.0


def tf_qos() -> QoSProfile:
    """As tf2_ros publishes: reliable, for listeners that are late for a moment."""
    return QoSProfile(depth=100)


class PlateFrames:
    """Transforms from the image's frame to each plate's. namespace: of the node, before the name of each frame."""

    def __init__(self, namespace: str, logger: RcutilsLogger) -> None:
        self._prefix = f"{namespace.strip('/')}/".lstrip("/")
        self._logger = logger

    def message(self, detections: Detections, poses: Sequence[Pose | None], header: Header) -> TFMessage | None:
        """None without a pose, and where the image has no frame. Call it only when AVAILABLE.

        poses: one for each plate, or none at all.
        """
        posed = [(row, pose) for row, pose in enumerate(poses) if pose is not None]
        if not posed:
            return None
        if not header.frame_id:
            self._logger.warning(
                "parameter publish_tf: expected images with a frame_id, got an empty one; set the frame of the camera "
                "driver",
                throttle_duration_sec=_TOLD_EVERY_S,
            )
            return None
        names = frame_names(detections.labels, detections.corners)
        return TFMessage(transforms=[_transform(pose, self._prefix + names[row], header) for row, pose in posed])


def frame_names(labels: Sequence[str], corners: np.ndarray) -> list[str]:
    """ "armor_B_3"; of several with one label the leftmost has that name, the next are "armor_B_3:1", "armor_B_3:2".

    From left to right, because their order by score changes from image to image. corners: [K, 4, 2] pixels.
    """
    names, seen = [""] * len(labels), dict.fromkeys(labels, 0)
    for row in np.argsort(corners.mean(axis=1)[:, 0], kind="stable"):
        label = labels[row]
        names[row] = f"armor_{label}:{seen[label]}" if seen[label] else f"armor_{label}"
        seen[label] += 1
    return names


def _transform(pose: Pose, name: str, header: Header) -> TransformStamped:
    message = to_pose(pose)
    place = message.position
    moved = Transform(translation=Vector3(x=place.x, y=place.y, z=place.z), rotation=message.orientation)
    return TransformStamped(header=header, child_frame_id=name, transform=moved)
