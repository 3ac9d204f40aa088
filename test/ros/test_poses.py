"""Poses as geometry messages."""

import math

import cv2
import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

pytest.importorskip("rclpy", reason="needs ROS 2: make setup, or source an installation")

from nanodet_kp_core.runtime.poses.pose import Pose
from nanodet_kp_ros.messages import to_pose


def rotation_of(q):
    """Of a unit quaternion, by the usual formula."""
    x, y, z, w = q.x, q.y, q.z, q.w
    return np.array([
        [1 - 2 * (y * y + z * z), 2 * (x * y - z * w), 2 * (x * z + y * w)],
        [2 * (x * y + z * w), 1 - 2 * (x * x + z * z), 2 * (y * z - x * w)],
        [2 * (x * z - y * w), 2 * (y * z + x * w), 1 - 2 * (x * x + y * y)],
    ])  # fmt: skip


@given(axis=st.lists(st.floats(-1, 1), min_size=3, max_size=3).filter(lambda v: np.linalg.norm(v) > 0.1),
       angle=st.floats(0, math.pi))  # fmt: skip
def test_the_quaternion_turns_as_the_matrix(axis, angle):
    rotation = cv2.Rodrigues(np.array(axis) / np.linalg.norm(axis) * angle)[0]
    message = to_pose(Pose(np.array([1.0, -2.0, 3.0]), rotation, 0.1, False))
    np.testing.assert_allclose(rotation_of(message.orientation), rotation, atol=1e-6)
    assert (message.position.x, message.position.y, message.position.z) == (1.0, -2.0, 3.0)


@pytest.mark.parametrize("diagonal", [(1, 1, 1), (1, -1, -1), (-1, 1, -1), (-1, -1, 1)])
def test_half_turns(diagonal):
    rotation = np.diag(np.array(diagonal, float))
    message = to_pose(Pose(np.zeros(3), rotation, 0.1, False))
    np.testing.assert_allclose(rotation_of(message.orientation), rotation, atol=1e-6)
