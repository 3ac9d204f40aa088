"""The whole training loss: it falls, and each mask silences exactly what it should."""

from dataclasses import replace

import pytest
import torch

from nanodet_kp_core.assign.atss import ATSSAssigner
from nanodet_kp_core.assign.dsla import DynamicSoftLabelAssigner
from nanodet_kp_core.assign.overlap import aligned_iou
from nanodet_kp_core.classes import ARMOR_CLASSES
from nanodet_kp_core.errors import ConfigError
from nanodet_kp_core.layout import HeadLayout
from nanodet_kp_core.loss.criterion import DetectionCriterion, LossWeights, Targets
from nanodet_kp_core.loss.giou import giou_each
from nanodet_kp_core.loss.quality_focal import quality_focal_each
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


SYSTEMS = {
    "NanoDet-Plus, published": (
        HeadLayout(ARMOR_CLASSES, "joint", 7, "unsigned"),
        DynamicSoftLabelAssigner(corner_cost="published", inside_own_gt=False),
    ),
    "NanoDet-Plus": (
        HeadLayout(ARMOR_CLASSES, "joint", 7, "signed"),
        DynamicSoftLabelAssigner(corner_cost="normalised"),
    ),
    "factored": (
        HeadLayout(ARMOR_CLASSES, "factored", 7, "signed"),
        DynamicSoftLabelAssigner(corner_cost="normalised"),
    ),
    "box only": (HeadLayout(ARMOR_CLASSES, "joint", 7, "none"), DynamicSoftLabelAssigner(corner_cost="normalised")),
    "NanoDet": (HeadLayout(ARMOR_CLASSES, "joint", 7, "signed", prior_offset=0.5), ATSSAssigner()),
    "RTMDet": (
        HeadLayout(ARMOR_CLASSES, "joint", corner_codec="signed", regression="direct"),
        DynamicSoftLabelAssigner(corner_cost="normalised", soft_center_radius=3),
    ),
    "RTMDet, box only": (
        HeadLayout(ARMOR_CLASSES, "factored", corner_codec="none", regression="direct"),
        DynamicSoftLabelAssigner(soft_center_radius=3),
    ),
}
EVERYWHERE = torch.tensor([[0.0, 0, SIZE, SIZE]])


def make_system(name: str) -> tuple[DetectionCriterion, torch.Tensor]:
    """Criterion of a published system, and its priors."""
    layout, assigner = SYSTEMS[name]
    criterion = DetectionCriterion(layout, assigner, LossWeights(corner=1.0))
    return criterion, prior_tensor(SIZE, SIZE, STRIDES, offset=layout.prior_offset)


def make_criterion(class_layout="factored", corner_codec="signed", **weights) -> DetectionCriterion:
    layout = HeadLayout(ARMOR_CLASSES, class_layout, 7, corner_codec)
    return DetectionCriterion(layout, DynamicSoftLabelAssigner(corner_cost="normalised"), LossWeights(**weights))


def random_raw(criterion: DetectionCriterion, images: int = 1) -> torch.Tensor:
    torch.manual_seed(0)
    return torch.randn(images, len(PRIORS), criterion.layout.num_channels).requires_grad_()


def gradient(criterion, raw, targets) -> torch.Tensor:
    total, _ = criterion(raw, PRIORS, targets)
    return torch.autograd.grad(total, raw)[0]


@pytest.mark.parametrize("system", SYSTEMS)
def test_descending_the_loss_finds_boxes_corners_and_classes(system):
    criterion, priors = make_system(system)
    raw = torch.zeros(2, len(priors), criterion.layout.num_channels, requires_grad=True)
    targets = [make_targets(), Targets.empty()]
    optimizer = torch.optim.Adam([raw], lr=0.2)
    first = criterion(raw, priors, targets)[0].item()
    for step in range(150):
        optimizer.param_groups[0]["lr"] = 0.2 if step < 100 else 0.02
        total, parts = criterion(raw, priors, targets)
        optimizer.zero_grad()
        total.backward()
        optimizer.step()
    assert total.item() < 0.1 * first
    layout = criterion.layout
    scores = raw[0, :, : layout.num_scores].detach().amax(dim=1)
    points = priors[:, None, :2]
    inside = ((points > BOXES[:, :2]) & (points < BOXES[:, 2:])).all(dim=-1)
    best = (scores[:, None] * inside - 1e3 * ~inside).argmax(dim=0)  # one prior per plate
    decoded = criterion.codec.decode(raw[0, best].detach(), priors[best])
    torch.testing.assert_close(decoded.boxes, BOXES, atol=1.5, rtol=0)
    torch.testing.assert_close(decoded.corners, make_targets().corners.flatten(1), atol=1.5, rtol=0)
    logits = raw[0, best].detach()
    classes = logits[:, : layout.num_scores].argmax(dim=1)
    if layout.num_numbers:
        numbers = logits[:, layout.num_colors : layout.num_logits].argmax(dim=1)
        classes = classes * layout.num_numbers + numbers
    assert classes.tolist() == [3, 14]
    assert raw[1, :, : layout.num_scores].max() < -1
    assert ("loss_dfl" in parts) == (not layout.is_direct)
    assert ("loss_corner" in parts) == layout.has_corners
    assert ("loss_number" in parts) == bool(layout.num_numbers)


