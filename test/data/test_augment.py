"""A warp moves image, corners and boxes alike: a dot drawn at a corner is found where the corner went."""

import cv2
import numpy as np
import pytest
from hypothesis import assume, given, settings
from hypothesis import strategies as st

from nanodet_kp_core.config import PipelineConfig
from nanodet_kp_core.data import geometric as warp
from nanodet_kp_core.data.augment import STEEPEST_TILT, random_matrix, warp_sample
from nanodet_kp_core.geometry import MIRROR_LEFT_RIGHT, boxes_of_corners
from nanodet_kp_core.labels.sample import Sample

SIZE = (200, 160)
CENTER = warp.translation_matrix(-100, -80)
STEPS = {
    "perspective": PipelineConfig(perspective=0.002),
    "scale": PipelineConfig(scale=(0.6, 1.4)),
    "stretch": PipelineConfig(stretch=((0.7, 1.3), (0.7, 1.3))),
    "rotation": PipelineConfig(rotation=40),
    "shear": PipelineConfig(shear=15),
    "translate": PipelineConfig(translate=0.2),
    "flip": PipelineConfig(flip=1.0),
    "all": PipelineConfig(
        perspective=0.001, scale=(0.8, 1.2), stretch=((0.9, 1.1), (0.9, 1.1)), rotation=15, shear=8, translate=0.1,
        flip=0.5,
    ),
}  # fmt: skip
LEVELS = (255, 215, 175, 135)
"""Brightness of the dot at each corner, in the order of the corners: the image says which is which."""


def dotted_sample(rng, middle=(100.0, 80.0), half=(30.0, 14.0)):
    """Soft dots on black at the corners of one plate, each of its own brightness."""
    signs = np.array([[-1, -1], [-1, 1], [1, 1], [1, -1]])
    corners = np.float32(middle + signs * half + rng.uniform(-3, 3, (4, 2)))
    y, x = np.mgrid[0 : SIZE[1], 0 : SIZE[0]]
    image = sum(v * np.exp(-((x - a) ** 2 + (y - b) ** 2) / (2 * 2.5**2)) for v, (a, b) in zip(LEVELS, corners))
    image = np.repeat(np.clip(image, 0, 255)[..., None], 3, axis=2).round().astype(np.uint8)
    return Sample(image=image, corners=corners[None], labels=np.array([3]), name="dots")


def found_dot(gray, near, reach=6):
    """Centroid of the dot in a window around `near`, and its peak."""
    x0, y0 = np.round(near).astype(int) - reach
    crop = gray[y0 : y0 + 2 * reach + 1, x0 : x0 + 2 * reach + 1]
    crop = np.where(crop > 0.1 * crop.max(), crop, 0)
    ys, xs = np.mgrid[y0 : y0 + crop.shape[0], x0 : x0 + crop.shape[1]]
    return np.array([(xs * crop).sum(), (ys * crop).sum()]) / crop.sum(), crop.max()


@pytest.mark.parametrize("step", STEPS)
@settings(max_examples=25, derandomize=True, deadline=None)
@given(seed=st.integers(0, 10_000))
def test_corners_are_where_their_dots_are(step, seed):
    rng = np.random.default_rng(seed)
    sample = dotted_sample(rng)
    target = (256, 224)
    matrix = random_matrix(rng, SIZE, target, STEPS[step], keep_ratio=bool(seed % 2))
    warped = warp_sample(sample, matrix, target)
    assume(len(warped.corners))
    # The same warp with a black border: the gray of the padding would shine into the windows.
    gray = warp.warp_image(sample.image, matrix, target)[..., 0].astype(float)
    (corners,) = warped.corners
    order = MIRROR_LEFT_RIGHT if warp.is_mirror(matrix) else (0, 1, 2, 3)
    for corner, old in zip(corners, order):
        if not ((corner > 9) & (corner < np.array(target) - 9)).all():
            continue
        position, peak = found_dot(gray, corner)
        assert np.linalg.norm(position - corner) < 0.35
        # Left-top of the mirrored plate was right-top: its dot has that one's brightness.
        assert LEVELS[old] - 30 < peak <= LEVELS[old] + 4
    assert signed_area(corners) < 0  # still left-top, left-bottom, right-bottom, right-top
    assert np.allclose(warped.boxes, boxes_of_corners(warped.corners))


