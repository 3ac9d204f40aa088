"""The lens: rays of pixels and back, for every distortion model, and cut or shrunk images."""

import cv2
import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from nanodet_kp_core.errors import ConfigError
from nanodet_kp_core.runtime.poses.pose import Camera, plate_points, solve_poses

MATRIX = np.array([[600.0, 0, 640], [0, 590, 512], [0, 0, 1]])
LENSES = {
    "none": Camera(MATRIX, []),
    "plumb_bob": Camera(MATRIX, [-0.3, 0.1, 0.001, -0.002, 0.0]),
    "rational": Camera(MATRIX, [1.2, 0.5, 0, 0, 0.1, 1.5, 0.8, 0.2]),
    "fisheye": Camera(MATRIX, [0.1, -0.02, 0.01, -0.002], fisheye=True),
}


@pytest.mark.parametrize("name", LENSES)
def test_a_point_is_where_its_ray_says(name):
    camera = LENSES[name]
    x, y = np.meshgrid(np.linspace(-0.9, 0.9, 9), np.linspace(-0.7, 0.7, 9))
    flat = np.column_stack([x.ravel(), y.ravel()])
    pixels = camera.project(np.column_stack([flat, np.ones(len(flat))]) * 3.5)  # the depth does not matter
    np.testing.assert_allclose(camera.rays(pixels), flat, atol=1e-5)


def test_a_fisheye_is_projected_as_opencv_says():
    camera, angle = LENSES["fisheye"], 1.0
    k1, k2, k3, k4 = camera.distortion
    turned = angle * (1 + k1 * angle**2 + k2 * angle**4 + k3 * angle**6 + k4 * angle**8)
    point = [[np.tan(angle), 0, 1]]
    np.testing.assert_allclose(camera.project(np.array(point)), [[600 * turned + 640, 512]])


@pytest.mark.parametrize("name", LENSES)
@pytest.mark.parametrize("pixel", [[np.nan, 0], [np.inf, 3], [1e30, -1e30]])
def test_a_pixel_that_is_none_has_no_ray(name, pixel):
    rays = LENSES[name].rays(np.array([pixel, [640, 512]]))
    if name != "none" or not np.isfinite(pixel).all():
        assert np.isnan(rays[0]).all()
    np.testing.assert_allclose(rays[1], [0, 0], atol=1e-9)


def test_no_ray_where_the_lens_folds_back():
    camera = Camera(MATRIX, [-0.3, 0, 0, 0, 0])
    limit = 600 * 2 / 3 * (1 / 0.9) ** 0.5  # r (1 - 0.3 r^2) is never larger than at r = 1 / sqrt(0.9)
    inside, outside = camera.rays(np.array([[640 + 0.95 * limit, 512], [640 + 1.05 * limit, 512]]))
    assert np.isfinite(inside).all()
    assert np.isnan(outside).all()


@settings(max_examples=60, deadline=None)
@given(
    x=st.integers(0, 400), y=st.integers(0, 400), across=st.integers(1, 4), down=st.integers(1, 4),
    column=st.integers(0, 100), row=st.integers(0, 100),
)  # fmt: skip
def test_the_window_of_a_binned_image(x, y, across, down, column, row):
    whole = Camera(MATRIX, [-0.1, 0.02, 0.001, -0.002, 0.0])
    camera = whole.window(x, y, (across, down))
    # The middle of a binned pixel is the middle of its pixels on the sensor.
    sensor = np.array([[x + across * column + (across - 1) / 2, y + down * row + (down - 1) / 2]])
    np.testing.assert_allclose(camera.rays(np.array([[column, row]])), whole.rays(sensor), atol=1e-5)


def test_a_plate_through_a_fisheye():
    camera = LENSES["fisheye"]
    rotation = cv2.Rodrigues(np.array([0.26, -0.5, 0.05]))[0]
    position = np.array([0.9, -0.3, 1.2])
    corners = camera.project(plate_points(False) @ rotation.T + position)
    best = solve_poses(corners, False, camera)[0]
    np.testing.assert_allclose(best.position, position, atol=1e-3)
    np.testing.assert_allclose(best.rotation, rotation, atol=2e-3)
    wrong = solve_poses(corners, False, Camera(MATRIX, []))[0]
    assert np.linalg.norm(wrong.position - position) > 0.1


def test_a_plate_is_not_seen_from_behind():
    corners = LENSES["none"].project(plate_points(False) + [0, 0, 2.0])
    assert solve_poses(corners, False, LENSES["none"])
    assert solve_poses(corners[[3, 2, 1, 0]], False, LENSES["none"]) == []


def test_the_numbers_of_a_fisheye():
    with pytest.raises(ConfigError, match="expected 4 numbers"):
        Camera(MATRIX, [0.1, 0, 0, 0, 0], fisheye=True)