@pytest.mark.parametrize("system", SYSTEMS)
@pytest.mark.parametrize("case", ["no plates", "one plate", "one tiny plate", "all ignored", "huge predictions"])
def test_loss_and_gradient_are_finite(system, case):
    criterion, priors = make_system(system)
    torch.manual_seed(0)
    raw = torch.randn(2, len(priors), criterion.layout.num_channels)
    targets = [make_targets(), Targets.empty()]
    if case == "no plates":
        targets = [Targets.empty()] * 2
    elif case == "one plate":
        targets[0] = Targets(*(value[:1] for value in vars(make_targets()).values()))
    elif case == "one tiny plate":
        targets[0] = make_targets(boxes=torch.tensor([[33.0, 41, 38, 45], [70, 70, 70, 70]]))
    elif case == "all ignored":
        targets = [make_targets(ignore_boxes=EVERYWHERE), replace(Targets.empty(), ignore_boxes=EVERYWHERE)]
    else:
        raw *= 1e4
    raw.requires_grad_()
    total, parts = criterion(raw, priors, targets)
    total.backward()
    assert total.isfinite()
    assert raw.grad is not None
    assert raw.grad.isfinite().all()
    if case == "no plates":
        assert parts["loss_bbox"] == 0
        assert parts["loss_qfl"] > 0
    else:
        assert parts["num_pos"] >= 1
    if case == "all ignored":
        assert (raw.grad[1] == 0).all()


@pytest.mark.parametrize("system", ["NanoDet-Plus", "NanoDet", "RTMDet"])
def test_loss_under_autocast_is_the_one_in_float32(system):
    criterion, priors = make_system(system)
    torch.manual_seed(0)
    raw = torch.randn(1, len(priors), criterion.layout.num_channels).bfloat16()
    expected, _ = criterion(raw.float(), priors, [make_targets()])
    with torch.autocast("cpu", dtype=torch.bfloat16):
        total, _ = criterion(raw, priors, [make_targets()])
    assert total.dtype == torch.float32
    assert total.item() == expected.item()


def test_geometry_alone_chooses_the_positives_of_the_first_nanodet():
    """ATSS: other predictions, same positives; their soft score is the IoU of the prediction."""
    criterion, priors = make_system("NanoDet")
    torch.manual_seed(0)
    first, second = torch.randn(2, 1, len(priors), criterion.layout.num_channels)
    one, other = (criterion.assign(raw, priors, [make_targets()]) for raw in (first, second))
    assert one.prior.tolist() == other.prior.tolist()
    assert len(one.prior) >= 2
    boxes = criterion.codec.decode(first[0, one.prior], priors[one.prior]).boxes
    torch.testing.assert_close(one.iou, aligned_iou(boxes, one.boxes))
    assert (one.iou != other.iou).any()


def test_rtmdet_averages_scores_and_boxes_over_the_ious():
    criterion, priors = make_system("RTMDet")
    torch.manual_seed(0)
    raw = 0.1 * torch.randn(1, len(priors), criterion.layout.num_channels)
    found = criterion.assign(raw, priors, [make_targets()])
    _, parts = criterion.loss(raw, priors, found)
    chosen, places = raw[0, found.prior], priors[found.prior]
    average = found.iou.sum().clamp(min=1)
    each = giou_each(criterion.codec.decode(chosen, places).boxes, found.boxes)
    torch.testing.assert_close(parts["loss_bbox"], 2 * (each * found.iou).sum() / average)
    labels = torch.full((len(priors),), 36).index_put((found.prior,), found.labels)
    scores = torch.zeros(len(priors)).index_put((found.prior,), found.iou)
    expected = quality_focal_each(raw[0, :, :36], labels, scores).sum() / average
    torch.testing.assert_close(parts["loss_qfl"], expected)


def test_direct_corners_without_a_loss_are_refused():
    layout, assigner = SYSTEMS["RTMDet"]
    with pytest.raises(ConfigError, match="corner_weight"):
        DetectionCriterion(layout, assigner)
    DetectionCriterion(SYSTEMS["RTMDet, box only"][0], assigner)


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
    """A batch gives the positives and ignored priors of its images one by one."""
    criterion = make_criterion()
    raw = random_raw(criterion, images=3).detach()
    ignored = replace(Targets.empty(), ignore_boxes=torch.tensor([[0.0, 0, 40, 40], [20, 60, 50, 90]]))
    batch = [make_targets(), ignored, make_targets(labels=torch.tensor([20, 30]), ignore_boxes=BOXES[:1] + 30)]
    found = criterion.assign(raw, PRIORS, batch)
    for i, targets in enumerate(batch):
        alone = criterion.assign(raw[i : i + 1], PRIORS, [targets])
        assert found.prior[found.image == i].tolist() == alone.prior.tolist()
        assert found.labels[found.image == i].tolist() == alone.labels.tolist()
        assert found.ignored[i].tolist() == alone.ignored[0].tolist()
