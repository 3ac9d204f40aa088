"""Corner order under mirrors, and the priors' order."""

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from nanodet_kp_core.geometry import MIRROR_LEFT_RIGHT, MIRROR_UP_DOWN, box_iou, make_priors

SIDES = st.floats(1, 100)


def test_permutations():
    assert MIRROR_LEFT_RIGHT == (3, 2, 1, 0)
    assert MIRROR_UP_DOWN == (1, 0, 3, 2)


@given(left=SIDES, top=SIDES, width=SIDES, height=SIDES)
@pytest.mark.parametrize(("permutation", "axis"), [(MIRROR_LEFT_RIGHT, 0), (MIRROR_UP_DOWN, 1)])
def test_a_mirrored_plate_keeps_the_order_of_its_corners(permutation, axis, left, top, width, height):
    right, bottom = left + width, top + height
    corners = np.array([[left, top], [left, bottom], [right, bottom], [right, top]])
    corners[:, axis] *= -1
    mirrored = corners[list(permutation)]
    assert mirrored[0, 0] == mirrored[1, 0] < mirrored[2, 0] == mirrored[3, 0]
    assert mirrored[0, 1] == mirrored[3, 1] < mirrored[1, 1] == mirrored[2, 1]


def test_priors_cover_sizes_that_no_stride_divides():
    priors = make_priors(20, 36, (8, 16))
    assert len(priors) == 3 * 5 + 2 * 3
    assert priors[1].tolist() == [8, 0, 8, 8]  # columns are inner
    assert priors[15].tolist() == [0, 0, 16, 16]  # levels follow each other


def test_iou_of_empty_boxes_is_zero():
    boxes = np.array([[0, 0, 2, 2], [1, 1, 1, 1], [0, 0, 1, 2]], np.float32)
    assert box_iou(boxes, boxes).tolist() == [[1, 0, 0.5], [0, 0, 0], [0.5, 0, 1]]
