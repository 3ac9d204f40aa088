"""Mosaic and copy-paste: every target's corners are where its dots are, and nothing is labeled that is not there."""

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from nanodet_kp_core.config import PipelineConfig
from nanodet_kp_core.data import copy_paste
from nanodet_kp_core.data.augment import share_inside
from nanodet_kp_core.data.mosaic import CUT, merged, mosaic, moved
from nanodet_kp_core.geometry import box_iou, boxes_of_corners
from nanodet_kp_core.labels.sample import Sample
from nanodet_kp_core.runtime.models.metadata import PAD_VALUE

TARGET = (256, 224)
BRIGHT = 240
PIPELINE = PipelineConfig(perspective=0.0005, scale=(0.8, 1.2), rotation=10, shear=4, translate=0.05, flip=0.3)


def plates_sample(seed, size=(240, 180), ground=20, count=2, channel=0):
    """Plates side by side, a soft dot of one channel at each corner, on an even ground."""
    rng = np.random.default_rng(seed)
    width, height = size
    middles = [((k + 0.5) * width / count, height / 2 + rng.uniform(-15, 15)) for k in range(count)]
    signs = np.array([[-1, -1], [-1, 1], [1, 1], [1, -1]])
    corners = np.float32([m + signs * (26, 12) + rng.uniform(-3, 3, (4, 2)) for m in middles])
    y, x = np.mgrid[0:height, 0:width]
    dots = np.max([np.exp(-((x - a) ** 2 + (y - b) ** 2) / (2 * 2.2**2)) for a, b in corners.reshape(-1, 2)], axis=0)
    image = np.full((height, width, 3), ground, np.uint8)
    image[..., channel] = (ground + (BRIGHT - ground) * dots).round()
    return Sample(image=image, corners=corners, labels=np.arange(count) + 4 * channel, name=f"{channel}:{seed}")


def assert_dots_at_corners(sample, tolerance, borders=()):
    """Each seen corner has a dot of the plate's channel on it; returns how many were checked.

    Dots that the image's edge or one of the `borders` (x, y) may cut are left out.
    """
    checked = 0
    grounds = sample.image.min(axis=2).astype(float)
    edges = [(0, 0), (sample.image.shape[1], sample.image.shape[0]), *borders]
    for corners, visible, label in zip(sample.corners, sample.visible, sample.labels):
        excess = sample.image[..., 2 if label >= 8 else 0] - grounds
        for corner, seen in zip(corners, visible):
            if seen < 2 or (np.abs(corner - edges) < 7).any():
                continue
            x0, y0 = np.round(corner).astype(int) - 4
            crop = excess[y0 : y0 + 9, x0 : x0 + 9]
            assert crop.max() > 60, (label, corner)
            crop = np.where(crop > 0.35 * crop.max(), crop, 0)
            ys, xs = np.mgrid[y0 : y0 + crop.shape[0], x0 : x0 + crop.shape[1]]
            found = np.array([(xs * crop).sum(), (ys * crop).sum()]) / crop.sum()
            assert np.linalg.norm(found - corner) < tolerance, (label, corner, found)
            checked += 1
    return checked


def meeting_point(seed):
    """Where the tiles meet: the first draw of a mosaic."""
    return np.round(np.random.default_rng(seed).uniform(*CUT, 2) * TARGET)


@settings(max_examples=25, derandomize=True, deadline=None)
@given(seed=st.integers(0, 10_000), keep_ratio=st.booleans())
def test_mosaic_corners_are_where_their_dots_are(seed, keep_ratio):
    sizes = [(240, 180), (400, 160), (150, 220), (240, 180)]
    samples = [plates_sample(seed + k, size, count=1 + k % 2) for k, size in enumerate(sizes)]
    whole = mosaic(np.random.default_rng(seed), samples, TARGET, PIPELINE, keep_ratio)
    assert whole.image.shape == (TARGET[1], TARGET[0], 3)
    assert_dots_at_corners(whole, 0.6, [meeting_point(seed)])
    assert np.allclose(whole.boxes, boxes_of_corners(whole.corners), atol=1e-3)


def test_mosaics_keep_plates_of_every_tile():
    kept, checked = np.zeros(4), 0
    for seed in range(40):
        samples = [plates_sample(seed, count=1) for _ in range(4)]
        for k, sample in enumerate(samples):
            sample.labels = np.array([k])
        whole = mosaic(np.random.default_rng(seed), samples, TARGET, PIPELINE, True)
        kept += np.bincount(whole.labels, minlength=4)
        checked += assert_dots_at_corners(whole, 0.6, [meeting_point(seed)])
    assert (kept > 10).all()
    assert checked > 200


