"""What each format says, read from an example of it; classes go by name."""

import json
import re
from pathlib import Path
from typing import get_args

import cv2
import numpy as np
import pytest
from format_helpers import write_image
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from nanodet_kp_core.classes import ARMOR_CLASSES
from nanodet_kp_core.config.data import DatasetName
from nanodet_kp_core.errors import DataError
from nanodet_kp_core.labels import FORMATS, SHORT_NAMES, default_images, guess_format, read_labels, read_records
from nanodet_kp_core.labels.coco import coco_document, merge_coco
from nanodet_kp_core.labels.labels import raise_faults, to_records
from nanodet_kp_core.labels.sample import Sample

ROOT = Path(__file__).resolve().parents[2]
PLATE = ((0, 0), (0, 8), (20, 8), (20, 0))


def test_command_line_configurations_and_docs_know_every_format():
    assert sorted(SHORT_NAMES.values()) == sorted(get_args(DatasetName)) == sorted(FORMATS)
    page = (ROOT / "docs/data.md").read_text(encoding="utf-8")
    assert {short: name for name, short in re.findall(r"(?m)^\| `(\w+)` \| `([\w-]+)` \|", page)} == SHORT_NAMES


def sample(count, seed=0):
    rng = np.random.default_rng(seed)
    return Sample(
        image=np.zeros((48, 64, 3), np.uint8),
        corners=(rng.uniform(-5, 50, (count, 1, 2)) + PLATE + rng.uniform(0, 2, (count, 4, 2))).astype(np.float32),
        labels=rng.integers(0, 36, count),
        number_known=rng.random(count) < 0.5,
        ignore_boxes=rng.uniform(0, 20, (1, 4)).cumsum(axis=1).astype(np.float32),
    )


def write(tmp_path, document):
    path = tmp_path / "labels.json"
    path.write_text(json.dumps(document))
    for image in document["images"]:
        write_image(tmp_path / image["file_name"])
    return path


