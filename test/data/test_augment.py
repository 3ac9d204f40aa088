"""A warp moves picture and corners alike: a dot drawn at a corner is found where the corner went."""

import numpy as np
from hypothesis import given, settings
from hypothesis import strategies as st

from nanodet_kp_core.config import PipelineConfig
from nanodet_kp_core.data.augment import change_light, random_matrix, warp_sample
from nanodet_kp_core.data.dataset import ignore_unreadable
from nanodet_kp_core.data.sample import Sample
from nanodet_kp_core.runtime.metadata import PAD_VALUE

PIPELINE = PipelineConfig(scale=(0.8, 1.25), rotation=20, translate=0.1)


def dotted_sample(rng):
    """Four soft dots on black at the corners of a plate."""
    centre = rng.uniform(90, 110, 2)
    corners = (centre + np.array([[-30, -12], [-30, 12], [30, 12], [30, -12]]) + rng.uniform(-3, 3, (4, 2))).astype(
        np.float32
    )
    y, x = np.mgrid[0:200, 0:200]
    image = sum(np.exp(-((x - a) ** 2 + (y - b) ** 2) / (2 * 2.0**2)) for a, b in corners)
    image = np.repeat((255 * np.clip(image, 0, 1))[..., None], 3, axis=2).astype(np.uint8)
    return Sample(image=image, corners=corners[None], labels=np.array([3]))


@settings(max_examples=40, derandomize=True, deadline=None)
@given(seed=st.integers(0, 10_000))
def test_corners_follow_the_picture(seed):
    rng = np.random.default_rng(seed)
    sample = dotted_sample(rng)
    matrix = random_matrix(rng, (200, 200), (256, 224), PIPELINE, keep_ratio=True)
    warped = warp_sample(sample, matrix, (256, 224))
    if not len(warped.corners):
        return
    grey = warped.image[..., 0].astype(float)
    grey[grey == PAD_VALUE] = 0
    for x, y in warped.corners[0]:
        if not (8 < x < 248 and 8 < y < 216):
            continue
        x0, y0 = round(float(x)) - 6, round(float(y)) - 6
        patch = grey[y0 : y0 + 13, x0 : x0 + 13]
        ys, xs = np.mgrid[y0 : y0 + 13, x0 : x0 + 13]
        found = np.array([(xs * patch).sum(), (ys * patch).sum()]) / patch.sum()
        assert np.linalg.norm(found - (x, y)) < 0.35


def test_plates_cut_by_the_border_become_ignore_boxes():
    sample = dotted_sample(np.random.default_rng(0))
    shift = np.array([[1, 0, -90], [0, 1, 0], [0, 0, 1.0]])
    cut = warp_sample(sample, shift, (200, 200))
    assert len(cut.labels) == 0 and len(cut.ignore_boxes) == 1
    far = warp_sample(sample, shift @ shift, (200, 200))
    assert len(far.labels) == 0 and len(far.ignore_boxes) == 0


def test_tiny_plates_become_ignore_boxes():
    sample = dotted_sample(np.random.default_rng(0))
    small = warp_sample(sample, np.diag([0.05, 0.05, 1.0]), (200, 200))
    assert len(small.labels) == 0 and len(small.ignore_boxes) == 1


def test_light_keeps_red_red():
    rng = np.random.default_rng(0)
    pipeline = PipelineConfig(brightness=0.2, contrast=(0.6, 1.4), saturation=(0.6, 1.4))
    red = np.full((4, 4, 3), (30, 20, 180), np.uint8)
    for _ in range(50):
        b, g, r = change_light(rng, red, pipeline)[0, 0].astype(int)
        assert r > b and r > g


def test_unreadable_plates_are_ignored_where_classes_are_joint():
    sample = dotted_sample(np.random.default_rng(0))
    assert ignore_unreadable(sample) is sample
    sample.number_known[:] = False
    left = ignore_unreadable(sample)
    assert len(left.labels) == 0
    assert np.allclose(left.ignore_boxes[0], [*sample.corners[0].min(0), *sample.corners[0].max(0)])
