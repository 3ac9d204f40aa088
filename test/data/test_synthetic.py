"""The generator: the same seed gives the same picture, and labels lie where the light is."""

import cv2
import numpy as np
import pytest

from nanodet_kp_core.classes import ARMOR_CLASSES
from nanodet_kp_core.data.formats.coco import read_coco
from nanodet_kp_core.data.synthetic import geometry
from nanodet_kp_core.data.synthetic.clip import clip_frames
from nanodet_kp_core.data.synthetic.dataset import render_dataset
from nanodet_kp_core.data.synthetic.generator import random_camera, render
from nanodet_kp_core.data.synthetic.stickers import sticker_mask
from nanodet_kp_core.errors import DataError


@pytest.fixture(scope="module")
def samples():
    return [render(seed) for seed in range(60)]


def test_same_seed_same_sample(samples):
    again = render(7)
    assert np.array_equal(again.image, samples[7].image)
    assert np.array_equal(again.corners, samples[7].corners)
    assert not np.array_equal(samples[6].image, samples[7].image)


def test_shapes_and_order(samples):
    assert sum(len(s.labels) for s in samples) > 40
    for s in samples:
        count = len(s.labels)
        assert s.image.shape == (256, 256, 3) and s.image.dtype == np.uint8
        assert s.corners.shape == (count, 4, 2) and s.number_known.shape == (count,)
        assert ((s.labels >= 0) & (s.labels < len(ARMOR_CLASSES))).all()
        for c in s.corners:  # counter-clockwise from left-top when y points down
            area = _signed_area(c)
            assert area < 0


def _signed_area(corners):
    x, y = corners[:, 0], corners[:, 1]
    return 0.5 * float((x * np.roll(y, -1) - y * np.roll(x, -1)).sum())


def test_labelled_bars_are_brighter_than_the_panel_beside_them(samples):
    checked = brighter = 0
    for s in samples:
        for c in s.corners:
            across = (c[3] + c[2] - c[0] - c[1]) / 2
            if np.linalg.norm(across) < 30:
                continue
            for top, bottom, inward in ((c[0], c[1], 1), (c[3], c[2], -1)):
                middle = (top + bottom) / 2
                beside = middle + inward * 0.16 * across
                on, off = (s.image[round(float(p[1])), round(float(p[0]))].astype(int).sum() for p in (middle, beside))
                checked += 1
                brighter += on > off
    assert checked > 40
    # Not all: a stray lamp may stand beside a bar, and the glow of a strong bar saturates too.
    assert brighter > 0.93 * checked


def test_corners_are_the_projected_ends_of_the_bars():
    camera = random_camera(np.random.default_rng(3), (640, 480))
    pose = geometry.plate_pose(np.array([0.1, 0.0, 2.0]), 0.3, 0.2, np.radians(15))
    corners = camera.project(pose.points(geometry.corner_points(geometry.SMALL_WIDTH, geometry.BAR_LENGTH)))
    matrix = np.array([[camera.focal, 0, camera.centre[0]], [0, camera.focal, camera.centre[1]], [0, 0, 1]])
    world = np.c_[geometry.corner_points(geometry.SMALL_WIDTH, geometry.BAR_LENGTH), np.zeros(4)]
    ok, _, translation = cv2.solvePnP(world, corners, matrix, None, flags=cv2.SOLVEPNP_IPPE)
    assert ok
    centre_in_camera = camera.rotation @ pose.centre
    assert np.allclose(translation[:, 0], centre_in_camera, atol=1e-4)


def test_stickers_differ_from_each_other():
    masks = {n: cv2.resize(sticker_mask(n, 135.0), (64, 60)) for n in ("G", "1", "2", "3", "4", "5", "O", "Bs")}
    names = list(masks)
    for k, first in enumerate(names):
        assert 0.03 < masks[first].mean() < 0.6
        for second in names[k + 1 :]:
            assert np.abs(masks[first] - masks[second]).mean() > 0.03, (first, second)


def test_dataset_is_resumable_and_refuses_other_arguments(tmp_path):
    list(render_dataset(tmp_path, 6, 0, (96, 96), (9.0, 60.0), 1))
    labels = (tmp_path / "labels.json").read_bytes()
    victim = next((tmp_path / "images").rglob("*.jpg"))
    stamp = victim.stat().st_mtime_ns
    list(render_dataset(tmp_path, 6, 0, (96, 96), (9.0, 60.0), 1))
    assert (tmp_path / "labels.json").read_bytes() == labels
    assert victim.stat().st_mtime_ns == stamp  # a finished chunk is not rendered again
    records = read_coco(tmp_path / "labels.json", tmp_path / "images", ARMOR_CLASSES)
    assert len(records) == 6
    assert np.allclose(records[2].corners, render(2, (96, 96), (9.0, 60.0)).corners, atol=1e-3)
    with pytest.raises(DataError, match="choose another"):
        list(render_dataset(tmp_path, 6, 1, (96, 96), (9.0, 60.0), 1))


def test_clip_moves_and_keeps_its_looks():
    frames = list(clip_frames(0.5, 10, 4, (160, 120)))
    assert len(frames) == 5
    assert not np.array_equal(frames[0], frames[4])
    assert np.abs(frames[0].astype(int) - frames[1]).mean() < 12
