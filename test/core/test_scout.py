"""The light-bar scout: pairs of lit bars in drawn images of every size and order of channels, and bounded work."""

from dataclasses import replace

import cv2
import numpy as np
import pytest
from tiny_model import make_tiny_model, tiny_metadata
from tiny_refiner import make_tiny_refiner

from nanodet_kp_core.runtime.detection.detector import Detector
from nanodet_kp_core.runtime.refinement import scout as scout_module
from nanodet_kp_core.runtime.refinement.bar_pairs import MAX_GAP, LitBars, Sight, candidate_pairs, measured
from nanodet_kp_core.runtime.refinement.scout import MAX_PAIRS, Scout

BLUE, RED = (255, 160, 60), (60, 90, 255)


def plate(x, y, height=20, ratio=2.4, degrees=0.0):
    """Corners [4, 2] of a plate around (x, y)."""
    angle = np.radians(degrees)
    turn = np.array([[np.cos(angle), -np.sin(angle)], [np.sin(angle), np.cos(angle)]])
    return np.array([[-1, -1], [-1, 1], [1, 1], [1, -1]]) / 2 * (height * ratio, height) @ turn.T + (x, y)


def draw(image, corners, color, shrink=0.12):
    """Light the two bars; a thick line ends half its width beyond its points."""
    height = np.linalg.norm(corners[1] - corners[0])
    for top, bottom in (corners[[0, 1]], corners[[3, 2]]):
        along = (bottom - top) * shrink / 2
        ends = [tuple(int(v) for v in np.round(end * 16)) for end in (top + along, bottom - along)]
        cv2.line(image, *ends, color, max(1, round(height * 0.12)), cv2.LINE_AA, 4)


def room(level, size=(640, 480), seed=0):
    """A wall of that brightness with a little noise."""
    noise = np.random.default_rng(seed).normal(level, 4, (size[1], size[0], 3))
    return np.clip(noise, 0, 255).astype(np.uint8)


def distance(found, corners):
    """Mean corner distance of the nearest pair, in heights of the plate."""
    height = np.linalg.norm(corners[1] - corners[0])
    return np.linalg.norm(found - corners, axis=2).mean(axis=1).min(initial=np.inf) / height


@pytest.mark.parametrize("size", [(320, 256), (640, 480), (1280, 1024), (2448, 2048), (1279, 719)])
@pytest.mark.parametrize("level", [0, 150])
def test_bars_are_paired_in_every_size_and_light(size, level):
    image = room(level, size)
    unit = max(1.0, size[0] / 640)
    plates = [
        plate(0.2 * size[0], 0.4 * size[1], 12 * unit),
        plate(0.5 * size[0], 0.6 * size[1], 24 * unit, 4.1, 12),
        plate(0.8 * size[0], 0.3 * size[1], 40 * unit, 2.0, -8),
    ]
    for corners, color in zip(plates, (BLUE, RED, BLUE)):
        draw(image, corners, color)
    found = Scout()(image)
    assert found.dtype == np.float32 and found.shape[1:] == (4, 2) and len(found) <= MAX_PAIRS
    assert [distance(found, corners) < 0.35 for corners in plates] == [True] * 3


@pytest.mark.parametrize("size", [(320, 256), (640, 480), (1280, 1024)])
def test_pairs_lie_where_the_bars_are_in_even_and_in_odd_rows(size):
    """Two rows that are taken together lie around their middle."""
    offsets = []
    for shift in range(8):
        image = room(30, size)
        corners = plate(size[0] / 2, size[1] / 2 + shift, 24)
        draw(image, corners, (255, 200, 60))
        found = Scout()(image)
        nearest = np.linalg.norm(found - corners, axis=2).mean(axis=1).argmin()
        offsets.append((found[nearest] - corners).mean(axis=0))
    assert np.abs(np.mean(offsets, axis=0)).max() < 0.3


def test_a_far_plate_shows_in_even_and_in_odd_rows():
    """Half of the 1280 columns are left, and two rows are taken together: a bar is lit in two or three of them."""
    for shift in range(4):
        image = room(10, (1280, 1024))
        corners = plate(640, 400 + shift, 9, 2.4)
        draw(image, corners, (150, 110, 40), shrink=0)
        assert distance(Scout()(image), corners) < 0.5


@pytest.mark.parametrize(("light", "haze"), [(0.5, 0), (0.15, 0), (0.3, 60), (0.15, 120)])
def test_a_dim_or_a_hazy_image_shows_its_bars_too(light, haze):
    image = room(60)
    plates = [plate(150, 200, 14), plate(450, 200, 30, 3.0, 10)]
    for corners, color in zip(plates, (BLUE, RED)):
        draw(image, corners, color)
    dim = (haze + light * image).astype(np.uint8)
    found = Scout()(dim)
    assert [distance(found, corners) < 0.35 for corners in plates] == [True] * 2


