"""The whole training loss: it falls, and each mask silences exactly what it should."""

from dataclasses import replace

import pytest
import torch

from nanodet_kp_core.assign.dsla import DynamicSoftLabelAssigner
from nanodet_kp_core.classes import ARMOR_CLASSES
from nanodet_kp_core.layout import HeadLayout
from nanodet_kp_core.loss.criterion import DetectionCriterion, LossWeights, Targets
from nanodet_kp_core.model.codec import prior_tensor

SIZE, STRIDES = 96, (8, 16, 32)
PRIORS = prior_tensor(SIZE, SIZE, STRIDES)
BOXES = torch.tensor([[10.0, 12, 44, 36], [50, 40, 90, 80]])


def make_targets(**changes) -> Targets:
    targets = Targets(
        boxes=BOXES,
        labels=torch.tensor([3, 14]),
        corners=BOXES[:, [[0, 1], [0, 3], [2, 3], [2, 1]]],
        corner_visible=torch.ones(2, 4, dtype=torch.bool),
        number_known=torch.ones(2, dtype=torch.bool),
        ignore_boxes=torch.zeros(0, 4),
    )
    return replace(targets, **changes)


def make_criterion(class_layout="factored", corner_codec="signed", **weights) -> DetectionCriterion:
    layout = HeadLayout(ARMOR_CLASSES, class_layout, 7, corner_codec)
    return DetectionCriterion(
        layout, DynamicSoftLabelAssigner(corner_cost="normalised"), LossWeights(**weights)
    )


def random_raw(criterion: DetectionCriterion, images: int = 1) -> torch.Tensor:
    torch.manual_seed(0)
    return torch.randn(images, len(PRIORS), criterion.layout.num_channels).requires_grad_()


def gradient(criterion, raw, targets) -> torch.Tensor:
    total, _ = criterion(raw, PRIORS, targets)
    return torch.autograd.grad(total, raw)[0]


@pytest.mark.parametrize("class_layout", ["joint", "factored"])
@pytest.mark.parametrize("corner_codec", ["signed", "unsigned"])
def test_descending_the_loss_finds_boxes_corners_and_classes(class_layout, corner_codec):
    criterion = make_criterion(class_layout, corner_codec, corner=1.0)
    raw = torch.zeros(2, len(PRIORS), criterion.layout.num_channels, requires_grad=True)
    targets = [make_targets(), Targets.empty()]
    optimizer = torch.optim.Adam([raw], lr=0.2)
    first = criterion(raw, PRIORS, targets)[0].item()
    for _ in range(150):
        total, parts = criterion(raw, PRIORS, targets)
        optimizer.zero_grad()
        total.backward()
        optimizer.step()
    assert total.item() < 0.1 * first
    layout = criterion.layout
    scores = raw[0, :, : layout.num_scores].detach().amax(dim=1)
    points = PRIORS[:, None, :2]
    inside = ((points > BOXES[:, :2]) & (points < BOXES[:, 2:])).all(dim=-1)
    best = (scores[:, None] * inside - 1e3 * ~inside).argmax(dim=0)  # one prior per plate
    decoded = criterion.codec.decode(raw[0, best].detach(), PRIORS[best])
    torch.testing.assert_close(decoded.boxes, BOXES, atol=1.5, rtol=0)
    torch.testing.assert_close(decoded.corners, make_targets().corners.flatten(1), atol=1.5, rtol=0)
    logits = raw[0, best].detach()
    classes = logits[:, : layout.num_scores].argmax(dim=1)
    if layout.num_numbers:
        classes = classes * layout.num_numbers + logits[:, layout.num_colors : layout.num_logits].argmax(
            dim=1
        )
    assert classes.tolist() == [3, 14]
    assert raw[1, :, : layout.num_scores].max() < -1
    assert set(parts) >= {"loss_qfl", "loss_bbox", "loss_dfl", "loss_corner", "num_pos"}