def test_round_trip_with_merge(tmp_path):
    first, second = sample(3, 1), sample(0, 2)
    document = merge_coco([coco_document([(n, s)], ARMOR_CLASSES) for n, s in (("a.jpg", first), ("b.jpg", second))])
    records = read_records("CocoDataset", tmp_path, write(tmp_path, document), ARMOR_CLASSES)
    assert [len(r.labels) for r in records] == [3, 0]  # background images are kept
    assert np.allclose(records[0].corners, first.corners, atol=1e-3)  # outside the image stays outside
    assert np.allclose(records[1].ignore_boxes, second.ignore_boxes, atol=2e-3)
    assert (records[0].number_known == first.number_known).all()
    known = first.number_known
    assert (records[0].labels[known] == first.labels[known]).all()
    assert (records[0].labels // 9 == first.labels // 9).all()  # "B_?" keeps its color


def test_classes_go_by_name_not_by_id(tmp_path):
    every = sample(4, 3)
    every.number_known[:] = True
    path = write(tmp_path, coco_document([("a.jpg", every)], ARMOR_CLASSES))
    other_order = tuple(reversed(ARMOR_CLASSES))
    labels = read_records("CocoDataset", tmp_path, path, other_order)[0].labels
    assert [other_order[k] for k in labels] == [ARMOR_CLASSES[k] for k in every.labels]


def test_coco_keeps_boxes_and_visibility(tmp_path):
    one = sample(2, 4)
    one.boxes = np.array([[1, 2, 30, 40], [0, 0, 5, 5]], np.float32)
    one.visible = np.array([[2, 1, 2, 2], [0, 0, 0, 0]], np.int8)
    path = write(tmp_path, coco_document([("a.jpg", one)], ARMOR_CLASSES))
    record = read_records("CocoDataset", tmp_path, path, ARMOR_CLASSES)[0]
    np.testing.assert_array_equal(record.boxes, one.boxes)
    np.testing.assert_array_equal(record.visible, one.visible)
    assert np.allclose(record.corners[0], one.corners[0], atol=1e-3)
    assert record.corners[1].tolist() == [[0, 0], [0, 5], [5, 5], [5, 0]]  # those of the box where nobody labeled


def coco_text(annotation, **image):
    return json.dumps(
        {
            "info": {"any": ["thing"]},
            "categories": [{"id": 9, "name": "R_4"}],
            "images": [{"id": "x", "file_name": "a.png", "width": 64, "height": 48, **image}],
            "annotations": [{"image_id": "x", "category_id": 9, "bbox": [10, 12, 30, 18], **annotation}],
        }
    )


@pytest.mark.parametrize(
    ("annotation", "corners", "visible"),
    [
        ({"points": [10, 12, 10, 30, 40, 30, 40, 12.5]}, [[10, 12], [10, 30], [40, 30], [40, 12.5]], [2, 2, 2, 2]),
        ({}, [[10, 12], [10, 30], [40, 30], [40, 12]], [0, 0, 0, 0]),
        (
            {"keypoints": [11, 12, 2, 10, 30, 1, 0, 0, 0, 41, 12, 2.0]},
            [[11, 12], [10, 30], [40, 30], [41, 12]],
            [2, 1, 0, 2],
        ),
    ],
    ids=["points of the published fork", "box only", "keypoints"],
)
def test_coco_corners(annotation, corners, visible, tmp_path):
    write_image(tmp_path / "a.png")
    (tmp_path / "l.json").write_text(coco_text(annotation))
    (record,) = read_records("CocoDataset", tmp_path, tmp_path / "l.json", ARMOR_CLASSES)
    assert record.corners.tolist() == [corners] and record.visible.tolist() == [visible]
    assert record.boxes.tolist() == [[10, 12, 40, 30]] and ARMOR_CLASSES[record.labels[0]] == "R_4"


VOC = """<?xml version="1.0" encoding="utf-8"?>
<annotation>
    <folder>image</folder>
    <filename>a.png</filename>
    <size><width>64</width><height>48</height><depth>3</depth></size>
    <object>
        <name>R_4</name> <pose>Unspecified</pose> <difficult>0</difficult>
        <bndbox><xmin>-3</xmin><ymin>12</ymin><xmax>40</xmax><ymax>30.5</ymax></bndbox>
        <points><x1>-3</x1><y1>12</y1><x2>-2</x2><y2>30.5</y2><x3>40</x3><y3>30</y3><x4>39</x4><y4>12</y4></points>
    </object>
    <object><name>B_1</name><bndbox><xmin>1</xmin><ymin>2</ymin><xmax>3</xmax><ymax>4</ymax></bndbox></object>
    <object><name>ignore</name><bndbox><xmin>5</xmin><ymin>6</ymin><xmax>7</xmax><ymax>8</ymax></bndbox></object>
</annotation>
"""


def test_voc(tmp_path):
    for name in ("a.png", "b.png", "other.png"):
        write_image(tmp_path / "image" / name)
    (tmp_path / "xml").mkdir()
    (tmp_path / "xml/a.xml").write_text(VOC)
    (tmp_path / "xml of another split").mkdir()
    (tmp_path / "xml of another split/other.xml").write_text("")
    first, background = read_records("XMLDataset", tmp_path / "image", tmp_path / "xml", ARMOR_CLASSES)
    assert [ARMOR_CLASSES[k] for k in first.labels] == ["R_4", "B_1"]
    # A box that leaves the image stays as it is: clipping its left edge would leave its width wrong.
    assert first.boxes.tolist() == [[-3, 12, 40, 30.5], [1, 2, 3, 4]]
    assert first.corners[0].tolist() == [[-3, 12], [-2, 30.5], [40, 30], [39, 12]]
    assert first.visible.tolist() == [[2] * 4, [0] * 4] and first.ignore_boxes.tolist() == [[5, 6, 7, 8]]
    assert (background.name, len(background.labels)) == ("b.png", 0)


PIXELS = [[9.6, 12.0], [9.6, 28.8], [38.4, 28.8], [38.4, 12.0]]
CORNERS = "0.15 0.25 0.15 0.6 0.6 0.6 0.6 0.25"
BOX = "0.375 0.425 0.45 0.35"


@pytest.mark.parametrize(
    ("name", "line", "class_name"),
    [
        ("LabelRoboMasterDataset", f"13 {CORNERS}", "R_4"),
        ("LabelRoboMasterDataset", f"35.0 {CORNERS}", "P_Bb"),  # the tool itself reads the id as a float
        ("PyLabelRoboMasterDataset", f"12 {BOX} {CORNERS}", "R_4"),
        ("PyLabelRoboMasterDataset", f"7 {CORNERS}", "B_Bb"),
        ("YoloPoseDataset", f"1 {BOX} {CORNERS}", "R_4"),
    ],
)
def test_text_lines(name, line, class_name, tmp_path):
    write_image(tmp_path / "images/train/a.png")
    write_image(tmp_path / "images/train/background.png")
    (tmp_path / "labels/train").mkdir(parents=True)
    (tmp_path / "labels/train/a.txt").write_bytes(b"\xef\xbb\xbf" + f"\r\n{line}  \r\n".encode())
    (tmp_path / "labels/train/classes.txt").write_text("B_3\n")
    (tmp_path / "data.yaml").write_text("names: {0: B_3, 1: R_4}\nkpt_shape: [4, 2]\n")
    labels = tmp_path / "data.yaml" if name == "YoloPoseDataset" else tmp_path / "labels/train"
    first, background = read_records(name, tmp_path / "images/train", labels, ARMOR_CLASSES)
    assert np.allclose(first.corners, [PIXELS], atol=1e-5) and (first.visible == 2).all()
    assert np.allclose(first.boxes, [[9.6, 12, 38.4, 28.8]], atol=1e-5)
    assert ARMOR_CLASSES[first.labels[0]] == class_name
    assert (first.width, first.height, background.name, len(background.labels)) == (64, 48, "background.png", 0)


def test_yolo_visibility(tmp_path):
    write_image(tmp_path / "a.png")  # no folder `images` in the path: the labels are beside the image
    (tmp_path / "a.txt").write_text(f"0 {BOX} 0.15 0.25 2 0.15 0.6 1 0 0 0 0.6 0.25 2\n")
    (tmp_path / "data.yaml").write_text("names: [B_3]\nkpt_shape: [4, 3]\n")
    (record,) = read_records("YoloPoseDataset", tmp_path, tmp_path / "data.yaml", ["B_3"])
    assert record.visible.tolist() == [[2, 1, 0, 2]] and np.allclose(record.corners[0], PIXELS)


def test_formats_are_guessed_where_they_can_be(tmp_path):
    (tmp_path / "xml").mkdir()
    (tmp_path / "xml/a.xml").write_text("")
    guesses = {"l.json": "CocoDataset", "data.yaml": "YoloPoseDataset", "xml": "XMLDataset"}
    assert {name: guess_format(tmp_path / name) for name in guesses} == guesses
    (tmp_path / "txt").mkdir()
    (tmp_path / "holds").mkdir()
    (tmp_path / "holds/labels.json").write_text("")
    refused = {
        "txt": "expected --format",
        "none": "got nothing at that path",
        "holds": "expected a label file, got the folder that holds it; give .*/holds/labels.json instead",
    }
    for name, message in refused.items():
        with pytest.raises(DataError, match=message):
            guess_format(tmp_path / name)
    assert default_images("LabelRoboMasterDataset", Path("a/b")) == Path("a/b")
    assert default_images("CocoDataset", Path("a/b.json")) == Path("a/images")


def test_image_of_another_size_than_labeled(tmp_path):
    path = write(tmp_path, coco_document([("a.png", sample(1))], ARMOR_CLASSES))
    cv2.imwrite(str(tmp_path / "a.png"), np.zeros((10, 10, 3), np.uint8))
    with pytest.raises(DataError, match="expected 64x48 as labeled, got 10x10"):
        read_records("CocoDataset", tmp_path, path, ARMOR_CLASSES)[0].load()


@pytest.mark.parametrize(
    ("name", "file", "text"),
    [
        ("CocoDataset", "l.json", '{"images": ' + "[" * 100_000),
        ("CocoDataset", "l.json", '{"info": ' + "9" * 5000 + "}"),
        ("YoloPoseDataset", "data.yaml", "names: " + "[" * 5000),
        ("YoloPoseDataset", "data.yaml", "names: 1" + ":59" * 5000),  # a number to the base of 60
        ("XMLDataset", "a.xml", "<a>" * 100_000),
        ("LabelRoboMasterDataset", "a.txt", "0 " + "9" * 5000 + " 0" * 7),
    ],
)
def test_nesting_and_long_numbers_are_a_sentence(name, file, text, tmp_path):
    write_image(tmp_path / "a.png")
    (tmp_path / file).write_text(text)
    labels = tmp_path / file if name in ("CocoDataset", "YoloPoseDataset") else tmp_path
    with pytest.raises(DataError, match="expected") as caught:
        read_records(name, tmp_path, labels, ARMOR_CLASSES)
    assert len(str(caught.value)) < 400


SEEDS = {
    "CocoDataset": ("l.json", coco_text({"keypoints": [10, 12, 2] * 4, "id": 1}).encode()),
    "XMLDataset": ("a.xml", VOC.encode()),
    "YoloPoseDataset": ("data.yaml", b"names: {0: B_3, 1: R_4}\nkpt_shape: [4, 2]\nflip_idx: [3, 2, 1, 0]\n"),
    "LabelRoboMasterDataset": ("a.txt", f"13 {CORNERS}\n2 {CORNERS}\n".encode()),
    "PyLabelRoboMasterDataset": ("a.txt", f"12 {BOX} {CORNERS}\n7 {CORNERS}\n".encode()),
}
TOKENS = [b"[" * 300, b"9" * 5000, b"NaN", b"-1e999", b"null", b"\xff", b"\0", b"&a;", b"<b>", b"\\ud800"]
TOKENS += [b"!!timestamp x", b'!!int ""', b"!!bool x", b"&a [*a]", b"_1"]


@pytest.mark.parametrize("name", FORMATS)
@settings(max_examples=60, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(data=st.data())
def test_damaged_labels_are_records_or_a_sentence(name, data, tmp_path):
    """Bytes changed, cut out or put in: never another exception, and never a number that is no number."""
    if not (tmp_path / "a.png").exists():
        write_image(tmp_path / "a.png")
    file, text = SEEDS[name]
    for _ in range(data.draw(st.integers(1, 3))):
        start = data.draw(st.integers(0, len(text)))
        end = start + data.draw(st.integers(0, 12))
        put = data.draw(st.one_of(st.sampled_from(TOKENS), st.binary(max_size=4), st.just(text[start : start + 30])))
        text = text[:start] + put + text[end:]
    (tmp_path / file).write_bytes(text)
    labels = tmp_path / file if FORMATS[name].read.__module__.endswith(("coco", "yolo_pose")) else tmp_path
    faults = []
    try:
        records = to_records(read_labels(name, tmp_path, labels, faults), ARMOR_CLASSES, faults)
        raise_faults(faults)
    except DataError as error:
        str(error).encode()
        return
    for record in records:
        assert np.isfinite(record.corners).all() and np.isfinite(record.boxes).all()
        assert record.corners.shape[1:] == (4, 2) and len(record.corners) == len(record.labels)
