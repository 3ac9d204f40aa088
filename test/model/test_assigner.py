"""The assigner against a slow reference written out pair by pair, and the cases where our rule differs."""

import math

import numpy as np
import pytest
import torch

from nanodet_kp_core.assign.dsla import DynamicSoftLabelAssigner
from nanodet_kp_core.errors import ConfigError
from nanodet_kp_core.model.codec import prior_tensor

NUM_CLASSES = 5


def iou_of(first, second) -> float:
    width = max(0.0, min(first[2], second[2]) - max(first[0], second[0]))
    height = max(0.0, min(first[3], second[3]) - max(first[1], second[1]))
    area = (first[2] - first[0]) * (first[3] - first[1]) + (second[2] - second[0]) * (second[3] - second[1])
    return width * height / max(area - width * height, 1e-6)


def class_cost(logits, label, iou) -> float:
    total = 0.0
    for k, logit in enumerate(logits):
        target = iou if k == label else 0.0
        score = 1 / (1 + math.exp(-logit))
        entropy = -target * math.log(score) - (1 - target) * math.log(1 - score)
        total += entropy * (target - score) ** 2
    return total


def corner_cost(kind, corners, gt_corners, box) -> float:
    if kind == "none":
        return 0.0
    gaps = [abs(a - b) for a, b in zip(corners, gt_corners, strict=True)]
    if kind == "published":
        return 1.03 ** (sum(gaps) / 8 - 100)
    distances = [math.hypot(gaps[2 * k], gaps[2 * k + 1]) for k in range(4)]
    return sum(distances) / 4 / math.hypot(box[2] - box[0], box[3] - box[1])


def reference(scene, kind, inside_own, topk=13, iou_factor=3.0):
    """gt index per prior (0 background, else g + 1), pair by pair; every ground truth has priors inside."""
    logits, priors, boxes, corners, gt_boxes, gt_labels, gt_corners = (np.asarray(x, float) for x in scene)
    inside = [[b[0] < p[0] < b[2] and b[1] < p[1] < b[3] for b in gt_boxes] for p in priors]
    candidates = [p for p in range(len(priors)) if any(inside[p])]
    cost, choosers = {}, {p: [] for p in candidates}
    for g, box in enumerate(gt_boxes):
        own = [p for p in candidates if inside[p][g] or not inside_own]
        ious = {p: iou_of(boxes[p], box) for p in own}
        for p in own:
            cost[p, g] = (
                class_cost(logits[p], int(gt_labels[g]), ious[p])
                - iou_factor * math.log(ious[p] + 1e-7)
                + corner_cost(kind, corners[p], gt_corners[g], box)
            )
        k = max(1, int(sum(sorted(ious.values(), reverse=True)[:topk])))
        for p in sorted(own, key=lambda p: cost[p, g])[:k]:
            choosers[p].append(g)
    result = np.zeros(len(priors), int)
    for p, chosen in choosers.items():
        if len(chosen) == 1 or (chosen and inside_own):
            result[p] = min(chosen, key=lambda g: cost[p, g]) + 1
        elif chosen:
            result[p] = min(range(len(gt_boxes)), key=lambda g: cost[p, g]) + 1
    return result


def make_scene(seed: int, num_gts: int):
    generator = torch.Generator().manual_seed(seed)

    def uniform(*shape):
        return torch.rand(*shape, generator=generator)

    priors = prior_tensor(128, 128, (8, 16, 32))
    centre, half = 30 + 68 * uniform(num_gts, 2), 8 + 20 * uniform(num_gts, 2)
    gt_boxes = torch.cat((centre - half, centre + half), dim=1)
    gt_corners = gt_boxes[:, [0, 1, 0, 3, 2, 3, 2, 1]] + 4 * uniform(num_gts, 8)
    gt_labels = torch.randint(NUM_CLASSES, (num_gts,), generator=generator)
    # Predictions near a random ground truth, so that IoUs and conflicts matter.
    near = torch.randint(num_gts, (len(priors),), generator=generator)
    boxes = gt_boxes[near] + 12 * (uniform(len(priors), 4) - 0.5)
    corners = gt_corners[near] + 12 * (uniform(len(priors), 8) - 0.5)
    logits = 6 * uniform(len(priors), NUM_CLASSES) - 4
    return logits, priors, boxes, corners, gt_boxes, gt_labels, gt_corners


def assign(assigner, scene):
    logits, priors, boxes, corners, gt_boxes, gt_labels, gt_corners = scene
    return assigner.assign(logits, priors, boxes, gt_boxes, gt_labels, corners, gt_corners)


