"""Markers: where the plates are, what is written beside them, and that old ones go."""

from dataclasses import replace

import numpy as np
import pytest

pytest.importorskip("rclpy", reason="needs ROS 2: make setup, or source an installation")

from builtin_interfaces.msg import Time
from std_msgs.msg import Header
from visualization_msgs.msg import Marker

from nanodet_kp_core.runtime.detection.detector import Detections
from nanodet_kp_core.runtime.poses.pose import Pose
from nanodet_kp_ros.markers import to_markers

HEADER = Header(stamp=Time(sec=3), frame_id="optical")
TURN = np.array([[0.0, 0, 1], [0, 1, 0], [-1, 0, 0]])


def detections(*labels):
    count = len(labels)
    corners = np.zeros((count, 4, 2), np.float32)
    return Detections(
        np.full(count, 0.75, np.float32), np.arange(count), np.zeros((count, 4), np.float32), corners, labels
    )


def pose(large=False):
    return Pose(np.array([0.5, 0.25, 2.0]), TURN, 0.3, large)


def in_camera(marker):
    """The marker's points in its frame."""
    points = np.array([[p.x, p.y, p.z] for p in marker.points])
    return points @ TURN.T + [marker.pose.position.x, marker.pose.position.y, marker.pose.position.z]


def test_a_plate():
    first, outline, text = to_markers(detections("B_3"), [pose()], HEADER).markers
    assert first.action == Marker.DELETEALL
    assert outline.type == Marker.LINE_LIST
    assert outline.scale.x > 0
    half, length = 0.135 / 2, 0.056 / 2
    flat = ((-half, -length), (-half, length), (half, length), (half, -length))
    corners = [[0.5, 0.25 + y, 2.0 - x] for x, y in flat]
    found = in_camera(outline)
    np.testing.assert_allclose(found[0:8:2], corners)
    np.testing.assert_allclose(found[1:8:2], np.roll(corners, -1, axis=0))
    # Out of its front: the plate's inward axis is the camera's x here.
    np.testing.assert_allclose(found[8:], [[0.5, 0.25, 2.0], [0.4, 0.25, 2.0]])
    assert text.type == Marker.TEXT_VIEW_FACING
    assert text.text == "B_3 0.75\n2.08 m"
    assert text.pose.position.y < 0.25
    assert outline.color.b > outline.color.r
    for marker in (outline, text):
        assert marker.header == HEADER
        assert marker.action == Marker.ADD
        assert marker.color.a == 1.0
        assert 0 < marker.lifetime.sec + marker.lifetime.nanosec / 1e9 <= 1


def test_a_plate_of_unknown_number_is_written_and_colored_by_its_color():
    found = replace(detections("B_3"), number_scores=np.array([0.4], np.float32), number_threshold=0.5)
    outline, text = to_markers(found, [pose()], HEADER).markers[1:]
    assert text.text == "B 0.75\n2.08 m"
    assert outline.color.b > outline.color.r


def test_a_large_plate_is_drawn_large():
    outline = to_markers(detections("armor"), [pose(large=True)], HEADER).markers[1]
    points = in_camera(outline)
    assert np.ptp(points[:, 2]) == pytest.approx(0.23)


def test_each_plate_has_markers_of_its_own():
    message = to_markers(detections("B_3", "R_1", "armor"), [pose(), None, pose()], HEADER)
    drawn = message.markers[1:]
    assert len(drawn) == 4
    assert len({(marker.ns, marker.id) for marker in drawn}) == 4


@pytest.mark.parametrize("poses", [[], [None, None]])
def test_without_poses_nothing_is_drawn_and_the_old_is_deleted(poses):
    (marker,) = to_markers(detections("B_3", "R_1"), poses, HEADER).markers
    assert marker.action == Marker.DELETEALL
    assert marker.header == HEADER


def test_no_plates():
    assert [m.action for m in to_markers(detections(), [], HEADER).markers] == [Marker.DELETEALL]
