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


def world_size() -> int:
    """Ranks of a distributed run, else 1."""
    return dist.get_world_size() if dist.is_available() and dist.is_initialized() else 1


def mean_over_ranks(values: Tensor) -> Tensor:
    """Mean of `values` over all ranks of a distributed run, else unchanged. Every rank must call it.

    A normaliser that must not fall below 1 over the whole batch must not fall below 1 / world_size() here.
    """
    if world_size() == 1:
        return values
    values = values / world_size()
    dist.all_reduce(values)
    return values
