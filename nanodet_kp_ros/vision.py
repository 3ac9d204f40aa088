"""Detections as vision_msgs/Detection2DArray, where that package is installed."""

from __future__ import annotations

from collections.abc import Sequence

from std_msgs.msg import Header

from nanodet_kp_core.runtime.detection.detector import Detections
from nanodet_kp_core.runtime.poses.pose import Pose
from nanodet_kp_ros.messages import to_pose

try:  # no dependency of this package: its users have it
    from vision_msgs.msg import Detection2D, Detection2DArray, ObjectHypothesisWithPose

    AVAILABLE = True
except ImportError:
    AVAILABLE = False


def to_detection2d_array(detections: Detections, poses: Sequence[Pose | None], header: Header) -> Detection2DArray:
    """The same plates in the same order: label, score, box, and the pose where there is one. The label is the class
    name, or the color alone where the number is unknown.

    vision_msgs has no field for corners. A plate without a pose has the covariance -1 at the first place.
    poses: one for each plate, or none at all. Call it only when AVAILABLE.
    """
    message = Detection2DArray(header=header)
    for row, label in enumerate(detections.labels):
        pose = poses[row] if poses else None
        message.detections.append(_detection(detections, row, label, pose, header))
    return message


def _detection(detections: Detections, row: int, label: str, pose: Pose | None, header: Header) -> Detection2D:
    found = ObjectHypothesisWithPose()
    found.hypothesis.class_id = label
    found.hypothesis.score = float(detections.scores[row])
    if pose is None:
        found.pose.covariance[0] = -1.0  # as sensor_msgs/Imu says that it has none
    else:
        found.pose.pose = to_pose(pose)
    left, top, right, bottom = (float(value) for value in detections.boxes[row])
    entry = Detection2D(header=header, results=[found])
    entry.bbox.center.position.x, entry.bbox.center.position.y = (left + right) / 2, (top + bottom) / 2
    entry.bbox.size_x, entry.bbox.size_y = right - left, bottom - top
    return entry
