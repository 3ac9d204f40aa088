"""Adaptive training sample selection (Zhang et al. 2020): labels by geometry alone, for the first NanoDet.

Anchors are squares around the priors. A ground truth takes, of the anchors nearest to its center on every level, those
whose IoU reaches the mean plus one standard deviation and whose center lies inside it. A whole batch at once.
"""

from __future__ import annotations

from dataclasses import dataclass

import torch
from torch import Tensor

from nanodet_kp_core.assign.overlap import aligned_iou, box_area
from nanodet_kp_core.assign.targets import Assignment, GroundTruths, Matches, center_distance, least_of_rows

INSIDE_MARGIN = 0.01
"""Pixels that a positive's center must lie inside its ground truth."""
FAR = 1e8


@dataclass(frozen=True)
class ATSSAssigner:
    """topk: candidates a level. octave_base_scale: side of an anchor in strides.

    keep_all_gts: a ground truth without any positive takes its best candidate. False is the published rule: a plate
        between the priors, or one whose candidates all have the same IoU, is never learnt.
    ignore_iof_thr: an anchor that lies in an ignore box with more than this share of its area is no candidate and is
        reported as ignored; -1 (published default) for never.
    """

    topk: int = 9
    octave_base_scale: float = 5.0
    keep_all_gts: bool = True
    ignore_iof_thr: float = -1.0

    def anchors(self, priors: Tensor) -> Tensor:
        """Squares [P, 4] around priors [P, 4], in pixels."""
        half = priors[:, 2:] * (self.octave_base_scale / 2)
        return torch.cat((priors[:, :2] - half, priors[:, :2] + half), dim=1)

    def assign(self, priors: Tensor, gts: GroundTruths) -> Assignment:
        """Assigns one image over all of its priors [P, 4], which are cell centers; IoUs are those of the anchors."""
        matches = self.match(priors, gts)
        result = Assignment.of_matches(matches, gts.labels, len(priors), len(gts.boxes) > 0)
        if len(gts.boxes):
            result.gt_index[self.ignored(priors, gts)[0] & (result.gt_index == 0)] = -1
        return result

    def match(self, priors: Tensor, gts: GroundTruths) -> Matches:
        """Positives of a batch whose images all have priors [P, 4]; iou is that of the anchor."""
        if not len(gts.boxes):
            return Matches(gts.image, gts.image, gts.image, priors.new_zeros(0))
        anchors, num_priors = self.anchors(priors), len(priors)
        nearest = self._nearest(priors, gts)  # [G, candidates]
        shape = nearest.shape
        candidate, gt = anchors[nearest.flatten()], gts.boxes.repeat_interleave(shape[1], dim=0)
        iou = aligned_iou(candidate, gt).view(shape)
        points = priors[nearest.flatten(), :2].view(*shape, 2)
        low, high = gts.boxes[:, None, :2] + INSIDE_MARGIN, gts.boxes[:, None, 2:] - INSIDE_MARGIN
        inside = ((points > low) & (points < high)).all(dim=2)
        threshold = iou.mean(dim=1) + iou.std(dim=1)
        positive = inside & (iou >= threshold[:, None])
        value = iou
        if self.keep_all_gts:
            forced = ~positive.any(dim=1)
            best = (iou + inside).argmax(dim=1, keepdim=True)
            positive = positive.scatter(1, best, positive.gather(1, best) | forced[:, None])
            value = iou + forced[:, None]  # it has no other one: it wins every conflict
        owner, slot = torch.nonzero(positive, as_tuple=True)
        prior = nearest[owner, slot]
        winner = least_of_rows(gts.image[owner] * num_priors + prior, -value[owner, slot], gts.num_images * num_priors)
        row = torch.nonzero(winner < len(owner)).squeeze(1)
        entry = winner[row]
        image = torch.div(row, num_priors, rounding_mode="floor")
        return Matches(image, row - image * num_priors, owner[entry], iou[owner[entry], slot[entry]])

    def ignored(self, priors: Tensor, gts: GroundTruths) -> Tensor:
        """Mask [N, P] of anchors that lie in an ignore box of their image; all False by the default threshold."""
        if self.ignore_iof_thr < 0:
            return torch.zeros(gts.num_images, len(priors), dtype=torch.bool, device=priors.device)
        anchors, boxes = self.anchors(priors), gts.ignore_boxes
        low = torch.maximum(anchors[None, :, :2], boxes[:, None, :2])
        high = torch.minimum(anchors[None, :, 2:], boxes[:, None, 2:])
        overlap = (high - low).clamp(min=0).prod(dim=2)
        return gts.per_image(overlap / box_area(anchors) > self.ignore_iof_thr)

    def _nearest(self, priors: Tensor, gts: GroundTruths) -> Tensor:
        """Candidates [G, levels * topk]: the priors of each level that are nearest to the box center."""
        distance = center_distance(gts.boxes, priors[:, :2])
        if self.ignore_iof_thr >= 0:
            distance = distance.masked_fill(self.ignored(priors, gts)[gts.image], FAR)
        sizes = torch.unique_consecutive(priors[:, 2], return_counts=True)[1].tolist()
        first, found = 0, []
        for size, level in zip(sizes, distance.split(sizes, dim=1), strict=True):
            found.append(level.topk(min(self.topk, size), dim=1, largest=False).indices + first)
            first += size
        return torch.cat(found, dim=1)
