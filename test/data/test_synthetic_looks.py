"""Looks of rendered plates: bare panels, practice targets, half hidden and unlit bars, rows of robots."""

from dataclasses import replace

import numpy as np
import pytest

from nanodet_kp_core.synthetic import plates, prints, robot
from nanodet_kp_core.synthetic.cameras import draw_exposure
from nanodet_kp_core.synthetic.canvas import BODY, Canvas
from nanodet_kp_core.synthetic.generator import random_camera, render
from nanodet_kp_core.synthetic.geometry import plate_pose
from nanodet_kp_core.synthetic.prints import Material, Style, draw_print, draw_style, panel_texture
from nanodet_kp_core.synthetic.robot import draw_robot
from nanodet_kp_core.synthetic.row import OWNERS, draw_row
from nanodet_kp_core.synthetic.targets import VARIANTS, target_mask

READABLE = ("sticker", "cut", "old")
UNREADABLE = ("bare", "rings", "polygon", "framed", "cross", "mirrored", "turned", "letter", "code")


def _styles(number="4", count=3000):
    return [draw_style(np.random.default_rng(seed), number) for seed in range(count)]


def _canvas(size=(256, 256)):
    w, h = size
    return Canvas(np.full((h, w, 3), 40, np.uint8), np.zeros((h, w, 3), np.float32), np.zeros((h, w), np.uint8))


def test_official_stickers_stay_the_majority_and_every_kind_occurs():
    kinds = [style.kind for style in _styles()]
    assert set(kinds) == {*READABLE, *UNREADABLE}
    assert 0.6 < kinds.count("sticker") / len(kinds) < 0.8
    assert 0.09 < kinds.count("bare") / len(kinds) < 0.15


def test_exact_styles_are_official_stickers():
    assert {draw_style(np.random.default_rng(seed), "4", exact=True).kind for seed in range(200)} == {"sticker"}


@pytest.mark.parametrize("number", ["1", "G", "O", "Bs", "Bb"])
def test_a_sticker_that_stays_itself_when_turned_is_not_called_unreadable(number):
    kinds = {style.kind for style in _styles(number, 1500)}
    assert not kinds & {"mirrored", "turned"}
    assert "sticker" in kinds


def _forced(monkeypatch, style, seeds):
    monkeypatch.setattr(plates, "draw_style", lambda rng, number, exact=False: style)
    return [render(seed, (256, 256), (40.0, 120.0)) for seed in seeds]


@pytest.mark.parametrize("kind", UNREADABLE)
def test_targets_and_bare_panels_are_plates_without_a_number(kind, monkeypatch):
    samples = _forced(monkeypatch, Style(kind, Material(0.1, 0.5), 1, False), range(12))
    known = np.concatenate([sample.number_known for sample in samples])
    assert len(known) > 5 and not known.any()


@pytest.mark.parametrize("inverted", [False, True])
def test_near_stickers_are_readable_also_dark_on_bright(inverted, monkeypatch):
    material = Material(0.4, 0.95) if inverted else Material(0.008, 0.09)
    samples = _forced(monkeypatch, Style("sticker", material, 0, inverted), range(12))
    known = np.concatenate([sample.number_known for sample in samples])
    assert known.mean() > 0.5


@pytest.mark.parametrize("kind", READABLE)
@pytest.mark.parametrize("inverted", [False, True])
def test_the_digit_has_the_contrast_that_the_print_claims(kind, inverted):
    material = Material(0.4, 0.95) if inverted else Material(0.008, 0.09)
    printed = draw_print(np.random.default_rng(3), Style(kind, material, 2, inverted))
    assert printed.readable and printed.white > 4 * printed.black
    gray = panel_texture(printed, "4", 135.0, 120.0).mean(-1)
    ground = np.median(gray)
    share = (np.abs(gray - ground) > 60).mean()
    assert 0.05 < share < 0.4
    assert (gray[np.abs(gray - ground) > 60].mean() < ground) == inverted


@pytest.mark.parametrize("kind", ["rings", "polygon", "framed", "cross", "letter", "code"])
def test_each_variant_of_a_target_shows_something_else(kind):
    masks = [target_mask(kind, "3", 135.0, 1.0, variant).astype(float) / 255 for variant in range(VARIANTS)]
    for mask in masks:
        assert 0.01 < mask.mean() < 0.6
    if kind != "rings":
        assert max(np.abs(masks[0] - mask).mean() for mask in masks) > 0.02


def test_bare_panels_come_in_many_materials():
    materials = {style.material for style in _styles() if style.kind == "bare"}
    assert len(materials) == len(prints._MATERIALS)


def _one(seed, free, strengths=(1.0, 1.0), color="B", yaw=0.9):
    """One plate on a dark canvas: its view and the light in the image, float [H, W]."""
    rng = np.random.default_rng(seed)
    camera = replace(random_camera(rng, (256, 256)), focal=500.0, center=(128.0, 128.0), rotation=np.eye(3))
    look = plates.draw_look(rng, color, "3", 0.135, replace(draw_exposure(rng), ambient=0.05), False)
    look = replace(look, bars=replace(look.bars, thickness=0.02, splay=0.0, lean=0.0, round=0.0, glow=0.0))
    look = replace(look, cover=replace(look.cover, guard=None, wires=0, long_bar=None, skirt=None))
    pose = plate_pose(np.array([0.0, 0.0, 0.7]), yaw, 0.0, 0.0)
    lamps = plates._Lamps(color, strengths, True, free)
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(plates, "_lamps", lambda *_: lamps)
        canvas, views = _canvas(), []
        plates.plate_part(rng, canvas, camera, pose, look, 1, views)()
    return views[0], canvas


