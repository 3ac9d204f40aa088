"""The checker: what it must find, what it must leave alone, and the scripts around it."""

import json
import runpy
import sys
from itertools import permutations
from pathlib import Path

import cv2
import numpy as np
import pytest
from format_helpers import SIZE, labeled, write_image
from hypothesis import assume, example, given, settings
from hypothesis import strategies as st

from nanodet_kp_core.classes import ARMOR_CLASSES
from nanodet_kp_core.errors import DataError
from nanodet_kp_core.geometry import CORNER_NAMES, MIRROR_LEFT_RIGHT
from nanodet_kp_core.labels import read_labels, read_records, write_labels, written_paths
from nanodet_kp_core.labels.bar_colors import color_faults, plate_colors
from nanodet_kp_core.labels.check import check_dataset
from nanodet_kp_core.labels.corner_order import corner_faults, crossed, signed_area, tilt
from nanodet_kp_core.labels.draw_labels import BOX_COLOR, HIDDEN_COLOR, IGNORE_COLOR, draw_labels
from nanodet_kp_core.labels.labels import Plate, corners_of_box, hull

TRAINING = Path(__file__).resolve().parents[2] / "training"
GOOD = ((10.0, 12.0), (10.5, 24.0), (40.0, 25.0), (39.0, 12.5))
HULL = hull(GOOD)


def plate(corners=GOOD, name="B_3", box=None, visible=(2, 2, 2, 2), ignore=False):
    corners = tuple(corners)
    return Plate("", name, corners, box or hull(corners), visible, ignore)


def check(tmp_path, *plates, class_names=ARMOR_CLASSES, **arguments):
    write_image(tmp_path / "in/a.png")
    images = labeled(tmp_path / "in", {"a.png": list(plates)})
    write_labels("CocoDataset", tmp_path / "out", images, ARMOR_CLASSES)
    folder, path = written_paths("CocoDataset", tmp_path / "out")
    return check_dataset("CocoDataset", folder, path, class_names, **arguments)


@st.composite
def seen_plates(draw):
    """A plate as a camera sees it: a rectangle turned about its upright axis, tilted a little."""
    yaw, roll = np.radians(draw(st.floats(-50, 50))), np.radians(draw(st.floats(-12, 12)))
    wide, high = draw(st.sampled_from([(135.0, 55.0), (230.0, 55.0)]))
    x, y, z = draw(st.floats(-500, 500)), draw(st.floats(-300, 300)), draw(st.floats(600, 5000))
    corners = np.array([[-wide, -high], [-wide, high], [wide, high], [wide, -high]]) / 2
    turned = corners @ np.array([[np.cos(roll), np.sin(roll)], [-np.sin(roll), np.cos(roll)]])
    depth = z + turned[:, 0] * np.sin(yaw)
    points = np.stack([turned[:, 0] * np.cos(yaw) + x, turned[:, 1] + y], axis=1) / depth[:, None]
    return points * 1000 + (320, 240)


def edge_slope(corners):
    """Degrees between the long edges and level."""
    (dx, dy) = corners[3] - corners[0] + corners[2] - corners[1]
    return abs(np.degrees(np.arctan2(dy, dx)))


@settings(max_examples=100, deadline=None)
@given(corners=seen_plates())
@example(corners=np.array([(-38.1, 475.5), (-38.1, 559.9), (52.6, 620.3), (52.6, 520.0)]))  # upright bars, steep edges
def test_the_right_order_is_the_only_one_without_a_fault(corners):
    """Where edges are steeper, as far off the axis of a wide lens, they may as well be the bars of a rolled plate."""
    assume(edge_slope(corners) <= 35)
    orders = list(permutations(range(4)))
    images = [labeled(Path(), {"a.png": [plate(map(tuple, corners[list(k)].tolist()))]}) for k in orders]
    assert [order for order, image in zip(orders, images) if not corner_faults(image)] == [(0, 1, 2, 3)]


