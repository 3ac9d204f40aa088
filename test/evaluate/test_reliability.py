"""Number scores against right and wrong numbers, made by hand."""

import numpy as np
import pytest

from nanodet_kp_core.classes import ARMOR_CLASSES
from nanodet_kp_core.evaluate.metrics import Prediction, match
from nanodet_kp_core.evaluate.reliability import SCORE_EDGES, reliability


@pytest.fixture
def hits(make_record, plate):
    """Makes hits out of (number score, whether the number is right, whether it can be read)."""

    def make(*numbers):
        plates = [plate(60 * k, 0, 50, 30) for k in range(len(numbers))]
        known = np.array([known for _, _, known in numbers], bool)
        record = make_record(plates, ["B_3"] * len(numbers), number_known=known)
        found = [
            Prediction("R_3" if right else "B_4", 0.9, corners, number_score=score)
            for corners, (score, right, _) in zip(plates, numbers)
        ]
        return match([record], {record.name: found}).hits

    return make


def test_rows_and_the_calibration_error(hits):
    result = reliability(hits((0.92, 1, 1), (0.94, 0, 1), (0.55, 1, 1), (1.0, 1, 1)), ARMOR_CLASSES)
    assert (result.plates, result.right) == (4, 0.75)  # the color is wrong wherever the number is right
    assert result.score == pytest.approx((0.92 + 0.94 + 0.55 + 1) / 4)
    rows = {row.low: row for row in result.rows}
    assert tuple(rows) == SCORE_EDGES[:-1]
    assert {low: row.plates for low, row in rows.items() if row.plates} == {0.5: 1, 0.9: 2, 0.99: 1}
    assert (rows[0.9].score, rows[0.9].right, rows[0.9].kept) == pytest.approx((0.93, 0.5, 0.75))
    assert rows[0.9].kept_right == pytest.approx(2 / 3)
    assert rows[0.95].kept == 0.25 and np.isnan(rows[0.95].right) and rows[0.95].kept_right == 1
    assert (rows[0.0].kept, rows[0.0].kept_right) == (1, 0.75)
    assert result.ece == pytest.approx((2 * 0.43 + 0.45 + 0) / 4)


def test_scores_on_an_edge_count_from_there(hits):
    result = reliability(hits((0.3, 1, 1), (0.0, 0, 1), (0.99, 1, 1)), ARMOR_CLASSES)
    assert [row.low for row in result.rows if row.plates] == [0.0, 0.3, 0.99]


def test_what_nobody_could_read_and_what_has_no_score_is_left_out(hits):
    result = reliability(hits((0.9, 0, 0), (float("nan"), 0, 1), (0.8, 1, 1)), ARMOR_CLASSES)
    assert (result.plates, result.right, result.ece) == (1, 1, pytest.approx(0.2))


def test_no_hits(hits):
    result = reliability(hits(), ARMOR_CLASSES)
    assert result.plates == 0 and all(np.isnan(v) for v in (result.score, result.right, result.ece))
    assert [row.plates for row in result.rows] == [0] * (len(SCORE_EDGES) - 1)


def test_scores_that_mean_what_they_say_have_no_error(hits):
    rng = np.random.default_rng(0)
    scores = rng.uniform(0, 1, 4000)
    honest = reliability(hits(*((s, rng.uniform() < s, 1) for s in scores)), ARMOR_CLASSES)
    boastful = reliability(hits(*((s, rng.uniform() < s**2, 1) for s in scores)), ARMOR_CLASSES)
    assert honest.ece < 0.03
    assert boastful.ece == pytest.approx(1 / 6, abs=0.03)  # the mean of s - s^2
