"""Weighting and averaging that every loss shares."""

from __future__ import annotations

import torch.distributed as dist
from torch import Tensor


def weighted_average(each: Tensor, weight: Tensor | None, avg_factor: Tensor | float | None) -> Tensor:
    """Scalar: sum of weight * each over `avg_factor`, or the plain mean over the rows without one.

    each [n], weight [n] or None.
    """
    if weight is not None:
        each = each * weight
    return each.mean() if avg_factor is None else each.sum() / avg_factor


def mean_over_ranks(values: Tensor) -> Tensor:
    """Mean of `values` over all ranks of a distributed run, else unchanged. Every rank must call it."""
    if not (dist.is_available() and dist.is_initialized()):
        return values
    values = values.clone()
    dist.all_reduce(values.div_(dist.get_world_size()))
    return values