@given(corners=seen_plates(), angle=st.floats(-30, 30))
def test_a_tilted_plate_is_in_order(corners, angle):
    """Some 40 degrees in all: a robot on a ramp, a camera held askew."""
    cos, sin = np.cos(np.radians(angle)), np.sin(np.radians(angle))
    turned = corners @ np.array([[cos, sin], [-sin, cos]])
    assert corner_faults(labeled(Path(), {"a.png": [plate(map(tuple, turned.tolist()))]})) == []


def test_mirrored_crossed_and_turned_are_told_apart():
    good = np.array([GOOD])
    assert not crossed(good)[0] and signed_area(good)[0] > 0 and abs(tilt(good)[0]) < 5
    mirrored = good[:, list(MIRROR_LEFT_RIGHT)]
    assert not crossed(mirrored)[0] and signed_area(mirrored)[0] == -signed_area(good)[0]
    assert crossed(good[:, [0, 2, 1, 3]])[0] and crossed(good[:, [1, 0, 2, 3]])[0]
    image = labeled(Path(), {"a.png": [plate(GOOD[k:] + GOOD[:k]) for k in range(4)]})
    sentences = [fault.text for fault in corner_faults(image)]
    assert [sentence.partition("the first corner ")[2] for sentence in sentences] == (
        [f"were the {name} one" for name in CORNER_NAMES[1:]]
    )
    assert corner_faults(image, turned=False) == []  # a robot may lie on its side: training goes on


def test_a_good_plate_has_no_fault(tmp_path):
    report = check(tmp_path, plate(), plate(corners_of_box((45, 30, 60, 40))), plate(ignore=True))
    assert report.faults == []
    assert (report.images, report.background, report.ignore_boxes, report.class_counts["B_3"]) == (1, 0, 1, 2)
    assert "2 plates of 1 classes, 1 ignore boxes" in report.summary() and "0 errors, 0 warnings" in report.summary()


BOX = corners_of_box((45, 30, 60, 40))


@pytest.mark.parametrize(
    ("plates", "levels", "words"),
    [
        ([plate(), plate(BOX, visible=(0,) * 4)], ["warning"], "got none for 1 of 2 plates"),
        ([plate(GOOD, visible=(0,) * 4), plate(BOX, visible=(0,) * 4)], ["error"], "got none for 2 of 2 plates"),
        ([plate(GOOD, visible=(2, 0, 0, 0))], [], ""),
        ([plate(ignore=True)], [], ""),
    ],
)
def test_plates_without_corners_are_counted(plates, levels, words, tmp_path):
    report = check(tmp_path, *plates)
    assert [fault.level for fault in report.faults] == levels
    assert words in "".join(fault.text for fault in report.faults)
    assert ("no labeled corner" in report.summary()) == bool(levels)
    if levels:
        assert "`segmentation` are not read" in report.faults[0].text


@pytest.mark.parametrize(
    ("plates", "level", "sentence"),
    [
        ([plate(GOOD[1:] + GOOD[:1])], "error", "as if the first corner were the left-bottom one"),
        ([plate(GOOD[::-1])], "error", "got the mirrored order"),
        ([plate((GOOD[0], GOOD[2], GOOD[1], GOOD[3]))], "error", "got sides that cross"),
        ([plate([GOOD[0]] * 4)], "error", "got an area of 0 square pixels"),
        ([plate([(-4, 12), *GOOD[1:]])], "warning", "got 1 of 4 corners outside, such as (-4.0, 12.0)"),
        ([plate(name="X_3")], "error", "got 'X_3'; did you mean"),
        ([plate(), plate()], "error", "expected each plate once, got 'B_3' in the place of 'B_3' at"),
        ([plate(), plate([(x + 1, y) for x, y in GOOD], name="R_3")], "error", "got 'R_3' in the place of 'B_3'"),
        ([plate(box=(10, 12, 30, 25))], "error", "expected a box that contains its corners, got corner (40.0, 25.0)"),
        ([plate(corners_of_box((5, 5, 5, 9)), box=(5, 5, 5, 9), visible=(0,) * 4)], "error", "got 0x4 pixels"),
        (
            [plate(corners_of_box((-9, 5, 20, 9)), box=(-9, 5, 20, 9), visible=(0,) * 4)],
            "warning",
            "got a box that leaves it",
        ),
    ],
)
def test_faults_of_plates(plates, level, sentence, tmp_path):
    report = check(tmp_path, *plates)
    found = [fault for fault in report.faults if sentence in fault.text]
    assert len(found) == 1 and found[0].level == level
    # file:line, and the line is that of the (last) annotation
    path, line, entry = found[0].where.split(":")
    assert json.loads(Path(path).read_text().splitlines()[int(line) - 1].rstrip(","))["id"] == int(entry.split()[1])
    others = [fault for fault in report.faults if fault is not found[0] and "labeled corners" not in fault.text]
    assert others == []


