"""The engine: what the parameters make of the detector."""

import math

import numpy as np
import pytest

pytest.importorskip("rclpy", reason="needs ROS 2: make setup, or source an installation")

from tiny_model import TinyPlate, make_tiny_model, tiny_metadata
from tiny_refiner import name_refiner, save_refiner

from nanodet_kp_core.errors import ConfigError
from nanodet_kp_core.runtime.images.image_message import ImageView
from nanodet_kp_core.runtime.poses.mounting import Mounting
from nanodet_kp_core.runtime.refinement.refiner import RefinerMetadata
from nanodet_kp_ros.engine import make_engine
from nanodet_kp_ros.settings import NodeSettings

CORNERS = np.array([[10, 10], [11, 20], [30, 22], [29, 12]])
PICTURE = ImageView(np.full((64, 64, 3), 90, np.uint8), "bgr")


def engine(model, **values):
    return make_engine(NodeSettings(model=str(model), **values))


@pytest.mark.parametrize("threshold", [0.5, 0.25])
def test_recording_changes_nothing_that_is_published(tmp_path, threshold):
    """It lowers the detector's threshold; candidates that come with that are not merged into the corners."""
    plates = [TinyPlate("B_3", 0.9, CORNERS), TinyPlate("B_3", 0.3, CORNERS + 1), TinyPlate("B_3", 0.2, CORNERS + 2)]
    plates += [TinyPlate("B_3", 0.1, CORNERS - 2), TinyPlate("R_1", threshold - 0.1, CORNERS + 30)]
    model = make_tiny_model(tmp_path / "m.onnx", plates)
    wanted = engine(model, score_threshold=threshold)(PICTURE).published
    found = engine(model, score_threshold=threshold, record_folder=str(tmp_path))(PICTURE)
    assert found.all.labels == ["B_3", "R_1"] and found.published.labels == wanted.labels == ["B_3"]
    np.testing.assert_array_equal(found.published.scores, wanted.scores)
    np.testing.assert_array_equal(found.published.boxes, wanted.boxes)
    np.testing.assert_allclose(found.published.corners, wanted.corners, atol=1e-4)


def test_the_mounting_is_that_of_the_parameters(tmp_path):
    model = make_tiny_model(tmp_path / "m.onnx", [])
    assert engine(model).mounting == Mounting()
    own = engine(model, large_plates="1, B_3", plate_lean=0.0, camera_pitch=-30.0).mounting
    assert own == Mounting(frozenset({"1", "B_3"}), 0.0, math.radians(-30))
    with pytest.raises(ConfigError, match="parameter large_plates: expected stickers"):
        engine(model, large_plates="giant")


def test_keep_takes_names_with_spaces_or_commas(tmp_path):
    model = make_tiny_model(tmp_path / "m.onnx", [TinyPlate("B_3", 0.9, CORNERS), TinyPlate("N_1", 0.8, CORNERS + 30)])
    for text, labels in {"": ["B_3", "N_1"], "B_3,R": ["B_3"], "N,": ["N_1"], "R, P": []}.items():
        assert engine(model, keep=text)(PICTURE).published.labels == labels
    with pytest.raises(ConfigError, match=r"^parameter keep: expected names out of B R N P B_G .* got 'X'"):
        engine(model, keep="X")


def test_what_is_recorded_holds_the_classes_that_are_not_published(tmp_path):
    model = make_tiny_model(tmp_path / "m.onnx", [TinyPlate("B_3", 0.9, CORNERS), TinyPlate("R_1", 0.8, CORNERS + 30)])
    found = engine(model, keep="R", max_detections=1, record_folder=str(tmp_path))(PICTURE)
    assert (found.published.labels, found.all.labels) == (["R_1"], ["B_3", "R_1"])


def test_other_targets_run_with_the_same_defaults(tmp_path):
    """Neither the scout nor anything else of armor plates; scout is on by default."""
    kinds = ("long", "square")
    metadata = tiny_metadata(64, 64, class_names=kinds, class_layout="factored")
    plates = [TinyPlate("square", 0.9, CORNERS)]
    model = name_refiner(make_tiny_model(tmp_path / "m.onnx", plates, metadata), "refiner.onnx")
    answer = np.zeros((1, 1 + 1 + 2 + 8), np.float32)
    answer[0, 0], answer[0, 2] = 3.0, 9.0
    save_refiner(tmp_path / "refiner.onnx", answer, RefinerMetadata(kinds, 0.2, light_bars=False))
    found = engine(model)
    assert found(PICTURE).published.labels == ["long"]
    assert found.detector.scout is None and found.detector.times["scout"] < 1
