"""Generalised IoU loss (Rezatofighi et al. 2019)."""

from __future__ import annotations

import torch
from torch import Tensor

from nanodet_kp_core.assign.overlap import box_area
from nanodet_kp_core.loss.reduction import weighted_average


def giou_each(boxes: Tensor, targets: Tensor, eps: float = 1e-7) -> Tensor:
    """1 - GIoU [n] of boxes [n, 4] and targets [n, 4], 0..2; finite for empty and inverted boxes."""
    inner = torch.minimum(boxes[:, 2:], targets[:, 2:]) - torch.maximum(boxes[:, :2], targets[:, :2])
    outer = torch.maximum(boxes[:, 2:], targets[:, 2:]) - torch.minimum(boxes[:, :2], targets[:, :2])
    # A product of two columns: prod() has no finite gradient guarantee at zero on every version.
    inner, outer = inner.clamp(min=0), outer.clamp(min=0)
    overlap = inner[:, 0] * inner[:, 1]
    union = (box_area(boxes) + box_area(targets) - overlap).clamp(min=eps)
    hull = (outer[:, 0] * outer[:, 1]).clamp(min=eps)
    return 1 - overlap / union + (hull - union) / hull


def giou_loss(
    boxes: Tensor,
    targets: Tensor,
    weight: Tensor | None = None,
    avg_factor: Tensor | float | None = None,
    eps: float = 1e-7,
    loss_weight: float = 1.0,
) -> Tensor:
    """Scalar GIoU loss; arguments as in giou_each and weighted_average."""
    return loss_weight * weighted_average(giou_each(boxes, targets, eps), weight, avg_factor)
