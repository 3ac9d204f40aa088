"""The three losses against their written-out formulas, and their behavior at the edges."""

import pytest
import torch
import torch.nn.functional as F

from nanodet_kp_core.assign.overlap import aligned_iou
from nanodet_kp_core.loss.distribution_focal import distribution_focal_each
from nanodet_kp_core.loss.giou import giou_each
from nanodet_kp_core.loss.quality_focal import quality_focal_each, quality_focal_loss
from nanodet_kp_core.loss.reduction import weighted_average


def test_quality_focal_is_cross_entropy_towards_the_iou_scaled_by_the_gap():
    torch.manual_seed(0)
    logits, labels, scores = torch.randn(40, 6) * 3, torch.randint(0, 7, (40,)), torch.rand(40)
    target = torch.zeros(40, 7)
    target[torch.arange(40), labels] = scores
    target = target[:, :6]
    entropy = F.binary_cross_entropy_with_logits(logits, target, reduction="none")
    expected = (entropy * (target - logits.sigmoid()).abs().pow(2)).sum(dim=1)
    torch.testing.assert_close(quality_focal_each(logits, labels, scores), expected)


def test_quality_focal_does_not_saturate():
    """A sigmoid before the logarithm would lose the gradient; on logits a miss at 40 costs 40."""
    logits = torch.tensor([[40.0]], requires_grad=True)
    loss = quality_focal_loss(logits, torch.tensor([1]), torch.zeros(1))
    loss.backward()
    assert loss.item() == pytest.approx(40)
    assert logits.grad is not None
    assert logits.grad.item() == pytest.approx(1)


@pytest.mark.parametrize("target", [0.0, 2.3, 6.9])
def test_distribution_focal_is_least_where_the_mean_is_the_target(target):
    left = int(target)
    best = torch.full((8,), -30.0)
    best[left], best[left + 1] = max(1 - (target - left), 1e-9), max(target - left, 1e-9)
    best[[left, left + 1]] = best[[left, left + 1]].log()
    goal = torch.tensor([target])
    least = distribution_focal_each(best[None], goal)
    for shift in torch.eye(8) * 0.3:
        assert distribution_focal_each((best + shift)[None], goal) >= least - 1e-6
    assert distribution_focal_each(torch.zeros(1, 8), goal) > least + 0.5


@pytest.mark.parametrize(
    ("box", "expected"),
    [
        ([10.0, 10, 20, 20], 0.0),  # equal
        ([20.0, 10, 30, 20], 1.0),  # touching: no overlap, the hull is full
        ([30.0, 10, 40, 20], 1 + 1 / 3),  # a gap of one width
        ([10.0, 10, 20, 15], 0.5),  # half
    ],
)
def test_giou_of_known_boxes(box, expected):
    target = torch.tensor([[10.0, 10, 20, 20]])
    assert giou_each(torch.tensor([box]), target).item() == pytest.approx(expected, abs=1e-5)


def test_giou_of_empty_and_inverted_boxes_has_finite_gradients():
    boxes = torch.tensor([[5.0, 5, 5, 5], [9, 9, 3, 3], [0, 0, 0, 8]], requires_grad=True)
    giou_each(boxes, torch.tensor([[5.0, 5, 5, 5], [3, 3, 9, 9], [0, 0, 4, 8]])).sum().backward()
    assert boxes.grad is not None
    assert boxes.grad.isfinite().all()


def test_iou_of_known_boxes():
    target = torch.tensor([[10.0, 10, 20, 20]]).repeat(4, 1)
    boxes = torch.tensor([[10.0, 10, 20, 20], [10, 10, 20, 15], [20, 10, 30, 20], [15, 15, 15, 15]])
    assert aligned_iou(boxes, target).tolist() == [1.0, 0.5, 0.0, 0.0]


def test_weighted_average_divides_the_sum_or_takes_the_mean():
    each, weight = torch.tensor([1.0, 2.0, 3.0]), torch.tensor([1.0, 0.0, 2.0])
    assert weighted_average(each, None, None).item() == pytest.approx(2)
    assert weighted_average(each, weight, 3.5).item() == pytest.approx(2)
