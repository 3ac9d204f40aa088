"""The assigner against a slow reference written out pair by pair, and the cases where our rule differs."""

import sys
import warnings
from dataclasses import asdict
from pathlib import Path

import numpy as np
import pytest
import torch

sys.path.insert(0, str(Path(__file__).resolve().parent))

from pairwise import iou_of, reference

from nanodet_kp_core.assign import dsla
from nanodet_kp_core.assign.candidates import Pairs
from nanodet_kp_core.assign.dsla import DynamicSoftLabelAssigner
from nanodet_kp_core.assign.targets import GroundTruths, Targets
from nanodet_kp_core.config.model import DslaConfig
from nanodet_kp_core.errors import ConfigError
from nanodet_kp_core.model.codec import prior_tensor

NUM_CLASSES = 5


def make_scene(seed: int, num_gts: int, size: int = 128):
    """In a square image; of a larger one the ground truths lie in the left-top and the right-bottom 128 pixels."""
    generator = torch.Generator().manual_seed(seed)

    def uniform(*shape):
        return torch.rand(*shape, generator=generator)

    priors = prior_tensor(size, size, (8, 16, 32))
    center, half = 30 + 68 * uniform(num_gts, 2), 8 + 20 * uniform(num_gts, 2)
    center[::2] += size - 128
    gt_boxes = torch.cat((center - half, center + half), dim=1)
    gt_corners = gt_boxes[:, [0, 1, 0, 3, 2, 3, 2, 1]] + 4 * uniform(num_gts, 8)
    gt_labels = torch.randint(NUM_CLASSES, (num_gts,), generator=generator)
    # Predictions near a random ground truth, so that IoUs and conflicts matter.
    near = torch.randint(num_gts, (len(priors),), generator=generator)
    boxes = gt_boxes[near] + 12 * (uniform(len(priors), 4) - 0.5)
    corners = gt_corners[near] + 12 * (uniform(len(priors), 8) - 0.5)
    logits = 6 * uniform(len(priors), NUM_CLASSES) - 4
    return logits, priors, boxes, corners, gt_boxes, gt_labels, gt_corners


def targets_of(gt_boxes, gt_labels, gt_corners=None, visible=None) -> Targets:
    known = torch.ones(len(gt_boxes), dtype=torch.bool)
    corners = torch.zeros(len(gt_boxes), 8) if gt_corners is None else gt_corners
    visible = known[:, None].expand(-1, 4) if visible is None else visible
    return Targets(gt_boxes, gt_labels, corners.unflatten(1, (4, 2)), visible, known, torch.zeros(0, 4))


def join(*targets) -> GroundTruths:
    return GroundTruths.join(targets)


def assign(assigner, scene):
    logits, priors, boxes, corners, *gts = scene
    return assigner.assign(logits, priors, boxes, join(targets_of(*gts)), corners)


@pytest.mark.parametrize("kind", ["none", "published", "normalised"])
@pytest.mark.parametrize("inside_own", [True, False])
@pytest.mark.parametrize("radius", [None, 1.5])
@pytest.mark.parametrize("num_gts", [1, 3, 9])
def test_agrees_with_the_pairwise_reference(kind, inside_own, radius, num_gts):
    assigner = DynamicSoftLabelAssigner(corner_cost=kind, inside_own_gt=inside_own, soft_center_radius=radius)
    for seed in range(2):
        scene = make_scene(seed, num_gts)
        result = assign(assigner, scene)
        np.testing.assert_array_equal(result.gt_index, reference(scene, kind, inside_own, radius))
        positive = result.gt_index > 0
        assert positive.any()
        gts = result.gt_index[positive] - 1
        assert torch.equal(result.labels[positive], scene[5][gts])
        assert (result.labels[~positive] == -1).all()
        assert (result.ious[~positive] == -1e8).all()
        expected = [iou_of(scene[2][p], scene[4][g]) for p, g in zip(positive.nonzero()[:, 0], gts, strict=True)]
        np.testing.assert_allclose(result.ious[positive], expected, atol=1e-5)


@pytest.mark.parametrize("inside_own", [True, False])
@pytest.mark.parametrize("radius", [None, 1.5])
@pytest.mark.parametrize("astray", [0.5, 0.95, 1.0])
def test_bad_predictions_agree_with_the_reference_too(inside_own, radius, astray):
    """So bad that pairs whose boxes do not even touch are chosen, and fought over. astray: share of such boxes."""
    assigner = DynamicSoftLabelAssigner(corner_cost="published", inside_own_gt=inside_own, soft_center_radius=radius)
    chosen_apart = 0
    for seed in range(4):
        scene = make_scene(seed, 5)
        generator = torch.Generator().manual_seed(seed)
        scene[2][torch.rand(len(scene[2]), generator=generator) < astray] += 300
        scene[3].add_(400 * torch.rand(*scene[3].shape, generator=generator))
        result = assign(assigner, scene)
        np.testing.assert_array_equal(result.gt_index, reference(scene, "published", inside_own, radius))
        chosen_apart += int((result.ious == 0).sum())
    assert chosen_apart or astray < 1


