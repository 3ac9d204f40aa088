"""Dynamic soft label assignment (NanoDet-Plus, RTMDet): priors go to the plates that they already predict best.

A whole batch at once: costs are tables with a row a ground truth and a column a candidate of it, as many columns as the
ground truth with the most candidates has.
"""

from __future__ import annotations

import math
from dataclasses import dataclass

import torch
import torch.nn.functional as F
from torch import Tensor

from nanodet_kp_core.assign.candidates import Candidates, find_candidates
from nanodet_kp_core.assign.targets import Assignment, GroundTruths, Matches, least_of_rows
from nanodet_kp_core.errors import ConfigError

CORNER_COSTS = ("none", "published", "normalised")
FORCED_BONUS = 1e5
"""Taken off the cost of a tiny plate's nearest prior in a conflict: it has no other one."""
BLOCK = 1 << 15
"""Entries of the tables that a CPU computes at a time, so that they stay in its cache; a crowd has millions."""


@dataclass(frozen=True)
class DynamicSoftLabelAssigner:
    """Every ground truth takes its k cheapest priors, k being the sum of its best IoUs.

    The cost of a pair is its class cost + iou_factor * -log IoU + corner cost + centre cost.

    corner_cost: "none"; "published": 1.03 ** (mean |dx|, |dy| in pixels - 100), inert for near hits and dominant for
        misses; "normalised": corner_factor * mean corner distance / box diagonal.
    inside_own_gt: a candidate must lie inside its own ground truth, and a ground truth without any prior inside takes
        its nearest one. False is the published rule: inside any ground truth is enough, and a tiny one steals
        candidates of another or, alone, gets nothing.
    soft_center_radius: None for NanoDet-Plus; RTMDet adds 10 ** (distance of prior and box centre in strides - radius).
    """

    topk: int = 13
    iou_factor: float = 3.0
    corner_cost: str = "none"
    corner_factor: float = 1.0
    inside_own_gt: bool = True
    soft_center_radius: float | None = None

    def __post_init__(self) -> None:
        if self.corner_cost not in CORNER_COSTS:
            raise ConfigError(f"assigner.corner_cost: expected one of {CORNER_COSTS}, got {self.corner_cost!r}")

    def assign(
        self, logits: Tensor, priors: Tensor, boxes: Tensor, gts: GroundTruths, corners: Tensor | None = None
    ) -> Assignment:
        """Assigns one image: logits [P, C] raw; priors [P, 4]; boxes [P, 4] and corners [P, 8] predicted, in pixels.

        Corners are needed only for a corner cost.
        """
        found = self.candidates(priors, gts)
        chosen = None if corners is None else corners[found.index]
        cost, iou = self.cost(found, priors, gts, logits[found.index], boxes[found.index], chosen)
        matches = self.match(found, cost, iou)
        return Assignment.of_matches(matches, gts.labels, len(priors), len(found.index) > 0)

    def candidates(self, priors: Tensor, gts: GroundTruths) -> Candidates:
        """Which priors [P, 4] may match, before any prediction."""
        return find_candidates(priors, gts, self.inside_own_gt)

    def cost(
        self,
        found: Candidates,
        priors: Tensor,
        gts: GroundTruths,
        logits: Tensor,
        boxes: Tensor,
        corners: Tensor | None = None,
    ) -> tuple[Tensor, Tensor]:
        """(cost [G, L], IoU [G, L]) of the pairs; logits [R, C], boxes [R, 4] and corners [R, 8] of the candidates.

        Pairs that are not valid cost infinity and have IoU 0.
        """
        sides = boxes[:, 2:] - boxes[:, :2]
        # The class cost of a pair: the sum over all classes as background, but for the label's own term.
        parts = [_background_cost(logits), boxes.T, (sides[:, 0] * sides[:, 1])[None]]
        if corners is not None and self.corner_cost != "none":
            parts.append(corners.T)
        if self.soft_center_radius is not None:
            parts.append(priors[found.prior, :3].T)
        lines = found.lines(torch.cat(parts))
        # Invalid pairs: the background's infinity makes the cost infinite, that of the boxes' first x the IoU 0.
        lines[:2].masked_fill_(found.invalid, torch.inf)
        own_index = found.row * logits.shape[1]
        costs, ious = [], []
        for block in self._blocks(len(gts.boxes), found):
            table = found.table(lines[:6], block)
            iou = _iou(table[1:], gts.boxes[block])
            own_index_of = found.table(own_index, block) + gts.labels[block, None]
            own = logits.flatten().index_select(0, own_index_of.flatten()).view_as(iou)
            cost = _class_cost(table[0], own, iou)
            cost.sub_((iou + 1e-7).log_(), alpha=self.iou_factor)
            if self.corner_cost != "none" and corners is not None:
                cost += self._corner_cost(found.table(lines[6:14], block), gts, block)
            if self.soft_center_radius is not None:
                cost += self._centre_cost(found.table(lines[-3:], block), gts.boxes[block])
            costs.append(cost)
            ious.append(iou)
        return (costs[0], ious[0]) if len(costs) == 1 else (torch.cat(costs), torch.cat(ious))

    def corner_costs(self, found: Candidates, gts: GroundTruths, corners: Tensor) -> Tensor:
        """Corner part [G, L] of the cost, of the candidates' corners [R, 8]; anything where not valid."""
        return self._corner_cost(found.table(found.lines(corners.T)), gts, slice(None))

    def _blocks(self, num_gts: int, found: Candidates) -> list[slice]:
        step = max(1, BLOCK // max(1, found.row.shape[1]))
        if found.row.is_cuda or step >= num_gts:
            return [slice(0, num_gts)]
        return [slice(start, start + step) for start in range(0, num_gts, step)]

    def _corner_cost(self, table: Tensor, gts: GroundTruths, block: slice) -> Tensor:
        """Corner part of the cost, of the corners' table [8, G, L] of the block, which it overwrites."""
        known = gts.corner_weight[block].T  # [8, G]
        count = known.sum(dim=0).clamp_(min=2)  # known coordinates, two a corner
        gap = table.sub_(gts.corners[block].T[..., None])
        if self.corner_cost == "published":
            share = known * (math.log2(1.03) / count)
            return gap.abs_().mul_(share[..., None]).sum(dim=0).sub_(100 * math.log2(1.03)).exp2_()
        diagonal = (gts.boxes[block, 2:] - gts.boxes[block, :2]).norm(dim=1).clamp_(min=1)
        share = known[::2] * (2 * self.corner_factor / count.mul_(diagonal))
        distance = gap.square_().unflatten(0, (4, 2)).sum(dim=1).sqrt_()
        return distance.mul_(share[..., None]).sum(dim=0)

    def _centre_cost(self, place: Tensor, boxes: Tensor) -> Tensor:
        """Centre part of the cost, of place [3, G, L]: x, y and stride of the priors."""
        assert self.soft_center_radius is not None
        centre = (boxes[:, :2] + boxes[:, 2:]).T[..., None] / 2
        distance = (place[:2] - centre).square_().sum(dim=0).sqrt_() / place[2]
        return torch.pow(10, distance - self.soft_center_radius)

    def match(self, found: Candidates, cost: Tensor, iou: Tensor) -> Matches:
        """Dynamic-k matching by cost [G, L] and iou [G, L]: one ground truth a prior.

        A prior that several chose goes to the cheapest one.
        """
        if not cost.numel():
            return Matches(found.index, found.index, found.index, cost.flatten())
        rank, width = min(self.topk, cost.shape[1]), cost.shape[1]
        dynamic_k = iou.topk(rank, dim=1).values.sum(dim=1, keepdim=True).int().clamp_(min=1)
        price, column = cost.topk(rank, dim=1, largest=False)
        chosen = (torch.arange(rank, device=cost.device) < dynamic_k).logical_and_(price < torch.inf)
        matched = torch.zeros_like(cost, dtype=torch.bool).scatter_(1, column, chosen)
        if found.owner is not None:
            # The published rule lets every ground truth of the image compete for a prior that two chose.
            place = column.add_(found.owner[:, None], alpha=width)
            votes = torch.zeros_like(found.row).put_(place, chosen.long(), accumulate=True)
            matched |= found.table(votes > 1)
        entry = matched.flatten().nonzero().squeeze(1)
        gt = torch.div(entry, width, rounding_mode="floor")
        row = found.row.flatten()[found.places(gt, entry - gt * width)]
        contest = cost.flatten()[entry]
        if self.inside_own_gt:
            contest -= FORCED_BONUS * found.forced[gt]
        winner = least_of_rows(row, contest, len(found.index))
        positive = torch.nonzero(winner < len(row)).squeeze(1)
        first = winner[positive]
        gt, index = gt[first], found.index[positive]
        image = torch.div(index, found.num_priors, rounding_mode="floor")
        return Matches(image, index - image * found.num_priors, gt, iou.flatten()[entry[first]])


def _iou(table: Tensor, gt_boxes: Tensor) -> Tensor:
    """IoU [G, L] of boxes and their areas [5, G, L], which it overwrites, with gt_boxes [G, 4]; union at least 1e-6."""
    gt_area = (gt_boxes[:, 2] - gt_boxes[:, 0]) * (gt_boxes[:, 3] - gt_boxes[:, 1])
    corner = gt_boxes.T[..., None]
    sides = torch.minimum(table[2:4], corner[2:]).sub_(torch.maximum(table[:2], corner[:2])).clamp_(min=0)
    overlap = sides[0] * sides[1]
    return overlap.div_(table[4].add_(gt_area[:, None]).sub_(overlap).clamp_(min=1e-6))


def _background_cost(logits: Tensor) -> Tensor:
    """Quality focal cost [1, R] of logits [R, C] with target 0 at every class: the sum of softplus * sigmoid ** 2."""
    # Powers of two are far cheaper than of e, and one serves both. Beyond 80 float32 would overflow.
    power = (logits * math.log2(math.e)).clamp_(max=80 * math.log2(math.e)).exp2_()
    entropy = power.log1p()
    score = power.add_(1).reciprocal_().sub_(1)  # negated
    return entropy.mul_(score.square_()).sum(dim=1)[None]


def _class_cost(background: Tensor, own: Tensor, iou: Tensor) -> Tensor:
    """Quality focal cost [G, L] with target IoU at the label and 0 elsewhere; overwrites `background`.

    background [G, L]: its sum over classes with target 0 everywhere; own [G, L]: the label's logit. On logits, so that
    it never saturates.
    """
    entropy, score = F.softplus(own), own.sigmoid()
    cost = background.addcmul_(entropy, score.square(), value=-1)
    return cost.addcmul_(entropy.addcmul_(own, iou, value=-1), score.sub_(iou).square_())
