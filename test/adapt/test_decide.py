"""Points, the choice between candidates, and the sentence at the end."""

from dataclasses import replace
from types import SimpleNamespace

import numpy as np
import pytest

from nanodet_kp_core.adapt.decide import Choice, Judged, choose, judge
from nanodet_kp_core.adapt.recipe import Scoring
from nanodet_kp_core.adapt.story import by_group, story, what_to_label
from nanodet_kp_core.classes import ARMOR_CLASSES
from nanodet_kp_core.evaluate.changes import changes, doubts
from nanodet_kp_core.evaluate.groups import recall_at, recalls_at
from nanodet_kp_core.evaluate.metrics import Prediction
from nanodet_kp_core.evaluate.points import Gain, gain
from nanodet_kp_core.evaluate.standing import Standing, predictions_text, read_predictions

QUAD = np.array([[0, 0], [0, 30], [40, 30], [40, 0]], np.float32)  # diagonal 50


def records(make_record, count, label="B_3"):
    return [make_record([QUAD + 20], [label], f"cam{k % 2}/{k}.png") for k in range(count)]


def standing(made, found=(), alarms=(), wrong=(), shift=0.0, score=0.9, source="cam"):
    """A model that finds the plates of the records with these indices, `shift` pixels off."""
    predictions = {}
    for k, record in enumerate(made):
        rows = []
        if k in found:
            label = "R_4" if k in wrong else ARMOR_CLASSES[record.labels[0]]
            rows.append(Prediction(label, score, QUAD + 20 + (shift, 0), number_score=0.8))
        if k in alarms:
            rows.append(Prediction("B_1", 0.7, QUAD * 0.5 + 200))
        predictions[record.name] = rows
    return Standing(made, predictions, ARMOR_CLASSES, {record.name: source for record in made})


def test_points_of_an_image(make_record):
    made = records(make_record, 4)
    points = standing(made, found=(0, 1, 2), alarms=(2, 3), wrong=(1,), shift=2.5).points
    # 2.5 px of 50 are half of the worst corner error: a quarter of a point
    assert list(points.values()) == pytest.approx([0.75, 0.25, -0.25, -1.0])


def test_a_gain_and_its_noise():
    before = dict.fromkeys("abcd", 0.0)
    assert gain(before, {"a": 1.0, "b": 1.0, "c": 1.0, "d": 1.0}) == Gain(4.0, 0.0)
    chance = gain(before, {"a": 1.0, "b": -1.0, "c": 1.0, "d": 0.0})
    assert chance.total == 1.0 and chance.noise == pytest.approx(np.sqrt(3 - 1 / 4))
    assert gain({}, {}) == Gain(0.0, 0.0)


@pytest.fixture
def field(make_record):
    """Own validation of 20 plates and 100 rendered ones; the start finds 10 and 80 of them."""
    own, rendered = records(make_record, 20), records(make_record, 100)
    return SimpleNamespace(
        own=own, rendered=rendered, own_start=standing(own, range(10)), rendered_start=standing(rendered, range(80))
    )


def judged(field, own, rendered):
    return judge(field.own_start, own, field.rendered_start, rendered, Scoring())


def test_a_better_candidate_has_no_fault(field):
    result = judged(field, standing(field.own, range(16)), standing(field.rendered, range(79)))
    assert result.fault == "" and result.gain.total == pytest.approx(6.0)


@pytest.mark.parametrize(
    ("own", "rendered", "fault"),
    [
        ({"found": range(10)}, {"found": range(80)}, "not better on own validation"),
        ({"found": range(1, 12)}, {"found": range(80)}, "may be chance"),  # one lost, two found
        ({"found": range(20)}, {"found": range(78)}, "finds fewer plates at the same precision"),
        ({"found": range(20)}, {"found": range(80), "alarms": range(2)}, "more false alarms at score 0.5"),
        ({"found": range(20)}, {"found": range(80), "wrong": range(2)}, "more wrong numbers and colors"),
        ({"found": range(20), "shift": 0}, {"found": range(80), "shift": 1.0}, "corners are worse"),
        ({"found": range(20), "alarms": range(12)}, {"found": range(80)}, "not better on own validation"),
    ],
)
def test_why_a_candidate_is_not_taken(field, own, rendered, fault):
    result = judged(field, standing(field.own, **own), standing(field.rendered, **rendered))
    assert fault in result.fault
    assert choose({"a": result}).taken == "start"


