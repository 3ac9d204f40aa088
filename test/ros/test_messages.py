"""Detections -> ArmorArray, without DDS."""

from dataclasses import replace

import numpy as np
import pytest

pytest.importorskip("rclpy", reason="needs ROS 2: make setup, or source an installation")

from builtin_interfaces.msg import Time
from std_msgs.msg import Header

from nanodet_kp_core.runtime.detection.detector import Detections
from nanodet_kp_core.runtime.poses.pose import Pose
from nanodet_kp_ros.messages import to_armor_array
from nanodet_kp_ros.msg import Armor


def detections(labels: list[str]) -> Detections:
    count = len(labels)
    return Detections(
        scores=np.linspace(0.9, 0.6, count, dtype=np.float32),
        class_ids=np.arange(count),
        boxes=np.arange(4 * count, dtype=np.float32).reshape(count, 4) - 2.5,
        corners=100 + np.arange(8 * count, dtype=np.float32).reshape(count, 4, 2),
        class_names=tuple(labels),
    )


def test_everything_is_carried_over():
    header = Header(stamp=Time(sec=7, nanosec=8), frame_id="optical")
    found = detections(["B_3", "R_Bb"])
    message = to_armor_array(found, header, 640, 480)
    assert message.header == header
    assert (message.image_width, message.image_height) == (640, 480)
    assert [armor.label for armor in message.armors] == ["B_3", "R_Bb"]
    for row, armor in enumerate(message.armors):
        assert armor.score == pytest.approx(found.scores[row])
        assert armor.number_score == 1
        np.testing.assert_array_equal(armor.bbox, found.boxes[row])
        np.testing.assert_array_equal([[p.x, p.y] for p in armor.corners], found.corners[row])
        assert not armor.has_pose


@pytest.mark.parametrize(
    ("label", "color", "number"),
    [
        ("B_G", Armor.COLOR_BLUE, "G"),
        ("R_1", Armor.COLOR_RED, "1"),
        ("N_O", Armor.COLOR_NONE, "O"),
        ("P_Bs", Armor.COLOR_PURPLE, "Bs"),
        ("armor", Armor.COLOR_UNKNOWN, ""),
        ("3", Armor.COLOR_UNKNOWN, "3"),
        ("long", Armor.COLOR_UNKNOWN, ""),
        ("X_3", Armor.COLOR_UNKNOWN, ""),
    ],
)
def test_color_and_number(label, color, number):
    (armor,) = to_armor_array(detections([label]), Header(), 1, 1).armors
    assert (armor.label, armor.color, armor.number) == (label, color, number)


def test_a_number_below_the_threshold_is_empty():
    found = replace(detections(["B_3", "R_Bb"]), number_scores=np.array([0.25, 0.75], np.float32), number_threshold=0.5)
    first, second = to_armor_array(found, Header(), 640, 480).armors
    assert (first.label, first.color, first.number, first.number_score) == ("B", Armor.COLOR_BLUE, "", 0.25)
    assert (second.label, second.color, second.number, second.number_score) == ("R_Bb", Armor.COLOR_RED, "Bb", 0.75)


def test_the_constants_are_those_of_the_design():
    constants = [Armor.COLOR_BLUE, Armor.COLOR_RED, Armor.COLOR_NONE, Armor.COLOR_PURPLE, Armor.COLOR_UNKNOWN]
    assert constants == [0, 1, 2, 3, 255]


def test_no_plates():
    assert to_armor_array(detections([]), Header(), 640, 480).armors == []


def test_both_poses():
    other = Pose(np.array([0.1, 0.2, 3.0]), np.diag([1.0, -1, -1]), 0.75, False)
    chosen = Pose(np.array([0.1, 0.2, 2.9]), np.eye(3), 0.5, False, other)
    first, second, third = to_armor_array(
        detections(["B_3", "R_1", "B_4"]), Header(), 640, 480, [chosen, other, None]
    ).armors
    assert (first.has_pose, first.has_other_pose) == (True, True)
    assert (first.pose.position.z, first.other_pose.position.z) == (2.9, 3.0)
    assert (first.reprojection_error, first.other_reprojection_error) == (0.5, 0.75)
    assert (first.pose.orientation.w, abs(first.other_pose.orientation.x)) == pytest.approx((1, 1))
    assert (second.has_pose, second.has_other_pose) == (True, False)
    assert (third.has_pose, third.has_other_pose) == (False, False)


def test_new_fields_come_after_the_old_ones():
    """Who reads messages by position goes on reading what was there."""
    assert list(Armor.get_fields_and_field_types()) == [
        "label", "color", "number", "score", "number_score", "bbox", "corners", "has_pose", "pose",
        "reprojection_error", "has_other_pose", "other_pose", "other_reprojection_error",
    ]  # fmt: skip
