"""The detector from a training configuration (nanodet_kp_core.config)."""

from __future__ import annotations

from collections.abc import Sequence

from nanodet_kp_core.config import ArchConfig, layout_of
from nanodet_kp_core.errors import ConfigError
from nanodet_kp_core.layout import HeadLayout
from nanodet_kp_core.model.detector import Backbone, Head, Neck, OneStageDetector
from nanodet_kp_core.model.ghost_pan import GhostPAN
from nanodet_kp_core.model.heads import NanoDetHead, NanoDetPlusHead, SimpleConvHead
from nanodet_kp_core.model.plain import PlainNet, SumPAN
from nanodet_kp_core.model.pretrained import load_pretrained
from nanodet_kp_core.model.published.ghostnet import GhostNet
from nanodet_kp_core.model.published.pan import PAN
from nanodet_kp_core.model.published.rtmdet_head import RTMDetSepBNHead
from nanodet_kp_core.model.shufflenet import ShuffleNetV2


def build_detector(arch: ArchConfig, class_names: Sequence[str], pretrained: bool = True) -> OneStageDetector:
    """A freshly initialized detector, with its auxiliary branch when `arch.aux_head` is set.

    pretrained: fill the backbone from the file that `arch.backbone.pretrained` names, if any. False for who loads a
    checkpoint next: it replaces those weights, and the file may not be on this machine.
    Raises ConfigError when fpn.in_channels or head.strides do not fit the backbone; ModelError, see load_pretrained.
    """
    layout, aux = layout_of(arch.head, class_names), arch.aux_head
    backbone = _build_backbone(arch)
    _check_fit(arch, backbone)
    if pretrained and arch.backbone.pretrained:
        load_pretrained(backbone, arch.backbone.pretrained)
    head = _build_head(arch, layout)
    if aux is None:
        return OneStageDetector(backbone, _build_fpn(arch, backbone), head)
    aux_fpn = _build_fpn(arch, backbone) if aux.own_fpn else None
    aux_head = SimpleConvHead(
        layout,
        aux.input_channel,
        aux.feat_channels,
        aux.stacked_convs,
        aux.strides,
        aux.activation,
        aux.use_depthwise,
    )
    return OneStageDetector(backbone, _build_fpn(arch, backbone), head, aux_fpn, aux_head, arch.detach_epoch)


def _build_backbone(arch: ArchConfig) -> Backbone:
    backbone = arch.backbone
    if backbone.name == "GhostNet":
        return GhostNet(backbone.width_mult, backbone.out_stages, backbone.activation)
    if backbone.name == "PlainNet":
        return PlainNet(
            backbone.stem_channels, backbone.channels, backbone.blocks, backbone.kernel_size, backbone.activation
        )
    return ShuffleNetV2(backbone.model_size, backbone.out_stages, backbone.activation, backbone.stem_channels)


def _build_fpn(arch: ArchConfig, backbone: Backbone) -> Neck:
    fpn = arch.fpn
    if fpn.name == "PAN":
        return PAN(backbone.out_channels, fpn.out_channels)
    if fpn.name == "SumPAN":
        return SumPAN(backbone.out_channels, fpn.out_channels, fpn.kernel_size, fpn.activation, fpn.bottom_up)
    return GhostPAN(
        backbone.out_channels,
        fpn.out_channels,
        fpn.kernel_size,
        fpn.num_extra_level,
        fpn.use_depthwise,
        fpn.activation,
    )


def _build_head(arch: ArchConfig, layout: HeadLayout) -> Head:
    head = arch.head
    shape = (layout, head.input_channel, head.feat_channels, head.stacked_convs)
    if head.name == "RTMDetSepBNHead":
        return RTMDetSepBNHead(*shape, head.strides, head.activation, head.share_conv)
    if head.name == "NanoDetHead":
        return NanoDetHead(*shape, head.share_cls_reg, head.strides, head.activation)
    return NanoDetPlusHead(*shape, head.kernel_size, head.strides, head.activation)


def _check_fit(arch: ArchConfig, backbone: Backbone) -> None:
    """Raises ConfigError for what only the built backbone can tell; load_config has checked the rest."""
    listed = arch.fpn.in_channels
    if listed is not None and tuple(listed) != backbone.out_channels:
        raise ConfigError(
            f"fpn.in_channels: expected {list(backbone.out_channels)}, what backbone {arch.backbone.name} gives, got "
            f"{list(listed)}; leave the key out to have it derived"
        )
    strides = list(backbone.out_strides)
    if arch.fpn.name == "GhostPAN":
        strides += [strides[-1] * 2 ** (level + 1) for level in range(arch.fpn.num_extra_level)]
    if list(arch.head.strides) != strides:
        raise ConfigError(
            f"head.strides: expected {strides} for the stages {list(arch.backbone.out_stages)} of backbone "
            f"{arch.backbone.name} and {len(strides)} levels, got {list(arch.head.strides)}"
        )