def test_a_hard_plate_that_only_the_candidate_finds_does_not_make_its_corners_worse(field):
    start, new = (standing(field.rendered, found, shift=0.5) for found in (range(80), range(82)))
    hard = [field.rendered[k].name for k in (80, 81)]
    for name in hard:
        new.predictions[name][0] = replace(new.predictions[name][0], corners=QUAD + 20 + (8, 0))
    assert new.score.err > 1.05 * start.score.err
    assert judge(field.own_start, standing(field.own, range(16)), start, new, Scoring()).fault == ""
    worse = standing(field.rendered, range(82), shift=0.55)
    assert "corners are worse" in judge(field.own_start, field.own_start, start, worse, Scoring()).fault


def test_the_best_of_those_without_a_fault_is_taken():
    results = {
        "a": Judged(Gain(9.0, 1.0), "worse"), "b": Judged(Gain(2.0, 1.0), ""), "c": Judged(Gain(3.0, 1.0), "")
    }  # fmt: skip
    assert choose(results).taken == "c"


def test_recall_at_a_precision(make_record):
    made = records(make_record, 4)
    scores = {0: (0.9, None), 1: (0.8, 0.85), 2: (0.7, None), 3: (0.6, 0.5)}  # of the plate, of a false alarm
    predictions = {
        record.name: [
            Prediction("B_3", plate, QUAD + 20), *([Prediction("B_1", alarm, QUAD + 200)] if alarm else [])
        ]
        for record, (plate, alarm) in zip(made, scores.values())
    }  # fmt: skip
    everything = Standing(made, predictions, ARMOR_CLASSES, {}).everything
    assert recall_at(everything, 1.0) == (0.25, 0.9)
    assert recall_at(everything, 0.75) == (1.0, pytest.approx(0.6))
    assert recalls_at(everything, (1.0, 0.75)) == [recall_at(everything, 1.0), recall_at(everything, 0.75)]
    assert recall_at(standing(made).everything, 0.5) == (0.0, 1.0)


def test_mean_recall_is_that_of_precisions_from_95_to_99_percent(make_record):
    made = records(make_record, 100)
    found = standing(made, range(100), alarms=range(3))
    for k, name in enumerate(found.predictions):  # the last plate comes after three false alarms
        found.predictions[name][0] = replace(found.predictions[name][0], score=0.6 if k == 99 else 0.9)
    # With all plates precision is 100 of 103, 0.971; without the last one it is 1.
    assert found.mean_recall == pytest.approx((21 * 1.0 + 20 * 0.99) / 41)
    assert standing(made, range(80)).mean_recall == pytest.approx(0.8)


