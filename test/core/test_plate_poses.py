"""The choice between the two poses of a plate: by its lean, by the images before, by its size."""

import math
from dataclasses import replace

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from nanodet_kp_core.plate import BAR_LENGTH, LARGE_WIDTH, SMALL_WIDTH, corner_points
from nanodet_kp_core.runtime.detection.detector import Detections
from nanodet_kp_core.runtime.poses.plate_poses import PlatePoses
from nanodet_kp_core.runtime.poses.pose import Camera, solve_poses
from nanodet_kp_core.synthetic.geometry import plate_pose

CAMERA = Camera([[1200, 0, 640], [0, 1200, 512], [0, 0, 1]], [])
LEAN = math.radians(15)


def found(*corners, labels=None):
    names = tuple(dict.fromkeys(labels or ["B_3"] * len(corners)))
    array = np.array(corners, np.float32).reshape(-1, 4, 2)
    ids = np.array([names.index(label) for label in labels or ["B_3"] * len(corners)], np.int64)
    boxes = np.concatenate([array.min(axis=1), array.max(axis=1)], axis=1) if len(array) else np.zeros((0, 4))
    return Detections(np.full(len(array), 0.9, np.float32), ids, boxes, array, names)


def corners_of(x, distance, yaw, lean=LEAN, width=SMALL_WIDTH):
    pose = plate_pose(np.array([x, 0, distance]), yaw, 0.0, lean)
    return CAMERA.project(pose.points(corner_points(width, BAR_LENGTH)))


def far(yaw, lean=LEAN, width=SMALL_WIDTH):
    """So far away that half a pixel of noise decides which solution has the smaller reprojection error."""
    return corners_of(0.0, 8.0, yaw, lean, width)


@settings(max_examples=80, deadline=None)
@given(yaw=st.floats(-1.0, 1.0).filter(lambda yaw: abs(yaw) > 0.3), seed=st.integers(0, 999))
def test_of_two_poses_the_one_that_leans_back(yaw, seed):
    corners = far(yaw) + np.random.default_rng(seed).normal(0, 0.05, (4, 2))
    (pose,) = PlatePoses().solve(found(corners), CAMERA, 0.0)
    assert math.degrees(abs(pose.yaw - yaw)) < 12
    assert pose.normal[1] < 0  # y points down


def test_the_smaller_reprojection_error_alone_is_often_wrong():
    """What the choice is for: the same plates, by the error alone."""
    rng, wrong, chosen = np.random.default_rng(3), 0, 0
    for _ in range(60):
        corners = far(0.6) + rng.normal(0, 0.3, (4, 2))
        wrong += solve_poses(corners, False, CAMERA)[0].yaw < 0
        chosen += PlatePoses().solve(found(corners), CAMERA, 0.0)[0].yaw < 0
    assert wrong > 15
    assert chosen <= wrong / 3


def test_an_unknown_number_changes_no_pose():
    known = found(far(0.6, -LEAN), far(0.3, width=LARGE_WIDTH), labels=["R_O", "R_1"])
    unknown = replace(known, number_threshold=1.0, number_scores=np.full(2, 0.4, np.float32))
    assert unknown.labels == ["R", "R"]
    for one, other in zip(PlatePoses().solve(known, CAMERA, 0.0), PlatePoses().solve(unknown, CAMERA, 0.0)):
        assert (one.yaw, one.distance, one.large) == (other.yaw, other.distance, other.large)


def test_a_plate_of_the_outpost_leans_forward():
    (pose,) = PlatePoses().solve(found(far(0.6, -LEAN), labels=["R_O"]), CAMERA, 0.0)
    assert pose.yaw == pytest.approx(0.6, abs=0.05)
    # The same corners say the opposite of another robot.
    (other,) = PlatePoses().solve(found(far(0.6, -LEAN), labels=["R_3"]), CAMERA, 0.0)
    assert other.yaw == pytest.approx(-0.6, abs=0.1)


def test_near_enough_the_corners_decide_against_the_lean():
    poses = PlatePoses()
    (pose,) = poses.solve(found(corners_of(0.1, 0.6, 0.7, lean=-0.1)), CAMERA, 0.0)
    assert pose.yaw == pytest.approx(0.7, abs=0.01)


@pytest.mark.parametrize("side", [1, -1])
def test_a_plate_goes_on_as_it_was_seen_near(side):
    """It drives away: near, its corners are clear; far, they are not."""
    poses, rng, yaws = PlatePoses(), np.random.default_rng(4), []
    for number, distance in enumerate(np.linspace(0.8, 6.0, 100)):
        corners = corners_of(0.0, distance, 0.6 * side, lean=0.0) + rng.normal(0, 0.1, (4, 2))
        (pose,) = poses.solve(found(corners), CAMERA, number / 50)
        yaws.append(pose.yaw)
    assert np.sign(yaws).tolist() == [side] * 100


