"""The metrics, on cases small enough to count by hand and against the protocol's own script."""

import json
import subprocess
import sys
from dataclasses import asdict
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from nanodet_kp_core.classes import ARMOR_CLASSES
from nanodet_kp_core.errors import ConfigError
from nanodet_kp_core.evaluate.metrics import Prediction, match, score_matches, score_predictions
from nanodet_kp_core.labels import read_records
from nanodet_kp_core.labels.sample import Record

PLATE = np.array([[10, 10], [10, 30], [60, 30], [60, 10]], np.float32)


def record(plates, labels, known=None, ignore=()):
    count = len(plates)
    return Record(
        path=Path("x"), name="x", width=100, height=100,
        corners=np.array(plates, np.float32).reshape(count, 4, 2),
        labels=np.array([ARMOR_CLASSES.index(label) for label in labels], np.int64),
        number_known=np.array(known if known is not None else [True] * count, bool),
        ignore_boxes=np.array(ignore, np.float32).reshape(-1, 4),
    )  # fmt: skip


def score(records, predictions, threshold=0.5):
    return score_predictions([records], {"x": predictions}, ARMOR_CLASSES, threshold)


def test_a_shifted_hit():
    result = score(record([PLATE], ["B_3"]), [Prediction("B_4", 0.9, PLATE + (3, 4))])
    assert (result.hits, result.false_alarms, result.missed) == (1, 0, 0)
    assert result.err_px == pytest.approx(5)
    assert result.err == pytest.approx(5 / np.hypot(50, 20))
    assert (result.color, result.number) == (1.0, 0.0)


def test_second_detection_of_a_plate_is_a_false_alarm_and_the_better_score_goes_first():
    found = [Prediction("B_3", 0.6, PLATE), Prediction("R_3", 0.9, PLATE + 1)]
    result = score(record([PLATE], ["B_3"]), found)
    assert (result.hits, result.false_alarms) == (1, 1)
    assert result.color == 0.0


def test_ignore_boxes_unknown_numbers_and_the_threshold():
    inside = record([PLATE], ["B_3"], [False], [(70, 70, 95, 90)])
    other = np.array([[72, 72], [72, 88], [94, 88], [94, 72]], np.float32)
    found = [Prediction("B_1", 0.9, PLATE), Prediction("B_1", 0.8, other), Prediction("B_1", 0.4, other - 60)]
    result = score(inside, found)
    assert (result.hits, result.false_alarms) == (1, 0)
    assert np.isnan(result.number)
    assert score(inside, found, 0.3).false_alarms == 1


def test_nothing_found_in_nothing():
    result = score(record([], []), [])
    assert (result.precision, result.recall, result.plates) == (0.0, 0.0, 0)


def test_f1_and_the_key_that_chooses_the_best_checkpoint():
    result = score(record([PLATE, PLATE + 200], ["B_3", "B_3"]), [Prediction("B_3", 0.9, PLATE)])
    assert result.f1 == pytest.approx(2 / 3)
    assert result.key("f1") == result.f1
    assert result.key("mAP") == 0.0  # not computed here
    with pytest.raises(ConfigError, match=r"save_key: expected one of mAP, .*got 'loss'"):
        result.key("loss")


def test_a_plate_without_corners_is_found_by_its_box_and_has_no_corner_error():
    labeled = record([PLATE, PLATE + 200], ["B_3", "B_3"])
    labeled.visible[0] = 0
    labeled.boxes[0] = [0, 0, 70, 40]
    found = [
        Prediction("B_3", 0.9, PLATE, np.array([0, 0, 70, 40.0])),
        Prediction("B_3", 0.8, PLATE + 200 + np.array([[3, 4], [0, 0], [0, 0], [0, 0]])),
    ]
    assert score(labeled, found).hits == 2
    assert score(labeled, found).err_px == pytest.approx(5 / 4)  # of the second plate alone
    labeled.visible[1] = [2, 0, 0, 0]
    assert score(labeled, found).err_px == pytest.approx(5)
    labeled.visible[1] = 0
    assert np.isnan(score(labeled, found).err)


def test_a_box_only_model_hits_with_its_box_and_has_no_corner_error():
    result = score(record([PLATE], ["B_3"]), [Prediction("B_3", 0.9, PLATE + 500, PLATE[[0, 2]].ravel(), False)])
    assert (result.hits, result.recall) == (1, 1)
    assert np.isnan([result.err, result.err_px, result.err_p95]).all()


@settings(max_examples=60, deadline=None)
@given(seed=st.integers(0, 10**6), threshold=st.floats(0.1, 0.9))
def test_one_matching_answers_every_higher_threshold(seed, threshold):
    rng = np.random.default_rng(seed)
    plates = [PLATE + rng.uniform(0, 60, 2) for _ in range(4)]
    found = [Prediction("B_1", float(rng.uniform(0, 1)), plates[rng.integers(4)] + rng.normal(0, 4)) for _ in range(9)]
    labeled = record(plates, ["B_1"] * 4, ignore=[(90, 10, 130, 60)])
    once, again = match([labeled], {"x": found}).at(threshold), match([labeled], {"x": found}, threshold)
    figures = (asdict(score_matches(matches, ARMOR_CLASSES)) for matches in (once, again))
    assert next(figures) == pytest.approx(next(figures), nan_ok=True)
    assert [k for _, k in once.misses] == [k for _, k in again.misses]


def test_same_numbers_as_the_protocol(shared_dir, tmp_path):
    labels = shared_dir / "real/dev.json"
    records = read_records("CocoDataset", shared_dir / "real/images", labels, ARMOR_CLASSES)
    rng = np.random.default_rng(0)
    found, document = {}, {}
    for r in records:
        shifted = [
            Prediction(
                ARMOR_CLASSES[rng.integers(36)] if rng.random() < 0.3 else ARMOR_CLASSES[label],
                float(rng.uniform(0.2, 1)),
                corners + rng.normal(0, 3, (4, 2)),
            )
            for corners, label in zip(r.corners, r.labels)
            if rng.random() < 0.8
        ]
        stray = [Prediction("B_1", float(rng.uniform(0.2, 1)), PLATE + rng.uniform(0, 300, 2))]
        found[r.name] = shifted + stray
        document[r.name] = [{"label": p.label, "score": p.score, "corners": p.corners.tolist()} for p in found[r.name]]
    predictions = tmp_path / "p.json"
    predictions.write_text(json.dumps(document))
    command = [sys.executable, str(shared_dir / "real/score.py"), str(labels), str(predictions), "--json"]
    expected = json.loads(subprocess.run(command, check=True, capture_output=True, text=True).stdout)["all"]
    own = score_predictions(records, found, ARMOR_CLASSES)
    assert (own.hits, own.false_alarms, own.missed) == (expected["tp"], expected["fp"], expected["fn"])
    for name in ("precision", "recall", "err", "err_p95", "err_px", "color", "number"):
        theirs = "colour" if name == "color" else name  # as the protocol's script spells it
        assert getattr(own, name) == pytest.approx(expected[theirs], abs=1e-5), name
