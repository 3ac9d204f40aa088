"""What a format can hold comes back as it was, through every pair of formats; what it cannot hold is counted."""

import itertools
import shutil
import tempfile
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
from format_helpers import SIZE, assert_same, labeled, plates_for, write_image
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from nanodet_kp_core.classes import ARMOR_CLASSES
from nanodet_kp_core.errors import DataError
from nanodet_kp_core.labels import (
    FORMATS,
    format_of,
    read_labels,
    read_records,
    write_dataset,
    write_labels,
    written_paths,
)
from nanodet_kp_core.labels.labels import LabeledImage, Plate, corners_of_box, from_records, hull
from nanodet_kp_core.labels.lossy_conversions import losses, without_losses
from nanodet_kp_core.labels.sample import Record

quick = settings(max_examples=20, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])


@pytest.fixture(scope="module")
def pictures(tmp_path_factory):
    folder = tmp_path_factory.mktemp("pictures")
    for name in ("a.png", "sub/b.png"):
        write_image(folder / name)
    return folder


def through(name, images, folder):
    """Write and read again."""
    write_labels(name, folder, images, ARMOR_CLASSES)
    faults = []
    found = read_labels(name, *written_paths(name, folder), faults)
    assert faults == []
    return found


@pytest.mark.parametrize("name", FORMATS)
@quick
@given(data=st.data())
def test_round_trip(name, pictures, data):
    images = labeled(pictures, {"a.png": data.draw(plates_for(name)), "sub/b.png": data.draw(plates_for(name))})
    assert losses(name, images) == []
    with tempfile.TemporaryDirectory() as folder:
        assert_same(images, through(name, images, Path(folder)))


@pytest.mark.parametrize(("first", "second"), list(itertools.permutations(FORMATS, 2)))
def test_there_and_back(first, second, pictures, tmp_path):
    """The smaller of the two says what can be held; nothing of that is lost on the way there and back."""
    rng = np.random.default_rng(5)
    names = [n for n in ARMOR_CLASSES if all(n in (format_of(f).ids or (n,)) for f in (first, second))]
    plates = []
    for k in range(6):
        corners = tuple(map(tuple, rng.uniform(-20, 80, (4, 2)).tolist()))
        plates.append(Plate("", names[k], corners, hull(corners)))
    images = labeled(pictures, {"a.png": plates, "sub/b.png": []})
    assert losses(first, images) == losses(second, images) == []
    there = through(first, images, tmp_path / "1")
    back = through(first, through(second, there, tmp_path / "2"), tmp_path / "3")
    assert_same(images, back)


@pytest.mark.parametrize("name", FORMATS)
def test_records_keep_every_bit(name, pictures, tmp_path):
    """float32 coordinates of a record come back as the same float32 wherever the format stores pixels."""
    rng = np.random.default_rng(1)
    left, top, wide, high = rng.uniform((0, 0, 5, 3), (30, 30, 30, 15), (20, 4)).T
    corners = np.stack([left, top, left + 0.3, top + high, left + wide, top + high, left + wide - 0.2, top], axis=1)
    allowed = format_of(name).ids or ARMOR_CLASSES
    labels = np.array([ARMOR_CLASSES.index(allowed[k % len(allowed)]) for k in range(20)])
    record = Record(
        path=pictures / "a.png", name="a.png", width=SIZE[0], height=SIZE[1],
        corners=corners.reshape(-1, 4, 2).astype(np.float32), labels=labels,
    )  # fmt: skip
    write_dataset(name, tmp_path / "out", [record], ARMOR_CLASSES)
    again = read_records(name, *written_paths(name, tmp_path / "out"), ARMOR_CLASSES)[0]
    assert again.corners.dtype == np.float32 and again.labels.dtype == np.int64 and again.visible.dtype == np.int8
    np.testing.assert_array_max_ulp(again.corners, record.corners, maxulp=1)
    np.testing.assert_allclose(again.boxes, record.boxes, atol=1e-5)
    np.testing.assert_array_equal(again.labels, record.labels)
    assert (again.visible == 2).all() and again.number_known.all()
    assert again.load().image.shape == (SIZE[1], SIZE[0], 3)


def everything():
    """A plate of each kind that some format cannot hold."""
    corners = ((10.0, 10.0), (10.0, 20.0), (40.0, 20.5), (40.0, 10.0))
    box = hull(corners)
    return [
        Plate("", "B_3", corners, box),
        Plate("", "P_3", corners, box),
        Plate("", "R_?", corners, box),
        Plate("", "B_4", corners, box, (2, 2, 1, 2)),
        Plate("", "B_5", corners_of_box(box), box, (0, 0, 0, 0)),
        Plate("", "B_1", corners, (9.0, 10.0, 40.0, 21.0)),
        Plate("", "", corners_of_box(box), box, (0, 0, 0, 0), ignore=True),
    ]