def signed_area(corners):
    x, y = corners[:, 0], corners[:, 1]
    return 0.5 * float((x * np.roll(y, -1) - y * np.roll(x, -1)).sum())


@pytest.mark.parametrize("step", [name for name in STEPS if name != "flip"])
def test_each_step_changes_half_of_the_samples(step):
    changed = 0
    for seed in range(200):
        matrix = random_matrix(np.random.default_rng(seed), SIZE, SIZE, STEPS[step], keep_ratio=False)
        changed += not np.allclose(matrix, np.eye(3), atol=1e-9)
    expected = 1 - 0.5**7 if step == "all" else 0.5
    assert abs(changed / 200 - expected) < 0.12


def test_a_step_that_is_off_changes_nothing():
    for seed in range(20):
        matrix = random_matrix(np.random.default_rng(seed), (640, 480), (416, 416), PipelineConfig(), True)
        assert np.allclose(matrix, warp.resize_matrix((640, 480), (416, 416), True))


def test_mirrored_twice_is_the_same():
    sample = dotted_sample(np.random.default_rng(1))
    mirror = warp.compose_warp(SIZE, [warp.scale_matrix(-1, 1), warp.translation_matrix(100, 80)])
    once = warp_sample(sample, mirror, SIZE)
    twice = warp_sample(once, mirror, SIZE)
    assert not np.allclose(once.corners, sample.corners, atol=1)
    assert np.allclose(twice.corners, sample.corners, atol=1e-4)
    assert np.allclose(twice.boxes, sample.boxes, atol=1e-4)
    assert (twice.image[:, 1:] == sample.image[:, 1:]).all()  # column 0 is mirrored to the width, outside


def test_visibility_goes_with_its_corner_through_a_mirror():
    sample = dotted_sample(np.random.default_rng(1))
    sample.visible = np.array([[2, 0, 1, 2]], np.int8)
    mirror = warp.compose_warp(SIZE, [warp.scale_matrix(-1, 1), warp.translation_matrix(100, 80)])
    assert warp_sample(sample, mirror, SIZE).visible.tolist() == [[2, 1, 0, 2]]


def test_a_mirror_turned_upside_down_is_still_a_left_right_mirror():
    sample = dotted_sample(np.random.default_rng(1))
    upside_down = [warp.scale_matrix(1, -1), warp.translation_matrix(100, 80)]  # left-right, then half a turn
    warped = warp_sample(sample, warp.compose_warp(SIZE, upside_down), SIZE)
    left_top, _, right_bottom, _ = warped.corners[0]
    assert (left_top > right_bottom).all()  # the plate hangs head down: its own left-top is the image's right-bottom
    assert signed_area(warped.corners[0]) < 0


def test_corners_outside_stay_and_are_not_seen():
    sample = dotted_sample(np.random.default_rng(0))
    sample.visible = np.array([[2, 0, 2, 1]], np.int8)
    left = sample.corners[0, :2, 0].max() + 2
    warped = warp_sample(sample, warp.translation_matrix(-left, 0), SIZE)
    assert np.allclose(warped.corners[0] if len(warped.corners) else sample.corners[0] - (left, 0),
                       sample.corners[0] - (left, 0))  # fmt: skip
    assert warped.visible.tolist() == [[1, 0, 2, 1]]


def test_a_corner_outside_its_own_picture_is_not_seen_in_the_padding():
    sample = dotted_sample(np.random.default_rng(0), middle=(100, 14), half=(40, 16))
    above = sample.corners[0, :, 1] < 0
    assert above.any()
    letterbox = warp.resize_matrix(SIZE, (200, 200), keep_ratio=True)
    warped = warp_sample(sample, letterbox, (200, 200))
    assert (warped.corners[0, :, 1] > 0).all()
    assert (warped.visible[0] == np.where(above, 1, 2)).all()


