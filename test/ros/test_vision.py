"""Detection2DArray, with stand-ins of the fields that vision_msgs 4 (Humble, Jazzy, Kilted) has."""

import importlib
import sys
import types
from dataclasses import replace

import numpy as np
import pytest

pytest.importorskip("rclpy", reason="needs ROS 2: make setup, or source an installation")

from geometry_msgs.msg import PoseWithCovariance
from std_msgs.msg import Header

from nanodet_kp_core.runtime.detection.detector import Detections
from nanodet_kp_core.runtime.poses.pose import Pose
from nanodet_kp_ros import vision


def stand_in(name, **fields):
    """A message class that refuses every other field, as those of ROS do."""

    def __init__(self, **values):
        for field, default in fields.items():
            setattr(self, field, values.pop(field, default()))
        assert not values, f"{name} has no {list(values)}"

    return type(name, (), {"__slots__": tuple(fields), "__init__": __init__})


@pytest.fixture
def installed(monkeypatch):
    """nanodet_kp_ros.vision where vision_msgs is installed."""
    point = stand_in("Point2D", x=float, y=float)
    pose = stand_in("Pose2D", position=point, theta=float)
    box = stand_in("BoundingBox2D", center=pose, size_x=float, size_y=float)
    hypothesis = stand_in("ObjectHypothesis", class_id=str, score=float)
    messages = types.ModuleType("vision_msgs.msg")
    messages.ObjectHypothesisWithPose = stand_in("WithPose", hypothesis=hypothesis, pose=PoseWithCovariance)
    messages.Detection2D = stand_in("Detection2D", header=Header, results=list, bbox=box, id=str)
    messages.Detection2DArray = stand_in("Detection2DArray", header=Header, detections=list)
    package = types.ModuleType("vision_msgs")
    package.msg = messages
    monkeypatch.setitem(sys.modules, "vision_msgs", package)
    monkeypatch.setitem(sys.modules, "vision_msgs.msg", messages)
    yield importlib.reload(vision)
    monkeypatch.undo()
    importlib.reload(vision)


FOUND = Detections(
    np.array([0.9, 0.6], np.float32),
    np.array([1, 0]),
    np.array([[10, 20, 50, 40], [-5, 0, 5, 8]], np.float32),
    np.zeros((2, 4, 2), np.float32),
    ("B_3", "R_1"),
)


def test_the_same_plates_in_the_same_order(installed):
    assert installed.AVAILABLE
    header = Header(frame_id="optical")
    message = installed.to_detection2d_array(FOUND, [None, Pose(np.array([1.0, 2, 3]), np.eye(3), 0.1, False)], header)
    assert message.header == header
    assert [found.results[0].hypothesis.class_id for found in message.detections] == ["R_1", "B_3"]
    assert [found.results[0].hypothesis.score for found in message.detections] == pytest.approx([0.9, 0.6])
    boxes = [found.bbox for found in message.detections]
    assert [(b.center.position.x, b.center.position.y, b.size_x, b.size_y) for b in boxes] == [
        (30, 30, 40, 20),
        (0, 4, 10, 8),
    ]
    first, second = (found.results[0].pose for found in message.detections)
    assert (first.covariance[0], second.covariance[0]) == (-1, 0)
    assert (second.pose.position.x, second.pose.position.z) == (1, 3)


def test_an_unknown_number(installed):
    found = replace(FOUND, number_scores=np.array([0.4, 0.6], np.float32), number_threshold=0.5)
    message = installed.to_detection2d_array(found, [], Header())
    assert [found.results[0].hypothesis.class_id for found in message.detections] == ["R", "B_3"]


def test_without_poses(installed):
    message = installed.to_detection2d_array(FOUND, [], Header())
    assert [found.results[0].pose.covariance[0] for found in message.detections] == [-1, -1]


def test_where_vision_msgs_is_missing(monkeypatch):
    monkeypatch.setitem(sys.modules, "vision_msgs", None)
    monkeypatch.setitem(sys.modules, "vision_msgs.msg", None)
    assert not importlib.reload(vision).AVAILABLE
    monkeypatch.undo()
    importlib.reload(vision)
