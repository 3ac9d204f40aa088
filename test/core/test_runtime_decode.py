import math
from dataclasses import replace

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from tiny_model import OFF, TinyPlate, decoded_rows, encode, tiny_metadata

from nanodet_kp_core.classes import ARMOR_CLASSES
from nanodet_kp_core.geometry import make_priors
from nanodet_kp_core.runtime.detection.decode import decode
from nanodet_kp_core.runtime.models.metadata import OutputSpec

# A plate with its left-top at (12, 20): tilted, so that no two coordinates are equal.
TILTED = [[12, 20], [14, 31], [40.5, 33], [38, 22.25]]


def _slow_decode(output, metadata, threshold):
    """The definition, number by number: [(prior index, score, class id, box, corners)]."""
    head = metadata.head
    priors = make_priors(metadata.input.height, metadata.input.width, metadata.strides, metadata.head.prior_offset)
    found = []
    for index, (row, (x, y, stride, _)) in enumerate(zip(output.astype(np.float64), priors, strict=True)):
        logits = list(row[: head.num_logits])
        first = int(np.argmax(logits[: head.num_scores]))
        score = 1 / (1 + math.exp(-logits[first]))
        if score < threshold:
            continue
        class_id = first
        if metadata.head.class_layout == "factored":
            class_id = first * head.num_numbers + int(np.argmax(logits[head.num_scores :]))
        sides, means = _slow_distances(list(row[head.num_logits :]), metadata)
        left, top, right, bottom = (side * stride for side in sides)
        box = (x - left, y - top, x + right, y + bottom)
        corners = [(box[0], box[1]), (box[0], box[3]), (box[2], box[3]), (box[2], box[1])]
        if metadata.head.corner_codec != "none":
            corners = [(x + means[2 * k] * stride, y + means[2 * k + 1] * stride) for k in range(4)]
        found.append((index, score, class_id, box, corners))
    return found


def _slow_distances(rest, metadata):
    """Four sides and eight signed offsets (empty without corners) in strides."""
    if metadata.head.regression == "direct":
        return [math.exp(value) for value in rest[:4]], rest[4:]
    reg_max = metadata.head.reg_max
    sides = [_mean(rest, k, range(reg_max + 1)) for k in range(4)]
    if metadata.head.corner_codec == "none":
        return sides, []
    rest = rest[4 * (reg_max + 1) :]
    low = 0 if metadata.head.corner_codec == "unsigned" else -reg_max
    means = [_mean(rest, k, range(low, reg_max + 1)) for k in range(8)]
    if metadata.head.corner_codec == "unsigned":  # the published signs, spelled out
        means = [s * m for s, m in zip((-1, -1, -1, 1, 1, 1, 1, -1), means, strict=True)]
    return sides, means


def _mean(logits, group, positions):
    bins = logits[group * len(positions) : (group + 1) * len(positions)]
    weights = [math.exp(value) for value in bins]
    return sum(w * p for w, p in zip(weights, positions, strict=True)) / sum(weights)


CODECS = [
    ("signed", "distribution"),
    ("unsigned", "distribution"),
    ("none", "distribution"),
    ("signed", "direct"),
    ("none", "direct"),
]


@pytest.mark.parametrize(("codec", "regression"), CODECS)
@pytest.mark.parametrize("offset", [0.0, 0.5])
@pytest.mark.parametrize("layout", ["joint", "factored"])
def test_hand_built_plate_comes_back(codec, regression, offset, layout):
    meta = tiny_metadata(class_layout=layout, corner_codec=codec, regression=regression, prior_offset=offset)
    # P_Bb is the last class id (35), so a wrong factored product shows.
    found = decode(encode(meta, [TinyPlate("P_Bb", 0.8, TILTED)]), meta, 0.5)
    assert found.class_ids.tolist() == [35]
    np.testing.assert_allclose(found.scores, [0.8], atol=1e-6)
    np.testing.assert_allclose(found.boxes, [[12, 20, 40.5, 33]], atol=1e-3)
    expected = [[12, 20], [12, 33], [40.5, 33], [40.5, 20]] if codec == "none" else TILTED
    np.testing.assert_allclose(found.corners, [expected], atol=1e-3)


