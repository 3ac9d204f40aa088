"""What a network learns from the raw output of a trained one, beside its labels."""

from __future__ import annotations

import torch
import torch.nn.functional as F
from torch import Tensor

from nanodet_kp_core.layout import HeadLayout
from nanodet_kp_core.loss.reduction import mean_over_ranks, weighted_average, world_size

SURE = 0.1
"""Score of the teacher from which its distributions are learned. Where it sees no plate they mean nothing."""

NUMBER_WEIGHT = 0.1
"""Of the stickers, beside scores and distributions: labels say them, and the second stage reads them again."""


def distillation_loss(raw: Tensor, taught: Tensor, layout: HeadLayout) -> tuple[Tensor, dict[str, Tensor]]:
    """(total, parts) for the raw output [N, P, C] and that of the teacher, which has no gradient.

    "teacher_score": binary cross-entropy to the teacher's scores at every prior (Hinton et al. 2015), above its lowest
        value and times the distance of both scores, as in the quality focal loss (Li et al. 2020).
    "teacher_dfl": Kullback-Leibler distance of the distributions of box and corners, mean over the coordinates
        (Zheng et al. 2022, Localization Distillation). "teacher_number": that of the stickers, where there are any.
    Each is averaged over the teacher's scores. Parts are detached scalars. Everything is computed in float32, under
    autocast too.
    """
    with torch.autocast(raw.device.type, enabled=False):
        raw, taught = raw.float(), taught.float()
        scores = layout.num_scores
        logits, target = raw[..., :scores], taught[..., :scores].sigmoid()
        best = target.amax(dim=-1)
        chosen = best > SURE
        weight = best[chosen]
        average = mean_over_ranks(weight.sum()).clamp(min=1 / world_size())
        lowest = torch.special.entr(target) + torch.special.entr(1 - target)
        each = F.binary_cross_entropy_with_logits(logits, target, reduction="none") - lowest
        gap = (target - logits.sigmoid()).abs().detach()
        parts = {"teacher_score": weighted_average(each, gap, average)}
        own, other = raw[chosen], taught[chosen]
        parts["teacher_dfl"] = weighted_average(_distances(own, other, layout), weight, average)
        if layout.num_numbers:
            numbers = slice(scores, layout.num_logits)
            distance = _divergence(own[:, numbers], other[:, numbers], layout.num_numbers)
            parts["teacher_number"] = NUMBER_WEIGHT * weighted_average(distance, weight, average)
        total = torch.stack(list(parts.values())).sum()
        return total, {name: value.detach() for name, value in parts.items()}


def _distances(own: Tensor, other: Tensor, layout: HeadLayout) -> Tensor:
    """Mean Kullback-Leibler distance [K] of the distributions of raw outputs [K, C]."""
    box = layout.box_slice
    total = _divergence(own[:, box], other[:, box], layout.box_bins)
    if not layout.has_corners:
        return total / 4
    corners = layout.corner_slice
    return (total + _divergence(own[:, corners], other[:, corners], layout.corner_bins)) / 12


def _divergence(own: Tensor, other: Tensor, bins: int) -> Tensor:
    """Kullback-Leibler distance of `own` from `other` [K, n bins], summed over the n distributions: [K]."""
    mine, theirs = (x.reshape(len(x), x.shape[1] // bins, bins).log_softmax(dim=-1) for x in (own, other))
    return (theirs.exp() * (theirs - mine)).sum(dim=(1, 2))
