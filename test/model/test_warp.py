"""Warps: round trips, conventions and clipping; recorded values are compared in test_parity.py."""

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from nanodet_kp_core.data import geometric as warp
from nanodet_kp_core.errors import DataError

BOXES = np.array([[10.0, 20, 110, 90], [300, 200, 420, 260]])
CORNERS = BOXES[:, [[0, 1], [0, 3], [2, 3], [2, 1]]]


@given(st.floats(-0.5, 0.5), st.floats(0.3, 2), st.floats(-200, 200), st.floats(-1e-4, 1e-4))
def test_inverse_matrix_brings_corners_back(angle, scale, shift, tilt):
    rotation = np.array([[np.cos(angle), -np.sin(angle), 0], [np.sin(angle), np.cos(angle), 0], [0, 0, 1]])
    perspective = np.array([[1, 0, 0], [0, 1, 0], [tilt, -tilt, 1]])
    factors = [perspective, warp.scale_matrix(scale, scale), rotation, warp.translation_matrix(shift, -shift)]
    matrix = warp.compose_warp((640, 480), factors)
    back = warp.warp_corners(warp.warp_corners(CORNERS, matrix), np.linalg.inv(matrix))
    np.testing.assert_allclose(back, CORNERS, atol=1e-6)


@pytest.mark.parametrize("keep_ratio", [True, False])
def test_resize_maps_the_frame_into_the_target(keep_ratio):
    matrix = warp.resize_matrix((1280, 720), (416, 416), keep_ratio)
    frame = warp.warp_boxes(np.array([[0.0, 0, 1280, 720]]), matrix)[0]
    expected = [0, 91, 416, 325] if keep_ratio else [0, 0, 416, 416]  # 416 * 720 / 1280 = 234 rows, centered
    np.testing.assert_allclose(frame, expected, atol=1e-9)


def test_clipping_limits_to_width_and_height():
    boxes = warp.warp_boxes(BOXES, np.eye(3), clip_size=(400, 50))
    assert boxes.tolist() == [[10, 20, 110, 50], [300, 50, 400, 50]]
    assert warp.warp_boxes(BOXES, np.eye(3)).tolist() == BOXES.tolist()


def test_nothing_in_nothing_out():
    assert warp.warp_boxes(np.zeros((0, 4)), np.eye(3)).shape == (0, 4)
    assert warp.warp_corners(np.zeros((0, 4, 2)), np.eye(3)).shape == (0, 4, 2)


def test_image_moves_with_its_corners_and_the_border_is_filled():
    image = np.zeros((40, 60, 3), np.uint8)
    image[10, 20] = 255
    matrix = warp.translation_matrix(5, 3)
    moved = warp.warp_image(image, matrix, (60, 40), border=114)
    assert np.argwhere(moved[3:, 5:, 0] == 255).tolist() == [[10, 20]]
    assert (moved[:3] == 114).all()


def test_factor_of_a_wrong_shape_is_refused():
    with pytest.raises(DataError, match="3x3"):
        warp.compose_warp((10, 10), [np.eye(2)])
