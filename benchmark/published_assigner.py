"""The published label assignment written out plainly, image by image: what ours is measured against.

Dynamic soft label assignment, by the published rules and with the corner cost of the four-point fork: a soft label for
every class of every pair of a candidate and a plate, then a loop over the plates for their cheapest candidates. The
class cost is taken on logits, as in NanoDet-Plus (the fork takes it on their sigmoid, where it saturates). Plate by
plate, the pairs too are computed in a loop over the plates, which needs more calls and less memory.
"""

from __future__ import annotations

import torch
import torch.nn.functional as F
from torch import Tensor

TOPK, IOU_FACTOR, UNASSIGNED = 13, 3.0, -1e8


def assign_image(
    logits: Tensor,
    priors: Tensor,
    boxes: Tensor,
    corners: Tensor,
    gt_boxes: Tensor,
    gt_labels: Tensor,
    gt_corners: Tensor,
    plate_by_plate: bool = False,
) -> tuple[Tensor, Tensor, Tensor]:
    """Of every prior [P]: ground truth + 1 or 0 for background, class or -1, IoU with the ground truth.

    logits [P, C], priors [P, 4], boxes [P, 4] and corners [P, 8] predicted; gt_boxes [G, 4], gt_labels [G], gt_corners
    [G, 8]; pixels. plate_by_plate: no table of all pairs is computed at once, with the same result.
    """
    gt_index = torch.zeros(len(priors), dtype=torch.long)
    labels, ious = torch.full_like(gt_index, -1), torch.zeros(len(priors))
    if not len(gt_boxes):
        return gt_index, labels, ious
    step = 1 if plate_by_plate else len(gt_boxes)
    parts = list(zip(gt_boxes.split(step), gt_labels.split(step), gt_corners.split(step)))
    inside = torch.cat([inside_plates(priors, part_boxes) for part_boxes, _, _ in parts], dim=1)
    rows = torch.nonzero(inside.any(dim=1)).squeeze(1)
    if not len(rows):
        return gt_index, labels, ious
    logits, boxes, corners = logits[rows], boxes[rows], corners[rows]
    pairs = [pair_costs(logits, boxes, corners, *part) for part in parts]
    cost, iou = (torch.cat(columns, dim=1) for columns in zip(*pairs))  # [M, G]

    matched = torch.zeros(len(rows), len(gt_boxes), dtype=torch.bool)
    dynamic_k = iou.topk(min(TOPK, len(rows)), dim=0).values.sum(dim=0).int().clamp(min=1)
    for plate in range(len(gt_boxes)):
        matched[cost[:, plate].topk(int(dynamic_k[plate]), largest=False).indices, plate] = True
    contested = matched.sum(dim=1) > 1
    if contested.any():
        cheapest = cost[contested].argmin(dim=1)
        matched[contested] = F.one_hot(cheapest, len(gt_boxes)).bool()

    row, plate = torch.nonzero(matched, as_tuple=True)
    ious.fill_(UNASSIGNED)
    gt_index[rows[row]] = plate + 1
    labels[rows[row]] = gt_labels[plate]
    ious[rows[row]] = iou[row, plate]
    return gt_index, labels, ious


def inside_plates(priors: Tensor, gt_boxes: Tensor) -> Tensor:
    """Mask [P, G] of priors [P, 4] strictly inside boxes [G, 4]."""
    to_low = priors[:, None, :2] - gt_boxes[None, :, :2]
    to_high = gt_boxes[None, :, 2:] - priors[:, None, :2]
    return torch.cat((to_low, to_high), dim=2).amin(dim=2) > 0


def pair_costs(
    logits: Tensor, boxes: Tensor, corners: Tensor, gt_boxes: Tensor, gt_labels: Tensor, gt_corners: Tensor
) -> tuple[Tensor, Tensor]:
    """(cost [M, G], IoU [M, G]) of M candidates and G plates."""
    iou = pairwise_iou(boxes, gt_boxes)
    one_hot = F.one_hot(gt_labels, logits.shape[1]).float()[None].repeat(len(boxes), 1, 1)  # [M, G, C]
    soft_label = one_hot * iou[:, :, None]
    logits = logits[:, None].repeat(1, len(gt_boxes), 1)
    gap = soft_label - logits.sigmoid()
    class_cost = F.binary_cross_entropy_with_logits(logits, soft_label, reduction="none") * gap.abs().pow(2)
    distance = (corners[:, None] - gt_corners[None]).abs().mean(dim=2)
    return class_cost.sum(dim=2) - IOU_FACTOR * torch.log(iou + 1e-7) + torch.pow(1.03, distance - 100), iou


def pairwise_iou(first: Tensor, second: Tensor) -> Tensor:
    """IoU [n, m] of boxes [n, 4] and [m, 4]."""
    low = torch.maximum(first[:, None, :2], second[None, :, :2])
    high = torch.minimum(first[:, None, 2:], second[None, :, 2:])
    sides = (high - low).clamp(min=0)
    overlap = sides[:, :, 0] * sides[:, :, 1]
    areas = [(boxes[:, 2] - boxes[:, 0]) * (boxes[:, 3] - boxes[:, 1]) for boxes in (first, second)]
    return overlap / (areas[0][:, None] + areas[1][None] - overlap).clamp(min=1e-6)