def test_the_sentence_names_groups_and_what_to_do(make_record, field):
    own = [make_record([QUAD * 0.4 + 20], ["B_3"], f"{k}.png") for k in range(4)]
    own += [make_record([QUAD + 20], ["R_1"], f"b{k}.png") for k in range(4)]

    def model(found):
        names = {own[k].name: [Prediction(ARMOR_CLASSES[own[k].labels[0]], 0.9, own[k].corners[0])] for k in found}
        return Standing(own, names, ARMOR_CLASSES, {r.name: sources[r.name.startswith("b")] for r in own})

    sources = ("cam", "arm")
    start, new = model((0, 4, 5, 6, 7)), model((0, 1, 2, 4, 5, 6))
    gained, lost = by_group(start, new)
    assert "size below 24 px +2 of 4" in gained and "number 3 +2 of 4" in gained and "source cam +2 of 4" in gained
    assert lost == "size 24 to 48 px -1 of 4, number 1 -1 of 4, source arm -1 of 4"
    pair = (field.rendered_start, field.rendered_start)
    taken = {"second stage 1": Judged(Gain(0.7, 0.1), ""), "detector 1": Judged(Gain(0.2, 0.1), "")}
    said = story(Choice("second stage 1", taken), start, new, pair, "run/model.onnx")
    assert said.startswith("The new model (second stage 1) is better (+0.7 points): of 8")
    by_crops = story(Choice("detector 1", taken), start, new, pair, "run/model.onnx")
    assert "is better (+0.2 points, and surer in crops of the images): of 8" in by_crops
    assert "it finds 6 (start 5)" in said and "deploy run/model.onnx" in said and said.count(".onnx") == 1
    assert "label more plates of size below 24 px (3 of 4 right)" in said
    kept = story(Choice("start", {"second stage 1": Judged(Gain(0, 0), "no gain")}), start, start, pair, "m.onnx")
    assert kept.startswith("The start is kept") and "second stage 1: no gain" in kept
    assert "nothing is left to gain" in what_to_label(model(range(8)))
    sources = ("cam", "cam")
    whole = model((0, 1, 2, 4, 5, 6))
    assert "source" not in by_group(start, whole)[0] + by_group(start, whole)[1] + what_to_label(whole)


def test_what_changed_and_which_labels_are_in_doubt(make_record):
    made = records(make_record, 4)
    before = standing(made, found=(0, 1, 2), wrong=(2,), alarms=(0,))
    after = standing(made, found=(0, 2, 3), alarms=(0, 3), shift=2.0)
    notes = {(c.record.name, c.note): c.better for c in changes(before, after)}
    assert notes == {
        ("cam1/1.png", "found, now missed"): False,
        ("cam1/3.png", "missed, now found"): True,
        ("cam1/3.png", "false alarm B_1 0.70 is new"): False,
        ("cam0/2.png", "found with another number or color, now found"): True,
        ("cam0/0.png", "corner error 0.000, now 0.040 diagonals"): False,
    }
    worst = doubts(before)
    assert worst[0].note == "B_3: the model sees no plate" and worst[0].record is made[3]
    assert worst[1].note == "B_3: the model reads R_4 (0.80)"
    assert worst[2].note == "no label, the model sees B_1 with score 0.70" and worst[2].plate == -1


def test_predictions_are_kept_as_they_are(make_record, tmp_path):
    made = records(make_record, 3)
    model = standing(made, found=(0, 1), alarms=(2,))
    path = tmp_path / "p.json"
    path.write_text(predictions_text(model.predictions))
    again = Standing(made, read_predictions(path), ARMOR_CLASSES, model.source_of)
    assert repr(again.score) == repr(model.score)  # nan is no nan
    assert repr(again.rows) == repr(model.rows) and again.points == model.points


def test_crops_that_are_surely_better_decide_where_points_are_equal(field):
    same, rendered = standing(field.own, range(10)), standing(field.rendered, range(80))
    args = field.own_start, same, field.rendered_start
    assert judge(*args, rendered, Scoring(), Gain(0.02, 0.009)).fault == ""
    assert "not better" in judge(*args, rendered, Scoring(), Gain(0.02, 0.011)).fault  # less than two standard errors
    assert "fewer plates" in judge(*args, standing(field.rendered, range(70)), Scoring(), Gain(0.02, 0.001)).fault
    for shift, fault in ((0.05, ""), (0.2, "not better")):  # 0.05 and 0.2 points in all
        moved = field.own_start, standing(field.own, range(10), shift=shift), field.rendered_start
        assert (fault or "good") in (judge(*moved, rendered, Scoring(), Gain(0.02, 0.0)).fault or "good")
    half, whole = Judged(Gain(0.1, 0), "", Gain(0.02, 0)), Judged(Gain(0.0, 0), "", Gain(0.03, 0))
    assert choose({"half": half, "whole": whole}).taken == "half"
    # where half of a change is not good enough, nothing but crops speaks for the whole of it
    assert choose({"half": Judged(Gain(-0.2, 0), "worse"), "whole": whole}).taken == "start"
