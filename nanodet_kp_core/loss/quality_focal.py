"""Quality focal loss (Li et al. 2020): a score that learns the IoU of a box instead of 1."""

from __future__ import annotations

import torch
import torch.nn.functional as F
from torch import Tensor

from nanodet_kp_core.loss.reduction import weighted_average


def quality_focal_each(logits: Tensor, labels: Tensor, scores: Tensor, beta: float = 2.0) -> Tensor:
    """Loss [n] of logits [n, C]: target `scores` [n] at class `labels` [n], 0 elsewhere; C: background.

    Binary cross-entropy times |target - sigmoid| ** beta, summed over the classes.
    """
    background = F.softplus(logits) * logits.sigmoid().pow(beta)
    positive = torch.nonzero((labels >= 0) & (labels < logits.shape[1])).squeeze(1)
    own = labels[positive]
    logit, target = logits[positive, own], scores[positive].to(logits.dtype)
    matched = (F.softplus(logit) - logit * target) * (target - logit.sigmoid()).abs().pow(beta)
    # The row sum counts the own class as background; replace that term.
    change = matched - background[positive, own]
    return background.sum(dim=1).index_add(0, positive, change)


def quality_focal_loss(
    logits: Tensor,
    labels: Tensor,
    scores: Tensor,
    weight: Tensor | None = None,
    avg_factor: Tensor | float | None = None,
    beta: float = 2.0,
    loss_weight: float = 1.0,
) -> Tensor:
    """Scalar quality focal loss; arguments as in quality_focal_each and weighted_average."""
    return loss_weight * weighted_average(quality_focal_each(logits, labels, scores, beta), weight, avg_factor)