@pytest.mark.parametrize("kind", ["none", "published", "normalised"])
@pytest.mark.parametrize("inside_own", [True, False])
@pytest.mark.parametrize("num_gts", [1, 3, 9])
def test_agrees_with_the_pairwise_reference(kind, inside_own, num_gts):
    assigner = DynamicSoftLabelAssigner(corner_cost=kind, inside_own_gt=inside_own)
    for seed in range(4):
        scene = make_scene(seed, num_gts)
        result = assign(assigner, scene)
        np.testing.assert_array_equal(result.gt_index, reference(scene, kind, inside_own))
        positive = result.gt_index > 0
        assert positive.any()
        gts = result.gt_index[positive] - 1
        assert torch.equal(result.labels[positive], scene[5][gts])
        assert (result.labels[~positive] == -1).all()
        assert (result.ious[~positive] == -1e8).all()
        expected = [
            iou_of(scene[2][p], scene[4][g]) for p, g in zip(positive.nonzero()[:, 0], gts, strict=True)
        ]
        np.testing.assert_allclose(result.ious[positive], expected, atol=1e-5)


def test_without_ground_truth_everything_is_background():
    logits, priors, boxes, *_ = make_scene(0, 1)
    nothing = torch.zeros(0, 4), torch.zeros(0, dtype=torch.long)
    result = DynamicSoftLabelAssigner().assign(logits, priors, boxes, *nothing)
    assert result.gt_index.eq(0).all()
    assert result.labels.eq(-1).all()
    assert result.ious.eq(0).all()


def test_plate_between_priors_takes_the_nearest_one_of_the_finest_level():
    logits, priors, boxes, *_ = make_scene(0, 1)
    tiny = torch.tensor([[33.0, 41, 38, 45]])  # grid lines at 32, 40 and 40, 48
    label = torch.tensor([2])
    ours = DynamicSoftLabelAssigner().assign(logits, priors, boxes, tiny, label)
    chosen = ours.gt_index.nonzero()[:, 0]
    assert priors[chosen].tolist() == [[32, 40, 8, 8]]
    published = DynamicSoftLabelAssigner(inside_own_gt=False).assign(logits, priors, boxes, tiny, label)
    assert published.gt_index.eq(0).all()


def test_tiny_plate_keeps_its_prior_inside_a_large_one_and_steals_none():
    logits, priors, boxes, *_ = make_scene(0, 1)
    large, tiny = [20.0, 20, 100, 100], [33.0, 41, 38, 45]
    gt_boxes, labels = torch.tensor([large, tiny]), torch.tensor([1, 2])
    boxes[:] = gt_boxes[0]  # every prior predicts the large plate perfectly
    result = DynamicSoftLabelAssigner().assign(logits, priors, boxes, gt_boxes, labels)
    assert priors[result.gt_index == 2].tolist() == [[32, 40, 8, 8]]
    assert (result.gt_index == 1).sum() >= 12


def test_candidates_lie_inside_their_own_ground_truth_only_by_our_rule():
    """Issue of the published rule: a plate without priors takes one that lies in another plate (IoU 0)."""
    priors = prior_tensor(128, 128, (8, 16, 32))
    gt_boxes, labels = torch.tensor([[20.0, 20, 60, 60], [97.0, 97, 102, 102]]), torch.tensor([0, 1])
    boxes = gt_boxes[:1].repeat(len(priors), 1)
    logits = torch.zeros(len(priors), NUM_CLASSES)

    def priors_of_second(inside_own: bool) -> torch.Tensor:
        assigner = DynamicSoftLabelAssigner(inside_own_gt=inside_own)
        return priors[assigner.assign(logits, priors, boxes, gt_boxes, labels).gt_index == 2, :2]

    assert priors_of_second(True).tolist() == [[96, 96]]
    stolen = priors_of_second(False)
    assert ((stolen > 20) & (stolen < 60)).all()


def test_invisible_corners_do_not_count():
    scene = make_scene(1, 2)
    assigner = DynamicSoftLabelAssigner(corner_cost="normalised")
    gt_boxes, gt_corners = scene[4], scene[6].clone()
    weight = torch.ones_like(gt_corners)
    weight[:, 2:4] = 0
    before = assigner.corner_costs(scene[3], gt_corners, gt_boxes, weight)
    gt_corners[:, 2:4] = 1e4
    torch.testing.assert_close(assigner.corner_costs(scene[3], gt_corners, gt_boxes, weight), before)


def test_unknown_corner_cost_names_the_choices():
    with pytest.raises(ConfigError, match="normalised"):
        DynamicSoftLabelAssigner(corner_cost="normalized")