def test_neighbors_are_no_duplicates(tmp_path):
    beside = [(x + 8, y) for x, y in GOOD]
    assert check(tmp_path, plate(), plate(beside)).faults == []


def test_a_clipped_box_contains_what_is_in_the_image(tmp_path):
    corners = [(-8.0, 12.0), (-8.0, 24.0), (20.0, 24.0), (20.0, 12.0)]
    assert check(tmp_path, plate(corners, box=(0.0, 12.0, 20.0, 24.0))).errors == []


def test_any_class_when_none_are_given(tmp_path):
    assert check(tmp_path, plate(name="anything"), class_names=None).faults == []


@pytest.mark.parametrize(
    ("spoil", "sentence"),
    [
        (lambda path: path.write_bytes(b"no image"), "expected a readable image"),
        (lambda path: write_image(path, (65, 48)), "expected an image of 64x48 as labeled, got 65x48"),
        (lambda path: path.write_bytes(jpeg()[:-300]), "expected a readable image"),
    ],
)
def test_faults_of_images(spoil, sentence, tmp_path):
    check(tmp_path, plate())
    spoil(tmp_path / "out/images/a.png")
    (fault,) = check_dataset("CocoDataset", tmp_path / "out/images", tmp_path / "out/labels.json", None).errors
    assert sentence in fault.text


def jpeg():
    noise = np.random.default_rng(0).integers(0, 255, (SIZE[1], SIZE[0], 3), np.uint8)
    return cv2.imencode(".jpg", noise)[1].tobytes()


def colored(color):
    """An image of a plate whose bars glow in a BGR color around a core that is blown out."""
    image = np.full((SIZE[1], SIZE[0], 3), 40, np.uint8)
    for top, bottom in ((GOOD[0], GOOD[1]), (GOOD[3], GOOD[2])):
        ends = [(round(x), round(y)) for x, y in (top, bottom)]
        cv2.line(image, *ends, color, 5)
        cv2.line(image, *ends, (255, 255, 255), 1)
    return image


BLUE, RED, PURPLE, DARK = (250, 120, 40), (40, 60, 250), (220, 60, 220), (40, 40, 40)


@pytest.mark.parametrize(
    ("name", "colors", "others"),
    [("B_3", [BLUE] * 4, 0), ("R_3", [RED] * 4, 0), ("B_3", [RED] * 4, 4), ("R_3", [BLUE, BLUE, RED, DARK, BLUE], 3),
     ("B_3", [RED, RED, BLUE, DARK, DARK], 0), ("N_3", [DARK] * 4, 0), ("N_3", [BLUE] * 4, 4), ("P_3", [PURPLE] * 4, 0),
     ("P_3", [RED] * 4, 4)],
)  # fmt: skip
def test_plates_that_look_of_another_color_are_told(name, colors, others):
    """From three of them on, where they are half of those whose color is clear."""
    found = [color for pixels in colors for color in plate_colors(colored(pixels), [plate(name=name)])]
    faults = color_faults(found, "labels")
    assert [fault.level for fault in faults] == ["warning"] * (others > 0)
    if others:
        clear = sum(color.is_clear for color in found)
        assert f"got {others} of {clear} that look of another one" in str(faults[0])


