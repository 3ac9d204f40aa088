"""What stands and shines around robots is never labeled; rows keep their owners apart; the clip shows fit robots."""

from types import SimpleNamespace

import numpy as np
import pytest

from nanodet_kp_core.synthetic import arena, boards, generator, hall, indoor, trim
from nanodet_kp_core.synthetic.canvas import BODY, OCCLUDER, Canvas
from nanodet_kp_core.synthetic.cast import _try, find_actor
from nanodet_kp_core.synthetic.clip import _LIGHT, _PARTS, QUICK_SEED, _cast, clip_frames
from nanodet_kp_core.synthetic.generator import render_scene
from nanodet_kp_core.synthetic.hud import hud

SHINING = (arena.slanted_pair, arena.lit_ramp, arena.border_lines, arena.energy_mechanism, indoor.windows,
           indoor.tube_rows, indoor.led_screen, indoor.monitor)  # fmt: skip
DULL = (arena.floor_markings, indoor.chair, indoor.legs, indoor.cone, boards.board)
GREY = 90


def _canvas(w=256, h=192):
    return Canvas(np.full((h, w, 3), GREY, np.uint8), np.zeros((h, w, 3), np.float32), np.zeros((h, w), np.uint8))


@pytest.mark.parametrize("draw", SHINING, ids=lambda draw: draw.__name__)
def test_what_shines_around_robots_has_no_owner(draw):
    lit = 0
    for seed in range(20):
        canvas = _canvas()
        draw(np.random.default_rng(seed), canvas)
        assert not canvas.owner.any() and np.isfinite(canvas.emission).all()
        lit += canvas.emission.max() > 0.1
    assert lit > 12  # the others lie outside


@pytest.mark.parametrize("draw", DULL, ids=lambda draw: draw.__name__)
def test_what_only_reflects_shines_nowhere(draw):
    changed = 0
    for seed in range(20):
        canvas = _canvas()
        draw(np.random.default_rng(seed), canvas)
        assert not canvas.owner.any() and not canvas.emission.any()
        changed += (canvas.albedo != GREY).any()
    assert changed > 12


def test_strips_of_a_pair_lean_together_and_are_closer_than_they_are_long(monkeypatch):
    lines = []
    monkeypatch.setattr(arena, "shine_line", lambda canvas, start, stop, *rest: lines.append((start, stop)))
    for seed in range(60):
        lines.clear()
        arena.slanted_pair(np.random.default_rng(seed), _canvas())
        length, gap = np.linalg.norm(lines[0][1] - lines[0][0]), np.linalg.norm(lines[1][0] - lines[0][0])
        assert 0.95 < length / gap < 3.05
        leans = [np.arctan2(stop[0] - start[0], stop[1] - start[1]) for start, stop in lines]
        assert min(np.abs(leans)) > 0.05 and leans[0] * leans[1] > 0


def test_a_long_line_shines_evenly_over_its_pieces():
    canvas = _canvas(400, 40)
    arena.shine_line(canvas, np.array([20.0, 20.0]), np.array([380.0, 20.0]), 6.0, 6.0, np.ones(3, np.float32))
    assert canvas.emission[20, 24:376, 0].min() > 0.95
    assert canvas.emission[30].max() == 0


def test_halls_are_bright():
    levels = []
    for seed in range(20):
        picture = np.zeros((96, 128, 3), np.uint8)
        hall.hall(np.random.default_rng(seed), picture)
        levels.append(picture.mean())
    assert np.median(levels) > 110  # an albedo of about 0.2


def test_a_game_clients_bars_cover_what_is_below():
    covered = 0
    for seed in range(20):
        picture, owner = np.full((120, 160, 3), GREY, np.uint8), np.full((120, 160), 7, np.uint8)
        hud(np.random.default_rng(seed), picture, owner)
        assert set(np.unique(owner)) <= {7, OCCLUDER}
        covered += (owner == OCCLUDER).any()
    assert covered == 20


def test_strips_on_a_body_spare_its_plates(monkeypatch):
    monkeypatch.setattr(trim, "_SHARE", 1.0)
    corners = np.array([[100.0, 100.0], [100.0, 130.0], [170.0, 130.0], [170.0, 100.0]])
    lit = 0
    for seed in range(20):
        canvas = _canvas()
        canvas.owner[20:180, 40:230] = BODY
        canvas.owner[90:140, 90:180] = 1
        trim.chassis_strips(np.random.default_rng(seed), canvas, [SimpleNamespace(corners=corners, color="B")])
        assert not canvas.emission[canvas.owner != BODY].any()
        lit += canvas.emission.max() > 0.1
    assert lit > 14


def test_rows_and_robots_share_no_owner(monkeypatch):
    seen = []
    label = generator.label

    def spy(picture, owner, plates, exposure, name):
        seen.append([plate.owner for plate in plates])
        return label(picture, owner, plates, exposure, name)

    monkeypatch.setattr(generator, "_ROWS", 1.0)
    monkeypatch.setattr(generator, "label", spy)
    for seed in range(25):
        render_scene(seed, (160, 120), (8.0, 60.0))
    for owners in seen:
        assert len(owners) == len(set(owners)) and all(0 < owner < 254 for owner in owners)
    assert max(len(owners) for owners in seen) > 6


def test_the_actors_of_a_clip_carry_official_numbers_of_their_team():
    first, color = _cast(QUICK_SEED)[0], _PARTS[0].color
    assert first.number in "12345"
    assert _try(first.looks, color, set(), _LIGHT) == (first, True)  # what it finds hangs on this alone
    assert find_actor((QUICK_SEED, 0), color, {first.number}, _LIGHT).number != first.number


def test_a_clip_begins_alike_whatever_its_length():
    assert np.array_equal(
        next(clip_frames(1, 5, QUICK_SEED, (160, 120))), next(clip_frames(4, 10, QUICK_SEED, (160, 120)))
    )
