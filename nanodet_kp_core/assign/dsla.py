"""Dynamic soft label assignment (NanoDet-Plus): priors go to the plates that they already predict best."""

from __future__ import annotations

from dataclasses import dataclass

import torch
import torch.nn.functional as F
from torch import Tensor

from nanodet_kp_core.errors import ConfigError
from nanodet_kp_core.loss.giou import pairwise_iou

CORNER_COSTS = ("none", "published", "normalised")
UNASSIGNED_IOU = -1e8
FORCED_BONUS = 1e5
"""Taken off the cost of a tiny plate's nearest prior in a conflict: it has no other one."""


@dataclass(frozen=True)
class Assignment:
    """Result over all priors of one image.

    gt_index [P]: 0 background, g + 1 assigned to ground truth g. labels [P]: -1 or its class. ious [P]: IoU
    of the prediction with it; -1e8 at background priors when there was any candidate, 0 when there was none.
    """

    gt_index: Tensor
    labels: Tensor
    ious: Tensor


@dataclass(frozen=True)
class DynamicSoftLabelAssigner:
    """Every ground truth takes its k cheapest priors, k being the sum of its best IoUs.

    The cost of a pair is its class cost + iou_factor * -log IoU + corner cost.

    corner_cost: "none"; "published": 1.03 ** (mean |dx|, |dy| in pixels - 100), inert for near hits and
    dominant for misses; "normalised": corner_factor * mean corner distance / box diagonal.
    inside_own_gt: a candidate must lie inside its own ground truth, and a ground truth without any prior
    inside takes its nearest one. False is the published rule: inside any ground truth is enough, and a tiny
    one steals candidates of another or, alone, gets nothing.
    """

    topk: int = 13
    iou_factor: float = 3.0
    corner_cost: str = "none"
    corner_factor: float = 1.0
    inside_own_gt: bool = True

    def __post_init__(self) -> None:
        if self.corner_cost not in CORNER_COSTS:
            raise ConfigError(
                f"assigner.corner_cost: expected one of {CORNER_COSTS}, got {self.corner_cost!r}"
            )

    def assign(
        self,
        logits: Tensor,
        priors: Tensor,
        boxes: Tensor,
        gt_boxes: Tensor,
        gt_labels: Tensor,
        corners: Tensor | None = None,
        gt_corners: Tensor | None = None,
        gt_corner_weight: Tensor | None = None,
    ) -> Assignment:
        """Assigns one image.

        logits [P, C] raw; priors [P, 4]; boxes [P, 4] and corners [P, 8] predicted, gt_boxes [G, 4],
        gt_labels [G], gt_corners [G, 8], all in input pixels; gt_corner_weight [G, 8] is 0 where a coordinate
        is unknown. Corners are needed only for a corner cost.
        """
        allowed, forced = self.candidate_pairs(priors, gt_boxes)
        rows = torch.nonzero(allowed.any(dim=1)).squeeze(1)
        gt_index = torch.zeros(len(priors), dtype=torch.long, device=priors.device)
        labels = torch.full_like(gt_index, -1)
        if rows.numel() == 0:
            return Assignment(gt_index, labels, boxes.new_zeros(len(priors)))
        cost, iou = self.cost(
            logits[rows],
            boxes[rows],
            gt_boxes,
            gt_labels,
            None if corners is None else corners[rows],
            gt_corners,
            gt_corner_weight,
        )
        matched_row, matched_gt = self.match(cost, iou, allowed[rows], forced[rows])
        ious = boxes.new_full((len(priors),), UNASSIGNED_IOU)
        positive = rows[matched_row]
        gt_index[positive] = matched_gt + 1
        labels[positive] = gt_labels[matched_gt]
        ious[positive] = iou[matched_row, matched_gt]
        return Assignment(gt_index, labels, ious)

    def candidate_pairs(self, priors: Tensor, gt_boxes: Tensor) -> tuple[Tensor, Tensor]:
        """Which pairs may match, before any prediction: (allowed [P, G], forced [P, G]), bool.

        Forced pairs are the nearest priors of ground truths that have none inside (a subset of allowed).
        """
        points = priors[:, None, :2]
        inside = ((points > gt_boxes[None, :, :2]) & (points < gt_boxes[None, :, 2:])).all(dim=-1)
        forced = torch.zeros_like(inside)
        if not self.inside_own_gt:
            return inside.any(dim=1, keepdim=True).expand_as(inside), forced
        lonely = torch.nonzero(~inside.any(dim=0)).squeeze(1)
        if lonely.numel():
            centre = (gt_boxes[lonely, :2] + gt_boxes[lonely, 2:]) / 2
            # Levels share grid points: the small stride term prefers the finest, where a tiny plate belongs.
            distance = torch.cdist(priors[:, :2], centre) + 1e-3 * priors[:, 2:3]
            forced[distance.argmin(dim=0), lonely] = True
        return inside | forced, forced

    def cost(
        self,
        logits: Tensor,
        boxes: Tensor,
        gt_boxes: Tensor,
        gt_labels: Tensor,
        corners: Tensor | None = None,
        gt_corners: Tensor | None = None,
        gt_corner_weight: Tensor | None = None,
    ) -> tuple[Tensor, Tensor]:
        """(cost [M, G], IoU [M, G]) of M candidates; arguments as in `assign`, candidates only."""
        iou = pairwise_iou(boxes, gt_boxes)
        cost = self._class_cost(logits, gt_labels, iou) - self.iou_factor * (iou + 1e-7).log()
        if self.corner_cost != "none" and corners is not None and gt_corners is not None:
            cost = cost + self.corner_costs(corners, gt_corners, gt_boxes, gt_corner_weight)
        return cost, iou

    def corner_costs(
        self, corners: Tensor, gt_corners: Tensor, gt_boxes: Tensor, gt_corner_weight: Tensor | None = None
    ) -> Tensor:
        """Corner part of the cost [M, G] of corners [M, 8] against gt_corners [G, 8]."""
        gap = corners[:, None] - gt_corners[None]  # [M, G, 8]
        weight = torch.ones_like(gt_corners) if gt_corner_weight is None else gt_corner_weight.to(gap.dtype)
        if self.corner_cost == "published":
            mean_gap = (gap.abs() * weight).sum(dim=-1) / weight.sum(dim=-1).clamp(min=1)
            return torch.pow(1.03, mean_gap - 100)
        distance = gap.unflatten(-1, (4, 2)).norm(dim=-1)  # [M, G, 4]
        known = weight[:, ::2]
        mean_distance = (distance * known).sum(dim=-1) / known.sum(dim=-1).clamp(min=1)
        diagonal = (gt_boxes[:, 2:] - gt_boxes[:, :2]).norm(dim=-1).clamp(min=1)
        return self.corner_factor * mean_distance / diagonal

    def match(self, cost: Tensor, iou: Tensor, allowed: Tensor, forced: Tensor) -> tuple[Tensor, Tensor]:
        """Dynamic-k matching of M >= 1 candidates and G ground truths, all arguments [M, G].

        Returns (candidate rows, their ground truth), one ground truth per row. A row that several chose goes
        to the cheapest one.
        """
        cost = cost.masked_fill(~allowed, torch.inf)
        best = min(self.topk, len(iou))
        own_iou = iou.masked_fill(~allowed, 0)
        dynamic_k = own_iou.topk(best, dim=0).values.sum(dim=0).int().clamp(1, best)
        rank = int(dynamic_k.max())
        cheapest = cost.topk(rank, dim=0, largest=False).indices  # [rank, G]
        chosen = torch.arange(rank, device=cost.device)[:, None] < dynamic_k[None]
        matched = torch.zeros_like(allowed).scatter(0, cheapest, chosen) & allowed
        rows = torch.nonzero(matched.any(dim=1)).squeeze(1)
        contest = cost[rows]
        if self.inside_own_gt:
            # Only those that chose the row compete; the published rule lets every ground truth of the image
            # in.
            contest = (contest - FORCED_BONUS * forced[rows]).masked_fill(~matched[rows], torch.inf)
        else:
            single = matched[rows].sum(dim=1, keepdim=True) == 1
            contest = torch.where(single & ~matched[rows], torch.inf, contest)
        return rows, contest.argmin(dim=1)

    @staticmethod
    def _class_cost(logits: Tensor, gt_labels: Tensor, iou: Tensor) -> Tensor:
        """Quality focal cost [M, G] with target IoU at the label and 0 elsewhere.

        It works on logits, so that it never saturates. The sum over classes is shared by all ground truths;
        only the label's own term differs.
        """
        background = F.softplus(logits) * logits.sigmoid().square()
        own = logits[:, gt_labels]  # [M, G]
        matched = (F.softplus(own) - own * iou) * (iou - own.sigmoid()).square()
        return background.sum(dim=1, keepdim=True) + (matched - background[:, gt_labels])