@pytest.mark.parametrize("inside_own", [True, False])
def test_of_equally_cheap_priors_no_more_than_k_are_taken(inside_own):
    _, priors, boxes, *_ = make_scene(0, 1)
    gt_boxes, labels = torch.tensor([[10.0, 10, 60, 60], [70, 70, 120, 120]]), torch.tensor([0, 1])
    boxes[:] = torch.tensor([10.0, 10, 60, 35])
    logits = torch.zeros(len(priors), NUM_CLASSES)
    gts = join(targets_of(gt_boxes, labels))
    result = DynamicSoftLabelAssigner(inside_own_gt=inside_own).assign(logits, priors, boxes, gts)
    # 13 IoUs of a half; and none at all, which by the published rule takes a candidate of the other, and loses it.
    assert result.gt_index.bincount()[1:].tolist() == ([6, 1] if inside_own else [6])


def test_without_ground_truth_everything_is_background():
    logits, priors, boxes, *_ = make_scene(0, 1)
    for inside_own in (True, False):
        assigner = DynamicSoftLabelAssigner(inside_own_gt=inside_own)
        result = assigner.assign(logits, priors, boxes, join(Targets.empty()))
        assert result.gt_index.eq(0).all()
        assert result.labels.eq(-1).all()
        assert result.ious.eq(0).all()


@pytest.mark.parametrize("inside_own", [True, False])
def test_batch_gives_each_image_what_it_gets_alone(inside_own):
    """Images with no, one and many plates, and with predictions of which none touches its plate."""
    assigner = DynamicSoftLabelAssigner(corner_cost="normalised", inside_own_gt=inside_own)
    scenes = [make_scene(seed, num_gts) for seed, num_gts in enumerate((3, 1, 30, 9))]
    scenes[1][2].add_(300)
    empty = tuple(part[:0] for part in scenes[0][4:])
    scenes.insert(1, (*scenes[0][:4], *empty))
    priors = scenes[0][1]
    gts = join(*(targets_of(*scene[4:]) for scene in scenes))
    found = assigner.candidates(priors, gts)
    predictions = [found.gather(torch.stack([scene[part] for scene in scenes])) for part in (0, 2, 3)]
    matches = assigner.match(found, gts, *predictions)
    keys = matches.image * len(priors) + matches.prior
    assert (keys.diff() > 0).all()  # in image, then prior order
    first = 0
    for image, scene in enumerate(scenes):
        alone, own = assign(assigner, scene), matches.image == image
        expected = alone.gt_index.nonzero()[:, 0]
        assert matches.prior[own].tolist() == expected.tolist()
        assert (matches.gt[own] - first + 1).tolist() == alone.gt_index[expected].tolist()
        assert matches.iou[own].tolist() == alone.ious[expected].tolist()
        first += len(scene[4])


def test_candidates_are_the_priors_inside():
    """Boxes that end on grid lines, beyond the image, between priors or nowhere; images without any."""
    generator = torch.Generator().manual_seed(0)
    boxes = torch.cat((torch.rand(60, 2, generator=generator), torch.rand(60, 2, generator=generator)), dim=1)
    boxes = boxes * 260 - 60
    boxes[:20] = (boxes[:20] / 8).round() * 8
    boxes = torch.cat((torch.minimum(boxes[:, :2], boxes[:, 2:]), torch.maximum(boxes[:, :2], boxes[:, 2:])), dim=1)
    labels = torch.zeros(60, dtype=torch.long)
    parts = [slice(0, 0), slice(0, 3), slice(3, 40), slice(40, 40), slice(40, 60)]
    gts = join(*(targets_of(boxes[part], labels[part]) for part in parts))
    for offset in (0.0, 0.5):
        priors = prior_tensor(96, 136, (8, 16, 32), offset=offset)
        x, y = priors[:, 0], priors[:, 1]
        inside = (x > boxes[:, :1]) & (x < boxes[:, 2:3]) & (y > boxes[:, 1:2]) & (y < boxes[:, 3:])
        for inside_own in (True, False):
            found = DynamicSoftLabelAssigner(inside_own_gt=inside_own).candidates(priors, gts)
            assert found.forced.tolist() == (~inside.any(dim=1)).tolist()
            wanted = inside.clone()
            if inside_own:
                wanted[torch.from_numpy(found.forced)] = False
                first = ~found.forced[found.own.gt]
                pairs = torch.stack([torch.from_numpy(part[first]) for part in (found.own.gt, found.own.candidate)])
                assert torch.equal(torch.stack((pairs[0], found.prior[pairs[1]])), inside.nonzero().T)
                assert found.own.count[found.forced].tolist() == [1] * found.forced.sum()
            else:
                union = torch.stack([inside[part].any(dim=0) for part in parts])
                assert found.index.tolist() == union.flatten().nonzero()[:, 0].tolist()
        assert 0 < found.forced.sum() < len(boxes)