def test_a_box_that_is_no_hull_becomes_the_hull_of_its_own_corners():
    sample = dotted_sample(np.random.default_rng(0))
    wide = sample.boxes + np.float32([-10, -20, 10, 20])
    sample.boxes = wide.copy()
    matrix = warp.compose_warp(SIZE, [warp.rotation_matrix(10), warp.translation_matrix(100, 80)])
    warped = warp_sample(sample, matrix, SIZE)
    assert np.allclose(warped.boxes, warp.warp_boxes(wide, matrix), atol=1e-3)
    sample.boxes = boxes_of_corners(sample.corners) + np.float32(0.6)  # rounded by a label tool
    assert np.allclose(warp_sample(sample, matrix, SIZE).boxes, boxes_of_corners(warped.corners), atol=1e-3)


def test_plates_cut_by_the_border_become_ignore_boxes_that_end_there():
    sample = dotted_sample(np.random.default_rng(0))
    cut = warp_sample(sample, warp.translation_matrix(-90, 0), SIZE)
    assert len(cut.labels) == 0 and len(cut.ignore_boxes) == 1
    assert cut.ignore_boxes[0, 0] == 0
    far = warp_sample(sample, warp.translation_matrix(-180, 0), SIZE)
    assert len(far.labels) == 0 and len(far.ignore_boxes) == 0


def test_a_plate_cut_by_its_own_picture_is_cut_in_the_padding_too():
    sample = dotted_sample(np.random.default_rng(0), middle=(100, 6), half=(30, 14))
    cut = warp_sample(sample, warp.resize_matrix(SIZE, (200, 200), keep_ratio=True), (200, 200))
    assert len(cut.labels) == 0 and len(cut.ignore_boxes) == 1


def test_tiny_plates_become_ignore_boxes():
    sample = dotted_sample(np.random.default_rng(0))
    small = warp_sample(sample, np.diag([0.05, 0.05, 1.0]), SIZE)
    assert len(small.labels) == 0 and len(small.ignore_boxes) == 1


def test_the_horizon_never_enters_the_picture():
    corners = np.array([[0.0, 0], [640, 0], [0, 480], [640, 480]])
    steepest = 1.0
    for seed in range(50):
        pipeline = PipelineConfig(perspective=0.02)
        matrix = random_matrix(np.random.default_rng(seed), (640, 480), (416, 416), pipeline, True)
        steepest = min(steepest, warp.warp_depth(corners, matrix / matrix[2, 2]).min(initial=1.0))
        center_depth = warp.warp_depth(np.array([320.0, 240.0]), matrix)
        assert (warp.warp_depth(corners, matrix) >= (1 - STEEPEST_TILT - 1e-9) * center_depth).all()
    assert steepest < 0.9


def test_what_lies_behind_the_horizon_is_dropped():
    sample = dotted_sample(np.random.default_rng(0))
    sample.ignore_boxes = np.float32([[150, 10, 190, 30]])
    # Depth falls to 0 at x = 120: the plate reaches beyond it, the ignore box lies behind it and would be seen upside
    # down in the image.
    matrix = warp.translation_matrix(700, 100) @ warp.perspective_matrix(-1 / 120, 0)
    assert (warp.warp_boxes(sample.ignore_boxes, matrix)[0, 2:] > 0).all()
    warped = warp_sample(sample, matrix, SIZE)
    assert len(warped.labels) == 0 and len(warped.ignore_boxes) == 0


def test_the_picture_is_read_once_and_kept():
    sample = dotted_sample(np.random.default_rng(0))
    before = (sample.image.copy(), sample.corners.copy(), sample.boxes.copy())
    warp_sample(sample, warp.rotation_matrix(20), SIZE)
    assert all(np.array_equal(a, b) for a, b in zip(before, (sample.image, sample.corners, sample.boxes)))


def test_scale_is_uniform_as_published():
    zooms = []
    for seed in range(400):
        pipeline = PipelineConfig(scale=(0.6, 1.4))
        zooms.append(random_matrix(np.random.default_rng(seed), SIZE, SIZE, pipeline, False)[0, 0])
    drawn = np.array([zoom for zoom in zooms if zoom != 1.0])
    assert 0.6 <= drawn.min() < 0.63 and 1.37 < drawn.max() <= 1.4
    assert abs(drawn.mean() - 1.0) < 3 * 0.8 / np.sqrt(12 * len(drawn))


def test_opencv_agrees_about_the_direction_of_a_rotation():
    expected = np.vstack([cv2.getRotationMatrix2D((0, 0), -20, 1), [0, 0, 1]])
    assert np.allclose(warp.rotation_matrix(20), expected)
