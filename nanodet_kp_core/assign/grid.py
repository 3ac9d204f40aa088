"""The regular grid behind the priors: which of them lie in a box, without asking each of them."""

from __future__ import annotations

from dataclasses import dataclass
from functools import lru_cache

import torch
from torch import Tensor


@dataclass(frozen=True)
class PriorGrid:
    """Levels of priors, all float fields over L levels.

    first [L]: index of the first prior; pitch [L, 2]: index steps of one column and one row; limit [L, 2]: last column
    and row; origin [L, 2]: x and y of the first prior; stride [L, 1].
    """

    first: Tensor
    pitch: Tensor
    limit: Tensor
    origin: Tensor
    stride: Tensor

    @staticmethod
    @lru_cache(maxsize=32)  # tensors are compared by identity; priors are shared and never modified
    def of_priors(priors: Tensor) -> PriorGrid:
        """Grid of priors [P, 4] as geometry.make_priors orders them: levels of other strides, rows outer."""
        stride, count = torch.unique_consecutive(priors[:, 2], return_counts=True)
        end = count.cumsum(0)
        first, last = priors[end - count, :2], priors[end - 1, :2]
        limit = ((last - first) / stride[:, None]).round()
        pitch = torch.stack((torch.ones_like(stride), limit[:, 0] + 1), dim=1)
        return PriorGrid((end - count).to(priors.dtype), pitch, limit, first, stride[:, None])

    def cells_inside(self, boxes: Tensor, nearest_if_none: bool) -> Cells:
        """Priors strictly inside boxes [G, 4].

        nearest_if_none: a box without any gets the prior of the finest level that is nearest to its centre.
        """
        low, high = boxes[:, None, :2] - self.origin, boxes[:, None, 2:] - self.origin
        # Column and row of the first prior inside and of the first one behind, [G, L, 2]. Strides are powers of two,
        # so that the divisions are exact; whole numbers this small are exact as floats.
        first = (low / self.stride).floor_().add_(1).clamp_(min=0)
        behind = torch.minimum((high / self.stride).ceil_(), self.limit + 1)
        size = behind.sub_(first).clamp_(min=0)
        none = size.prod(dim=2).sum(dim=1) == 0
        if nearest_if_none:
            finest = ((self.stride == self.stride.min()) & none[:, None, None]).expand_as(size)
            nearest = torch.minimum(((low + high) / (2 * self.stride)).round_().clamp_(min=0), self.limit)
            first, size = torch.where(finest, nearest, first), torch.where(finest, 1.0, size)
        start = (first * self.pitch).sum(dim=2).add_(self.first)
        columns, rows = size.long().unbind(2)
        return Cells(start.long(), columns, rows, self.pitch[:, 1].long(), none)


@dataclass(frozen=True)
class Cells:
    """Rectangles of priors of G boxes on L levels.

    start [G, L]: index of the first prior; columns, rows [G, L]; pitch [L]: index step of a row; none [G]: no prior
    lies strictly inside the box.
    """

    start: Tensor
    columns: Tensor
    rows: Tensor
    pitch: Tensor
    none: Tensor

    @property
    def count(self) -> Tensor:
        """Priors of each box [G]."""
        return (self.columns * self.rows).sum(dim=1)

    def priors(self, offset: Tensor) -> Tensor:
        """Indices [K] of all priors, box by box, ascending, plus the box's offset [G]."""
        size = (self.columns * self.rows).flatten()
        cell = torch.repeat_interleave(size)
        before = size.cumsum(0).sub_(size)
        # The k-th prior of a rectangle has index start + k, plus for every full row what lies beside the rectangle.
        start = (self.start + offset[:, None]).flatten()
        fields = torch.stack((before, self.columns.flatten(), start, (self.pitch - self.columns).flatten()))
        before, columns, start, gap = fields.index_select(1, cell).unbind(0)
        place = torch.arange(len(cell), device=cell.device) - before
        return torch.div(place, columns, rounding_mode="floor").mul_(gap).add_(place).add_(start)
