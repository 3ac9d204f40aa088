"""Poses become geometry messages."""

from __future__ import annotations

import math

import cv2
import numpy as np
from geometry_msgs.msg import Point, Quaternion
from geometry_msgs.msg import Pose as PoseMessage

from nanodet_kp_core.runtime.poses.plate_poses import PlatePoses
from nanodet_kp_core.runtime.poses.pose import Pose

__all__ = ["PlatePoses", "to_pose"]


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