@pytest.mark.parametrize(
    ("name", "lost", "kept"),
    [
        ("CocoDataset", [], 7),
        ("XMLDataset", [], 7),
        ("YoloPoseDataset", ["1 ignore boxes"], 6),
        (
            "LabelRoboMasterDataset",
            [
                "1 ignore boxes",
                "1 plates of classes that it has no id for (R_?)",
                "1 plates whose corners are not all labeled",
                "1 plates with corners marked as hidden",
                "1 boxes that are not the hull of their corners",
            ],
            4,
        ),
        (
            "PyLabelRoboMasterDataset",
            [
                "1 ignore boxes",
                "2 plates of classes that it has no id for (P_3, R_?)",
                "1 plates whose corners are not all labeled",
                "1 plates with corners marked as hidden",
            ],
            3,
        ),
    ],
)
def test_losses_are_counted_and_the_rest_is_kept(name, lost, kept, pictures, tmp_path):
    images = labeled(pictures, {"a.png": everything()})
    assert losses(name, images) == lost
    left = without_losses(name, images)
    assert losses(name, left) == [] and len(left[0].plates) == kept
    assert_same(left, through(name, left, tmp_path / "out"))


def test_whole_pixels_are_a_loss_where_there_were_parts(pictures):
    images = labeled(pictures, {"a.png": everything()[:1]})
    assert losses("XMLDataset", images, whole_pixels=True) == ["1 plates whose coordinates are not whole pixels"]
    rounded = without_losses("XMLDataset", images, whole_pixels=True)
    assert losses("XMLDataset", rounded, whole_pixels=True) == []
    assert all(value.is_integer() for corner in rounded[0].plates[0].corners for value in corner)


def test_a_plate_far_outside_cannot_be_a_share(pictures):
    plate = replace(everything()[0], box=(-300.0, 10.0, 40.0, 20.5))
    images = labeled(pictures, {"a.png": [plate]})
    assert losses("YoloPoseDataset", images) == ["1 plates three image sizes or more outside the image"]
    assert losses("XMLDataset", images) == []


def test_ignore_boxes_and_unknown_numbers_of_records(pictures):
    record = Record(
        path=pictures / "a.png", name="a.png", width=SIZE[0], height=SIZE[1],
        corners=np.array([corners_of_box((1, 2, 30, 20))], np.float32), labels=np.array([9]),
        number_known=np.array([False]), ignore_boxes=np.array([[0.1, 0.2, 5, 6]], np.float32),
    )  # fmt: skip
    (image,) = from_records([record], ARMOR_CLASSES)
    assert [plate.name for plate in image.plates] == ["R_?", ""]
    assert image.plates[1].ignore and image.plates[1].box == (0.1, 0.2, 5.0, 6.0)  # short decimals, not 0.10000000149


def test_a_folder_with_files_is_not_written_into(pictures, tmp_path):
    (tmp_path / "other.txt").write_text("mine")
    with pytest.raises(DataError, match="expected a new or empty folder"):
        write_labels("CocoDataset", tmp_path, labeled(pictures, {"a.png": []}), ARMOR_CLASSES)


def test_two_images_cannot_share_a_label_file(pictures, tmp_path):
    shutil.copy(pictures / "a.png", tmp_path / "a.bmp")
    images = [*labeled(pictures, {"a.png": []}), *labeled(tmp_path, {"a.bmp": []})]
    with pytest.raises(DataError, match=r"one for 'a\.png' and 'a\.bmp'"):
        write_labels("YoloPoseDataset", tmp_path / "out", images, ARMOR_CLASSES)
    write_labels("CocoDataset", tmp_path / "out", images, ARMOR_CLASSES)  # which has one for all


@pytest.mark.parametrize("name", ["../a.png", "/a.png", "C:a.png", "a\nb.png", "", "x" * 300 + ".png"])
def test_image_names_that_would_leave_the_folder_are_refused(name, pictures, tmp_path):
    image = LabeledImage(name, pictures / "a.png", *SIZE, "somewhere")
    with pytest.raises(DataError, match="expected an image name that every system can write"):
        write_labels("CocoDataset", tmp_path / "out", [image], ARMOR_CLASSES)


def test_class_names_that_are_no_line_of_text_are_refused(pictures, tmp_path):
    plate = replace(everything()[0], name="B\0")
    with pytest.raises(DataError, match="expected class names of printable characters"):
        write_labels("XMLDataset", tmp_path / "out", labeled(pictures, {"a.png": [plate]}), ARMOR_CLASSES)


@pytest.mark.parametrize("name", FORMATS)
def test_pictures_can_be_linked(name, pictures, tmp_path):
    write_labels(name, tmp_path / "out", labeled(pictures, {"sub/b.png": []}), ARMOR_CLASSES, pictures="link")
    assert (tmp_path / "out/images/sub/b.png").is_symlink()
    assert [image.name for image in read_labels(name, *written_paths(name, tmp_path / "out"), [])] == (["sub/b.png"])
