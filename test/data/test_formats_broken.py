"""Broken data sets: each stops the training with one sentence that says where, what was expected and what came.

The label files are in broken/, a folder for each; the image a.png (64 x 48) is made here.
"""

import shutil
from pathlib import Path

import pytest
from format_helpers import write_image

from nanodet_kp_core.classes import ARMOR_CLASSES
from nanodet_kp_core.config import DataConfig
from nanodet_kp_core.data.dataset import read_dataset
from nanodet_kp_core.errors import DataError
from nanodet_kp_core.labels.check import check_dataset

BROKEN = Path(__file__).parent / "broken"
KINDS = {
    "coco": ("CocoDataset", "labels.json"),
    "voc": ("XMLDataset", "labels"),
    "yolo": ("YoloPoseDataset", "data.yaml"),
    "label": ("LabelRoboMasterDataset", "images"),
    "py": ("PyLabelRoboMasterDataset", "labels"),
}
ORDER = "expected corners in the order left-top, left-bottom, right-bottom, right-top"
NAMES = "expected one of the class names B_G, B_1, B_2, B_3, B_4, B_5, ..."
SENTENCES = {
    "coco_half_a_file": "labels.json:6: expected JSON, got: Expecting value",
    "coco_no_size": "labels.json:2: image 1: expected a width and a height of 1 to 65536 pixels, got 64 x 0",
    "coco_no_such_image": "labels.json:6: annotation 8: expected the id of an image, got 2",
    "coco_not_a_number": "labels.json:5: annotation 7: expected a bbox of 4 numbers (x, y, width, height), got nan",
    "coco_outside_the_folder": (
        "labels.json:2: image 1: expected a file_name below the image folder, got '../../a.png'"
    ),
    "coco_three_keypoints": "labels.json:5: annotation 7: expected 4 keypoints (12 numbers), got 9 numbers",
    "coco_unknown_class": f"labels.json:5: annotation 7: {NAMES}, got 'B_33'; did you mean 'B_3'?",
    "label_robomaster_13_numbers": (
        "images/a.txt:1: expected 9 numbers (id and four corners), got 13; 13 are the format of PyLabelRoboMaster or "
        "YOLO-pose"
    ),
    "label_robomaster_a_line": (
        "images/a.txt:1: expected four corners that span a plate, got an area of 0 square pixels"
    ),
    "label_robomaster_crossed": f"images/a.txt:1: {ORDER}, got sides that cross; two neighbors are swapped",
    "label_robomaster_decimal_comma": (
        "images/a.txt:1: expected a share of the image's width or height, about 0 to 1, got '0,15'"
    ),
    "label_robomaster_id": "images/a.txt:3: expected an id of 0 to 35, got '36'",
    "label_robomaster_no_image": "images/b.txt: expected its image images/b.jpg or the like, got none",
    "label_robomaster_pixels": (
        "images/a.txt:1: expected a share of the image's width or height, about 0 to 1, got '10'"
    ),
    "py_label_robomaster_five_points": (
        "labels/a.txt:1: expected 13 numbers (id, box, four corners) or 9 without a box, got 15"
    ),
    "py_label_robomaster_id": "labels/a.txt:1: expected an id of 0 to 15, got '16'; LabelRoboMaster has 36 ids",
    "py_label_robomaster_mirrored": f"labels/a.txt:1: {ORDER}, got the mirrored order (clockwise)",
    "voc_box_inverted": (
        "labels/a.xml:4: expected xmin <= xmax and ymin <= ymax in the <bndbox>, got 40.0, 12.0, 10.0, 30.0"
    ),
    "voc_document_type": "labels/a.xml:2: expected XML without a document type, got a <!DOCTYPE>",
    "voc_half_a_file": "labels/a.xml:6: expected XML, got: unclosed token",
    "voc_image_missing": "labels/a.xml: expected its image images/b.png, got no such file",
    "voc_point_missing": "labels/a.xml:9: expected a number in <points><y3>, got None",
    "voc_unknown_class": f"labels/a.xml:4: {NAMES}, got 'b_3'; did you mean 'B_3'?",
    "yolo_class_id": "labels/a.txt:2: expected the id of a class in data.yaml (0 to 1), got '2'",
    "yolo_id_twice": "data.yaml: expected each key once in a mapping, got '1' a second time in line 5",
    "yolo_name_no": "data.yaml: names: expected a class name for id 1, got None; put the name into quotes",
    "yolo_no_kpt_shape": "data.yaml: kpt_shape: expected [4, 2] or [4, 3], got None",
    "yolo_no_visibility": "labels/a.txt:1: expected 17 numbers (kpt_shape [4, 3] in data.yaml), got 13",
}


