"""What the labels must be before anything is trained on them."""

import json

import cv2
import numpy as np
import pytest

from nanodet_kp_core.adapt.plan import Plan, check_own, fingerprint, read_own
from nanodet_kp_core.classes import ARMOR_CLASSES
from nanodet_kp_core.errors import DataError
from nanodet_kp_core.labels.coco import coco_document
from nanodet_kp_core.labels.sample import Sample

UPRIGHT = np.array([[20, 20], [20, 32], [50, 32], [50, 20]], np.float32)


@pytest.fixture
def made(tmp_path):
    """Writes 20 images of one plate each, of which so many begin with another corner."""

    def make(turned):
        (tmp_path / "images").mkdir(exist_ok=True)
        samples = []
        for k in range(20):
            image = np.full((64, 80, 3), 10 * k, np.uint8)
            cv2.imwrite(str(tmp_path / "images" / f"{k}.png"), image)
            corners = np.roll(UPRIGHT, 1, axis=0) if k < turned else UPRIGHT
            samples.append((f"{k}.png", Sample(image=image, corners=corners[None], labels=np.array([3]))))
        (tmp_path / "labels.json").write_text(json.dumps(coco_document(samples, ARMOR_CLASSES)))
        return Plan(data=tmp_path / "labels.json", out=tmp_path / "out")

    return make


def test_a_plate_that_lies_on_its_side_is_told_and_many_are_refused(made):
    lines = check_own(made(1), ARMOR_CLASSES)
    assert "20 images, 20 plates of 1 classes" in lines[0]
    assert any(line.startswith("warning: ") and "from upright" in line for line in lines)
    with pytest.raises(DataError, match="from upright, as if the first corner were"):
        check_own(made(2), ARMOR_CLASSES)
    assert not any("upright" in line for line in check_own(made(0), ARMOR_CLASSES))


def test_the_labels_of_validation_are_checked_too(made, tmp_path):
    plan = made(0)
    broken = tmp_path / "broken.json"
    broken.write_text(plan.data.read_text().replace("B_3", "C_3"))
    with pytest.raises(DataError, match="expected one of the class names"):
        read_own(Plan(plan.data, plan.out, validation=broken), ARMOR_CLASSES)
    own, validation = read_own(Plan(plan.data, plan.out, validation=plan.data), ARMOR_CLASSES)
    assert len(own) == len(validation) == 20


def test_a_fingerprint_follows_the_labels(made):
    first, again = (read_own(made(0), ARMOR_CLASSES)[0] for _ in range(2))
    other = read_own(made(1), ARMOR_CLASSES)[0]
    assert fingerprint(first) == fingerprint(again) != fingerprint(other)
