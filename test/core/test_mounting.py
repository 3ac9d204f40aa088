"""Sizes and leans of plates as users say them, what they do to the choice, and the pose that was not chosen."""

import math

import numpy as np
import pytest

from nanodet_kp_core.classes import ARMOR_CLASSES
from nanodet_kp_core.errors import ConfigError
from nanodet_kp_core.plate import BAR_LENGTH, LARGE_WIDTH, SMALL_WIDTH, corner_points
from nanodet_kp_core.runtime.detection.detector import Detections
from nanodet_kp_core.runtime.poses.mounting import USUAL_LARGE, USUAL_LEAN, Mounting, make_mounting
from nanodet_kp_core.runtime.poses.plate_poses import PlatePoses
from nanodet_kp_core.runtime.poses.pose import Camera, solve_poses
from nanodet_kp_core.synthetic.geometry import plate_pose

CAMERA = Camera([[1200, 0, 640], [0, 1200, 512], [0, 0, 1]], [])
LEAN = math.radians(15)
FOREIGN = ("hero", "infantry")


def tilt(degrees):
    """[3, 3] from the axes of a level camera to those of one that looks up by so much."""
    c, s = math.cos(math.radians(degrees)), math.sin(math.radians(degrees))
    return np.array([[1, 0, 0], [0, c, s], [0, -s, c]])


def seen(yaw, lean=LEAN, width=SMALL_WIDTH, pitch=0.0, distance=8.0):
    """Corners of a plate straight ahead, in a camera that looks up by `pitch` degrees."""
    points = plate_pose(np.array([0, 0, distance]), yaw, 0.0, lean).points(corner_points(width, BAR_LENGTH))
    points = points @ tilt(pitch).T
    return CAMERA.project(points - [0, points[:, 1].mean(), 0])  # it goes up or down with the robot to stay in view


def found(corners, label="B_3"):
    array = np.array([corners], np.float32)
    boxes = np.concatenate([array.min(axis=1), array.max(axis=1)], axis=1)
    return Detections(np.array([0.9], np.float32), np.array([0]), boxes, array, (label,))


def solve(corners, mounting, label="B_3"):
    (pose,) = PlatePoses().solve(found(corners, label), CAMERA, 0.0, mounting)
    return pose


@pytest.mark.parametrize(
    ("large", "label", "expected"),
    [
        ("1 Bb", "R_1", True),
        ("1 Bb", "R_3", False),
        ("1, 3", "B_3", True),
        ("1, 3", "B_Bb", False),
        ("B_3", "B_3", True),
        ("B_3", "R_3", False),
        ("", "R_1", False),
        ("1 Bb", "hero", None),  # nothing is said of such classes
        ("hero", "hero", True),
        ("hero", "infantry", False),
        ("", "infantry", False),
    ],
)
def test_which_plates_are_large(large, label, expected):
    mounting = make_mounting(large, 15.0, 0.0, (*ARMOR_CLASSES, *FOREIGN))
    assert mounting.is_large(label) is expected


def test_the_usual_mounting():
    usual = make_mounting(USUAL_LARGE, USUAL_LEAN, 0.0, ARMOR_CLASSES)
    assert usual == Mounting()
    assert usual.lean == pytest.approx(LEAN)


def test_names_that_nobody_knows():
    with pytest.raises(ConfigError) as raised:
        make_mounting("1 giant", 15.0, 0.0, FOREIGN)
    assert str(raised.value) == (
        "parameter large_plates: expected stickers or classes out of G 1 2 3 4 5 O Bs Bb hero infantry, got 'giant'"
    )


def test_the_size_that_is_said_decides_the_distance():
    corners = seen(0.2, width=LARGE_WIDTH, distance=2.0)
    large, small = solve(corners, make_mounting("3", 15, 0, ARMOR_CLASSES)), solve(corners, Mounting())
    assert (large.large, small.large) == (True, False)
    assert large.distance == pytest.approx(2.0, abs=0.01)
    assert small.distance < 1.5


@pytest.mark.parametrize(("lean", "label"), [(15, "B_3"), (-20, "B_3"), (15, "R_O"), (-20, "R_O")])
@pytest.mark.parametrize("yaw", [-0.6, 0.6])
def test_plates_that_lean_otherwise(lean, label, yaw):
    """Those of the outpost lean the other way by as much."""
    own = math.radians(-lean if label == "R_O" else lean)
    right = solve(seen(yaw, own), make_mounting("1 Bb", lean, 0.0, ARMOR_CLASSES), label)
    assert right.yaw == pytest.approx(yaw, abs=0.05)
    assert right.other.yaw == pytest.approx(-yaw, abs=0.1)
    wrong = solve(seen(yaw, own), make_mounting("1 Bb", -lean, 0.0, ARMOR_CLASSES), label)
    assert wrong.yaw == pytest.approx(-yaw, abs=0.1)


def normal(yaw, lean, pitch):
    """Out of the plate's front, in the frame of a camera that looks up by `pitch` degrees."""
    return tilt(pitch) @ plate_pose(np.zeros(3), yaw, 0.0, lean).normal


def turned(pose, wanted):
    """Degrees between the fronts."""
    return math.degrees(math.acos(np.clip(pose.normal @ wanted, -1, 1)))


@pytest.mark.parametrize("yaw", [-0.7, -0.4, 0.4, 0.7])
@pytest.mark.parametrize("pitch", [-40, -25, 25])
def test_a_camera_that_looks_down_or_up(pitch, yaw):
    mounting = make_mounting("1 Bb", 15.0, pitch, ARMOR_CLASSES)
    corners, truth = seen(yaw, pitch=pitch), normal(yaw, LEAN, pitch)
    assert turned(solve(corners, mounting), truth) < 3
    if pitch < -15:  # from above the plates look down, which nobody would believe of a level camera
        assert turned(solve(corners, Mounting()), truth) > 10


@pytest.mark.parametrize("pitch", [-30, 0, 45])
@pytest.mark.parametrize("lean", [-10, 0, 15])
def test_the_lean_error_is_against_the_horizon(pitch, lean):
    """A plate that leans as said has none, whatever the camera does."""
    mounting = make_mounting("1 Bb", lean, pitch, ARMOR_CLASSES)
    for yaw in (-1.0, 0.0, 0.5):
        front = normal(yaw, math.radians(lean), pitch)
        assert mounting.lean_error(front, "B_3") == pytest.approx(0, abs=1e-9)
        assert mounting.lean_error(front, "B_Bs") == pytest.approx(math.radians(lean), abs=1e-9)


def test_both_poses_are_reported_with_their_errors():
    corners = seen(0.6) + [[0.2, 0], [0, 0.1], [-0.1, 0], [0, -0.2]]
    pose = solve(corners, Mounting())
    both = solve_poses(np.float32(corners), False, CAMERA)
    reported = sorted([pose, pose.other], key=lambda one: one.reprojection_error)
    for one, wanted in zip(reported, both, strict=True):
        assert one.reprojection_error == wanted.reprojection_error
        np.testing.assert_array_equal(one.rotation, wanted.rotation)
        np.testing.assert_array_equal(one.position, wanted.position)
    assert pose.other.other is None


def test_the_other_pose_has_the_same_size():
    pose = solve(seen(0.3, width=LARGE_WIDTH, distance=2.0), Mounting(), "armor")
    assert pose.large and pose.other.large
    assert pose.other.distance == pytest.approx(pose.distance, rel=0.05)