@pytest.mark.parametrize("class_layout", ["joint", "factored"])
def test_batch_without_plates_has_finite_loss_and_gradient(class_layout):
    criterion = make_criterion(class_layout, corner=1.0)
    raw = random_raw(criterion, images=3)
    total, parts = criterion(raw, PRIORS, [Targets.empty()] * 3)
    total.backward()
    assert total.isfinite()
    assert raw.grad is not None
    assert raw.grad.isfinite().all()
    assert parts["loss_bbox"] == 0
    assert parts["loss_qfl"] > 0


def test_priors_in_an_ignore_box_learn_no_background_but_stay_positives():
    criterion = make_criterion()
    raw = random_raw(criterion)
    found = criterion.assign(raw.detach(), PRIORS, [make_targets()])
    ignored = gradient(criterion, raw, [make_targets(ignore_boxes=torch.tensor([[0.0, 0, 60, 60]]))])[0]
    inside = (PRIORS[:, 0] <= 60) & (PRIORS[:, 1] <= 60)
    positive = torch.zeros(len(PRIORS), dtype=torch.bool)
    positive[found.prior] = True
    scores = ignored[:, : criterion.layout.num_scores].abs().sum(dim=1)
    assert (scores[inside & ~positive] == 0).all()
    assert (scores[~inside] > 0).all()
    assert (scores[positive] > 0).all()
    assert (inside & positive).any()


def test_invisible_corners_and_unknown_numbers_give_no_gradient():
    criterion = make_criterion(corner=1.0)
    raw, layout = random_raw(criterion), criterion.layout
    visible = torch.ones(2, 4, dtype=torch.bool)
    visible[:, 1] = False
    targets = make_targets(corner_visible=visible, number_known=torch.zeros(2, dtype=torch.bool))
    slopes = gradient(criterion, raw, [targets])[0]
    corners = slopes[:, layout.corner_slice].unflatten(1, (4, 2, layout.corner_bins)).abs().sum(dim=(0, 2, 3))
    assert corners[1] == 0
    assert (corners[[0, 2, 3]] > 0).all()
    assert slopes[:, layout.num_colors : layout.num_logits].abs().sum() == 0
    known = gradient(criterion, raw, [make_targets()])[0]
    assert known[:, layout.num_colors : layout.num_logits].abs().sum() > 0


def test_published_average_makes_the_distribution_loss_three_times_the_mean():
    parts = []
    for coordinates in (4, 12):
        criterion = make_criterion("joint", "unsigned", dfl_coordinates=coordinates)
        parts.append(criterion(random_raw(criterion), PRIORS, [make_targets()])[1]["loss_dfl"])
    assert parts[0].item() == pytest.approx(3 * parts[1].item(), rel=1e-5)


def test_labels_come_from_the_auxiliary_head_when_there_is_one():
    criterion = make_criterion("joint")
    raw, aux = random_raw(criterion), random_raw(criterion).detach().flip(1)
    total, parts = criterion(raw, PRIORS, [make_targets()], aux)
    guided = criterion.assign(aux, PRIORS, [make_targets()])
    own = criterion.assign(raw.detach(), PRIORS, [make_targets()])
    assert guided.prior.tolist() != own.prior.tolist()
    expected = criterion.loss(raw, PRIORS, guided)[0] + criterion.loss(aux, PRIORS, guided)[0]
    torch.testing.assert_close(total, expected)
    assert "aux_loss_qfl" in parts


def test_images_of_a_batch_do_not_mix():
    """A batch gives the positives of its images one by one."""
    criterion = make_criterion()
    raw = random_raw(criterion, images=3).detach()
    batch = [make_targets(), Targets.empty(), make_targets(labels=torch.tensor([20, 30]))]
    found = criterion.assign(raw, PRIORS, batch)
    for i, targets in enumerate(batch):
        alone = criterion.assign(raw[i : i + 1], PRIORS, [targets])
        assert found.prior[found.image == i].tolist() == alone.prior.tolist()
        assert found.labels[found.image == i].tolist() == alone.labels.tolist()