def test_one_prior_of_direct_regression_by_hand():
    # Prior 9 of a 64x64 input with half-cell priors: column 1, row 1 of the stride-8 level lies at (12, 12).
    meta = tiny_metadata(class_names=("a",), regression="direct", prior_offset=0.5)
    output = np.full((meta.num_priors, 1 + 4 + 8), OFF, np.float32)
    output[9] = [0.0, 0.0, math.log(0.5), math.log(2), 0.0, -1, -0.5, 0.25, 0, 0, 0, 0, 2]
    found = decode(output, meta, 0.5)
    np.testing.assert_allclose(found.boxes, [[4, 8, 28, 20]], atol=1e-5)
    np.testing.assert_allclose(found.corners, [[[4, 8], [14, 12], [12, 12], [12, 28]]], atol=1e-5)


def test_one_prior_by_hand():
    # Prior 9 of a 64x64 input is column 1, row 1 of the stride-8 level: (8, 8). All weight on single bins.
    meta = tiny_metadata(class_names=("a", "b"))
    row = np.full(2 + 4 * 8 + 8 * 15, -40.0, np.float32)
    row[1] = 0.0  # class "b" with a score of exactly 0.5
    for group, position in enumerate((1, 0, 3, 7)):
        row[2 + group * 8 + position] = 40.0
    for group, position in enumerate((-1, -1, 0, 2, 3, 2, -7, 7)):
        row[2 + 32 + group * 15 + position + 7] = 40.0
    output = np.full((meta.num_priors, row.size), OFF, np.float32)
    output[9] = row
    found = decode(output, meta, 0.5)  # at the threshold counts
    assert found.class_ids.tolist() == [1]
    assert found.scores.tolist() == [0.5]
    np.testing.assert_allclose(found.boxes, [[0, 8, 32, 64]], atol=1e-4)
    np.testing.assert_allclose(found.corners, [[[0, 0], [8, 24], [32, 24], [-48, 64]]], atol=1e-4)


@settings(max_examples=40, deadline=None)
@given(
    seed=st.integers(0, 2**32 - 1),
    codec=st.sampled_from(CODECS),
    layout=st.sampled_from(["joint", "factored"]),
    offset=st.sampled_from([0.0, 0.5]),
    threshold=st.floats(0.01, 0.99),
)
def test_agrees_with_the_slow_definition(seed, codec, layout, offset, threshold):
    # 40x24: neither side is a multiple of 16 or 32, so a floor instead of a ceil in the priors shows.
    corner_codec, regression = codec
    meta = tiny_metadata(40, 24, ARMOR_CLASSES, layout, corner_codec, regression, offset)
    rng = np.random.default_rng(seed)
    spread = 1.5 if regression == "direct" else 3.0
    output = rng.normal(0, spread, (meta.num_priors, meta.head.num_channels)).astype(np.float32)
    output[:, : meta.head.num_scores] -= 4  # some below, some above the threshold
    slow = _slow_decode(output, meta, threshold)
    found = decode(output, meta, threshold)
    assert len(found.scores) == len(slow)
    if slow:
        _, scores, class_ids, boxes, corners = zip(*slow, strict=True)
        assert found.class_ids.tolist() == list(class_ids)
        np.testing.assert_allclose(found.scores, scores, atol=1e-5)
        np.testing.assert_allclose(found.boxes, boxes, atol=1e-3)
        np.testing.assert_allclose(found.corners, corners, atol=1e-3)


def test_nothing_found_keeps_the_shapes():
    meta = tiny_metadata()
    found = decode(encode(meta, []), meta, 0.5)
    assert found.scores.shape == (0,)
    assert found.class_ids.shape == (0,)
    assert found.boxes.shape == (0, 4)
    assert found.corners.shape == (0, 4, 2)


