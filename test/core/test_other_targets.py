"""Targets that are no armor plates: any class list, without scout, bar rules and poses."""

import json

import numpy as np
import pytest
from tiny_model import TinyPlate, make_tiny_model, tiny_metadata
from tiny_refiner import make_tiny_refiner, name_refiner, save_refiner

from nanodet_kp_core.errors import ModelError
from nanodet_kp_core.geometry import boxes_of_corners
from nanodet_kp_core.runtime.detection.detections import Detections
from nanodet_kp_core.runtime.detection.detector import Detector
from nanodet_kp_core.runtime.poses.plate_poses import PlatePoses
from nanodet_kp_core.runtime.poses.pose import Camera, is_large
from nanodet_kp_core.runtime.refinement.refiner import Refiner, RefinerMetadata, read_values

KINDS = ("long", "square", "round")
QUAD = np.array([[10, 20], [10, 36], [46, 36], [46, 20]], np.float32)
UPRIGHT = np.array([[80, 60], [80, 110], [100, 110], [100, 60]], np.float32)  # narrower than bars may be apart


def make_refiner(path, kinds=KINDS, said="square", light_bars=False, logit=9.0):
    """A refiner of one factor: every crop is `said`, unchanged, with this logit of its class."""
    answer = np.zeros((1, 1 + 1 + len(kinds) + 8), np.float32)
    answer[0, 0], answer[0, 2 + kinds.index(said)] = 3.0, logit
    return save_refiner(path, answer, RefinerMetadata(kinds, 0.2, light_bars=light_bars))


@pytest.fixture
def model(tmp_path):
    """Finds two targets, one beside the other and one high and narrow; names refiner.onnx."""
    plates = [TinyPlate("long", 0.6, QUAD), TinyPlate("round", 0.5, UPRIGHT)]
    metadata = tiny_metadata(128, 128, class_names=KINDS, class_layout="factored")
    return name_refiner(make_tiny_model(tmp_path / "m.onnx", plates, metadata), "refiner.onnx")


def test_one_score_and_a_softmax_over_the_names(tmp_path):
    metadata = tiny_metadata(128, 128, class_names=KINDS, class_layout="factored")
    assert (metadata.head.num_scores, metadata.head.num_numbers) == (1, 3)
    found = Detector(make_tiny_model(tmp_path / "m.onnx", [TinyPlate("round", 0.6, QUAD)], metadata))(
        np.zeros((128, 128, 3), np.uint8)
    )
    assert found.labels == ["round"] and found.scores == pytest.approx([0.6], abs=1e-4)


def test_values_of_one_factor():
    values = np.zeros((2, 1 + 1 + 3 + 8))
    values[0, 1], values[0, 3], values[1, 4] = -5, 1, 2
    found = read_values(values, 1, 3)
    assert found.class_ids.tolist() == [1, 2] and found.number_logits.tolist() == [[0, 1, 0], [0, 0, 2]]


def test_the_refiner_names_the_class(model, tmp_path):
    make_refiner(tmp_path / "refiner.onnx")
    detector = Detector(model)
    found = detector(np.zeros((128, 128, 3), np.uint8))
    assert found.labels == ["square", "square"]
    assert found.number_scores == pytest.approx(np.exp(9) / (np.exp(9) + 2), abs=1e-5)
    assert detector.scout is None


def test_an_unknown_class_is_no_part_of_its_name(model, tmp_path):
    make_refiner(tmp_path / "refiner.onnx", logit=0.5)
    found = Detector(model, number_threshold=0.9)(np.zeros((128, 128, 3), np.uint8))
    assert found.labels == ["?", "?"] and found.class_labels == ["square", "square"]


def test_the_rules_of_bars_hold_for_bars_only(model, tmp_path):
    """The sides of UPRIGHT are nearer to each other than two bars can be; QUAD's are not."""
    black = np.zeros((128, 128, 3), np.uint8)
    make_refiner(tmp_path / "refiner.onnx", light_bars=True)
    with_bars = Detector(model)
    assert with_bars.scout is not None and len(with_bars(black)) == 1
    make_refiner(tmp_path / "refiner.onnx")
    assert len(Detector(model)(black)) == 2


def test_a_refiner_from_before_other_targets_has_bars(tmp_path):
    values = json.loads(RefinerMetadata(("B_1", "R_1"), 0.2).to_json())
    assert values.pop("light_bars") is True
    assert RefinerMetadata.from_json(json.dumps(values)).light_bars
    path = make_tiny_refiner(tmp_path / "r.onnx", values=1 + 2 + 1 + 8, label="B_G", metadata=json.dumps(values))
    assert Refiner(path).metadata.class_names == ("B_1", "R_1")


def test_both_files_and_lists_are_named(model, tmp_path):
    make_refiner(tmp_path / "refiner.onnx", KINDS[:2])
    with pytest.raises(ModelError) as caught:
        Detector(model)
    assert str(caught.value) == (
        f"model {tmp_path / 'refiner.onnx'}: expected a second stage for the classes of {model} (3: long, square, "
        "round), got one for 2: long, square; train one for them with nanodet-kp train-refiner, or leave the second "
        "stage out"
    )


def poses_of(label, names):
    camera = Camera(np.array([[600.0, 0, 64], [0, 600, 64], [0, 0, 1]]), np.zeros(0))
    corners = QUAD[None]
    found = Detections(np.ones(1), np.array([names.index(label)]), boxes_of_corners(corners), corners, names)
    return PlatePoses().solve(found, camera, 0.0)


def test_only_armor_plates_have_a_known_size():
    assert poses_of("long", KINDS) == [None]
    (pose,) = poses_of("3", ("1", "3"))
    assert pose is not None and not pose.large
    assert (is_large("1"), is_large("3"), is_large("B_Bb"), is_large("long")) == (True, False, True, None)


def test_one_class_has_no_temperature():
    pytest.importorskip("torch")  # which temperature.py needs
    from nanodet_kp_core.evaluate.temperature import fit_temperature

    assert fit_temperature(np.zeros((5, 1), np.float32), np.zeros(5, np.int64)) == 1.0