def test_a_tile_shows_any_part_of_its_picture():
    kept = np.zeros(2)
    for seed in range(60):
        whole = mosaic(np.random.default_rng(seed), [plates_sample(seed)] * 4, TARGET, PipelineConfig(), False)
        kept += np.bincount(whole.labels, minlength=2)
    assert (kept > 30).all() and 0.75 < kept[0] / kept[1] < 1.33  # the left plate and the right one


def test_labels_of_a_tile_end_at_its_border():
    """A tile's ignore boxes must not hide the neighbor's plates, nor may its corners count as seen there."""
    for seed in range(40):
        samples = [plates_sample(seed + k, count=4, size=(400, 100)) for k in range(4)]
        whole = mosaic(np.random.default_rng(seed), samples, TARGET, PIPELINE, False)
        column, row = meeting_point(seed)
        spans = np.array(
            [[0, 0, column, row], [column, 0, TARGET[0], row], [0, row, column, TARGET[1]], [column, row, *TARGET]]
        )
        for box in whole.ignore_boxes:
            inside = (box[:2] >= spans[:, :2] - 1e-3).all(axis=1) & (box[2:] <= spans[:, 2:] + 1e-3).all(axis=1)
            assert inside.sum() == 1
        for box, corners, visible in zip(whole.boxes, whole.corners, whole.visible):
            tile = spans[np.argmax([share_inside(box[None] - np.tile(s[:2], 2), s[2:] - s[:2])[0] for s in spans])]
            outside = ((corners < tile[:2] - 1e-3) | (corners > tile[2:] + 1e-3)).any(axis=1)
            assert (visible[outside] == 1).all()


def test_moved_and_merged_keep_every_field():
    first, second = plates_sample(0), plates_sample(1, count=3)
    first.ignore_boxes = np.float32([[1, 2, 3, 4]])
    second.number_known[1] = False
    both = merged(first.image, [first, moved(second, 10, -5)])
    assert both.name == "0:0 + 0:1"
    assert both.ignore_boxes.tolist() == [[1, 2, 3, 4]]
    assert both.number_known.tolist() == [True, True, True, False, True]
    assert np.allclose(both.corners[2:], second.corners + (10, -5))
    assert np.allclose(both.boxes[2:], second.boxes + (10, -5, 10, -5))
    assert both.visible.shape == (5, 4) and both.labels.tolist() == [0, 1, 0, 1, 2]
    assert np.allclose(second.corners, plates_sample(1, count=3).corners)  # moved copies


@settings(max_examples=30, derandomize=True, deadline=None)
@given(seed=st.integers(0, 10_000), ground=st.sampled_from([12, 40, 90]))
def test_pasted_corners_are_where_their_dots_are(seed, ground):
    sample = plates_sample(seed, (320, 280), count=1)
    donor = plates_sample(seed + 1, (400, 350), ground=ground, count=2, channel=2)
    before = donor.image.copy()
    out = copy_paste.paste_plates(np.random.default_rng(seed), sample, donor)
    count = len(sample.labels)
    assert np.array_equal(donor.image, before)
    assert np.array_equal(out.corners[:count], sample.corners)
    assert_dots_at_corners(out, 0.7)
    boxes = np.concatenate([out.boxes, out.ignore_boxes])
    assert (box_iou(boxes, boxes) - np.eye(len(boxes), dtype=np.float32) <= 1e-6).all()  # never over another
    for pasted in range(count, len(out.labels)):
        x, y = out.corners[pasted].T
        assert (x * np.roll(y, -1) - y * np.roll(x, -1)).sum() < 0  # in order
        assert (boxes[pasted] > 0).all() and (boxes[pasted][2:] < (320, 280)).all()


def test_most_plates_find_room_and_existing_ones_are_not_touched():
    pasted = 0
    for seed in range(40):
        sample = plates_sample(seed, (320, 280), count=1)
        donor = plates_sample(seed + 1, (400, 350), count=2, channel=2)
        # Sticker and glow beyond the corners are left alone too.
        x0, y0, x1, y1 = np.round(boxes_of_corners(copy_paste.cut_out(sample.corners[0])[None])[0]).astype(int)
        before = sample.image[y0:y1, x0:x1].copy()
        out = copy_paste.paste_plates(np.random.default_rng(seed), sample, donor)
        pasted += len(out.labels) - 1
        assert np.array_equal(out.image[y0:y1, x0:x1], before)
    assert pasted > 50


