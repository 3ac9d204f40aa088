import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from nanodet_kp_core.geometry import box_iou
from nanodet_kp_core.runtime.nms import merge_corners, nms


def _random_boxes(seed, count):
    rng = np.random.default_rng(seed)
    low = rng.uniform(0, 40, (count, 2))
    boxes = np.concatenate([low, low + rng.uniform(1, 30, (count, 2))], axis=1).astype(np.float32)
    return boxes, rng.permutation(count).astype(np.float32) / max(count, 1)


def test_by_hand():
    # 0 and 1 overlap by IoU 0.6 (20 wide, shifted by 5), 2 is far away and best.
    boxes = np.array([[0, 0, 20, 10], [5, 0, 25, 10], [100, 0, 120, 10]], np.float32)
    scores = np.array([0.5, 0.7, 0.9], np.float32)
    assert nms(boxes, scores, 0.59).tolist() == [2, 1]
    assert nms(boxes, scores, 0.61).tolist() == [2, 1, 0]
    assert nms(boxes, scores, 0.61, 2).tolist() == [2, 1]


def test_overlap_equal_to_the_threshold_stays():
    boxes = np.array([[0, 0, 2, 1], [0, 0, 1, 1]], np.float32)  # IoU exactly 0.5
    assert nms(boxes, np.array([0.9, 0.8], np.float32), 0.5).tolist() == [0, 1]


def test_equal_scores_keep_their_order():
    boxes = np.array([[0, 0, 1, 1], [9, 9, 10, 10], [4, 4, 5, 5]], np.float32)
    assert nms(boxes, np.full(3, 0.5, np.float32), 0.5).tolist() == [0, 1, 2]


@pytest.mark.parametrize("limit", [-1, 0, 5])
def test_nothing_in_nothing_out(limit):
    kept = nms(np.zeros((0, 4), np.float32), np.zeros(0, np.float32), 0.5, limit)
    assert kept.shape == (0,)
    assert kept.dtype == np.int64


def _slow_nms(boxes, scores, threshold):
    """The definition with the whole table of overlaps."""
    overlap = box_iou(boxes, boxes)
    kept = []
    for candidate in sorted(range(len(boxes)), key=lambda k: (-scores[k], k)):
        if all(overlap[better, candidate] <= threshold for better in kept):
            kept.append(candidate)
    return kept


@settings(max_examples=100, deadline=None)
@given(seed=st.integers(0, 2**32 - 1), count=st.integers(0, 60), iou=st.sampled_from([0.0, 0.25, 0.5, 1.0]))
def test_exactly_the_definition(seed, count, iou):
    # Whole numbers: overlaps equal to the threshold, equal scores and empty boxes occur.
    rng = np.random.default_rng(seed)
    low = rng.integers(0, 12, (count, 2))
    boxes = np.concatenate([low, low + rng.integers(-1, 6, (count, 2))], axis=1).astype(np.float32)
    scores = rng.integers(0, 5, count).astype(np.float32)
    assert nms(boxes, scores, iou).tolist() == _slow_nms(boxes, scores, iou)


@settings(max_examples=60, deadline=None)
@given(seed=st.integers(0, 2**32 - 1), count=st.integers(1, 40), iou=st.floats(0, 1), limit=st.integers(-1, 12))
def test_properties(seed, count, iou, limit):
    boxes, scores = _random_boxes(seed, count)
    kept = nms(boxes, scores, iou, limit)
    assert len(set(kept.tolist())) == len(kept)
    assert (np.diff(scores[kept]) <= 0).all()
    overlap = box_iou(boxes, boxes)
    assert (overlap[np.ix_(kept, kept)][~np.eye(len(kept), dtype=bool)] <= iou).all()
    if limit >= 0:
        # A limit cuts the full result, it does not change it.
        assert kept.tolist() == nms(boxes, scores, iou)[:limit].tolist()
        return
    for gone in set(range(count)) - set(kept.tolist()):
        reason = [k for k in kept if overlap[k, gone] > iou and scores[k] >= scores[gone]]
        assert reason, "a box went without a better one over it"


@settings(max_examples=60, deadline=None)
@given(seed=st.integers(0, 2**32 - 1), count=st.integers(0, 40), least=st.floats(0, 1), limit=st.integers(-1, 12))
def test_corners_are_the_mean_of_what_each_kept_box_took_away(seed, count, least, limit):
    boxes, scores = _random_boxes(seed, count)
    boxes[: count // 8, 2:] = boxes[: count // 8, :2]  # some are empty
    corners = np.random.default_rng(seed + 1).normal(size=(count, 4, 2)).astype(np.float32)
    scores += np.float32(0.01)
    strong = np.flatnonzero(scores >= least)
    kept = strong[nms(boxes[strong], scores[strong], 0.3, limit)]
    merged = merge_corners(kept, boxes, scores, corners, 0.3)
    assert merged.shape == (len(kept), 4, 2)
    overlap = box_iou(boxes, boxes)
    free = set(range(count))
    for best, found in zip(kept, merged):
        group = [k for k in free if k == best or overlap[best, k] > 0.3]
        free -= set(group)
        np.testing.assert_allclose(found, np.average(corners[group], axis=0, weights=scores[group] ** 2), atol=1e-5)


def test_merged_corners_by_hand():
    corners = np.arange(3 * 8, dtype=np.float32).reshape(3, 4, 2)
    boxes = np.array([[0, 0, 20, 10], [5, 0, 25, 10], [100, 0, 120, 10]], np.float32)
    scores = np.array([0.5, 1.0, 0.7], np.float32)
    merged = merge_corners(np.array([1, 2]), boxes, scores, corners, 0.5)
    np.testing.assert_allclose(merged[0], (corners[1] * 1.0 + corners[0] * 0.25) / 1.25, rtol=1e-6)
    np.testing.assert_array_equal(merged[1], corners[2])
    assert merge_corners(np.zeros(0, int), boxes, scores, corners, 0.5).shape == (0, 4, 2)
    assert np.isfinite(merge_corners(np.array([1, 2]), boxes, np.zeros(3, np.float32), corners, 0.5)).all()
