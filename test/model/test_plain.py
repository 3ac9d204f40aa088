"""The plain backbone and neck: maps, sums, the operators of the exported graph, the keys of the configuration."""

from pathlib import Path

import onnx
import pytest
import torch
import torch.nn.functional as F
import yaml

from nanodet_kp_core.config import load_config
from nanodet_kp_core.config.describe import describe
from nanodet_kp_core.errors import ConfigError
from nanodet_kp_core.export.onnx_file import trace
from nanodet_kp_core.model.build import build_detector
from nanodet_kp_core.model.layers import ConvNormAct, DepthwiseConvNormAct
from nanodet_kp_core.model.plain import PlainNet, SumPAN

CONFIG = Path(__file__).resolve().parents[2] / "config" / "armor_s.yaml"


def test_the_backbone_gives_maps_of_its_widths_and_strides():
    model = PlainNet(16, (16, 32, 48, 64), (1, 0, 2, 1), kernel_size=3).eval()
    with torch.no_grad():
        maps = model(torch.zeros(1, 3, 64, 96))
    assert [tuple(x.shape) for x in maps] == [(1, 32, 8, 12), (1, 48, 4, 6), (1, 64, 2, 3)]
    assert (model.out_channels, model.out_strides) == ((32, 48, 64), (8, 16, 32))
    assert [len(stage.blocks) for stage in model.stages] == [1, 0, 2, 1]


@pytest.mark.parametrize("make", [lambda: ConvNormAct(16, 16, 3, activation="ReLU"),
                                  lambda: DepthwiseConvNormAct(16, 16, 5, activation="ReLU")],
                         ids=["dense", "depthwise"])  # fmt: skip
def test_what_is_added_comes_before_the_activation(make):
    torch.manual_seed(0)
    layer, x = make().eval(), torch.randn(2, 16, 6, 6)
    before = []
    layer.act.register_forward_pre_hook(lambda _, args: before.append(args[0].clone()))
    layer(x)
    with torch.no_grad():
        alone = before[-1]  # the sum without anything added
        expected = F.relu(alone + x)
        torch.testing.assert_close(layer(x, x), expected)
        assert not torch.allclose(F.relu(alone) + x, expected)


def test_a_residual_block_without_weights_is_the_identity():
    """Of maps that are not negative, as they are behind a ReLU."""
    stage = PlainNet(16, (16, 16, 16, 16), (2, 0, 0, 0)).stages[0].eval()
    x = torch.rand(1, 16, 8, 8)
    with torch.no_grad():
        for block in stage.blocks:
            block.pointwise.weight.zero_()
        torch.testing.assert_close(stage(x), stage.down(x))


