"""Average precision on cases that can be worked out by hand."""

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from nanodet_kp_core.classes import ARMOR_CLASSES
from nanodet_kp_core.evaluate.coco import OKS_SIGMA, coco_score
from nanodet_kp_core.evaluate.full_score import full_score
from nanodet_kp_core.evaluate.metrics import Prediction, match

LEVELS = np.arange(0.5, 0.96, 0.05)


def score(records, found, plates_too=True):
    return coco_score(records, found, ARMOR_CLASSES, plates_too)


def test_perfect_predictions_have_every_average_precision_1(make_record, plate):
    records = [
        make_record([plate(10, 10, 20, 10), plate(60, 60, 60, 40)], ["B_3", "R_1"], "a"),
        make_record([plate(5, 5, 200, 120)], ["B_3"], "b"),
        make_record([], [], "c"),
    ]
    found = {
        r.name: [Prediction(ARMOR_CLASSES[label], 0.9, c) for c, label in zip(r.corners, r.labels)] for r in records
    }
    result = score(records, found)
    assert all(getattr(result, name) == pytest.approx(1) for name in result.__dataclass_fields__)
    empty = score(records, {})
    assert all(getattr(empty, name) == 0 for name in empty.__dataclass_fields__)


def test_a_shifted_box_counts_up_to_its_iou(make_record, plate):
    records = [make_record([plate(0, 0, 100, 100)], ["B_3"])]
    result = score(records, {"a.png": [Prediction("B_3", 0.9, plate(20, 0, 100, 100))]})
    figures = [result.mAP, result.AP_50, result.AP_75]
    assert figures == pytest.approx([0.4, 1, 0])  # IoU 80 / 120: right at 0.50, 0.55, 0.60 and 0.65
    assert (result.AP_large, result.plate_AP) == pytest.approx((0.4, 0.4))
    assert np.isnan(result.AP_small)
    assert np.isnan(result.AP_medium)


def test_the_box_counts_and_not_the_hull_of_the_corners(make_record, plate):
    records = [make_record([plate(0, 0, 100, 50)], ["B_3"], boxes=np.array([[0, -20, 100, 70]], np.float32))]
    found = Prediction("B_3", 0.9, plate(0, 0, 100, 50), np.array([0, -20, 100, 70.0]))
    assert score(records, {"a.png": [found]}).mAP == pytest.approx(1)
    assert score(records, {"a.png": [Prediction("B_3", 0.9, found.corners)]}).AP_75 == 0


def test_a_duplicate_between_two_hits_costs_precision(make_record, plate):
    first, second = plate(0, 0, 50, 30), plate(200, 100, 50, 30)
    records = [make_record([first, second], ["B_3", "B_3"])]
    found = [Prediction("B_3", 0.9, first), Prediction("B_3", 0.8, first), Prediction("B_3", 0.7, second)]
    # Precision 1 up to recall 0.5 (51 of 101 recall levels), 2/3 from there on.
    assert score(records, {"a.png": found}).mAP == pytest.approx((51 + 50 * 2 / 3) / 101)


def test_a_wrong_class_counts_only_where_classes_are_one(make_record, plate):
    records = [make_record([plate(0, 0, 50, 30)], ["B_3"])]
    result = score(records, {"a.png": [Prediction("R_3", 0.9, plate(0, 0, 50, 30))]})
    assert (result.mAP, result.oks_mAP) == (0, 0)
    assert (result.plate_AP, result.plate_AP_50, result.plate_oks_AP) == pytest.approx((1, 1, 1))