@pytest.mark.parametrize("yaw", [0.9, -0.9])
def test_a_half_hidden_far_bar_is_labeled_at_its_visible_part(yaw):
    whole, _ = _one(4, 1.0, yaw=yaw)
    sliver, canvas = _one(4, 0.3, yaw=yaw)
    far, near = ((2, 3), (0, 1)) if yaw > 0 else ((0, 1), (2, 3))
    moved = np.linalg.norm(sliver.corners - whole.corners, axis=1)
    assert moved[list(far)].min() > 1 and moved[list(near)].max() < 1e-6
    width = np.linalg.norm(whole.corners[3] - whole.corners[0])
    assert np.linalg.norm(sliver.corners[3] - sliver.corners[0]) > width  # the inner part is the hidden one
    middle = sliver.corners[list(far)].mean(0)
    light = canvas.emission.max(-1)[round(middle[1])]
    lit = np.flatnonzero(light > 0.5 * light[round(middle[0])])
    assert abs(lit[np.abs(lit - middle[0]) < 6].mean() - middle[0]) < 2


def test_bars_without_light_are_bright_strips_not_only_dark():
    levels = []
    for seed in range(30):
        view, canvas = _one(seed, 1.0, (0.0, 0.0), "N", 0.2)
        x, y = view.corners[:2].mean(0).round().astype(int)
        assert canvas.emission.max() == 0
        levels.append(canvas.albedo[y, x].mean())
    assert max(levels) > 190 and min(levels) < 130


def test_a_dim_bar_of_a_steep_plate_keeps_the_plate_lit():
    states = [plates._lamps(np.random.default_rng(seed), "R", 0.5) for seed in range(2000)]
    dim = [s for s in states if s.alike and s.color == "R" and min(s.strengths) < 0.34]
    assert 0.03 < len(dim) / len(states) < 0.09
    assert all(min(s.strengths) >= 0.09 for s in dim)
    assert 0.15 < np.mean([0 < s.free < 1 for s in states]) < 0.35


def test_a_hidden_far_bar_ends_where_it_would_be():
    for yaw, far in ((0.9, 1), (-0.9, 0)):
        whole, _ = _one(4, 1.0, yaw=yaw)
        alone, canvas = _one(4, 0.0, yaw=yaw)
        assert whole.hidden is None and alone.hidden == far
        assert alone.corners == pytest.approx(whole.corners)
        lit = [_light_at(canvas, alone.corners[ends].mean(0)) for ends in ([0, 1], [2, 3])]
        assert lit[far] < 0.05 < 0.5 < lit[1 - far]


def _light_at(canvas, point):
    x, y = point.round().astype(int)
    return float(canvas.emission[y, x].max())


def test_only_steep_plates_have_a_hidden_bar():
    steep, flat = (
        np.mean([plates._lamps(np.random.default_rng(seed), "R", facing).free == 0 for seed in range(2000)])
        for facing in (0.5, 0.9)
    )
    assert 0.2 < steep < 0.3 and flat == 0


@pytest.mark.parametrize("exact", [False, True])
def test_a_row_stands_at_one_height_and_uses_its_owners_only(exact):
    spread, same = [], []
    for seed in range(15):
        rng = np.random.default_rng(seed)
        camera = replace(random_camera(rng, (640, 480)), rotation=np.eye(3))
        canvas = _canvas((640, 480))
        views = draw_row(rng, canvas, camera, np.array([320.0, 240.0]), 40.0, 33, draw_exposure(rng), exact=exact)
        owners = [view.owner for view in views]
        assert len(set(owners)) == len(owners)
        assert set(owners) <= set(range(33, 33 + OWNERS))
        assert set(np.unique(canvas.owner)) <= {0, BODY, *range(33, 33 + OWNERS)}
        robots = {(owner - 33) // 4 for owner in owners}
        assert 1 < len(robots) <= 4
        first = [max((v for v in views if (v.owner - 33) // 4 == k), key=lambda v: v.facing) for k in robots]
        spread.append(np.ptp([view.corners[:, 1].mean() for view in first]) / 40)
        same.append(len({view.color for view in first}) == 1)
    assert np.median(spread) < 0.7
    assert 0.3 < np.mean(same) < 1


def test_an_outpost_has_three_plates_around_it(monkeypatch):
    monkeypatch.setattr(robot, "NUMBERS", ["O"] * len(robot.NUMBERS))
    angles = set()
    for seed in range(25):
        rng = np.random.default_rng(seed)
        camera = random_camera(rng, (256, 256))
        views = draw_robot(rng, _canvas(), camera, np.array([128.0, 128.0]), 40.0, 1, draw_exposure(rng), yaw=1.05)
        assert all(view.number == "O" for view in views)
        if len(views) > 1:
            a, b = views[0].pose.normal, views[1].pose.normal
            flat = (a[[0, 2]] @ b[[0, 2]]) / np.linalg.norm(a[[0, 2]]) / np.linalg.norm(b[[0, 2]])
            angles.add(round(float(np.degrees(np.arccos(flat)))))
    assert angles == {90, 120}