@pytest.mark.parametrize("bad", [np.nan, np.inf, -np.inf])
@pytest.mark.parametrize("where", ["score", "number", "box", "corner"])
@pytest.mark.filterwarnings("error")
def test_rows_that_are_not_finite_are_dropped(bad, where):
    meta = tiny_metadata(class_layout="factored")
    plates = [TinyPlate("B_1", 0.9, TILTED), TinyPlate("R_2", 0.8, TILTED)]
    output = encode(meta, plates)
    (broken,) = np.flatnonzero(np.isclose(output[:, 0], math.log(9)))  # the row of B_1
    head = meta.head
    channel = {"score": 0, "number": 5, "box": head.box_slice.start, "corner": head.corner_slice.start}[where]
    output[broken, channel] = bad
    found = decode(output, meta, 0.5)
    assert [meta.class_names[k] for k in found.class_ids] == ["R_2"]
    assert np.isfinite(found.boxes).all()
    assert np.isfinite(found.corners).all()


def test_large_logits_do_not_overflow():
    meta = tiny_metadata()
    output = encode(meta, [TinyPlate("B_1", 0.9, TILTED)])
    output[output[:, 0] > -1, 0] = 1e4
    output[:, meta.head.box_slice] += 1e4
    output[:, 1] = 300.0  # B_1 everywhere
    with np.errstate(over="raise"):
        found = decode(output, meta, 0.5)
    assert len(found.scores) == meta.num_priors
    assert (found.scores == 1).all()
    assert np.isfinite(found.boxes).all()


@pytest.mark.filterwarnings("error")
def test_large_direct_values_stay_finite():
    meta = tiny_metadata(regression="direct")
    output = encode(meta, [TinyPlate("B_1", 0.9, TILTED)])
    (row,) = np.flatnonzero(output[:, 1] > -1)
    output[row, meta.head.box_slice] = np.finfo(np.float32).max
    output[row, meta.head.corner_slice] = -np.finfo(np.float32).max
    found = decode(output, meta, 0.5)
    assert len(found.scores) == 1
    assert np.isfinite(found.boxes).all()
    assert np.isfinite(found.corners).all()


def test_scores_after_a_sigmoid_are_taken_as_they_are():
    raw = tiny_metadata()
    output = encode(raw, [TinyPlate("B_1", 0.7, TILTED)])
    output[:, : raw.head.num_scores] = 1 / (1 + np.exp(-output[:, : raw.head.num_scores]))
    meta = replace(raw, output=OutputSpec(scores="sigmoid"))
    np.testing.assert_allclose(decode(output, meta, 0.69).scores, [0.7], atol=1e-6)
    assert len(decode(output, meta, 0.71).scores) == 0


@pytest.mark.parametrize(("threshold", "count"), [(0.0, 84), (1.0, 0)])  # 64 + 16 + 4 priors
def test_extreme_thresholds(threshold, count):
    meta = tiny_metadata()
    assert len(decode(encode(meta, []), meta, threshold).scores) == count


def test_rows_that_the_graph_decoded_are_taken_as_they_are():
    meta = tiny_metadata(rows=6)
    rows = decoded_rows(meta, [TinyPlate("B_1", 0.9, TILTED), TinyPlate("P_Bb", 0.5, TILTED)])
    found = decode(rows, meta, 0.6)
    assert [meta.class_names[k] for k in found.class_ids] == ["B_1"]
    np.testing.assert_allclose(found.scores, [0.9], atol=1e-6)
    np.testing.assert_allclose(found.boxes, [[12, 20, 40.5, 33]], atol=1e-3)
    np.testing.assert_allclose(found.corners, [TILTED], atol=1e-3)
    both = decode(rows, meta, float(rows[:, 0][rows[:, 0] > 0].min()))  # at the threshold counts
    assert sorted(meta.class_names[k] for k in both.class_ids) == ["B_1", "P_Bb"]
    rows[:, 9] = np.nan
    assert decode(rows, meta, 0.0).corners.shape == (0, 4, 2)
