"""What an image should teach, and what label assignment answers."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, fields, replace

import numpy as np
import torch
from torch import Tensor

UNASSIGNED_IOU = -1e8


@dataclass
class Targets:
    """Ground truth of one image in input pixels; every array may be empty.

    boxes [G, 4]; labels [G] class ids; corners [G, 4, 2]; corner_visible [G, 4] bool: corners that the loss may use;
    number_known [G] bool: the sticker can be read; ignore_boxes [I, 4]: background is not learnt inside.
    """

    boxes: Tensor
    labels: Tensor
    corners: Tensor
    corner_visible: Tensor
    number_known: Tensor
    ignore_boxes: Tensor

    @staticmethod
    def empty(device: torch.device | str = "cpu") -> Targets:
        """An image without plates."""
        flat = torch.zeros(0, 4, device=device)
        flag = torch.zeros(0, dtype=torch.bool, device=device)
        labels = torch.zeros(0, dtype=torch.long, device=device)
        corners = torch.zeros(0, 4, 2, device=device)
        return Targets(flat, labels, corners, flag.reshape(0, 1).expand(0, 4), flag, flat)


@dataclass(frozen=True)
class GroundTruths:
    """Plates of a batch of `num_images`, one row each, in the order of their images.

    image [G] long; boxes [G, 4]; labels [G]; corners [G, 8]; corner_visible [G, 4] bool;
    number_known [G]; ignore_image [I] long and ignore_boxes [I, 4]. Pixels of the input.
    """

    num_images: int
    image: Tensor
    boxes: Tensor
    labels: Tensor
    corners: Tensor
    corner_visible: Tensor
    number_known: Tensor
    ignore_image: Tensor
    ignore_boxes: Tensor

    @staticmethod
    def join(targets: Sequence[Targets]) -> GroundTruths:
        """All plates of a batch in the memory of the CPU, where label assignment uses them."""
        return GroundTruths(
            num_images=len(targets),
            image=_image_index([len(t.boxes) for t in targets]),
            boxes=torch.cat([t.boxes for t in targets]).cpu(),
            labels=torch.cat([t.labels for t in targets]).cpu(),
            corners=torch.cat([t.corners for t in targets]).cpu().flatten(1),
            corner_visible=torch.cat([t.corner_visible for t in targets]).cpu(),
            number_known=torch.cat([t.number_known for t in targets]).cpu(),
            ignore_image=_image_index([len(t.ignore_boxes) for t in targets]),
            ignore_boxes=torch.cat([t.ignore_boxes for t in targets]).cpu(),
        )

    def to(self, device: torch.device) -> GroundTruths:
        """The same on `device`."""
        parts = {field.name: getattr(self, field.name) for field in fields(self) if field.name != "num_images"}
        return replace(self, **{name: part.to(device, non_blocking=True) for name, part in parts.items()})

    @property
    def corner_weight(self) -> Tensor:
        """Weight [G, 8] of the corners' coordinates: 0 where unknown."""
        return self.corner_visible.repeat_interleave(2, dim=1).float()

    def per_image(self, hits: Tensor) -> Tensor:
        """Mask [num_images, P]: True where any of the ignore boxes' masks `hits` [I, P] is."""
        count = torch.zeros(self.num_images, hits.shape[1], dtype=torch.int, device=hits.device)
        return count.index_add_(0, self.ignore_image, hits.int()) > 0


def _image_index(counts: list[int]) -> Tensor:
    return torch.from_numpy(np.repeat(np.arange(len(counts)), counts))


@dataclass(frozen=True)
class Matches:
    """Positives of a batch in image, then prior order: image [K], prior [K], ground truth [K], iou [K]."""

    image: Tensor
    prior: Tensor
    gt: Tensor
    iou: Tensor


@dataclass(frozen=True)
class Assignment:
    """Matches of one image written over all of its priors.

    gt_index [P]: 0 background, g + 1 assigned to ground truth g, -1 ignored. labels [P]: -1 or its class. ious [P]: IoU
    with it; -1e8 at other priors when there was any candidate, 0 when there was none.
    """

    gt_index: Tensor
    labels: Tensor
    ious: Tensor

    @staticmethod
    def of_matches(matches: Matches, labels: Tensor, num_priors: int, any_candidate: bool) -> Assignment:
        """labels [G] of the ground truths."""
        fill = UNASSIGNED_IOU if any_candidate else 0.0
        gt_index = torch.zeros(num_priors, dtype=torch.long, device=labels.device)
        result = Assignment(
            gt_index, torch.full_like(gt_index, -1), torch.full_like(gt_index, fill, dtype=matches.iou.dtype)
        )
        result.gt_index[matches.prior] = matches.gt + 1
        result.labels[matches.prior] = labels[matches.gt]
        result.ious[matches.prior] = matches.iou
        return result


def inside_boxes(points: Tensor, boxes: Tensor, margin: float = 0.0) -> Tensor:
    """Mask [G, P] of points [P, 2] that lie farther than `margin` inside boxes [G, 4]."""
    x, y = points[:, 0], points[:, 1]
    low, high = boxes[:, :2] + margin, boxes[:, 2:] - margin
    inside = (x > low[:, :1]) & (x < high[:, :1])
    return inside & (y > low[:, 1:]) & (y < high[:, 1:])


def center_distance(boxes: Tensor, points: Tensor) -> Tensor:
    """Distances [G, P] of the centers of boxes [G, 4] to points [P, 2]."""
    center = (boxes[:, :2] + boxes[:, 2:]) / 2
    # Written out: cdist may go through a matrix product, whose rounding decides wrongly between near priors.
    return ((center[:, :1] - points[:, 0]).square() + (center[:, 1:] - points[:, 1]).square()).sqrt()


def least_of_rows(row: Tensor, value: Tensor, num_rows: int) -> Tensor:
    """For each of `num_rows` rows the entry [K] that has the least value; K for a row without one.

    row [K], value [K] finite. Among equal values the first entry wins, on every device.
    """
    count = len(row)
    least = torch.full((num_rows,), torch.inf, dtype=value.dtype, device=value.device)
    least.scatter_reduce_(0, row, value, "amin")
    entry = torch.arange(count, device=row.device).masked_fill_(value > least[row], count)
    return torch.full((num_rows,), count, device=row.device).scatter_reduce_(0, row, entry, "amin")
