"""Kinds of cameras, blur into discs and smears, and which plates stay plates behind them."""

from dataclasses import replace

import numpy as np
import pytest

from nanodet_kp_core.synthetic import cameras
from nanodet_kp_core.synthetic.cameras import KINDS, MIXED, draw_exposure, usual_exposure
from nanodet_kp_core.synthetic.generator import render_scene
from nanodet_kp_core.synthetic.geometry import plate_pose
from nanodet_kp_core.synthetic.labels import _readable, blob_reach, label
from nanodet_kp_core.synthetic.plates import PlateView
from nanodet_kp_core.synthetic.prints import draw_print, draw_style
from nanodet_kp_core.synthetic.sensor import _aperture, _toned, compress

BY_NAME = {kind.name: kind for kind in KINDS}
PLATE = np.array([[20.0, 20.0], [20.0, 44.0], [78.0, 44.0], [78.0, 20.0]])
"""A plate whose bars are 24 pixels long and 58 apart."""


def test_the_kinds_share_all_pictures():
    assert sum(kind.share for kind in KINDS) == pytest.approx(1)
    assert len(BY_NAME) == len(KINDS)


@pytest.mark.parametrize("kind", KINDS, ids=lambda kind: kind.name)
def test_each_kind_renders_the_same_picture_again(kind):
    first, again = (render_scene(5, (128, 96), (10.0, 60.0), kind=kind).sample for _ in range(2))
    assert first.image.shape == (96, 128, 3) and np.array_equal(first.image, again.image)


def test_a_short_exposure_is_darker_than_a_broadcast():
    levels = [
        np.median([render_scene(s, (96, 96), (10.0, 60.0), kind=BY_NAME[name]).sample.image.mean() for s in range(12)])
        for name in ("machine-short", "broadcast")
    ]
    assert levels[0] < 45 < 70 < levels[1]


def test_blur_grows_slower_than_the_picture():
    narrow, wide = (usual_exposure(np.random.default_rng(4), scale, MIXED) for scale in (1.0, 5.0))
    assert 1.3 < wide.near / narrow.near < 2.2
    assert wide.noise == narrow.noise and wide.ambient == narrow.ambient


