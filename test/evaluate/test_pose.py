"""Poses from corners: a projected plate comes back, and what is no plate gives none."""

import cv2
import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from nanodet_kp_core.errors import ConfigError
from nanodet_kp_core.plate import BAR_LENGTH, LARGE_WIDTH, SMALL_WIDTH, corner_points
from nanodet_kp_core.runtime.poses.pose import Camera, is_large, plate_points, solve_pose, solve_poses
from nanodet_kp_core.synthetic.geometry import plate_pose

MATRIX = np.array([[1200.0, 0, 640], [0, 1180, 512], [0, 0, 1]])
CAMERA = Camera(MATRIX, [])


def project(points, distortion=None):
    lens = np.zeros(5) if distortion is None else np.asarray(distortion)
    return cv2.projectPoints(points, np.zeros(3), np.zeros(3), MATRIX, lens)[0].reshape(-1, 2)


def seen(center, yaw, tilt, large, distortion=None):
    """Corners of a plate as the renderer places it, radius 0: position and yaw are the arguments."""
    pose = plate_pose(np.asarray(center, float), yaw, 0.0, tilt)
    return pose, project(pose.points(corner_points(LARGE_WIDTH if large else SMALL_WIDTH, BAR_LENGTH)), distortion)


@settings(max_examples=150, deadline=None)
@given(
    x=st.floats(-0.35, 0.35), y=st.floats(-0.3, 0.3), distance=st.floats(0.6, 6.0), yaw=st.floats(-1.1, 1.1),
    tilt=st.floats(-0.3, 0.3), large=st.booleans(), lens=st.sampled_from([None, [-0.1, 0.02, 0.001, -0.001, 0.0]]),
)  # fmt: skip
def test_a_projected_plate_comes_back(x, y, distance, yaw, tilt, large, lens):
    true, corners = seen((x * distance, y * distance, distance), yaw, tilt, large, lens)
    camera = Camera(MATRIX, lens or [])
    candidates, best = solve_poses(corners, large, camera), solve_pose(corners, large, camera)
    assert 1 <= len(candidates) <= 2
    assert candidates[0].reprojection_error <= candidates[-1].reprojection_error
    assert best.reprojection_error == candidates[0].reprojection_error < 0.02
    # Far away and nearly frontal, the mirrored solution explains exact corners as well: one of the two is the truth.
    got = min(candidates, key=lambda pose: np.linalg.norm(pose.normal - true.normal))
    assert got.position == pytest.approx(true.center, abs=0.01 * distance)
    assert got.normal == pytest.approx(true.normal, abs=0.03)
    assert got.distance == pytest.approx(np.linalg.norm(true.center), rel=0.01)
    assert abs(got.yaw - np.arctan2(true.normal[0], -true.normal[2])) < 0.03


@pytest.mark.parametrize("yaw", [-0.8, -0.4, 0.4, 0.8])
def test_near_plates_are_not_ambiguous(yaw):
    true, corners = seen((0.1, -0.05, 1.0), yaw, np.radians(15), False)
    pose = solve_pose(corners, False, CAMERA)
    assert pose.yaw == pytest.approx(np.arctan2(true.normal[0], -true.normal[2]), abs=1e-3)
    assert pose.rotation @ pose.rotation.T == pytest.approx(np.eye(3), abs=1e-9)
    assert pose.rotation[:, 0] == pytest.approx(true.right, abs=1e-3)


def test_the_wrong_size_turns_the_plate():
    _, corners = seen((0.0, 0.0, 2.0), 0.0, 0.0, False)
    right, wrong = solve_pose(corners, False, CAMERA), solve_pose(corners, True, CAMERA)
    assert right.distance == pytest.approx(2.0, rel=1e-4)
    assert wrong.distance == pytest.approx(2.0, rel=0.01)  # the bars are equally long on both
    assert abs(np.degrees(wrong.yaw)) == pytest.approx(np.degrees(np.arccos(135 / 230)), abs=2)
    assert wrong.reprojection_error > 10 * right.reprojection_error


def test_a_view_that_opencv_answers_with_nan():
    true, corners = seen((0.0, 0.0, 0.6), 0.0, -0.26591025521702316, False, [-0.1, 0.02, 0.001, -0.001, 0.0])
    pose = solve_pose(corners, False, Camera(MATRIX, [-0.1, 0.02, 0.001, -0.001, 0.0]))
    assert pose.position == pytest.approx(true.center, abs=1e-3)
    assert pose.normal == pytest.approx(true.normal, abs=0.01)


@pytest.mark.parametrize(
    "corners",
    [
        np.zeros((4, 2)),  # one point
        np.array([[0, 0], [10, 10], [20, 20], [30, 30.0]]),  # a line
        np.array([[0, 0], [0, 10], [0, 20], [30, 10.0]]),  # three on a line
        np.full((4, 2), np.nan),
        np.array([[0, 0], [0, 10], [np.inf, 10], [20, 0]]),
    ],
)
def test_what_spans_no_plane_has_no_pose(corners):
    assert solve_poses(corners, True, CAMERA) == []
    assert solve_pose(corners, True, CAMERA) is None


def test_plate_points_and_sizes():
    assert plate_points(False)[2] == pytest.approx([0.0675, 0.028, 0])
    assert plate_points(True)[0] == pytest.approx([-0.115, -0.028, 0])
    assert [is_large(name) for name in ("R_1", "B_Bb", "B_Bs", "N_3", "car")] == [True, True, False, False, None]


@pytest.mark.parametrize(
    ("matrix", "distortion", "message"),
    [
        ([[1, 0], [0, 1]], [], "three rows of three"),
        ([[0, 0, 1], [0, 1, 1], [0, 0, 1]], [], "focal lengths"),
        ([[900, 0, 1], [0, 900, 1], [0, 0, 2]], [], r"\[0, 0, 1\]\]"),
        ("none", [], "three rows of three"),
        (MATRIX.tolist(), [0.1, 0.2], "0, 4, 5, 8, 12, 14"),
        (MATRIX.tolist(), [0, 0, 0, float("nan")], "camera distortion"),
    ],
)
def test_what_is_no_camera_is_said(matrix, distortion, message):
    with pytest.raises(ConfigError, match=message):
        Camera(matrix, distortion)
