"""The network: shapes, sizes, what the auxiliary branch does and what a wrong configuration says."""

import json

import pytest
import torch

from nanodet_kp_core.classes import ARMOR_CLASSES
from nanodet_kp_core.config import ArchConfig
from nanodet_kp_core.errors import ConfigError
from nanodet_kp_core.layout import HeadLayout
from nanodet_kp_core.loss.build import build_criterion
from nanodet_kp_core.model.build import build_detector
from nanodet_kp_core.model.detector import OneStageDetector
from nanodet_kp_core.model.layers import ACTIVATIONS, make_activation

AUX_HEAD = {"input_channel": 64, "feat_channels": 32, "stacked_convs": 1, "strides": [8, 16, 32]}


def make_arch(**changes) -> ArchConfig:
    """A small three-level network."""
    arch = {
        "backbone": {"model_size": "0.5x"},
        "fpn": {"out_channels": 32, "num_extra_level": 0},
        "head": {
            "input_channel": 32,
            "feat_channels": 32,
            "strides": [8, 16, 32],
            "class_layout": "factored",
        },
    }
    return ArchConfig.model_validate({**arch, **changes})


@pytest.mark.parametrize("model_size", ["0.5x", "1.0x", "1.5x"])
@pytest.mark.parametrize("class_layout", ["joint", "factored"])
def test_output_has_one_row_per_prior_and_the_channels_of_the_layout(model_size, class_layout):
    arch = ArchConfig.model_validate(
        {"backbone": {"model_size": model_size}, "head": {"class_layout": class_layout, "reg_max": 5}}
    )
    model = build_detector(arch, ARMOR_CLASSES).eval()
    layout = HeadLayout(ARMOR_CLASSES, class_layout, 5, "signed")
    with torch.no_grad():
        raw = model(torch.zeros(2, 3, 64, 128))
    assert raw.shape == (2, len(model.priors(64, 128)), layout.num_channels)
    assert model.layout == layout
    # A fresh head scores one percent.
    assert raw[..., : layout.num_scores].sigmoid().mean().item() == pytest.approx(0.01, abs=0.002)


def test_a_narrower_stem_changes_the_first_map_alone():
    published, narrow = (
        build_detector(make_arch(backbone={"model_size": "0.5x", **stem}), ARMOR_CLASSES).eval()
        for stem in ({}, {"stem_channels": 16})
    )
    images = torch.zeros(1, 3, 64, 96)
    assert [net.backbone.conv1(images).shape[1] for net in (published, narrow)] == [24, 16]
    shapes = [[tuple(level.shape) for level in net.backbone(images)] for net in (published, narrow)]
    assert shapes[0] == shapes[1]
    with torch.no_grad():
        assert narrow(images).shape == published(images).shape


@pytest.mark.parametrize("key", ["shufflenetv2_0.5x/96", "shufflenetv2_1.0x/96", "shufflenetv2_1.5x/128"])
def test_parameter_counts_are_those_of_the_published_network(shared_dir, key):
    expected = json.loads((shared_dir / "golden" / "param_counts.json").read_text())["four36"][key]
    width = int(key.split("/")[1])
    arch = ArchConfig.model_validate(
        {
            "backbone": {"model_size": key.split("_")[1].split("/")[0]},
            "fpn": {"out_channels": width},
            "head": {"input_channel": width, "feat_channels": width, "corner_codec": "unsigned"},
            "aux_head": {"input_channel": 2 * width, "feat_channels": 2 * width},
        }
    )
    model = build_detector(arch, ARMOR_CLASSES)
    parts = (model.backbone, model.fpn, model.head, model.aux_fpn, model.aux_head)
    counts = [sum(p.numel() for p in part.parameters()) for part in parts]
    assert [*counts, sum(counts[:3]), sum(counts)] == expected