def test_no_room_no_paste():
    sample = plates_sample(0, (320, 280), count=1)
    sample.ignore_boxes = np.float32([[0, 0, 320, 280]])
    before = sample.image.copy()
    out = copy_paste.paste_plates(np.random.default_rng(0), sample, plates_sample(1, channel=2))
    assert len(out.labels) == 1 and np.array_equal(out.image, before)


def test_padding_is_no_place_for_a_plate():
    sample = Sample(image=np.full((280, 320, 3), PAD_VALUE, np.uint8))
    donor = plates_sample(1, (400, 350), count=2, channel=2)
    assert len(copy_paste.paste_plates(np.random.default_rng(0), sample, donor).labels) == 0
    sample.image[100:] = 20  # the rest is a letterbox
    middles = [
        plate[:, 1].mean()
        for seed in range(20)
        for plate in copy_paste.paste_plates(np.random.default_rng(seed), sample, donor).corners
    ]
    assert len(middles) > 20 and min(middles) > 100


@pytest.mark.parametrize("fault", ["hidden", "border", "neighbor", "ignored", "none"])
def test_what_cannot_be_cut_out_whole_is_not_pasted(fault):
    donor = plates_sample(1, (400, 350), count=1, channel=2)
    if fault == "hidden":
        donor.visible[0, 2] = 1
    if fault == "border":
        donor.corners -= donor.corners.min(axis=1) - 4
        donor.boxes = boxes_of_corners(donor.corners)
    if fault == "neighbor":
        near = donor.fields_of_plates(np.array([0, 0]))
        near["corners"][1] += (0, 30)  # beyond the plate, within what is cut out with it
        near["boxes"][1] += (0, 30, 0, 30)
        donor = Sample(image=donor.image, **near)
    if fault == "ignored":
        donor.ignore_boxes = boxes_of_corners(donor.corners) + np.float32([0, 30, 0, 30])
    out = copy_paste.paste_plates(np.random.default_rng(0), plates_sample(0, (320, 280), count=1), donor)
    assert len(out.labels) == (2 if fault == "none" else 1)


def test_donors_without_plates_change_nothing():
    sample = plates_sample(0, count=1)
    before = sample.image.copy()
    out = copy_paste.paste_plates(np.random.default_rng(0), sample, Sample(image=before))
    assert np.array_equal(out.image, before) and len(out.labels) == 1


def test_soft_mask_is_whole_on_the_plate_and_nothing_at_the_border():
    corners = np.array([[60.0, 50], [62, 80], [130, 82], [128, 48]])
    region = copy_paste.cut_out(corners)
    mask = copy_paste.soft_mask(region, (200, 140))
    assert all(mask[round(y), round(x)] == 1 for x, y in corners)
    assert mask[65, 95] == 1
    middle = region.mean(axis=0)
    outside = middle + (region - middle) * 1.05
    assert all(mask[round(y), round(x)] == 0 for x, y in outside)
    steps = np.abs(np.diff(mask[65]))
    assert steps.max() < 0.35  # soft


def test_a_plate_takes_the_tone_of_its_surroundings_and_its_bars_stay_bright():
    means = []
    for ground in (15, 120):
        sample = Sample(image=np.full((280, 320, 3), ground, np.uint8))
        donor = plates_sample(1, (400, 350), ground=60, count=1, channel=2)
        out = copy_paste.paste_plates(np.random.default_rng(3), sample, donor)
        (corners,) = out.corners
        x, y = np.round(corners.mean(axis=0)).astype(int)
        means.append(out.image[y - 2 : y + 3, x - 2 : x + 3].mean())
        assert out.image[..., 2].max() > 200
    assert means[0] < 50 < 70 < means[1]
    assert means[0] > 15 and means[1] < 121  # within limits: a dark plate is no light one


def test_draws_depend_on_the_generator_alone():
    donor = plates_sample(1, channel=2)
    first, again, other = (
        copy_paste.paste_plates(np.random.default_rng(seed), plates_sample(0, (320, 280)), donor) for seed in (5, 5, 6)
    )
    assert np.array_equal(first.image, again.image) and np.array_equal(first.corners, again.corners)
    assert not np.array_equal(first.image, other.image)
