"""The parameter `keep`."""

from dataclasses import replace

import numpy as np
import pytest

pytest.importorskip("rclpy", reason="needs ROS 2: make setup, or source an installation")

from nanodet_kp_core.classes import ARMOR_CLASSES
from nanodet_kp_core.errors import ConfigError
from nanodet_kp_core.runtime.detection.detector import Detections
from nanodet_kp_ros.keep import select, wanted_classes


def found(*labels):
    count = len(labels)
    ids = np.array([ARMOR_CLASSES.index(label) for label in labels], np.int64)
    scores = np.linspace(0.9, 0.4, count, dtype=np.float32)
    corners = np.arange(count * 8, dtype=np.float32).reshape(count, 4, 2)
    return Detections(scores, ids, np.zeros((count, 4), np.float32), corners, ARMOR_CLASSES)


@pytest.mark.parametrize(
    ("text", "labels"),
    [
        ("", ["B_3", "R_Bb", "R_1", "N_G"]),
        ("R", ["R_Bb", "R_1"]),
        ("R_1, B", ["B_3", "R_1"]),
        ("N_G,N_G", ["N_G"]),
        ("N,", ["N_G"]),  # N alone is a boolean in YAML, and never comes here as a string
        ("P", []),
    ],
)
def test_colors_and_classes(text, labels):
    detections = found("B_3", "R_Bb", "R_1", "N_G")
    kept = select(detections, 0.0, wanted_classes(text, ARMOR_CLASSES), 50)
    assert kept.labels == labels
    for row, label in enumerate(labels):  # every array was cut alike
        before = detections.labels.index(label)
        np.testing.assert_array_equal(kept.corners[row], detections.corners[before])
        assert kept.scores[row] == detections.scores[before]


def test_the_best_of_the_wanted_are_left_when_there_are_too_many():
    wanted = wanted_classes("R", ARMOR_CLASSES)
    assert select(found("B_3", "R_Bb", "R_1"), 0.0, wanted, 1).labels == ["R_Bb"]


def test_threshold():
    assert select(found("B_3", "R_Bb", "R_1"), 0.6, None, 50).labels == ["B_3", "R_Bb"]


@pytest.mark.parametrize(
    ("text", "labels"),
    [
        ("", ["B", "R_1", "R"]),
        ("R", ["R_1", "R"]),
        ("R_1 R_3 B_3", ["R_1"]),
        ("B, R_1", ["B", "R_1"]),
        (" ".join(name for name in ARMOR_CLASSES if name[0] == "B"), ["B"]),  # whatever its number is
    ],
)
def test_a_plate_of_unknown_number_is_kept_for_its_color_only(text, labels):
    sure = np.array([0.2, 0.9, 0.2], np.float32)
    detections = replace(found("B_3", "R_1", "R_3"), number_scores=sure, number_threshold=0.5)
    assert select(detections, 0.0, wanted_classes(text, ARMOR_CLASSES), 50).labels == labels


@pytest.mark.parametrize("text", ["X", "B_9", "R B_3 blue"])
def test_a_name_that_the_model_does_not_have(text):
    with pytest.raises(ConfigError, match=r"parameter keep: expected names out of B R N P B_G .* got '(X|B_9|blue)'"):
        wanted_classes(text, ARMOR_CLASSES)


def test_classes_without_colors_are_kept_by_their_name():
    assert wanted_classes("rune", ("rune", "plate")) == {0}
