"""Backbones, necks and heads of every system: shapes, sharing, published names, weights from a file."""

from pathlib import Path

import numpy as np
import pytest
import torch
import torch.nn.functional as F

from nanodet_kp_core.classes import ARMOR_CLASSES
from nanodet_kp_core.config import ArchConfig, load_config
from nanodet_kp_core.errors import ConfigError, ModelError
from nanodet_kp_core.layout import HeadLayout
from nanodet_kp_core.loss.build import build_criterion
from nanodet_kp_core.model.build import build_detector
from nanodet_kp_core.model.heads import NanoDetHead, SimpleConvHead
from nanodet_kp_core.model.pretrained import load_pretrained
from nanodet_kp_core.model.published.ghostnet import GhostNet
from nanodet_kp_core.model.published.pan import PAN
from nanodet_kp_core.model.published.rtmdet_head import RTMDetSepBNHead
from nanodet_kp_core.model.shufflenet import ShuffleNetV2

CONFIGS = sorted((Path(__file__).resolve().parents[2] / "config").glob("*_*.yaml"))
SYSTEMS = [path for path in CONFIGS if path.stem != "fastdds_images"]


@pytest.mark.parametrize("path", SYSTEMS, ids=lambda path: path.stem)
def test_every_configuration_gives_a_network_of_its_layout(path):
    config = load_config(path)
    model = build_detector(config.model.arch, config.class_names)
    criterion = build_criterion(config.model.arch, config.class_names)
    with torch.no_grad():
        raw, aux = model.eval()(torch.zeros(1, 3, 64, 96), return_aux=True)
    priors = model.priors(64, 96)
    assert raw.shape == (1, len(priors), config.layout.num_channels)
    assert (aux is None) == (config.model.arch.aux_head is None)
    assert aux is None or aux.shape == raw.shape
    assert model.layout == criterion.layout == config.layout
    # Cell centers for the first NanoDet only.
    assert priors[0, 0] == (4 if path.stem == "nanodet_m" else 0)
    assert raw[..., : config.layout.num_scores].sigmoid().mean().item() == pytest.approx(0.01, abs=0.002)


def test_the_settings_of_the_systems_reach_assigner_and_head():
    by_name = {path.stem: load_config(path).model.arch for path in SYSTEMS}
    criteria = {name: build_criterion(arch, ARMOR_CLASSES) for name, arch in by_name.items()}
    atss = criteria["nanodet_m"].assigner
    assert (type(atss).__name__, atss.topk, atss.octave_base_scale) == ("ATSSAssigner", 9, 5)
    assert criteria["rtmdet_four"].assigner.soft_center_radius == 3
    assert criteria["nanodet_plus_four"].assigner.soft_center_radius is None
    assert criteria["nanodet_plus_m_four"].assigner.corner_cost == "published"
    assert criteria["nanodet_plus_m_four"].weights.dfl_coordinates == 4
    assert criteria["nanodet_plus_four"].weights.dfl_coordinates == 12
    codecs = {name: criterion.layout.corner_codec for name, criterion in criteria.items()}
    assert codecs["nanodet_plus_m_four"] == "unsigned"
    assert codecs["nanodet_plus_m"] == "none"
    slim, published = (build_detector(by_name[n], ARMOR_CLASSES) for n in ("nanodet_plus_four", "nanodet_plus_m_four"))
    assert slim.aux_fpn is None
    assert slim.aux_head is not None
    assert published.aux_fpn is not None
    aux_size = [sum(p.numel() for p in model.aux_head.parameters()) for model in (slim, published)]
    assert aux_size[0] * 20 < aux_size[1]


def test_ghostnet_has_the_published_names_sizes_and_strides():
    model = GhostNet().eval()
    shapes = {name: tuple(value.shape) for name, value in model.state_dict().items()}
    published = {
        "conv_stem.weight": (16, 3, 3, 3),
        "bn1.running_var": (16,),
        "blocks.0.0.ghost1.primary_conv.0.weight": (8, 16, 1, 1),
        "blocks.0.0.ghost2.cheap_operation.1.bias": (8,),
        "blocks.1.0.conv_dw.weight": (48, 1, 3, 3),
        "blocks.1.0.bn_dw.weight": (48,),
        "blocks.3.0.se.conv_reduce.weight": (20, 72, 1, 1),
        "blocks.3.0.se.conv_expand.bias": (72,),
        "blocks.3.0.shortcut.0.weight": (24, 1, 5, 5),
        "blocks.6.3.shortcut.2.weight": (112, 80, 1, 1),
        "blocks.8.3.ghost2.cheap_operation.0.weight": (80, 1, 3, 3),
        "blocks.9.0.conv.weight": (960, 160, 1, 1),
        "blocks.9.0.bn1.weight": (960,),
    }
    assert {name: shapes[name] for name in published} == published
    with torch.no_grad():
        maps = model(torch.zeros(1, 3, 64, 96))
    assert [tuple(x.shape) for x in maps] == [(1, 40, 8, 12), (1, 112, 4, 6), (1, 960, 2, 3)]
    assert (model.out_channels, model.out_strides) == ((40, 112, 960), (8, 16, 32))