def test_the_checker_looks_at_the_colors_of_the_pixels(tmp_path):
    """Class ids of another tool: red plates with the ids of blue ones."""
    (tmp_path / "in").mkdir()
    for index in range(4):
        cv2.imwrite(str(tmp_path / f"in/{index}.png"), colored(RED))
    images = labeled(tmp_path / "in", {f"{index}.png": [plate(name="B_G")] for index in range(4)})
    write_labels("CocoDataset", tmp_path / "out", images, ARMOR_CLASSES)
    place = ("CocoDataset", *written_paths("CocoDataset", tmp_path / "out"))
    (warning,) = check_dataset(*place, ARMOR_CLASSES).warnings
    assert "got 4 of 4 that look of another one" in str(warning)
    assert check_dataset(*place, ARMOR_CLASSES, pixels=False).warnings == []


@pytest.mark.parametrize(("bits", "told"), [(12, True), (16, False)])
def test_images_of_16_bits_that_leave_the_upper_ones_unused_are_told(tmp_path, bits, told):
    (tmp_path / "in").mkdir()
    deep = np.linspace(0, 2**bits - 1, SIZE[0] * SIZE[1]).reshape(SIZE[1], SIZE[0]).astype(np.uint16)
    cv2.imwrite(str(tmp_path / "in/a.png"), deep)
    write_labels("CocoDataset", tmp_path / "out", labeled(tmp_path / "in", {"a.png": [plate()]}), ARMOR_CLASSES)
    report = check_dataset("CocoDataset", *written_paths("CocoDataset", tmp_path / "out"), ARMOR_CLASSES)
    assert ["only 12 are used so far" in str(warning) for warning in report.warnings] == [True] * told


def test_only_plates_with_corners_and_a_color_are_looked_at():
    plates = [plate(name="left"), plate(ignore=True), plate(visible=(2, 2, 2, 0))]
    assert plate_colors(colored(RED), plates) == []


def test_the_real_set_has_no_errors(shared_dir):
    report = check_dataset("CocoDataset", shared_dir / "real/images", shared_dir / "real/dev.json", ARMOR_CLASSES)
    assert report.errors == [] and report.images == 182 and sum(report.class_counts.values()) == 225


def test_labels_are_drawn(tmp_path):
    black = np.zeros((SIZE[1], SIZE[0], 3), np.uint8)
    plates = [
        plate(visible=(2, 2, 1, 2)),
        plate(corners_of_box((44, 30, 60, 44)), visible=(0,) * 4),
        plate(corners_of_box((2, 30, 20, 44)), ignore=True),
    ]
    picture = draw_labels(black, plates, 4.0)
    assert picture.shape == (192, 256, 3) and not black.any()
    for color in (HIDDEN_COLOR, BOX_COLOR, IGNORE_COLOR):
        assert (np.abs(picture.astype(int) - color).max(axis=2) < 60).any()  # lines are smoothed
    assert not draw_labels(black, []).any()


def run_script(name, *arguments, monkeypatch):
    """(exit code) of a script, run in this process."""
    monkeypatch.setattr(sys, "argv", [name, *map(str, arguments)])
    monkeypatch.syspath_prepend(str(TRAINING))
    with pytest.raises(SystemExit) as end:
        runpy.run_path(str(TRAINING / name), run_name="__main__")
    return end.value.code


@pytest.fixture
def text_set(tmp_path):
    """Two images in PyLabelRoboMaster's format, one of them background."""
    write_image(tmp_path / "images/a.png")
    write_image(tmp_path / "images/b.png")
    (tmp_path / "labels").mkdir()
    (tmp_path / "labels/a.txt").write_text("3 0.15 0.25 0.15 0.6 0.6 0.6 0.6 0.25\n")
    return tmp_path