def test_the_cores_of_bars_show_inside_a_halo_that_is_blown_out():
    """On the bars, between and around them the first channel is at its highest level."""
    image = room(60)
    corners = plate(300, 200, 24)
    glow = np.zeros(image.shape[:2], np.float32)
    cv2.ellipse(glow, (300, 200), (70, 45), 0, 0, 360, 1, -1)
    glow = cv2.GaussianBlur(glow, (0, 0), 20)[..., None]
    image = np.clip(image + glow * (600, 120, 0), 0, 255).astype(np.uint8)
    draw(image, corners, (255, 255, 255))
    assert distance(Scout()(image), corners) < 0.35


def test_a_dim_bar_of_pure_color_shows_beside_a_white_sticker():
    image = room(20)
    corners = plate(300, 200, 14)
    cv2.rectangle(image, (295, 190), (305, 210), (255, 255, 255), -1)
    draw(image, corners, (0, 0, 110))
    assert distance(Scout()(image), corners) < 0.35


@pytest.mark.parametrize("cast", [(1.0, 0.7), (0.7, 1.0)], ids=["blue", "red"])
def test_lamps_under_a_color_cast_are_no_colored_bars(cast):
    """Eight pairs of white lamps and a plate, all of one shape: the color that is left ranks the plate first."""
    image = room(90)
    for column in range(4):
        for row in range(2):
            draw(image, plate(80 + 160 * column, 120 + 300 * row, 20, 2.0), (170, 170, 170))
    corners = plate(320, 260, 20, 2.0)
    draw(image, corners, (150, 170, 60) if cast[0] < 1 else (60, 170, 150))
    seen = np.clip(image * (cast[0], 1.0, cast[1]), 0, 255).astype(np.uint8)
    assert distance(Scout()(seen)[:1], corners) < 0.35


def test_the_order_of_channels_and_a_gray_picture_change_nothing():
    image = room(40)
    for x, color in ((150, BLUE), (450, RED)):
        draw(image, plate(x, 200, 22), color)
    scout = Scout()
    found = scout(image)
    assert len(found) >= 2
    assert np.array_equal(scout(np.ascontiguousarray(image[..., ::-1])), found)
    gray = scout(image.max(axis=2))
    assert all(distance(gray, plate(x, 200, 22)) < 0.35 for x in (150, 450))


def test_the_halved_image_of_the_preprocessing_serves_as_well():
    image = room(30, (1280, 1024))
    draw(image, plate(500, 500, 30), RED)
    halved = cv2.resize(image, (640, 512), interpolation=cv2.INTER_AREA)
    assert np.array_equal(Scout()(image, halved), Scout()(image))


def test_a_view_into_a_larger_image_is_seen_like_a_copy():
    image = room(30)
    draw(image, plate(320, 240, 30), BLUE)
    part = image[100:400, 150:500]
    assert np.array_equal(Scout()(part), Scout()(part.copy()))


def test_corners_lie_on_the_left_and_on_the_right_bar():
    image = room(0)
    corners = plate(300, 200, 30, 3.0, 10)
    draw(image, corners, BLUE)
    (found,) = Scout()(image)
    assert np.abs(found - corners).max() < 3


def test_unlike_lights_are_no_pair():
    """Twice as far apart as any plate's bars, one three times as long, one lying down."""
    for first, second in (
        (plate(150, 200, 20, MAX_GAP + 1), None),
        (plate(150, 200, 60), plate(150, 200, 18)),
    ):
        image = room(0)
        if second is None:
            draw(image, first, BLUE)
        else:
            for corners, bar in ((first, [0, 1]), (second, [3, 2])):
                cv2.line(image, *(tuple(int(v) for v in corners[k]) for k in bar), BLUE, 3)
        assert len(Scout()(image)) == 0
    image = room(0)
    cv2.line(image, (100, 200), (100, 230), BLUE, 4)
    cv2.line(image, (150, 215), (180, 215), BLUE, 4)
    assert len(Scout()(image)) == 0


def lamp_wall():
    image = np.zeros((512, 640, 3), np.uint8)
    for row in range(8):
        image[row::16, ::8] = image[row::16, 1::8] = 255
    return image


def screen():
    image = np.zeros((512, 640, 3), np.uint8)
    for row in range(3):
        image[row::6, ::3] = 255
    return image


