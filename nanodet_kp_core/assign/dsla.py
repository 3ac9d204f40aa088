"""Dynamic soft label assignment (NanoDet-Plus, RTMDet): priors go to the plates that they already predict best.

A whole batch at once, as one list of the pairs of a plate and a prior that can match at all. They are few, so that
numpy handles them on the CPU; on an accelerator only the candidates' predictions are gathered and decoded.
"""

from __future__ import annotations

import math
from dataclasses import dataclass

import numpy as np
import torch
from torch import Tensor

from nanodet_kp_core.assign.candidates import Candidates, Pairs, find_candidates
from nanodet_kp_core.assign.targets import Assignment, GroundTruths, Matches
from nanodet_kp_core.errors import ConfigError

CORNER_COSTS = ("none", "published", "normalised")
FORCED_BONUS = 1e5
"""Taken off the cost of a tiny plate's nearest prior in a conflict: it has no other one."""
IOU_EPS = 1e-7
"""Added to an IoU before its logarithm is taken."""
MAX_LOGIT = 80.0
"""Beyond it, float32 would overflow."""
BLOCK = 1 << 17
"""Numbers of a table computed at a time, so that it stays in the cache; a crowd has millions."""


@dataclass(frozen=True)
class DynamicSoftLabelAssigner:
    """Every ground truth takes its k cheapest priors, k being the sum of its `topk` best IoUs.

    The cost of a pair is its class cost + iou_factor * -log IoU + corner cost + center cost. The defaults are those of
    `config.model.DslaConfig`.

    corner_cost: "none"; "published": 1.03 ** (mean |dx|, |dy| in pixels - 100), inert for near hits and dominant for
        misses; "normalised": corner_factor * mean corner distance / box diagonal.
    inside_own_gt: a candidate must lie inside its own ground truth, and a ground truth without any prior inside takes
        its nearest one. False is the published rule: inside any ground truth is enough, and a tiny one steals
        candidates of another or, alone, gets nothing.
    soft_center_radius: None for NanoDet-Plus; RTMDet adds 10 ** (distance of prior and box center in strides - radius).
    """

    topk: int = 13
    iou_factor: float = 3.0
    corner_cost: str = "normalised"
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
        matches = self.match(found, gts, logits[found.index], boxes[found.index], chosen)
        return Assignment.of_matches(matches, gts.labels, len(priors), len(found.index) > 0)

    def candidates(self, priors: Tensor, gts: GroundTruths) -> Candidates:
        """Which priors [P, 4] may match, before any prediction."""
        return find_candidates(priors, gts, self.inside_own_gt)

    @np.errstate(over="ignore", invalid="ignore")  # what costs too much is merely not chosen
    def match(
        self, found: Candidates, gts: GroundTruths, logits: Tensor, boxes: Tensor, corners: Tensor | None = None
    ) -> Matches:
        """One ground truth a prior, of logits [R, C], boxes [R, 4] and corners [R, 8] of the candidates.

        A prior that several chose goes to the cheapest one. gts are on the CPU, the predictions anywhere.
        """
        device, num_candidates, num_priors = boxes.device, len(found.place), len(found.priors)
        if not num_candidates:
            return Matches(found.index, found.index, found.index, boxes.flatten())
        pairs, cost, iou, entry = self._competing(
            found,
            gts,
            logits.numpy(force=True),
            boxes.numpy(force=True),
            None if corners is None else corners.numpy(force=True),
        )
        candidate, contest = pairs.candidate[entry], cost[entry]
        if self.inside_own_gt:
            contest -= FORCED_BONUS * found.forced[pairs.gt[entry]]
        # Written from the dearest to the cheapest, which thus stays; among equals the first.
        order = np.argsort(contest, kind="stable")[::-1]
        winner = np.full(num_candidates, -1)
        winner[candidate[order]] = entry[order]
        positive = np.flatnonzero(winner >= 0)
        entry, place = winner[positive], found.place[positive]
        image = place // num_priors
        parts = image, place - image * num_priors, pairs.gt[entry], iou[entry]
        return Matches(*(torch.from_numpy(part).to(device) for part in parts))

    @np.errstate(over="ignore")  # 10 to the 39th is infinity in float32, as published
    def costs(
        self,
        found: Candidates,
        pairs: Pairs,
        gts: GroundTruths,
        logits: np.ndarray,
        boxes: np.ndarray,
        corners: np.ndarray | None = None,
    ) -> tuple[np.ndarray, np.ndarray]:
        """(cost [S], IoU [S]) of the pairs; logits [R, C], boxes [R, 4] and corners [R, 8] of the candidates.

        A cost beyond float32, of corners or a center very far away, is infinite.
        """
        num_classes, labels = logits.shape[1], gts.labels.numpy()
        predicted, true = _columns(boxes), _columns(gts.boxes.numpy())
        background = np.empty(len(logits), np.float32)
        for part in _blocks(len(logits), BLOCK // num_classes):
            background[part] = _background_cost(logits[part])
        cost, iou = np.empty((2, len(pairs.gt)), np.float32)
        for part in _blocks(len(cost), BLOCK // 8):
            gt, candidate = pairs.gt[part], pairs.candidate[part]
            own = logits.ravel().take(candidate * num_classes + labels.take(gt))
            iou[part] = _iou(predicted.take(candidate, axis=1), true.take(gt, axis=1))
            each = _class_cost(background.take(candidate), own, iou[part])
            each -= self.iou_factor * np.log(iou[part] + IOU_EPS)
            if corners is not None and self.corner_cost != "none":
                each += self.corner_costs(gt, candidate, gts, corners)
            if self.soft_center_radius is not None:
                each += self._center_costs(gt, found.priors[found.place[candidate] % len(found.priors)], gts)
            cost[part] = each
        return cost, iou

    def corner_costs(self, gt: np.ndarray, candidate: np.ndarray, gts: GroundTruths, corners: np.ndarray) -> np.ndarray:
        """Corner part [S] of the cost of pairs gt [S] and candidate [S]; corners [R, 8] of the candidates."""
        visible = gts.corner_visible.numpy().astype(np.float32)
        share = visible / np.maximum(visible.sum(axis=1, keepdims=True), 1)
        gap = corners.take(candidate, axis=0)
        gap -= gts.corners.numpy().take(gt, axis=0)
        if self.corner_cost == "published":
            np.abs(gap, out=gap)
            gap *= (share / 2).repeat(2, axis=1).take(gt, axis=0)
            return np.exp((gap @ np.ones(8, np.float32) - 100) * math.log(1.03))
        boxes = gts.boxes.numpy()
        diagonal = np.hypot(*(boxes[:, 2:] - boxes[:, :2]).T)
        share *= (self.corner_factor / np.maximum(diagonal, 1))[:, None]
        gap *= gap
        distance = np.sqrt(gap[:, ::2] + gap[:, 1::2])
        distance *= share.take(gt, axis=0)
        return distance @ np.ones(4, np.float32)

    def _center_costs(self, gt: np.ndarray, priors: np.ndarray, gts: GroundTruths) -> np.ndarray:
        """Center part [S] of the cost of pairs gt [S] and priors [S, 4]."""
        assert self.soft_center_radius is not None
        boxes = gts.boxes.numpy()
        gap = priors[:, :2] - ((boxes[:, :2] + boxes[:, 2:]) / 2)[gt]
        return np.power(np.float32(10), np.hypot(*gap.T) / priors[:, 2] - self.soft_center_radius)

    def _competing(
        self,
        found: Candidates,
        gts: GroundTruths,
        logits: np.ndarray,
        boxes: np.ndarray,
        corners: np.ndarray | None,
    ) -> tuple[Pairs, np.ndarray, np.ndarray, np.ndarray]:
        """Pairs, their cost [S] and IoU [S], and which of them [K], ascending, compete for their priors."""
        if found.own is not None:
            cost, iou = self.costs(found, found.own, gts, logits, boxes, corners)
            return found.own, cost, iou, self._cheapest(found.own, cost, iou)[0]
        predicted, true = _columns(boxes), _columns(gts.boxes.numpy())
        pairs = found.touching(predicted, true)
        cost, iou = self.costs(found, pairs, gts, logits, boxes, corners)
        entry, dearest = self._cheapest(pairs, cost, iou)
        # A pair whose boxes do not touch costs more than this. So it can only be chosen where those that touch are too
        # dear or too few, which is rare: a bad start, or a tiny plate. Then all pairs of the image count.
        unsure = ~(dearest < -self.iou_factor * math.log(2 * IOU_EPS))
        if unsure.any():
            everything = np.zeros(gts.num_images, bool)
            everything[gts.image.numpy()[unsure]] = True
            pairs = found.touching(predicted, true, everything)
            cost, iou = self.costs(found, pairs, gts, logits, boxes, corners)
            entry, _ = self._cheapest(pairs, cost, iou)
        # The published rule lets every ground truth of the image compete for a prior that two chose.
        contested = np.bincount(pairs.candidate[entry], minlength=len(boxes)) > 1
        competes = contested[pairs.candidate]
        competes[entry] = True
        return pairs, cost, iou, np.flatnonzero(competes)

    def _cheapest(self, pairs: Pairs, cost: np.ndarray, iou: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
        """Which pairs the ground truths choose, ascending; and what the dearest of each [G] costs, infinity if none."""
        num_gts, width = len(pairs.count), pairs.count.max(initial=0)
        rank = min(self.topk, width)
        if not rank:
            return pairs.gt, np.full(num_gts, np.inf)
        # Tables with a line a ground truth.
        first = np.arange(num_gts) * width - pairs.count.cumsum() + pairs.count
        place = np.arange(len(iou)) + first.repeat(pairs.count)
        ious, costs = np.zeros((num_gts, width), np.float32), np.full((num_gts, width), np.inf, np.float32)
        ious.ravel()[place], costs.ravel()[place] = iou, cost
        ious.partition(width - rank, axis=1)
        dynamic_k = np.maximum(ious[:, width - rank :].sum(axis=1).astype(np.int64), 1)
        costs.partition(rank - 1, axis=1)
        dearest = np.sort(costs[:, :rank], axis=1)[np.arange(num_gts), dynamic_k - 1]
        entry = np.flatnonzero(cost <= dearest.repeat(pairs.count))
        if len(entry) > np.minimum(dynamic_k, pairs.count).sum():  # equal costs: the first ones
            entry = entry[np.lexsort((cost[entry], pairs.gt[entry]))]
            gt = pairs.gt[entry]
            entry = np.sort(entry[np.arange(len(gt)) - gt.searchsorted(gt) < dynamic_k[gt]])
        return entry, dearest


def _blocks(size: int, step: int) -> list[slice]:
    return [slice(start, start + step) for start in range(0, size, step)]


def _columns(boxes: np.ndarray) -> np.ndarray:
    """Boxes [n, 4] as [4, n]."""
    return np.ascontiguousarray(boxes.T)


def _iou(boxes: np.ndarray, gt_boxes: np.ndarray) -> np.ndarray:
    """IoU [S] of boxes [4, S] and [4, S], pair by pair; union at least 1e-6."""
    x1, y1, x2, y2 = boxes
    left, top, right, bottom = gt_boxes
    width = np.minimum(x2, right) - np.maximum(x1, left)
    height = np.minimum(y2, bottom) - np.maximum(y1, top)
    overlap = np.maximum(width, 0) * np.maximum(height, 0)
    union = (x2 - x1) * (y2 - y1) + (right - left) * (bottom - top) - overlap
    return overlap / np.maximum(union, 1e-6)


def _background_cost(logits: np.ndarray) -> np.ndarray:
    """Quality focal cost [R] of logits [R, C] with target 0 at every class: the sum of softplus * sigmoid ** 2."""
    entropy, score = _entropy_and_score(logits)
    score *= score
    score *= entropy
    return score @ np.ones(logits.shape[1], np.float32)


def _class_cost(background: np.ndarray, own: np.ndarray, iou: np.ndarray) -> np.ndarray:
    """Quality focal cost [S] with target IoU at the label and 0 elsewhere.

    background [S]: its sum over classes with target 0 everywhere; own [S]: the label's logit. On logits, so that it
    never saturates.
    """
    own = np.minimum(own, MAX_LOGIT)
    entropy, score = _entropy_and_score(own)
    return background - entropy * score**2 + (entropy - own * iou) * (score - iou) ** 2


def _entropy_and_score(logits: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """softplus and sigmoid of logits; of MAX_LOGIT for larger ones."""
    if logits.max(initial=0) > MAX_LOGIT:
        logits = np.minimum(logits, MAX_LOGIT)
    power = np.exp(logits)
    power += 1
    entropy = np.log(power)
    np.divide(-1, power, out=power)
    power += 1
    return entropy, power