def test_channels_last_gives_the_same_output():
    torch.manual_seed(0)
    model = build_detector(make_arch(), ARMOR_CLASSES).eval()
    images = torch.randn(2, 3, 64, 96)
    with torch.no_grad():
        plain = model(images)
        model = model.to(memory_format=torch.channels_last)
        features = model.backbone(images.to(memory_format=torch.channels_last))
        fast = model(images.to(memory_format=torch.channels_last))
    torch.testing.assert_close(plain, fast, atol=1e-4, rtol=1e-4)
    # The channel shuffle must not fall back to NCHW.
    assert all(x.is_contiguous(memory_format=torch.channels_last) for x in features)


def auxiliary_gradient(model: OneStageDetector, epoch: int) -> float:
    """Size of the auxiliary output's gradient in the backbone and neck."""
    model.set_epoch(epoch)
    model.zero_grad(set_to_none=True)
    _, aux = model(torch.randn(1, 3, 64, 64, generator=torch.Generator().manual_seed(0)), return_aux=True)
    assert aux is not None
    aux.square().sum().backward()
    trunk = [*model.backbone.parameters(), *model.fpn.parameters()]
    assert any(p.grad is not None for p in model.aux_fpn.parameters())
    return sum(float(p.grad.abs().sum()) for p in trunk if p.grad is not None)


def test_auxiliary_loss_stops_reaching_the_trunk_at_detach_epoch():
    model = build_detector(make_arch(aux_head=AUX_HEAD, detach_epoch=2), ARMOR_CLASSES)
    assert auxiliary_gradient(model, epoch=1) > 0
    assert auxiliary_gradient(model, epoch=2) == 0


def test_dropping_the_auxiliary_branch_leaves_the_output_alone():
    model = build_detector(make_arch(aux_head=AUX_HEAD), ARMOR_CLASSES).eval()
    images = torch.randn(1, 3, 64, 64)
    with torch.no_grad():
        before, aux = model(images, return_aux=True)
        assert aux is not None
        assert aux.shape == before.shape
        after, none = model.drop_aux()(images, return_aux=True)
    assert none is None
    assert torch.equal(before, after)
    assert not any(name.startswith("aux_") for name in model.state_dict())


def test_criterion_takes_every_setting_of_the_configuration():
    head = {
        **make_arch().head.model_dump(),
        "assigner": {"topk": 9, "iou_factor": 2.0, "corner_cost": "published", "inside_own_gt": False},
        "loss": {
            "corner_weight": 1.5,
            "number_weight": 0.5,
            "dfl_coordinates": 4,
            "loss_bbox": {"loss_weight": 3.0},
        },
    }
    criterion = build_criterion(make_arch(head=head), ARMOR_CLASSES)
    assigner, weights = criterion.assigner, criterion.weights
    assert (assigner.topk, assigner.iou_factor, assigner.corner_cost) == (9, 2.0, "published")
    assert not assigner.inside_own_gt
    assert (weights.corner, weights.number, weights.dfl_coordinates, weights.giou) == (1.5, 0.5, 4, 3.0)


@pytest.mark.parametrize("name", ACTIVATIONS)
def test_every_activation_builds(name):
    assert make_activation(name)(torch.tensor([2.0])).isfinite().all()


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"fpn": {"out_channels": 32, "num_extra_level": 0, "in_channels": [1, 2]}}, r"expected \[48, 96, 192\]"),
        ({"fpn": {"out_channels": 32, "num_extra_level": 1}}, r"head.strides: expected \[8, 16, 32, 64\]"),
        ({"backbone": {"model_size": "0.5x", "out_stages": [4, 2]}}, "out_stages: expected ascending"),
    ],
)
def test_parts_that_do_not_fit_are_named(changes, message):
    with pytest.raises(ConfigError, match=message):
        build_detector(make_arch(**changes), ARMOR_CLASSES)


def test_input_size_that_does_not_divide_is_refused_with_the_next_that_does():
    model = build_detector(make_arch(), ARMOR_CLASSES)
    with pytest.raises(ConfigError, match="got 100x64; use 128x64"):
        model(torch.zeros(1, 3, 64, 100))
