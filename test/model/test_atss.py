"""ATSS against the rule written out plate by plate, and where ours differs from the published one."""

import numpy as np
import pytest
import torch

from nanodet_kp_core.assign.atss import ATSSAssigner
from nanodet_kp_core.assign.targets import GroundTruths, Targets, least_of_rows
from nanodet_kp_core.model.codec import prior_tensor

STRIDES = (8, 16, 32)
PRIORS = prior_tensor(128, 160, STRIDES, offset=0.5)


def join(*plates: torch.Tensor, ignore=None) -> GroundTruths:
    """Boxes of each image -> ground truths; `ignore` boxes belong to the last image."""
    targets = []
    for boxes in plates:
        known = torch.ones(len(boxes), dtype=torch.bool)
        corners, labels = torch.zeros(len(boxes), 4, 2), torch.arange(len(boxes))
        targets.append(Targets(boxes, labels, corners, known[:, None].expand(-1, 4), known, torch.zeros(0, 4)))
    if ignore is not None:
        targets[-1].ignore_boxes = ignore
    return GroundTruths.join(targets)


def random_boxes(count: int, seed: int) -> torch.Tensor:
    generator = torch.Generator().manual_seed(seed)
    center = torch.rand(count, 2, generator=generator) * torch.tensor([160.0, 128.0])
    half = 4 + 36 * torch.rand(count, 2, generator=generator)
    return torch.cat((center - half, center + half), dim=1)


def reference(boxes, scale: float, topk: int) -> np.ndarray:
    """Published rule: ground truth index + 1 of every prior, 0 for background."""
    priors, boxes = PRIORS.double().numpy(), boxes.double().numpy()
    side = scale * priors[:, 2]
    best_iou, result = np.full(len(priors), -1.0), np.zeros(len(priors), int)
    for g, (x1, y1, x2, y2) in enumerate(boxes):
        distance = np.hypot(priors[:, 0] - (x1 + x2) / 2, priors[:, 1] - (y1 + y2) / 2)
        candidates = []
        for stride in STRIDES:
            level = np.flatnonzero(priors[:, 2] == stride)
            candidates += level[np.argsort(distance[level], kind="stable")[:topk]].tolist()
        width = np.minimum(x2, priors[:, 0] + side / 2) - np.maximum(x1, priors[:, 0] - side / 2)
        height = np.minimum(y2, priors[:, 1] + side / 2) - np.maximum(y1, priors[:, 1] - side / 2)
        overlap = np.clip(width, 0, None) * np.clip(height, 0, None)
        iou = overlap / (side**2 + (x2 - x1) * (y2 - y1) - overlap)
        threshold = iou[candidates].mean() + iou[candidates].std(ddof=1)
        for p in candidates:
            x, y = priors[p, :2]
            inside = min(x - x1, y - y1, x2 - x, y2 - y) > 0.01
            if inside and iou[p] >= threshold and iou[p] > best_iou[p]:
                best_iou[p], result[p] = iou[p], g + 1
    return result


@pytest.mark.parametrize("num_gts", [1, 4, 25])
def test_published_rule_is_the_one_written_out(num_gts):
    assigner = ATSSAssigner(keep_all_gts=False)
    for seed in range(4):
        boxes = random_boxes(num_gts, seed)
        gts = join(boxes)
        result = assigner.assign(PRIORS, gts)
        np.testing.assert_array_equal(result.gt_index, reference(boxes, 5, 9))
        positive = result.gt_index > 0
        assert positive.any()
        assert torch.equal(result.labels[positive], result.gt_index[positive] - 1)


def test_batch_gives_each_image_what_it_gets_alone():
    assigner = ATSSAssigner()
    images = [random_boxes(7, 0), torch.zeros(0, 4), random_boxes(1, 1), random_boxes(20, 2)]
    matches = assigner.match(PRIORS, join(*images))
    first = 0
    for image, boxes in enumerate(images):
        alone, own = assigner.match(PRIORS, join(boxes)), matches.image == image
        assert matches.prior[own].tolist() == alone.prior.tolist()
        assert (matches.gt[own] - first).tolist() == alone.gt.tolist()
        assert matches.iou[own].tolist() == alone.iou.tolist()
        first += len(boxes)


def test_plate_between_the_priors_is_learnt_only_by_our_rule():
    tiny = torch.tensor([[33.0, 41, 35, 43]])  # centers are at 28, 36 and 36, 44
    published = ATSSAssigner(keep_all_gts=False).match(PRIORS, join(tiny))
    assert len(published.prior) == 0
    ours = ATSSAssigner().match(PRIORS, join(tiny))
    assert PRIORS[ours.prior].tolist() == [[36, 44, 8, 8]]


def test_tiny_plate_keeps_its_prior_inside_a_large_one():
    boxes = torch.tensor([[20.0, 24, 56, 60], [33, 41, 35, 43]])
    matches = ATSSAssigner().match(PRIORS, join(boxes))
    assert PRIORS[matches.prior[matches.gt == 1]].tolist() == [[36, 44, 8, 8]]
    assert (matches.gt == 0).any()


def test_no_image_with_plates_gives_no_positive():
    matches = ATSSAssigner().match(PRIORS, join(torch.zeros(0, 4), torch.zeros(0, 4)))
    assert len(matches.prior) == len(matches.iou) == 0
    assert (ATSSAssigner().assign(PRIORS, join(torch.zeros(0, 4))).gt_index == 0).all()


def test_anchors_in_an_ignore_box_are_left_out_of_their_image_only():
    boxes = torch.tensor([[40.0, 40, 80, 80]])
    gts = join(boxes, boxes, ignore=torch.tensor([[0.0, 0, 62, 128]]))
    assigner = ATSSAssigner(ignore_iof_thr=0.5)
    matches = assigner.match(PRIORS, gts)
    ignored = assigner.ignored(PRIORS, gts)
    assert not ignored[0].any()
    assert ignored[1].any()
    assert not ignored[matches.image, matches.prior].any()
    left = PRIORS[matches.prior, 0] < 56
    assert left[matches.image == 0].any()
    assert not left[matches.image == 1].any()


def test_least_of_rows_takes_the_first_of_equals():
    row, value = torch.tensor([2, 0, 2, 2]), torch.tensor([3.0, 1.0, -1.0, -1.0])
    assert least_of_rows(row, value, 4).tolist() == [1, 4, 2, 4]
