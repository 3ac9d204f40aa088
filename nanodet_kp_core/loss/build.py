"""The criterion from a training configuration (nanodet_kp_core.config)."""

from __future__ import annotations

from collections.abc import Sequence

from nanodet_kp_core.assign.atss import ATSSAssigner
from nanodet_kp_core.assign.dsla import DynamicSoftLabelAssigner
from nanodet_kp_core.config import ArchConfig, layout_of
from nanodet_kp_core.loss.criterion import DetectionCriterion, LossWeights


def build_criterion(arch: ArchConfig, class_names: Sequence[str]) -> DetectionCriterion:
    """The training loss that belongs to `build_detector(arch, class_names)`."""
    loss = arch.head.loss
    weights = LossWeights(
        qfl=loss.loss_qfl.loss_weight,
        qfl_beta=loss.loss_qfl.beta,
        giou=loss.loss_bbox.loss_weight,
        dfl=loss.loss_dfl.loss_weight,
        dfl_coordinates=loss.dfl_coordinates,
        number=loss.number_weight,
        corner=loss.corner_weight,
    )
    return DetectionCriterion(layout_of(arch.head, class_names), _build_assigner(arch), weights)


def _build_assigner(arch: ArchConfig) -> DynamicSoftLabelAssigner | ATSSAssigner:
    head, assigner = arch.head, arch.head.assigner
    if assigner.name == "ATSSAssigner":
        scale = head.octave_base_scale if head.name == "NanoDetHead" else ATSSAssigner.octave_base_scale
        return ATSSAssigner(assigner.topk, scale)
    return DynamicSoftLabelAssigner(
        topk=assigner.topk,
        iou_factor=assigner.iou_factor,
        corner_cost=assigner.corner_cost,
        corner_factor=assigner.corner_factor,
        inside_own_gt=assigner.inside_own_gt,
        soft_center_radius=assigner.soft_center_radius,
    )
