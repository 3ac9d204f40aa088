"""Options of a detector: which classes are wanted."""

import re
from dataclasses import replace

import numpy as np
import pytest

from nanodet_kp_core.classes import ARMOR_CLASSES
from nanodet_kp_core.errors import ConfigError
from nanodet_kp_core.runtime.detection.detector import Detections
from nanodet_kp_core.runtime.detection.options import DetectOptions, class_ids_of


def found(*labels):
    count = len(labels)
    ids = np.array([ARMOR_CLASSES.index(label) for label in labels], np.int64)
    scores = np.linspace(0.9, 0.4, count, dtype=np.float32)
    corners = np.arange(count * 8, dtype=np.float32).reshape(count, 4, 2)
    return Detections(scores, ids, np.zeros((count, 4), np.float32), corners, ARMOR_CLASSES)


def kept(detections, text, most=50):
    ids = class_ids_of(text.split(), ARMOR_CLASSES) if text else None
    return detections[DetectOptions(max_detections=most, class_ids=ids).select(detections)]


@pytest.mark.parametrize(
    ("text", "labels"),
    [
        ("", ["B_3", "R_Bb", "R_1", "N_G"]),
        ("R", ["R_Bb", "R_1"]),
        ("R_1 B", ["B_3", "R_1"]),
        ("N_G N_G", ["N_G"]),
        ("N", ["N_G"]),
        ("P", []),
    ],
)
def test_colors_and_classes(text, labels):
    detections = found("B_3", "R_Bb", "R_1", "N_G")
    found_again = kept(detections, text)
    assert found_again.labels == labels
    for row, label in enumerate(labels):  # every array was cut alike
        before = detections.labels.index(label)
        np.testing.assert_array_equal(found_again.corners[row], detections.corners[before])
        assert found_again.scores[row] == detections.scores[before]


def test_the_best_of_the_wanted_are_left_when_there_are_too_many():
    assert kept(found("B_3", "R_Bb", "R_1"), "R", 1).labels == ["R_Bb"]
    assert kept(found("B_3", "R_Bb", "R_1"), "", 2).labels == ["B_3", "R_Bb"]


@pytest.mark.parametrize(
    ("text", "labels"),
    [
        ("", ["B", "R_1", "R"]),
        ("R", ["R_1", "R"]),
        ("R_1 R_3 B_3", ["R_1"]),
        ("B R_1", ["B", "R_1"]),
        (" ".join(name for name in ARMOR_CLASSES if name[0] == "B"), ["B"]),  # whatever its number is
    ],
)
def test_a_plate_of_unknown_number_is_kept_for_its_color_only(text, labels):
    sure = np.array([0.2, 0.9, 0.2], np.float32)
    detections = replace(found("B_3", "R_1", "R_3"), number_scores=sure, number_threshold=0.5)
    assert kept(detections, text).labels == labels


@pytest.mark.parametrize("text", ["X", "B_9", "R B_3 blue"])
def test_a_name_that_the_model_does_not_have(text):
    with pytest.raises(ConfigError, match=r"expected names out of B R N P B_G .* got '(X|B_9|blue)'"):
        class_ids_of(text.split(), ARMOR_CLASSES)


def test_classes_without_colors_are_kept_by_their_name():
    assert class_ids_of(["rune"], ("rune", "plate")) == {0}


@pytest.mark.parametrize(
    ("wrong", "sentence"),
    [
        ({"score_threshold": 1.1}, "score_threshold: expected a number in 0..1, got 1.1"),
        ({"nms_threshold": float("nan")}, "nms_threshold: expected a number in 0..1, got nan"),
        ({"max_detections": 0}, "max_detections: expected a whole number of at least 1, got 0"),
    ],
)
def test_values_out_of_range(wrong, sentence):
    with pytest.raises(ConfigError, match=re.escape(sentence)):
        DetectOptions(**wrong)


def test_lower_scores_and_all_classes_change_nothing_else():
    options = DetectOptions(0.6, 0.4, 7, 0.3, frozenset({1}))
    assert options.of_all_classes() == DetectOptions(0.6, 0.4, 1000, 0.3)
    assert options.lowered(0.2) == DetectOptions(0.6 - 0.2, 0.4, 1000, 0.3, merge_floor=0.3)
    assert options.lowered(0.9).score_threshold == 0
    assert DetectOptions(max_detections=7).of_all_classes() == DetectOptions(max_detections=7)
    assert DetectOptions(merge_floor=0.1).lowered(0.2).merge_floor == 0.1
