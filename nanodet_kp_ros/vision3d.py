"""Plates with a pose as vision_msgs/Detection3DArray, where that package is installed."""

from __future__ import annotations

from collections.abc import Sequence

from geometry_msgs.msg import Vector3
from std_msgs.msg import Header

from nanodet_kp_core.plate import BAR_LENGTH, LARGE_WIDTH, SMALL_WIDTH
from nanodet_kp_core.runtime.detection.detector import Detections
from nanodet_kp_core.runtime.poses.pose import Pose
from nanodet_kp_ros.messages import to_pose

try:  # no dependency of this package: its users have it
    from vision_msgs.msg import Detection3D, Detection3DArray, ObjectHypothesisWithPose

    AVAILABLE = True
except ImportError:
    AVAILABLE = False

_THICKNESS_M = 0.01  # nothing that was measured: viewers leave out a box without any


def to_detection3d_array(detections: Detections, poses: Sequence[Pose | None], header: Header) -> Detection3DArray:
    """The plates that have a pose, in their order: label, score, pose, and a box around the ends of their bars.

    The box has the plate's axes: x to its right, y down its front, z into it. poses: one for each plate, or none at
    all. Call it only when AVAILABLE.
    """
    message = Detection3DArray(header=header)
    for label, score, pose in zip(detections.labels, detections.scores, poses):
        if pose is not None:
            message.detections.append(_detection(label, float(score), pose, header))
    return message


def _detection(label: str, score: float, pose: Pose, header: Header) -> Detection3D:
    found = ObjectHypothesisWithPose()
    found.hypothesis.class_id = label
    found.hypothesis.score = score
    found.pose.pose = to_pose(pose)
    entry = Detection3D(header=header, results=[found])
    entry.bbox.center = to_pose(pose)
    entry.bbox.size = Vector3(x=LARGE_WIDTH if pose.large else SMALL_WIDTH, y=BAR_LENGTH, z=_THICKNESS_M)
    return entry
