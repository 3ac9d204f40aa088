"""Area and IoU of boxes, as label assignment and the GIoU loss need them."""

from __future__ import annotations

import torch
from torch import Tensor


def box_area(boxes: Tensor) -> Tensor:
    """Areas [...] of boxes [..., 4]; an inverted box keeps the sign of its sides' product, as upstream."""
    return (boxes[..., 2] - boxes[..., 0]) * (boxes[..., 3] - boxes[..., 1])


def aligned_iou(first: Tensor, second: Tensor, eps: float = 1e-6) -> Tensor:
    """IoU [n] of boxes [n, 4] and [n, 4], row by row; the union is at least `eps`."""
    sides = torch.minimum(first[:, 2:], second[:, 2:]) - torch.maximum(first[:, :2], second[:, :2])
    sides = sides.clamp(min=0)
    overlap = sides[:, 0] * sides[:, 1]
    return overlap / (box_area(first) + box_area(second) - overlap).clamp(min=eps)
