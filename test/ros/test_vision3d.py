"""Detection3DArray, with stand-ins of the fields that vision_msgs 4 (Humble, Jazzy, Kilted) has."""

import importlib
import sys
import types

import numpy as np
import pytest

pytest.importorskip("rclpy", reason="needs ROS 2: make setup, or source an installation")

from geometry_msgs.msg import Pose as PoseMessage
from geometry_msgs.msg import PoseWithCovariance, Vector3
from std_msgs.msg import Header
from test_vision import FOUND, stand_in

from nanodet_kp_core.runtime.poses.pose import Pose
from nanodet_kp_ros import vision3d
from nanodet_kp_ros.messages import to_pose

TURN = np.array([[0.0, 0, 1], [0, 1, 0], [-1, 0, 0]])
HEADER = Header(frame_id="optical")


@pytest.fixture
def installed(monkeypatch):
    """nanodet_kp_ros.vision3d where vision_msgs is installed."""
    box = stand_in("BoundingBox3D", center=PoseMessage, size=Vector3)
    hypothesis = stand_in("ObjectHypothesis", class_id=str, score=float)
    messages = types.ModuleType("vision_msgs.msg")
    messages.ObjectHypothesisWithPose = stand_in("WithPose", hypothesis=hypothesis, pose=PoseWithCovariance)
    messages.Detection3D = stand_in("Detection3D", header=Header, results=list, bbox=box, id=str)
    messages.Detection3DArray = stand_in("Detection3DArray", header=Header, detections=list)
    package = types.ModuleType("vision_msgs")
    package.msg = messages
    monkeypatch.setitem(sys.modules, "vision_msgs", package)
    monkeypatch.setitem(sys.modules, "vision_msgs.msg", messages)
    yield importlib.reload(vision3d)
    monkeypatch.undo()
    importlib.reload(vision3d)


@pytest.mark.parametrize(("large", "width"), [(False, 0.135), (True, 0.23)])
def test_a_plate_with_its_pose_and_size(installed, large, width):
    assert installed.AVAILABLE
    pose = Pose(np.array([1.0, 2, 3]), TURN, 0.1, large)
    message = installed.to_detection3d_array(FOUND, [None, pose], HEADER)
    assert message.header == HEADER
    (entry,) = message.detections  # a plate without a pose is nowhere in space
    assert entry.header == HEADER
    (result,) = entry.results
    assert (result.hypothesis.class_id, result.hypothesis.score) == ("B_3", pytest.approx(0.6))
    assert result.pose.pose == entry.bbox.center == to_pose(pose)
    assert (entry.bbox.size.x, entry.bbox.size.y) == (width, 0.056)
    assert 0 < entry.bbox.size.z < 0.02


def test_the_order_is_that_of_the_plates(installed):
    poses = [Pose(np.array([0, 0, z]), TURN, 0.1, False) for z in (1.0, 2.0)]
    message = installed.to_detection3d_array(FOUND, poses, HEADER)
    assert [entry.results[0].hypothesis.class_id for entry in message.detections] == ["R_1", "B_3"]
    assert [entry.bbox.center.position.z for entry in message.detections] == [1, 2]


@pytest.mark.parametrize("poses", [[], [None, None]])
def test_without_poses(installed, poses):
    assert installed.to_detection3d_array(FOUND, poses, HEADER).detections == []


def test_where_vision_msgs_is_missing(monkeypatch):
    monkeypatch.setitem(sys.modules, "vision_msgs", None)
    monkeypatch.setitem(sys.modules, "vision_msgs.msg", None)
    assert not importlib.reload(vision3d).AVAILABLE
    monkeypatch.undo()
    importlib.reload(vision3d)