@pytest.mark.parametrize(
    "image",
    [lamp_wall(), screen(), np.random.default_rng(0).integers(0, 256, (512, 640, 3), np.uint8),
     np.full((512, 640, 3), 255, np.uint8), np.zeros((512, 640, 3), np.uint8)],
    ids=["lamp wall", "screen", "noise", "white", "black"],
)  # fmt: skip
def test_a_picture_full_of_lights_costs_a_bounded_number_of_outlines(image, monkeypatch):
    """What is left of the work, bars and pairs, is bounded by constants."""
    outlines, bars = [], []
    find, pair = cv2.findContours, scout_module.likeliest_pairs

    def counted(mask, *args):
        found = find(mask, *args)
        outlines.append(len(found[0]))
        return found

    def watched(sight, most):
        bars.append(len(sight.bars))
        return pair(sight, most)

    monkeypatch.setattr(scout_module.cv2, "findContours", counted)
    monkeypatch.setattr(scout_module, "likeliest_pairs", watched)
    assert len(Scout()(image)) <= MAX_PAIRS
    assert max(outlines, default=0) <= scout_module.MAX_RUNS
    assert max(bars, default=0) <= 2 * scout_module.MAX_BARS


@pytest.mark.parametrize("shape", [(1, 1, 3), (3, 700, 3), (700, 3), (15, 15, 3), (16, 31, 3), (1, 900_000, 3)])
def test_images_too_small_for_a_bar(shape):
    assert Scout()(np.zeros(shape, np.uint8)).shape == (0, 4, 2)


def test_no_bars_and_one_bar_make_no_pairs():
    bars, measurable = measured([], np.zeros(0, np.int64))
    assert len(bars) == len(measurable) == 0
    for count in (0, 1):
        bars = LitBars(np.zeros(count, complex), np.full(count, 1j), np.ones(count), np.ones(count))
        assert [len(side) for side in candidate_pairs(bars)] == [0, 0]


@pytest.mark.parametrize("rows", [1, 2])
def test_a_bar_is_measured_along_its_axis_and_tinted_at_its_sides(rows):
    """A rectangle of 31 x 7 pixels, turned by 20 degrees, with a white core in a blue glow; and a speck before it."""
    quad = cv2.boxPoints(((100, 80), (6, 30), 20))
    core, glow = cv2.boxPoints(((100, 80), (2, 26), 20)), cv2.boxPoints(((100, 80), (12, 36), 20))
    mask, blue, red = (np.zeros((200, 200), np.uint8) for _ in range(3))
    for plane, points, level in ((mask, quad, 255), (blue, glow, 51), (blue, core, 255), (red, core, 255)):
        cv2.fillPoly(plane, [np.round(points * 16).astype(np.int32)], level, cv2.LINE_8, 4)
    outlines, _ = cv2.findContours(mask[::rows], cv2.RETR_EXTERNAL, cv2.CHAIN_APPROX_NONE)
    bars, measurable = measured([np.zeros((1, 1, 2), np.int32), *outlines], np.array([1, rows]))
    assert measurable.tolist() == [1]
    assert bars.centers[0].real == pytest.approx(100, abs=0.6) and bars.centers[0].imag == pytest.approx(80, abs=0.6)
    assert (bars.lengths[0], bars.widths[0]) == (pytest.approx(31, abs=1.5), pytest.approx(7, abs=1.5))
    assert np.degrees(np.angle(bars.axes[0])) == pytest.approx(90 + 20, abs=2)
    blue, red = blue[::rows], red[::rows]
    for first, last, gain, tint in ((blue, red, 1.0, 51), (red, blue, 1.0, -51), (blue, red, 1.25, 51 * 1.25)):
        assert Sight(bars, mask[::rows], first, last, gain, rows, 1).tints() == pytest.approx(tint)
    assert Sight(bars, mask[::rows], None, None, 1.0, rows, 1).tints().tolist() == [0]


def test_the_detector_adds_what_the_network_does_not_propose(tmp_path):
    make_tiny_refiner(tmp_path / "refiner.onnx", "B_3")
    metadata = replace(tiny_metadata(64, 64), reader="refiner.onnx")
    model = make_tiny_model(tmp_path / "m.onnx", [], metadata)
    image = room(0, (64, 64))
    corners = plate(32, 32, 14, 2.2)
    draw(image, corners, BLUE)
    found = Detector(model)(image)
    assert found.labels == ["B_3"]
    assert np.abs(found.corners[0] - corners).max() < 3
    assert len(Detector(model, scout=False)(image)) == 0
    assert len(Detector(model, second_stage=False)(image)) == 0
    assert [len(each) for each in Detector(model).detect_all([image, room(0, (64, 64))])] == [1, 0]