@pytest.fixture
def data_set(request, tmp_path, monkeypatch):
    """(format, images, labels) of the broken data set with that name."""
    shutil.copytree(BROKEN / request.param, tmp_path, dirs_exist_ok=True)
    write_image(tmp_path / "images/a.png")
    monkeypatch.chdir(tmp_path)
    name, labels = KINDS[request.param.partition("_")[0]]
    return name, Path("images"), Path(labels)


def test_every_broken_data_set_has_its_sentence():
    assert sorted(SENTENCES) == sorted(folder.name for folder in BROKEN.iterdir())
    assert len(SENTENCES) >= 14


@pytest.mark.parametrize(("data_set", "sentence"), SENTENCES.items(), indirect=["data_set"], ids=SENTENCES)
def test_training_stops_with_one_sentence(data_set, sentence):
    name, images, labels = data_set
    with pytest.raises(DataError) as caught:
        read_dataset(DataConfig(name=name, img_path=images, ann_path=labels), ARMOR_CLASSES)
    assert str(caught.value) == sentence


@pytest.mark.parametrize(("data_set", "sentence"), SENTENCES.items(), indirect=["data_set"], ids=SENTENCES)
def test_the_checker_says_the_same(data_set, sentence):
    name, images, labels = data_set
    try:
        told = [str(fault) for fault in check_dataset(name, images, labels, ARMOR_CLASSES).errors]
    except DataError as error:  # nothing of the data set can be read
        told = [str(error)]
    assert sentence in told


@pytest.mark.parametrize(
    ("name", "labels", "sentence"),
    [
        ("CocoDataset", "none.json", "none.json: expected a COCO keypoints file, got: No such file or directory"),
        ("CocoDataset", "images", "images: expected a COCO keypoints file of at most 2147483648 bytes, got a folder"),
        ("XMLDataset", "images", "images: expected .xml files in the folder or below, got none"),
        ("XMLDataset", "none", "none: expected a folder with .xml files, got nothing at that path"),
        ("YoloPoseDataset", "none", "none: expected a data.yaml of YOLO-pose, got: No such file or directory"),
        ("LabelRoboMasterDataset", "images/a.png", "images/a.png: expected a folder with .txt files, got a file"),
    ],
)
def test_labels_that_are_not_there(name, labels, sentence, tmp_path, monkeypatch):
    write_image(tmp_path / "images/a.png")
    monkeypatch.chdir(tmp_path)
    with pytest.raises(DataError) as caught:
        read_dataset(DataConfig(name=name, img_path=Path("images"), ann_path=Path(labels)), ARMOR_CLASSES)
    assert str(caught.value) == sentence


def test_only_the_first_faults_stop_the_training_and_the_rest_is_counted(tmp_path):
    write_image(tmp_path / "a.png")
    (tmp_path / "a.txt").write_text("99\n" * 12)
    with pytest.raises(DataError) as caught:
        read_dataset(DataConfig(name="LabelRoboMasterDataset", img_path=tmp_path, ann_path=tmp_path), ARMOR_CLASSES)
    lines = str(caught.value).splitlines()
    assert len(lines) == 6 and lines[-1] == "and 7 more; nanodet-kp check lists them all"
