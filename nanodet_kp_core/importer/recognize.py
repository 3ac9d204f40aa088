"""Finds out the architecture of a published checkpoint from the names and shapes of its tensors.

What tensors do not tell (activations, normalisation, input size) is upstream's default.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from torch import Tensor

from nanodet_kp_core.errors import ModelError
from nanodet_kp_core.model.published import ghostnet
from nanodet_kp_core.model.shufflenet import STAGE_CHANNELS


@dataclass(frozen=True)
class Recognized:
    """arch: `model.arch` as the YAML schema writes it (class_layout joint, corner_codec unsigned or none).

    num_classes: number of class channels. unused: prefixes of tensors that published files hold and nothing reads.
    """

    arch: dict[str, Any]
    num_classes: int
    unused: tuple[str, ...]

    @property
    def corner_codec(self) -> str:
        codec: str = self.arch["head"]["corner_codec"]
        return codec


class _Shapes:
    """Shapes by name, with an error that says which tensor is missing from a NanoDet checkpoint."""

    def __init__(self, tensors: Mapping[str, Tensor], path: Path) -> None:
        self.shapes = {name: tuple(value.shape) for name, value in tensors.items()}
        self.path = path

    def has(self, prefix: str) -> bool:
        return any(name.startswith(prefix) for name in self.shapes)

    def of(self, name: str, dimensions: int = 4) -> tuple[int, ...]:
        shape = self.shapes.get(name)
        if shape is None or len(shape) != dimensions:
            found = "none" if shape is None else f"one of shape {list(shape)}"
            raise ModelError(
                f"{self.path}: expected a tensor {name} with {dimensions} dimensions, as NanoDet has it, got {found}"
            )
        return shape

    def count(self, prefix: str) -> int:
        """How many consecutive numbers follow `prefix`: layers of a ModuleList."""
        number = 0
        while self.has(f"{prefix}{number}."):
            number += 1
        return number


def recognize(tensors: Mapping[str, Tensor], path: Path, num_classes: int | None = None) -> Recognized:
    """Architecture of the checkpoint at `path` (for messages) with bare tensor names.

    num_classes: needed only where a file without auxiliary head fits box-only and four corners alike. Raises
    ModelError for anything but NanoDet or NanoDet-Plus with ShuffleNetV2 or GhostNet.
    """
    shapes = _Shapes(tensors, path)
    plus = not shapes.has("fpn.lateral_convs.")
    widths = _fpn_inputs(shapes, "reduce_layers" if plus else "lateral_convs")
    backbone, strides = _backbone(shapes, widths)
    arch: dict[str, Any] = {
        "name": "NanoDetPlus" if plus else "OneStageDetector",
        "backbone": backbone,
        "fpn": _ghost_pan(shapes) if plus else _pan(shapes, len(widths)),
    }
    activation = "LeakyReLU"
    extra = arch["fpn"].get("num_extra_level", 0)
    strides += [strides[-1] * 2 ** (level + 1) for level in range(extra)]
    head, classes = _head(shapes, plus, num_classes)
    if len(strides) != shapes.count("head.gfl_cls."):
        raise ModelError(
            f"{path}: expected {len(strides)} outputs head.gfl_cls.*, one per level of the neck, "
            f"got {shapes.count('head.gfl_cls.')}"
        )
    arch["head"] = head | {"strides": strides, "activation": activation}
    arch["aux_head"] = _aux_head(shapes, arch["head"], classes) if shapes.has("aux_head.") else None
    return Recognized(arch, classes, _unused(arch))


def _unused(arch: dict[str, Any]) -> tuple[str, ...]:
    """A shared head has a second output all the same, and a backbone the stages after its last map."""
    last = arch["backbone"]["out_stages"][-1]
    stages = [f"backbone.stage{stage}." for stage in range(last + 1, 5)]
    if arch["backbone"]["name"] == "GhostNet":
        stages = [f"backbone.blocks.{stage}." for stage in range(last + 1, len(ghostnet.STAGES) + 1)]
    return (*stages, "head.gfl_reg.") if arch["head"].get("share_cls_reg") else tuple(stages)


def _fpn_inputs(shapes: _Shapes, layers: str) -> list[int]:
    levels = shapes.count(f"fpn.{layers}.")
    if not levels:
        raise ModelError(
            f"{shapes.path}: expected fpn.reduce_layers.* (NanoDet-Plus) or fpn.lateral_convs.* (NanoDet), got tensors "
            f"like {', '.join(list(shapes.shapes)[:3])}"
        )
    return [shapes.of(f"fpn.{layers}.{level}.conv.weight")[1] for level in range(levels)]


def _backbone(shapes: _Shapes, widths: list[int]) -> tuple[dict[str, Any], list[int]]:
    """Backbone section and the strides of its outputs, which have `widths` channels."""
    if shapes.has("backbone.stage2.0.branch1."):
        return _shufflenet(shapes, widths)
    if shapes.has("backbone.conv_stem."):
        return _ghostnet(shapes, widths)
    names = [name for name in shapes.shapes if name.startswith("backbone.")]
    raise ModelError(
        f"{shapes.path}: expected the backbone ShuffleNetV2 or GhostNet, got another one with tensors like "
        f"{', '.join(names[:3]) or 'none'}; other backbones cannot be imported"
    )


def _shufflenet(shapes: _Shapes, widths: list[int]) -> tuple[dict[str, Any], list[int]]:
    stage2 = 2 * shapes.of("backbone.stage2.0.branch1.2.weight")[0]
    size = next((size for size, stages in STAGE_CHANNELS.items() if stages[2] == stage2), None)
    if size is None:
        raise ModelError(
            f"{shapes.path}: expected a ShuffleNetV2 of width {', '.join(STAGE_CHANNELS)}, "
            f"got one with {stage2} channels in stage 2"
        )
    stage_of = {channels: stage for stage, channels in STAGE_CHANNELS[size].items()}
    stages = [stage_of[width] for width in widths if width in stage_of]
    if len(stages) != len(widths):
        raise ModelError(
            f"{shapes.path}: expected a neck on channels out of {list(stage_of)} of ShuffleNetV2 {size}, got {widths}"
        )
    backbone = {"name": "ShuffleNetV2", "model_size": size, "out_stages": stages, "activation": "LeakyReLU"}
    return backbone, [2 ** (stage + 1) for stage in stages]


def _ghostnet(shapes: _Shapes, widths: list[int]) -> tuple[dict[str, Any], list[int]]:
    number = len(ghostnet.STAGES)
    last = shapes.of(f"backbone.blocks.{number}.0.conv.weight")[0]
    outputs = {number: last}
    for stage in range(number):
        unit = shapes.count(f"backbone.blocks.{stage}.") - 1
        outputs[stage] = 2 * shapes.of(f"backbone.blocks.{stage}.{unit}.ghost2.primary_conv.0.weight")[0]
    # Two stages may have the same width and stride; the later one is what upstream takes.
    stages = [max((stage for stage, channels in outputs.items() if channels == width), default=-1) for width in widths]
    if -1 in stages:
        wanted = sorted(set(outputs.values()))
        raise ModelError(f"{shapes.path}: expected a neck on channels out of {wanted} of GhostNet, got {widths}")
    backbone = {
        "name": "GhostNet",
        "width_mult": round(last / ghostnet.LAST_CHANNELS, 3),
        "out_stages": stages,
        "activation": "ReLU",
    }
    strides = [2]
    for units in ghostnet.STAGES:
        strides.append(strides[-1] * units[0].stride)
    strides = [*strides[1:], strides[-1]]
    return backbone, [strides[stage] for stage in stages]


def _ghost_pan(shapes: _Shapes) -> dict[str, Any]:
    depthwise = shapes.has("fpn.downsamples.0.depthwise.")
    kernel = shapes.of(f"fpn.downsamples.0.{'depthwise' if depthwise else 'conv'}.weight")
    return {
        "name": "GhostPAN",
        "out_channels": shapes.of("fpn.reduce_layers.0.conv.weight")[0],
        "kernel_size": kernel[-1],
        "num_extra_level": shapes.count("fpn.extra_lvl_in_conv."),
        "use_depthwise": depthwise,
        "activation": "LeakyReLU",
    }


def _pan(shapes: _Shapes, levels: int) -> dict[str, Any]:
    width = shapes.of("fpn.lateral_convs.0.conv.weight")[0]
    return {"name": "PAN", "out_channels": width, "start_level": 0, "num_outs": levels}


def _head(shapes: _Shapes, plus: bool, num_classes: int | None) -> tuple[dict[str, Any], int]:
    """Head section without strides, and the number of classes."""
    depthwise = shapes.of("head.cls_convs.0.0.depthwise.weight")
    rows, width = shapes.of("head.gfl_cls.0.weight")[:2]
    shared = plus or not shapes.has("head.reg_convs.")
    reg_max = shapes.of("head.distribution_project.project", 1)[0] - 1
    if shared:
        classes, corners = _split_rows(shapes, rows, reg_max + 1, num_classes)
    else:
        classes, corners = rows, shapes.of("head.gfl_reg.0.weight")[0] == 12 * (reg_max + 1)
    head = {
        "name": "NanoDetPlusHead" if plus else "NanoDetHead",
        "num_classes": classes,
        "input_channel": depthwise[0],
        "feat_channels": width,
        "stacked_convs": shapes.count("head.cls_convs.0."),
        "reg_max": reg_max,
        "class_layout": "joint",
        "corner_codec": "unsigned" if corners else "none",
    }
    if plus:
        return head | {"kernel_size": depthwise[-1]}, classes
    return head | {"share_cls_reg": shared}, classes


def _split_rows(shapes: _Shapes, rows: int, bins: int, num_classes: int | None) -> tuple[int, bool]:
    """Classes and whether there are corners, for an output of classes + 4 or 12 groups of `bins` channels."""
    fits = {rows - 4 * bins: False, rows - 12 * bins: True}
    fits = {classes: corners for classes, corners in fits.items() if classes > 0}
    if shapes.has("aux_head."):
        num_classes = shapes.of("aux_head.gfl_cls.weight")[0]
    elif "head.gfl_reg.0.weight" in shapes.shapes:  # unused by a shared head, but there
        corners = shapes.of("head.gfl_reg.0.weight")[0] == 12 * bins
        num_classes = rows - (12 if corners else 4) * bins
    if len(fits) == 1 and num_classes is None:
        return next(iter(fits.items()))
    if num_classes in fits:
        return num_classes, fits[num_classes]
    if num_classes is None and fits:
        box, four = rows - 4 * bins, rows - 12 * bins
        raise ModelError(
            f"{shapes.path}: expected an auxiliary head, which tells what the {rows} output channels are, got none; "
            f"name the classes ({box} of them: boxes only; {four}: four corners)"
        )
    wanted = "at least one" if num_classes is None else str(num_classes)
    raise ModelError(
        f"{shapes.path}: expected {wanted} class channels beside 4 or 12 groups of {bins} bins in head.gfl_cls.0, "
        f"got {rows} channels"
    )


def _aux_head(shapes: _Shapes, head: dict[str, Any], classes: int) -> dict[str, Any]:
    feat, width = shapes.of("aux_head.cls_convs.0.conv.weight")[:2]
    if shapes.has("aux_head.pts_convs.") != (head["corner_codec"] != "none"):
        raise ModelError(
            f"{shapes.path}: expected corner channels in head and auxiliary head or in neither, got them in one"
        )
    return {
        "name": "SimpleConvHead",
        "num_classes": classes,
        "input_channel": width,
        "feat_channels": feat,
        "stacked_convs": shapes.count("aux_head.cls_convs."),
        "strides": head["strides"],
        "activation": "LeakyReLU",
        "reg_max": head["reg_max"],
    }