def test_plate_between_priors_takes_the_nearest_one_of_the_finest_level():
    logits, priors, boxes, *_ = make_scene(0, 1)
    tiny = torch.tensor([[33.0, 41, 38, 45]])  # grid lines at 32, 40 and 40, 48
    label = torch.tensor([2])
    gts = join(targets_of(tiny, label))
    ours = DynamicSoftLabelAssigner().assign(logits, priors, boxes, gts)
    chosen = ours.gt_index.nonzero()[:, 0]
    assert priors[chosen].tolist() == [[32, 40, 8, 8]]
    published = DynamicSoftLabelAssigner(inside_own_gt=False).assign(logits, priors, boxes, gts)
    assert published.gt_index.eq(0).all()


def test_tiny_plate_keeps_its_prior_inside_a_large_one_and_steals_none():
    logits, priors, boxes, *_ = make_scene(0, 1)
    large, tiny = [20.0, 20, 100, 100], [33.0, 41, 38, 45]
    gt_boxes, labels = torch.tensor([large, tiny]), torch.tensor([1, 2])
    boxes[:] = gt_boxes[0]  # every prior predicts the large plate perfectly
    result = DynamicSoftLabelAssigner().assign(logits, priors, boxes, join(targets_of(gt_boxes, labels)))
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
        return priors[assigner.assign(logits, priors, boxes, join(targets_of(gt_boxes, labels))).gt_index == 2, :2]

    assert priors_of_second(True).tolist() == [[96, 96]]
    stolen = priors_of_second(False)
    assert ((stolen > 20) & (stolen < 60)).all()


def test_invisible_corners_do_not_count():
    scene = make_scene(1, 2)
    assigner = DynamicSoftLabelAssigner(corner_cost="normalised")
    gt_boxes, labels, gt_corners = scene[4], scene[5], scene[6].clone()
    visible = torch.ones(2, 4, dtype=torch.bool)
    visible[:, 1] = False

    def corner_costs() -> np.ndarray:
        gts = join(targets_of(gt_boxes, labels, gt_corners, visible))
        found = assigner.candidates(scene[1], gts)
        pairs = found.own
        return assigner.corner_costs(pairs.gt, pairs.candidate, gts, scene[3][found.index].numpy())

    before = corner_costs()
    gt_corners[:, 2:4] = 1e4
    np.testing.assert_array_equal(corner_costs(), before)
    gt_corners[:, 4:6] += 10
    assert (corner_costs() != before).any()


def test_background_cost_holds_for_every_logit():
    """Against the formula in double precision, and finite where float32 would overflow."""
    logits = torch.linspace(-60, 60, 241)[:, None]
    exact = torch.nn.functional.softplus(logits.double()) * logits.double().sigmoid() ** 2
    np.testing.assert_allclose(dsla._background_cost(logits.numpy()), exact[:, 0], rtol=1e-5, atol=1e-7)
    assert dsla._background_cost(np.full((1, 1), 1000, np.float32)).item() == pytest.approx(80, rel=1e-4)


def test_costs_beyond_float32_are_infinite_and_agree_with_the_reference():
    """By the published rule a prior in another plate is a candidate, here more than 41 strides from the middle."""
    scene = make_scene(0, 6, size=640)
    assigner = DynamicSoftLabelAssigner(corner_cost="published", inside_own_gt=False, soft_center_radius=3)
    logits, priors, boxes, corners, *own = scene
    gts = join(targets_of(*own))
    found = assigner.candidates(priors, gts)
    rows = np.arange(len(found.index))
    pairs = Pairs.of_counts(np.full(6, len(rows)), np.tile(rows, 6))
    chosen = [part[found.index].numpy() for part in (logits, boxes, corners)]
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        cost, _ = assigner.costs(found, pairs, gts, *chosen)
        result = assign(assigner, scene)
    assert np.isposinf(cost).any() and np.isfinite(cost).any() and not np.isnan(cost).any()
    np.testing.assert_array_equal(result.gt_index, reference(scene, "published", False, 3))


def test_the_defaults_are_those_of_the_configuration():
    section, assigner = DslaConfig().model_dump(), asdict(DynamicSoftLabelAssigner())
    assert section.pop("name") == "DynamicSoftLabelAssigner"
    assert section == assigner


def test_unknown_corner_cost_names_the_choices():
    with pytest.raises(ConfigError, match="normalised"):
        DynamicSoftLabelAssigner(corner_cost="normalized")