@pytest.mark.parametrize("stamp", [0.1, -1.0, 5.0, math.inf, math.nan])
def test_after_a_leap_of_the_stamps_nothing_is_remembered(stamp):
    poses = PlatePoses()
    for number in range(5):
        poses.solve(found(corners_of(0.0, 0.8, -0.6, lean=0.0)), CAMERA, number / 50)
    (pose,) = poses.solve(found(far(0.6)), CAMERA, stamp)
    # What was seen a moment ago outweighs the lean.
    assert pose.yaw == pytest.approx(-0.6 if stamp == 0.1 else 0.6, abs=0.1)


def test_each_plate_follows_its_own_past():
    poses, rng = PlatePoses(), np.random.default_rng(5)
    for number in range(40):
        shift = 0.01 * number
        distance = 0.8 + 0.1 * number
        corners = [
            corners_of(x * distance + shift, distance, yaw, lean=0.0) + rng.normal(0, 0.1, (4, 2))
            for x, yaw in ((-0.3, 0.5), (0.0, -0.5), (0.3, 0.6))
        ]
        order = rng.permutation(3)
        solved = poses.solve(found(*[corners[k] for k in order]), CAMERA, number / 50)
        assert [np.sign(pose.yaw) for pose in solved] == [(1, -1, 1)[k] for k in order]


def test_the_size_by_the_class_and_else_by_the_shape():
    (known,) = PlatePoses().solve(found(corners_of(0, 2, 0.2, width=LARGE_WIDTH), labels=["B_1"]), CAMERA, 0.0)
    (guessed,) = PlatePoses().solve(found(corners_of(0, 2, 0.2, width=LARGE_WIDTH), labels=["armor"]), CAMERA, 0.0)
    (small,) = PlatePoses().solve(found(corners_of(0, 2, 0.2), labels=["armor"]), CAMERA, 0.0)
    assert [known.large, guessed.large, small.large] == [True, True, False]
    assert guessed.distance == pytest.approx(2.0, abs=0.01)
    assert small.distance == pytest.approx(2.0, abs=0.01)


def test_an_unknown_size_is_the_small_one_when_in_doubt():
    rng, small = np.random.default_rng(8), 0
    for _ in range(60):
        corners = corners_of(0, 3, 0.1)
        corners += rng.normal(0, 0.04 * np.linalg.norm(corners[2] - corners[0]), (4, 2))
        small += not PlatePoses().solve(found(corners, labels=["armor"]), CAMERA, 0.0)[0].large
    assert small >= 54


@pytest.mark.parametrize(
    "corners",
    [
        np.zeros((4, 2)),
        [[0, 0], [10, 10], [20, 20], [30, 30]],
        far(0.0)[::-1],
        np.full((4, 2), np.nan),
        [[np.inf, 0], [0, 10], [10, 10], [10, 0]],
        far(0.0) * 1e12,
    ],
)
def test_a_plate_without_a_pose_among_good_ones(corners):
    poses = PlatePoses()
    for number in range(3):
        first, second, third = poses.solve(found(far(0.5), corners, far(-0.5) + 300), CAMERA, number / 50)
        assert second is None
        assert first.yaw == pytest.approx(0.5, abs=0.1)
        assert third is not None


def test_no_plates():
    assert PlatePoses().solve(found(), CAMERA, 0.0) == []


def watch(camera, count=250, lean=LEAN):
    poses, rng = PlatePoses(), np.random.default_rng(6)
    for number in range(count):
        corners = corners_of(rng.uniform(-0.5, 0.5), rng.uniform(1, 3), rng.uniform(-0.8, 0.8), lean)
        poses.solve(found(corners + rng.normal(0, 0.5, (4, 2))), camera, float(number))
    return poses


def test_a_wrong_calibration_is_told():
    assert watch(CAMERA).warning is None
    assert watch(CAMERA, count=100, lean=-1.0).warning is None  # too few plates to say so
    stretched = Camera([[600, 0, 320], [0, 1200, 512], [0, 0, 1]], [])  # of an image of half the width
    assert "check that the focal lengths belong to this image size" in watch(stretched).warning


def test_the_warning_goes_when_the_calibration_is_mended():
    poses = watch(Camera([[600, 0, 320], [0, 1200, 512], [0, 0, 1]], []))
    rng = np.random.default_rng(7)
    for number in range(300):
        corners = corners_of(0.0, rng.uniform(1, 3), rng.uniform(-0.8, 0.8))
        poses.solve(found(corners), CAMERA, 1000.0 + number)
    assert poses.warning is None


@settings(max_examples=200, deadline=None)
@given(
    values=st.lists(st.floats(width=32), min_size=8, max_size=8), focal=st.floats(1e-6, 1e9),
    lens=st.lists(st.floats(-1e6, 1e6), min_size=5, max_size=5), stamp=st.floats(),
)  # fmt: skip
def test_no_numbers_make_it_fail(values, focal, lens, stamp):
    camera = Camera([[focal, 0, 0], [0, focal, 0], [0, 0, 1]], lens)
    (pose,) = PlatePoses().solve(found(np.reshape(values, (4, 2))), camera, stamp)
    if pose is not None:
        assert np.isfinite(pose.position).all()
        assert np.isfinite(pose.rotation).all()
        assert math.isfinite(pose.reprojection_error)
