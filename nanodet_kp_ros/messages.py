"""Detections become an ArmorArray, and poses become geometry messages."""

from __future__ import annotations

import math
from collections.abc import Sequence

import cv2
import numpy as np
from geometry_msgs.msg import Point, Quaternion
from geometry_msgs.msg import Pose as PoseMessage
from std_msgs.msg import Header

from nanodet_kp_core.classes import split_label
from nanodet_kp_core.runtime.detection.detector import Detections
from nanodet_kp_core.runtime.poses.pose import Pose
from nanodet_kp_ros.msg import Armor, ArmorArray, Point2D

_COLORS = {"B": Armor.COLOR_BLUE, "R": Armor.COLOR_RED, "N": Armor.COLOR_NONE, "P": Armor.COLOR_PURPLE}


def to_armor_array(
    detections: Detections, header: Header, width: int, height: int, poses: Sequence[Pose | None] = ()
) -> ArmorArray:
    """An array with the detections in their order, best first.

    header: that of the image, kept as it is. width, height: size of the image in pixels. poses: one for each detection
    (None where it has none), or none at all.
    """
    message = ArmorArray(header=header, image_width=width, image_height=height)
    message.armors = [
        _to_armor(detections, row, label, poses[row] if poses else None) for row, label in enumerate(detections.labels)
    ]
    return message


def _to_armor(detections: Detections, row: int, label: str, pose: Pose | None) -> Armor:
    color, number = split_label(detections.class_names[int(detections.class_ids[row])])
    armor = Armor(label=label, score=float(detections.scores[row]), number_score=float(detections.number_scores[row]))
    armor.number = number if detections.number_known[row] else ""
    armor.color = Armor.COLOR_UNKNOWN if color is None else _COLORS[color]
    armor.bbox = detections.boxes[row].astype("float32")
    armor.corners = [Point2D(x=float(x), y=float(y)) for x, y in detections.corners[row]]
    if pose is not None:
        armor.has_pose = True
        armor.pose = to_pose(pose)
        armor.reprojection_error = float(pose.reprojection_error)
    if pose is not None and pose.other is not None:
        armor.has_other_pose = True
        armor.other_pose = to_pose(pose.other)
        armor.other_reprojection_error = float(pose.other.reprojection_error)
    return armor


def to_pose(pose: Pose) -> PoseMessage:
    """Middle of the plate in the optical frame, and the turn from the plate's axes (right, down, inward) to it."""
    x, y, z = (float(value) for value in pose.position)
    return PoseMessage(position=Point(x=x, y=y, z=z), orientation=_quaternion(pose.rotation))


def _quaternion(rotation: np.ndarray) -> Quaternion:
    """Of a rotation matrix [3, 3]."""
    turn = cv2.Rodrigues(rotation)[0].ravel()  # its axis, as long as its angle
    angle = float(np.linalg.norm(turn))
    x, y, z = (float(value) for value in turn * (math.sin(angle / 2) / angle if angle else 0.0))
    return Quaternion(x=x, y=y, z=z, w=math.cos(angle / 2))