def test_ghostnet_ends_with_its_last_map():
    assert not any(name.startswith("blocks.7") for name in GhostNet(out_stages=(2, 4, 6)).state_dict())
    with pytest.raises(ConfigError, match=r"out_stages: expected ascending stages out of 0..9, got \[4, 10\]"):
        GhostNet(out_stages=(4, 10))


def test_pan_is_interpolation_and_sums():
    torch.manual_seed(0)
    model = PAN((3, 5), 4)
    fine, coarse = torch.randn(2, 3, 8, 12), torch.randn(2, 5, 4, 6)
    low, high = model.lateral_convs[0](fine), model.lateral_convs[1](coarse)
    low = low + F.interpolate(high, scale_factor=2, mode="bilinear")
    high = high + F.interpolate(low, scale_factor=0.5, mode="bilinear")
    for got, expected in zip(model([fine, coarse]), (low, high), strict=True):
        torch.testing.assert_close(got, expected)
    assert sum(p.numel() for p in model.parameters()) == 3 * 4 + 4 + 5 * 4 + 4


@pytest.mark.parametrize("share", [True, False])
@pytest.mark.parametrize("codec", ["signed", "none"])
def test_first_nanodet_head_uses_every_parameter(share, codec):
    """A parameter without a gradient stops data-parallel training."""
    layout = HeadLayout(("a", "b"), corner_codec=codec, prior_offset=0.5)
    head = NanoDetHead(layout, 8, 8, 1, share, (8, 16))
    raw = head([torch.randn(2, 8, 4, 6), torch.randn(2, 8, 2, 3)])
    assert raw.shape == (2, 30, layout.num_channels)
    raw.square().sum().backward()
    assert all(p.grad is not None and p.grad.abs().sum() > 0 for p in head.parameters())
    # Towers apart: the box does not move when only the class tower changes.
    before, after = raw.detach(), torch.empty(0)
    with torch.no_grad():
        head.cls_convs[0][0].pointwise.weight.add_(1)
        after = head.eval()([torch.ones(1, 8, 4, 6), torch.ones(1, 8, 2, 3)])
        head.cls_convs[0][0].pointwise.weight.zero_()
        other = head([torch.ones(1, 8, 4, 6), torch.ones(1, 8, 2, 3)])
    assert before.isfinite().all()
    assert torch.equal(after[..., layout.box_slice], other[..., layout.box_slice]) is not share


@pytest.mark.parametrize(("share", "convolutions"), [(True, 2), (False, 4)])
def test_rtmdet_levels_share_convolutions_but_not_norms(share, convolutions):
    layout = HeadLayout(("a",), regression="direct")
    head = RTMDetSepBNHead(layout, 8, 8, 1, (8, 16), share_conv=share)
    three_by_three = [m for m in head.modules() if isinstance(m, torch.nn.Conv2d) and m.kernel_size == (3, 3)]
    assert len(three_by_three) == convolutions
    assert len([m for m in head.modules() if isinstance(m, torch.nn.BatchNorm2d)]) == 4
    features = [torch.randn(2, 8, 4, 4), 9 * torch.randn(2, 8, 2, 2)]
    raw = head(features)
    assert raw.shape == (2, 20, 1 + 4 + 8)
    raw.square().sum().backward()
    assert all(p.grad is not None for p in head.parameters())
    fine, coarse = (norm.running_var.mean() - 0.9 for norm in head.cls_convs[0].bn)  # what one batch has added
    assert coarse > 10 * fine  # each level keeps its own statistics
    # No tensor under two names: the weight average would move it twice.
    pointers = [value.data_ptr() for value in head.state_dict().values()]
    assert len(set(pointers)) == len(pointers)