@pytest.mark.parametrize("bottom_up", [True, False])
def test_the_neck_sums_what_comes_from_both_sides(bottom_up):
    torch.manual_seed(0)
    neck = SumPAN((16, 32, 48), 16, kernel_size=3, bottom_up=bottom_up).eval()
    maps = [torch.randn(1, width, 32 // 2**k, 32 // 2**k) for k, width in enumerate((16, 32, 48))]
    fine, middle, coarse = (layer.bn(layer.conv(x)) for layer, x in zip(neck.laterals, maps, strict=True))
    coarse = F.relu(coarse)
    middle = F.relu(middle + F.interpolate(coarse, scale_factor=2, mode="nearest"))
    middle = neck.blocks[1](middle, middle)
    fine = F.relu(fine + F.interpolate(middle, scale_factor=2, mode="nearest"))
    fine = neck.blocks[0](fine, fine)
    if bottom_up:
        middle = neck.downsamples[0](fine, middle)
        coarse = neck.downsamples[1](middle, coarse)
    with torch.no_grad():
        for got, expected in zip(neck(maps), (fine, middle, coarse), strict=True):
            torch.testing.assert_close(got, expected)


def test_every_parameter_learns():
    config = load_config(CONFIG)
    model = build_detector(config.model.arch, config.class_names)
    model(torch.randn(2, 3, 64, 64)).square().sum().backward()
    assert [name for name, p in model.named_parameters() if p.grad is None or not p.grad.abs().sum()] == []


def test_nothing_in_the_graph_leaves_the_blocks_of_the_kernels():
    """onnxruntime keeps convolution, sum, ReLU and doubling by nearest neighbors in blocks of 16 channels."""
    config = load_config(CONFIG)
    model = build_detector(config.model.arch, config.class_names)
    body = torch.nn.Sequential(model.backbone, model.fpn)
    nodes = trace(body, describe(config, (96, 64), "run", None)).graph.node
    assert {node.op_type for node in nodes} - {"Constant", "Identity"} == {"Conv", "Relu", "Add", "Resize"}
    for node in nodes:
        values = {entry.name: onnx.helper.get_attribute_value(entry) for entry in node.attribute}
        if node.op_type == "Resize":
            assert (values["mode"], values["coordinate_transformation_mode"], values["nearest_mode"]) == (
                b"nearest", b"asymmetric", b"floor",
            )  # fmt: skip


@pytest.mark.parametrize(
    ("section", "key", "value", "message"),
    [
        ("backbone", "stem_channels", 24, r"backbone\.stem_channels: input should be a multiple of 16, got 24"),
        ("backbone", "channels", [32, 60, 96, 128], r"backbone\.channels\.1: input should be a multiple of 16, got 60"),
        ("backbone", "blocks", [1, 3, 4], r"backbone\.blocks\.3: expected this key, got none"),
        ("backbone", "blocks", [1, -1, 4, 2], r"backbone\.blocks\.1: input should be greater than or equal to 0"),
        ("backbone", "kernel_size", 4, r"backbone\.kernel_size: input should be 3, 5 or 7, got 4"),
        ("backbone", "out_stages", [2, 3, 4], r"backbone\.out_stages: unknown key"),
        ("fpn", "out_channels", 40, r"fpn\.out_channels: input should be a multiple of 16, got 40"),
        ("fpn", "num_extra_level", 1, r"fpn\.num_extra_level: unknown key"),
        ("head", "strides", [8, 16], r"head\.strides: expected 3 strides"),
    ],
)
def test_wrong_keys_are_named(tmp_path, section, key, value, message):
    raw = yaml.safe_load(CONFIG.read_text())
    raw["model"]["arch"][section][key] = value
    (tmp_path / "c.yaml").write_text(yaml.safe_dump(raw))
    with pytest.raises(ConfigError, match=message):
        load_config(tmp_path / "c.yaml")


def test_other_strides_and_channels_than_the_backbone_gives_are_refused():
    arch = load_config(CONFIG).model.arch
    other = arch.model_copy(deep=True)
    other.head.strides = (4, 8, 16)
    with pytest.raises(
        ConfigError, match=r"head\.strides: expected \[8, 16, 32\] for the stages .* of backbone PlainNet"
    ):
        build_detector(other, ("a", "b"))
    other = arch.model_copy(deep=True)
    other.fpn.in_channels = (32, 64, 96)
    with pytest.raises(ConfigError, match=r"fpn\.in_channels: expected \[64, 96, 128\]"):
        build_detector(other, ("a", "b"))


def test_the_neck_takes_another_backbone_and_the_backbone_another_neck():
    config = load_config(CONFIG)
    for section, name in (("backbone", "ShuffleNetV2"), ("fpn", "PAN")):
        raw = config.model.arch.model_dump()
        raw[section] = {"name": name, **({"out_channels": 48} if section == "fpn" else {})}
        arch = type(config.model.arch).model_validate(raw)
        with torch.no_grad():
            raw_output = build_detector(arch, config.class_names).eval()(torch.zeros(1, 3, 64, 64))
        assert raw_output.shape == (1, 84, config.layout.num_channels)
