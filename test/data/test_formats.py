"""COCO keypoints: what is written is read back, classes go by name, and each fault is one sentence."""

import json

import cv2
import numpy as np
import pytest

from nanodet_kp_core.classes import ARMOR_CLASSES
from nanodet_kp_core.data.formats.coco import coco_document, merge_coco, read_coco
from nanodet_kp_core.data.sample import Sample
from nanodet_kp_core.errors import DataError


def sample(count, seed=0):
    rng = np.random.default_rng(seed)
    return Sample(
        image=np.zeros((48, 64, 3), np.uint8),
        corners=rng.uniform(-5, 70, (count, 4, 2)).astype(np.float32),
        labels=rng.integers(0, 36, count),
        number_known=rng.random(count) < 0.5,
        ignore_boxes=rng.uniform(0, 20, (1, 4)).cumsum(axis=1).astype(np.float32),
    )


def write(tmp_path, document):
    path = tmp_path / "labels.json"
    path.write_text(json.dumps(document))
    return path


def test_round_trip_with_merge(tmp_path):
    first, second = sample(3, 1), sample(0, 2)
    document = merge_coco([coco_document([("a.jpg", s)], ARMOR_CLASSES) for s in (first, second)])
    records = read_coco(write(tmp_path, document), tmp_path, ARMOR_CLASSES)
    assert [len(r.labels) for r in records] == [3, 0]  # background pictures are kept
    assert np.allclose(records[0].corners, first.corners, atol=1e-3)  # outside the picture stays outside
    assert np.allclose(records[1].ignore_boxes, second.ignore_boxes, atol=2e-3)
    assert (records[0].number_known == first.number_known).all()
    known = first.number_known
    assert (records[0].labels[known] == first.labels[known]).all()
    assert (records[0].labels // 9 == first.labels // 9).all()  # "B_?" keeps its colour


def test_classes_go_by_name_not_by_id(tmp_path):
    every = sample(4, 3)
    every.number_known[:] = True
    path = write(tmp_path, coco_document([("a.jpg", every)], ARMOR_CLASSES))
    other_order = tuple(reversed(ARMOR_CLASSES))
    labels = read_coco(path, tmp_path, other_order)[0].labels
    assert [other_order[k] for k in labels] == [ARMOR_CLASSES[k] for k in every.labels]


def one_annotation(category, keypoints):
    annotation = {"id": 7, "image_id": 0, "category_id": 0, "bbox": [0, 0, 1, 1], "keypoints": keypoints}
    image = {"id": 0, "file_name": "a", "width": 4, "height": 4}
    return json.dumps(
        {"images": [image], "categories": [{"id": 0, "name": category}], "annotations": [annotation]}
    )


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("{", "expected JSON"),
        ("[]", "list 'images'"),
        ('{"images": [], "annotations": []}', "list 'categories'"),
        (one_annotation("X", [1, 1, 2] * 4), "category 'X'"),
        (one_annotation("B_1", [1, 1, 2]), "annotation 7: expected 4 keypoints"),
        ('{"images": [{"id": 0}], "categories": [], "annotations": []}', "file_name"),
    ],
)
def test_broken_files_say_what_is_wrong(tmp_path, text, message):
    path = tmp_path / "labels.json"
    path.write_text(text)
    with pytest.raises(DataError, match=message) as caught:
        read_coco(path, tmp_path, ARMOR_CLASSES)
    assert str(path) in str(caught.value)


def test_missing_label_file(tmp_path):
    with pytest.raises(DataError, match=r"none\.json: expected a COCO keypoints file"):
        read_coco(tmp_path / "none.json", tmp_path, ARMOR_CLASSES)


def test_image_missing_or_of_another_size(tmp_path):
    document = coco_document([("a.png", sample(1))], ARMOR_CLASSES)
    record = read_coco(write(tmp_path, document), tmp_path, ARMOR_CLASSES)[0]
    with pytest.raises(DataError, match="missing or broken"):
        record.load()
    cv2.imwrite(str(tmp_path / "a.png"), np.zeros((10, 10, 3), np.uint8))
    with pytest.raises(DataError, match="expected 64x48 as labelled, got 10x10"):
        record.load()
