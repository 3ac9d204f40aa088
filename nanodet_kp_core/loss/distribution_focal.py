"""Distribution focal loss (Li et al. 2020): pushes a distribution towards the two bins around its target."""

from __future__ import annotations

from torch import Tensor

from nanodet_kp_core.loss.reduction import weighted_average


def distribution_focal_each(logits: Tensor, targets: Tensor) -> Tensor:
    """Loss [n] of logits [n, bins] for targets [n] on the bin axis, 0 <= target < bins - 1."""
    left = targets.floor()
    share_right = targets - left
    index = left.long().unsqueeze(1)
    log_probability = logits.log_softmax(dim=1)
    at_left = log_probability.gather(1, index).squeeze(1)
    at_right = log_probability.gather(1, index + 1).squeeze(1)
    return -(at_left * (1 - share_right) + at_right * share_right)


def distribution_focal_loss(
    logits: Tensor,
    targets: Tensor,
    weight: Tensor | None = None,
    avg_factor: Tensor | float | None = None,
    loss_weight: float = 1.0,
) -> Tensor:
    """Scalar distribution focal loss; arguments as in distribution_focal_each and weighted_average."""
    return loss_weight * weighted_average(distribution_focal_each(logits, targets), weight, avg_factor)