def test_ignore_boxes_and_unread_numbers_are_neither_right_nor_wrong(make_record, plate):
    plates = [plate(0, 0, 50, 30), plate(100, 0, 50, 30)]
    record = make_record(
        plates, ["B_3", "B_G"], number_known=np.array([True, False]),
        ignore_boxes=np.array([[200, 0, 250, 30]], np.float32),
    )  # fmt: skip
    found = [
        Prediction("B_4", 0.95, plates[1]),  # its number is unknown
        Prediction("B_3", 0.9, plate(200, 0, 50, 30)),  # in the ignore box
        Prediction("B_3", 0.8, plates[0]),
    ]
    result = score([record], {"a.png": found})
    assert (result.mAP, result.oks_mAP, result.plate_AP, result.plate_oks_AP) == pytest.approx((1, 1, 1, 1))
    without = make_record(plates, ["B_3", "B_G"], number_known=np.array([True, False]))
    assert score([without], {"a.png": found}).mAP == pytest.approx(0.5)


@settings(max_examples=40, deadline=None)
@given(
    corner=st.integers(0, 3), dx=st.floats(-60, 60), dy=st.floats(-60, 60), width=st.floats(20, 200),
    height=st.floats(10, 100),
)  # fmt: skip
def test_oks_of_one_shifted_corner_is_the_formula(make_record, plate, corner, dx, dy, width, height):
    true = plate(0, 0, width, height)
    shifted = true.astype(np.float64)
    shifted[corner] += dx, dy
    area = float(np.prod(true.max(axis=0) - true.min(axis=0)))
    oks = (3 + np.exp(-(dx**2 + dy**2) / (2 * area * (2 * OKS_SIGMA) ** 2))) / 4
    passed = oks >= LEVELS
    if np.abs(oks - LEVELS).min() < 1e-6:
        return
    result = score([make_record([true], ["B_3"])], {"a.png": [Prediction("B_3", 0.9, shifted)]}, plates_too=False)
    assert result.oks_mAP == pytest.approx(passed.mean())
    assert result.oks_AP_75 == pytest.approx(float(oks >= 0.75))


def test_only_labeled_corners_count_for_oks(make_record, plate):
    true = plate(0, 0, 100, 50)
    off = true + np.array([[0, 0], [0, 0], [0, 0], [80, 80]])
    found = {"a.png": [Prediction("B_3", 0.9, off, np.array([0, 0, 100, 50.0]))]}
    seen = np.array([[2, 2, 2, 2]], np.int8)
    assert score([make_record([true], ["B_3"], visible=seen)], found).oks_AP_75 == pytest.approx(1)
    assert score([make_record([true], ["B_3"], visible=seen)], found).oks_mAP == pytest.approx(0.6)
    partly = np.array([[2, 2, 1, 0]], np.int8)
    assert score([make_record([true], ["B_3"], visible=partly)], found).oks_mAP == pytest.approx(1)


def test_without_corners_there_are_boxes_only(make_record, plate):
    true = plate(0, 0, 100, 50)
    found = {"a.png": [Prediction("B_3", 0.9, true)]}
    unlabeled = score([make_record([true], ["B_3"], visible=np.zeros((1, 4), np.int8))], found)
    box_only = score([make_record([true], ["B_3"])], {"a.png": [Prediction("B_3", 0.9, true, has_corners=False)]})
    for result in (unlabeled, box_only):
        assert (result.mAP, result.plate_AP) == pytest.approx((1, 1))
        assert all(np.isnan(v) for v in (result.oks_mAP, result.oks_AP_50, result.oks_AP_75, result.plate_oks_AP))


def test_nothing_labeled_is_nan_and_the_score_takes_the_averages(make_record, plate):
    found = {"a.png": [Prediction("B_3", 0.9, plate(0, 0, 50, 30))]}
    nothing = score([make_record([], [])], found)
    assert all(np.isnan(getattr(nothing, name)) for name in nothing.__dataclass_fields__)
    records = [make_record([plate(0, 0, 50, 30)], ["B_3"])]
    filled = full_score(match(records, found), 0.5, ARMOR_CLASSES, score(records, found))
    assert (filled.recall_fixed, filled.points) == (1, 1)
    assert (filled.key("mAP"), filled.key("AP_50"), filled.key("oks_mAP"), filled.key("f1")) == pytest.approx((1,) * 4)