def test_auxiliary_head_without_corners_has_no_third_tower():
    joint = [HeadLayout(("a",), corner_codec=codec) for codec in ("none", "unsigned")]
    plain, four = (SimpleConvHead(layout, 16, 16, 1) for layout in joint)
    assert not any("pts" in name for name in plain.state_dict())
    assert any("pts" in name for name in four.state_dict())


def test_depthwise_auxiliary_head_is_much_smaller():
    layout = HeadLayout(ARMOR_CLASSES)
    full, slim = (SimpleConvHead(layout, 96, 96, 2, use_depthwise=flag) for flag in (False, True))
    sizes = [sum(p.numel() for p in head.parameters()) for head in (full, slim)]
    assert sizes[1] * 5 < sizes[0]
    maps = [torch.randn(1, 96, 4, 4)] * 4
    assert slim(maps).shape == full(maps).shape


def imagenet_file(path: Path, backbone: torch.nn.Module, wrap: bool = False) -> dict[str, torch.Tensor]:
    """A file like the public ones: the backbone's tensors with other values, a classifier, no step counters."""
    generator = torch.Generator().manual_seed(5)
    state = {
        name: torch.rand(value.shape, generator=generator)
        for name, value in backbone.state_dict().items()
        if not name.endswith("num_batches_tracked")
    }
    state |= {"conv5.0.weight": torch.zeros(1024, 192, 1, 1), "fc.weight": torch.zeros(1000, 1024)}
    torch.save({"state_dict": {f"module.{k}": v for k, v in state.items()}} if wrap else state, path)
    return state


@pytest.mark.parametrize("wrap", [False, True])
@pytest.mark.parametrize("make", [lambda: ShuffleNetV2("0.5x"), GhostNet], ids=["shufflenet", "ghostnet"])
def test_pretrained_weights_fill_the_backbone(tmp_path, make, wrap):
    state = imagenet_file(tmp_path / "imagenet.pth", make(), wrap)
    backbone = make()
    load_pretrained(backbone, tmp_path / "imagenet.pth")
    for name, value in backbone.state_dict().items():
        assert name.endswith("num_batches_tracked") or torch.equal(value, state[name])


def test_a_configuration_reads_its_pretrained_file_unless_a_checkpoint_comes_next(tmp_path):
    imagenet_file(tmp_path / "w.pth", ShuffleNetV2("0.5x"))
    backbone = {"model_size": "0.5x", "pretrained": tmp_path / "w.pth"}
    arch = ArchConfig.model_validate({"backbone": backbone})
    plain, filled = (build_detector(arch, ARMOR_CLASSES, pretrained=flag) for flag in (False, True))
    expected = torch.load(tmp_path / "w.pth", weights_only=True)["stage4.0.branch1.2.weight"]
    assert torch.equal(filled.backbone.state_dict()["stage4.0.branch1.2.weight"], expected)
    assert not torch.equal(plain.backbone.state_dict()["stage4.0.branch1.2.weight"], expected)
    (tmp_path / "w.pth").unlink()
    build_detector(arch, ARMOR_CLASSES, pretrained=False)
    with pytest.raises(ModelError, match="no such file"):
        build_detector(arch, ARMOR_CLASSES)


class Trap:
    """Would run code when unpickled."""

    def __reduce__(self):
        return (np.testing.assert_, (False, "code of the file was run"))


def test_pretrained_files_that_do_not_fit_name_file_and_key(tmp_path):
    backbone = ShuffleNetV2("1.0x")
    imagenet_file(tmp_path / "small.pth", ShuffleNetV2("0.5x"))
    torch.save({"fc.weight": torch.zeros(2)}, tmp_path / "other.pth")
    torch.save([1, 2], tmp_path / "list.pth")
    torch.save({"conv1.0.weight": Trap()}, tmp_path / "trap.pth")
    (tmp_path / "text.pth").write_text("hello")
    sentences = {
        "small.pth": r"small\.pth: stage2\.0\.branch1\.2\.weight: expected shape \(58, 24, .*got \(24, 24, ",
        "other.pth": r"other\.pth: conv1\.0\.weight: expected this tensor",
        "list.pth": r"list\.pth: expected a state dict of tensors, got list",
        "trap.pth": r"trap\.pth: expected a state dict of tensors, got a file that torch cannot load",
        "text.pth": r"text\.pth: expected a state dict of tensors, got a file that torch cannot load",
        "none.pth": r"none\.pth: expected weights of a backbone, got no such file",
    }
    for name, sentence in sentences.items():
        with pytest.raises(ModelError, match=sentence) as caught:
            load_pretrained(backbone, tmp_path / name)
        assert "\n" not in str(caught.value)