@pytest.mark.parametrize("blades", [0, 5, 8])
def test_an_aperture_is_a_disc_of_its_radius(blades):
    kernel = _aperture(6.0, blades, 0.7)
    assert kernel.sum() == pytest.approx(1, abs=1e-5)
    reach = np.hypot(*(np.argwhere(kernel > 0).T - kernel.shape[0] // 2))
    assert 5 < reach.max() < 7.5
    center = np.arange(len(kernel)) - len(kernel) // 2
    assert abs((kernel.sum(0) * center).sum()) < 0.3  # labels do not shift
    inner = kernel[len(kernel) // 2, len(kernel) // 2]
    assert inner == pytest.approx(kernel.max())


def test_a_phone_lifts_shadows_and_keeps_white():
    picture = np.full((64, 64, 3), 0.2, np.float32)
    picture[:, 40:] = 1.0
    toned = _toned(picture, 0.8)
    assert toned[32, 4, 0] > 0.15 and toned[32, 60, 0] == pytest.approx(1, abs=1e-3)
    assert toned.dtype == np.float32


def test_a_broadcast_loses_detail_that_a_machines_camera_keeps():
    picture = np.random.default_rng(1).integers(0, 256, (96, 128, 3), dtype=np.uint8)
    lost = {}
    for name in ("broadcast", "machine-short"):
        exposures = [usual_exposure(np.random.default_rng(k), 1.0, BY_NAME[name]) for k in range(12)]
        errors = [np.abs(compress(picture, exposure).astype(int) - picture).mean() for exposure in exposures]
        lost[name] = np.median(errors)
    assert lost["broadcast"] > 15 and lost["machine-short"] == 0


def _sharp():
    return replace(
        usual_exposure(np.random.default_rng(0), 1.0, MIXED), ambient=0.5, gamma=0.5, black=0.0, noise=0.0, blur=0.0,
        defocus=0.5, disc=0.0, shrink=1.0, quality=0,
    )  # fmt: skip


def test_scaling_and_jpeg_hide_numbers():
    sharp = _sharp()
    plate, faint = _plate_view(white=0.5), _plate_view(white=0.026)
    assert _readable(plate, sharp) and _readable(faint, sharp)
    assert not _readable(plate, replace(sharp, disc=12.0)) and not _readable(plate, replace(sharp, shrink=0.08))
    assert not _readable(faint, replace(sharp, quality=14)) and _readable(plate, replace(sharp, quality=14))


def _plate_view(white):
    rng = np.random.default_rng(2)
    printed = replace(draw_print(rng, draw_style(rng, "3", exact=True)), white=white, black=0.01)
    pose = plate_pose(np.array([0.0, 0.0, 2.0]), 0.0, 0.2, 0.0)
    return PlateView(PLATE, pose, "B", "3", False, printed, 1, 1.0, True)


def test_a_plate_with_one_hidden_bar_needs_a_legible_sticker():
    sharp = _sharp()
    picture = np.zeros((64, 96, 3), np.uint8)
    picture[20:45, 18:23] = 255  # the left bar
    owner = np.ones((64, 96), np.uint8)
    plate, blank = _plate_view(white=0.5), _plate_view(white=0.01)

    def labeled(view):
        sample, kept = label(picture, owner, [view], sharp, "one bar")
        return len(kept), len(sample.ignore_boxes)

    assert labeled(replace(plate, hidden=1)) == (1, 0)
    assert labeled(replace(blank, hidden=1)) == (0, 1)
    assert labeled(plate) == (0, 1) and labeled(replace(plate, hidden=0)) == (0, 1)
    far = replace(plate, hidden=1, corners=PLATE[0] + (PLATE - PLATE[0]) * 0.38)
    assert labeled(far) == (0, 1)  # its bar is 9 pixels long


def test_blobs_grow_by_discs_and_by_motion_across_but_not_along():
    plain = replace(usual_exposure(np.random.default_rng(0), 1.0, MIXED), defocus=0.5, disc=0.0, blur=0.0)
    assert blob_reach(PLATE, plain).apart == pytest.approx(58)
    assert blob_reach(PLATE, replace(plain, disc=9.0)).across == pytest.approx(19)
    flat, upright = (blob_reach(PLATE, replace(plain, blur=30.0, angle=angle)) for angle in (0.0, np.pi / 2))
    assert flat.across == pytest.approx(31) and flat.along == pytest.approx(0)
    assert upright.across == pytest.approx(1) and upright.along == pytest.approx(30)


def _labeled(monkeypatch, shares, seeds=40):
    for name, share in zip(("_DISCS", "_SMEARS", "_OVALS"), shares):
        monkeypatch.setattr(cameras, name, share)
    scenes = [render_scene(seed, kind=BY_NAME["machine-long"]).sample for seed in range(seeds)]
    return sum(len(sample.labels) for sample in scenes)


def test_plates_in_discs_smears_and_ovals_stay_plates(monkeypatch):
    usual = _labeled(monkeypatch, (0.0, 0.0, 0.0))
    for shares in ((1.0, 0.0, 0.0), (0.0, 1.0, 0.0), (0.0, 0.0, 1.0)):
        assert _labeled(monkeypatch, shares) > 0.35 * usual


def test_unusual_exposures_come_at_their_rates():
    drawn = [draw_exposure(np.random.default_rng(seed)) for seed in range(1500)]
    assert 0.015 < np.mean([exposure.disc > 0 for exposure in drawn]) < 0.05
    assert 0.03 < np.mean([exposure.near_share > 0.65 for exposure in drawn]) < 0.09
    assert 0.02 < np.mean([exposure.blur > 10 for exposure in drawn]) < 0.15
