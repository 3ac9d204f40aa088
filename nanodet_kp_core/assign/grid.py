"""The regular grid behind the priors: which of them lie in a box, without asking each of them."""

from __future__ import annotations

from dataclasses import dataclass
from functools import lru_cache

import torch
from torch import Tensor


@dataclass(frozen=True)
class PriorGrid:
    """Levels of priors, all tensor fields over L levels.

    A cell coordinate is (low x, low y, -high x, -high y): scale [L, 4] and shift [L, 4] turn the pixels of a box into
    it; behind [L, 4]: the cells just outside of the grid. pitch [L, 2] float: index steps of one column and one row.
    first [L] long: index of the prior in column and row 1. row_pitch [L] long: pitch of a row. finest: level of the
    smallest stride.
    """

    scale: Tensor
    shift: Tensor
    behind: Tensor
    pitch: Tensor
    first: Tensor
    row_pitch: Tensor
    finest: int

    @staticmethod
    @lru_cache(maxsize=32)  # tensors are compared by identity; priors are shared and never modified
    def of_priors(priors: Tensor) -> PriorGrid:
        """Grid of priors [P, 4] as geometry.make_priors orders them: levels of other strides, rows outer."""
        stride, count = torch.unique_consecutive(priors[:, 2], return_counts=True)
        end = count.cumsum(0)
        origin, last = priors[end - count, :2], priors[end - 1, :2]
        stride, limit = stride[:, None], ((last - origin) / stride[:, None]).round()
        pitch = torch.cat((torch.ones_like(stride), limit[:, :1] + 1), dim=1)
        return PriorGrid(
            scale=torch.cat((1 / stride, 1 / stride, -1 / stride, -1 / stride), dim=1),
            shift=torch.cat((-origin, origin), dim=1) / stride,
            behind=torch.cat((torch.full_like(limit, -1), -1 - limit), dim=1),
            pitch=pitch,
            first=end - count + pitch.sum(dim=1).long(),
            row_pitch=pitch[:, 1].long(),
            finest=int(stride.argmin()),
        )

    def cells_inside(self, boxes: Tensor, nearest_if_none: bool) -> Cells:
        """Priors strictly inside boxes [G, 4].

        nearest_if_none: a box without any gets the prior of the finest level that is nearest to its centre.
        """
        # Strides are powers of two, so that the scaling is exact; whole numbers this small are exact as floats.
        edge = torch.addcmul(self.shift, boxes[:, None], self.scale)  # [G, L, 4]
        # The last cell before the box and, negated, the first one behind it.
        cell = torch.maximum(edge.floor(), self.behind)
        low = cell[..., :2]
        size = (low + cell[..., 2:]).neg_().sub_(1).clamp_(min=0)
        none = size.prod(dim=2).sum(dim=1) == 0
        if nearest_if_none:
            level = self.finest
            centre = (edge[:, level, :2] - edge[:, level, 2:]).div_(2).round_().clamp_(min=0)
            centre = torch.minimum(centre, -1 - self.behind[level, 2:]).sub_(1)
            low[:, level] = torch.where(none[:, None], centre, low[:, level])
            size[:, level].masked_fill_(none[:, None], 1)
        start = (low * self.pitch).sum(dim=2).long().add_(self.first)
        columns, rows = size.long().unbind(2)
        return Cells(start, columns, columns * rows, self.row_pitch, none)


@dataclass(frozen=True)
class Cells:
    """Rectangles of priors of G boxes on L levels.

    start [G, L]: index of the first prior; columns [G, L]; size [G, L]: number of priors; pitch [L]: index step of a
    row; none [G]: no prior lies strictly inside the box.
    """

    start: Tensor
    columns: Tensor
    size: Tensor
    pitch: Tensor
    none: Tensor

    @property
    def count(self) -> Tensor:
        """Priors of each box [G]."""
        return self.size.sum(dim=1)

    def priors(self, offset: Tensor) -> Tensor:
        """Indices [K] of all priors, box by box, ascending, plus the box's offset [G]."""
        size = self.size.flatten()
        before = size.cumsum(0).sub_(size).view_as(self.start)
        # The k-th prior of a rectangle has index start + k, plus for every full row what lies beside the rectangle.
        start = self.start + offset[:, None]
        fields = torch.stack((before, self.columns, start, self.pitch - self.columns)).flatten(1)
        before, columns, start, gap = fields.index_select(1, torch.repeat_interleave(size)).unbind(0)
        place = torch.arange(len(start), device=start.device).sub_(before)
        return torch.div(place, columns, rounding_mode="floor").mul_(gap).add_(place).add_(start)
