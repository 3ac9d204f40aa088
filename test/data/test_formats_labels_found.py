"""Labels that name their image as other systems and tools do: found where it is there, else refused by the reason."""

import json

import pytest
from format_helpers import write_image

from nanodet_kp_core.labels import read_labels

PLATE = {"category_id": 1, "bbox": [10, 12, 30, 13], "keypoints": [10, 12, 2, 10, 24, 2, 40, 25, 2, 39, 12, 2]}


def coco(folder, name):
    write_image(folder / "images/deep/own.png")
    document = {
        "images": [{"id": 1, "file_name": name, "width": 64, "height": 48}],
        "categories": [{"id": 1, "name": "B_3"}],
        "annotations": [{"id": 1, "image_id": 1, **PLATE}],
    }
    (folder / "labels.json").write_text(json.dumps(document))
    faults = []
    return read_labels("CocoDataset", folder / "images", folder / "labels.json", faults), faults


@pytest.mark.parametrize(
    "name",
    [
        "deep/own.png",
        "deep\\own.png",
        ".\\deep\\own.png",
        "images/deep/own.png",
        "images\\deep\\own.png",
        "..\\images\\deep\\own.png",
        "D:\\data\\images\\deep\\own.png",
        "C:/set/deep/own.png",
        "/home/user/set/images/deep/own.png",
    ],
)
def test_a_file_name_of_another_system(tmp_path, name):
    images, faults = coco(tmp_path, name)
    assert faults == []
    assert [image.name for image in images] == ["deep/own.png"]


@pytest.mark.parametrize(
    ("name", "words"),
    [
        ("own.png", "got no such file"),
        ("other/own.png", "got no such file"),
        ("deep\\none.png", "a path of Windows without such a file there"),
        ("../deep/own.png", "below the image folder"),
        ("../../own.png", "below the image folder"),
        ("/home/user/none.png", "below the image folder"),
    ],
)
def test_a_file_name_that_leads_nowhere(tmp_path, name, words):
    images, faults = coco(tmp_path, name)
    assert images == []
    assert words in faults[0].text


def voc(folder, name, size="<size><width>64</width><height>48</height></size>"):
    write_image(folder / "images/deep/own.png")
    sheet = folder / "labels/deep/own.xml"
    sheet.parent.mkdir(parents=True)
    corners = ((9, 9), (9, 20), (40, 20), (40, 9))
    points = "".join(f"<x{k}>{x}</x{k}><y{k}>{y}</y{k}>" for k, (x, y) in enumerate(corners, 1))
    sheet.write_text(f"<annotation>{name}{size}<object><name>B_3</name><points>{points}</points></object></annotation>")
    faults = []
    return read_labels("XMLDataset", folder / "images", folder / "labels", faults), faults


@pytest.mark.parametrize(
    "name",
    ["<filename>own</filename>", "<filename>own.jpg</filename>", "<filename>D:\\set\\own.jpg</filename>", "",
     "<filename>deep\\own.png</filename>", "<filename>own.png</filename>"],
)  # fmt: skip
def test_a_filename_that_is_nearly_right(tmp_path, name):
    images, faults = voc(tmp_path, name)
    assert faults == []
    assert [image.name for image in images] == ["deep/own.png"]


def test_a_filename_of_another_image_is_none(tmp_path):
    _, faults = voc(tmp_path, "<filename>other.png</filename>")
    assert "expected its image" in faults[0].text


def test_a_size_of_zero_is_that_of_the_picture(tmp_path):
    images, faults = voc(tmp_path, "<filename>own.png</filename>", "<size><width>0</width><height>0</height></size>")
    assert faults == []
    assert (images[0].width, images[0].height) == (64, 48)
    (tmp_path / "half").mkdir()
    _, faults = voc(tmp_path / "half", "", "<size><width>0</width><height>48</height></size>")
    assert "got '0' x '48'" in faults[0].text