def test_check_script(text_set, monkeypatch, capsys):
    pytest.importorskip("matplotlib")
    arguments = ("--labels", text_set / "labels", "--format", "py-label-robomaster", "--picture", text_set / "c.png")
    assert run_script("check.py", *arguments, monkeypatch=monkeypatch) == 0
    out = capsys.readouterr().out
    assert "2 images, 1 plates of 1 classes" in out and "1 images are background, 1 of them without a label" in out
    assert cv2.imread(str(text_set / "c.png")) is not None
    (text_set / "labels/a.txt").write_text("3 0.15 0.25 0.6 0.25 0.6 0.6 0.15 0.6\n99\n")
    assert run_script("check.py", *arguments[:4], monkeypatch=monkeypatch) == 1
    out = capsys.readouterr().out
    assert f"error: {text_set}/labels/a.txt:1: expected corners in the order" in out
    assert f"error: {text_set}/labels/a.txt:2: expected 13 numbers" in out and "2 errors" in out
    assert run_script("check.py", *arguments[:2], monkeypatch=monkeypatch) == 2
    assert "expected --format with one of" in capsys.readouterr().err


def test_convert_script(text_set, monkeypatch, capsys):
    source = ("--labels", text_set / "labels", "--format", "py-label-robomaster")
    assert run_script("convert.py", text_set / "coco", "--to", "coco", *source, monkeypatch=monkeypatch) == 0
    assert "2 images, 1 plates" in capsys.readouterr().out
    first, second = read_records("CocoDataset", text_set / "coco/images", text_set / "coco/labels.json", ARMOR_CLASSES)
    assert (ARMOR_CLASSES[first.labels[0]], len(second.labels)) == ("B_3", 0)
    whole = ("--to", "voc", "--whole-pixels", "--labels", text_set / "coco/labels.json")
    assert run_script("convert.py", text_set / "voc", *whole, monkeypatch=monkeypatch) == 2
    assert "got 1 plates whose coordinates are not whole pixels; --lossy" in capsys.readouterr().err
    assert not (text_set / "voc").exists()
    assert run_script("convert.py", text_set / "voc", *whole, "--lossy", monkeypatch=monkeypatch) == 0
    assert "lost: 1 plates whose coordinates" in capsys.readouterr().out
    (found, _) = read_labels("XMLDataset", text_set / "voc/images", text_set / "voc/annotations", [])
    assert found.plates[0].corners == ((10.0, 12.0), (10.0, 29.0), (38.0, 29.0), (38.0, 12.0))
    (text_set / "names.txt").write_text("R_3\nB_4\n")
    named = (*source, "--classes", text_set / "names.txt")
    assert run_script("convert.py", text_set / "x", "--to", "coco", *named, monkeypatch=monkeypatch) == 2
    assert "expected one of the class names R_3, B_4, got 'B_3'" in capsys.readouterr().err


def test_view_script(text_set, monkeypatch, capsys):
    arguments = ("--labels", text_set / "labels", "--format", "py-label-robomaster", "--save", text_set / "seen")
    assert run_script("view.py", *arguments, monkeypatch=monkeypatch) == 0
    assert cv2.imread(str(text_set / "seen/a.png")).any() and not cv2.imread(str(text_set / "seen/b.png")).any()
    assert "2 images" in capsys.readouterr().out


def test_classes_file(text_set, monkeypatch, capsys):
    (text_set / "names.txt").write_text("B_3\n\nB_3\n")
    arguments = ("--labels", text_set / "labels", "--format", "py-label-robomaster")
    assert run_script("check.py", *arguments, "--classes", text_set / "names.txt", monkeypatch=monkeypatch) == 2
    assert "expected different class names, one per line, got ['B_3']" in capsys.readouterr().err


def test_the_picture_needs_a_known_ending(tmp_path):
    pytest.importorskip("matplotlib")
    from nanodet_kp_core.labels.histograms import write_histograms

    report = check(tmp_path, plate(name="$\\frac$"), class_names=None)
    with pytest.raises(DataError, match=r"c\.xyz: expected a name that ends in"):
        write_histograms(tmp_path / "c.xyz", report, "")
    write_histograms(tmp_path / "c.svg", report, "a $ sign")
    assert b"<svg" in (tmp_path / "c.svg").read_bytes()
