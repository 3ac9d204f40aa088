"""Detector and criterion from a training configuration (nanodet_kp_core.config.ArchConfig)."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING

from nanodet_kp_core.assign.dsla import DynamicSoftLabelAssigner
from nanodet_kp_core.errors import ConfigError
from nanodet_kp_core.layout import HeadLayout
from nanodet_kp_core.loss.criterion import DetectionCriterion, LossWeights
from nanodet_kp_core.model.detector import NanoDetPlus
from nanodet_kp_core.model.ghost_pan import GhostPAN
from nanodet_kp_core.model.heads import NanoDetPlusHead, SimpleConvHead
from nanodet_kp_core.model.shufflenet import ShuffleNetV2

if TYPE_CHECKING:
    from nanodet_kp_core.config import ArchConfig, FpnConfig


def build_layout(arch: ArchConfig, class_names: Sequence[str]) -> HeadLayout:
    """The head's channels."""
    head = arch.head
    return HeadLayout(tuple(class_names), head.class_layout, head.reg_max, head.corner_codec)


def build_detector(arch: ArchConfig, class_names: Sequence[str]) -> NanoDetPlus:
    """A freshly initialised detector, with its auxiliary branch when `arch.aux_head` is set.

    Raises ConfigError when channels, levels or strides do not fit together.
    """
    head, aux = arch.head, arch.aux_head
    backbone = ShuffleNetV2(arch.backbone.model_size, arch.backbone.out_stages, arch.backbone.activation)
    _check_strides(backbone, arch)
    layout = build_layout(arch, class_names)
    if head.input_channel != arch.fpn.out_channels:
        raise ConfigError(
            f"head.input_channel: expected {arch.fpn.out_channels}, as fpn.out_channels, "
            f"got {head.input_channel}"
        )
    main = NanoDetPlusHead(
        layout,
        head.input_channel,
        head.feat_channels,
        head.stacked_convs,
        head.kernel_size,
        head.strides,
        head.activation,
    )
    if aux is None:
        return NanoDetPlus(backbone, _build_fpn(arch.fpn, backbone), main)
    if aux.input_channel != 2 * arch.fpn.out_channels:
        raise ConfigError(
            f"aux_head.input_channel: expected {2 * arch.fpn.out_channels}, twice fpn.out_channels, "
            f"got {aux.input_channel}"
        )
    if (tuple(aux.strides), aux.reg_max) != (tuple(head.strides), head.reg_max):
        raise ConfigError(
            f"aux_head: expected strides {list(head.strides)} and reg_max {head.reg_max}, as in head, "
            f"got {list(aux.strides)} and {aux.reg_max}"
        )
    return NanoDetPlus(
        backbone,
        _build_fpn(arch.fpn, backbone),
        main,
        _build_fpn(arch.fpn, backbone),
        SimpleConvHead(
            layout, aux.input_channel, aux.feat_channels, aux.stacked_convs, aux.strides, aux.activation
        ),
        arch.detach_epoch,
    )


def build_criterion(arch: ArchConfig, class_names: Sequence[str]) -> DetectionCriterion:
    """The training loss that belongs to `build_detector(arch, class_names)`."""
    loss, assigner = arch.head.loss, arch.head.assigner
    return DetectionCriterion(
        build_layout(arch, class_names),
        DynamicSoftLabelAssigner(
            assigner.topk,
            assigner.iou_factor,
            assigner.corner_cost,
            assigner.corner_factor,
            assigner.inside_own_gt,
        ),
        LossWeights(
            qfl=loss.loss_qfl.loss_weight,
            qfl_beta=loss.loss_qfl.beta,
            giou=loss.loss_bbox.loss_weight,
            dfl=loss.loss_dfl.loss_weight,
            dfl_coordinates=loss.dfl_coordinates,
            number=loss.number_weight,
            corner=loss.corner_weight,
        ),
    )


def _build_fpn(fpn: FpnConfig, backbone: ShuffleNetV2) -> GhostPAN:
    return GhostPAN(
        backbone.out_channels,
        fpn.out_channels,
        fpn.kernel_size,
        fpn.num_extra_level,
        fpn.use_depthwise,
        fpn.activation,
    )


def _check_strides(backbone: ShuffleNetV2, arch: ArchConfig) -> None:
    coarsest = backbone.out_strides[-1]
    extra = [coarsest * 2 ** (level + 1) for level in range(arch.fpn.num_extra_level)]
    expected = [*backbone.out_strides, *extra]
    if list(arch.head.strides) != expected:
        raise ConfigError(
            f"head.strides: expected {expected} for backbone.out_stages {list(arch.backbone.out_stages)} and "
            f"fpn.num_extra_level {arch.fpn.num_extra_level}, got {list(arch.head.strides)}"
        )
    listed = arch.fpn.in_channels
    if listed is not None and tuple(listed) != backbone.out_channels:
        raise ConfigError(
            f"fpn.in_channels: expected {list(backbone.out_channels)} for backbone.model_size "
            f"{arch.backbone.model_size}, got {list(listed)}; leave the key out to have it derived"
        )
