"""Which priors a ground truth may choose, for a whole batch."""

from __future__ import annotations

from dataclasses import dataclass

import torch
from torch import Tensor

from nanodet_kp_core.assign.grid import PriorGrid
from nanodet_kp_core.assign.targets import GroundTruths


@dataclass(frozen=True)
class Candidates:
    """Candidates of a batch: R priors of all images, and which of them each of G ground truths may choose.

    index [R]: the candidates, as image * num_priors + prior, ascending. row [U, L], valid [U, L]: U lines of candidates
    (of R), the valid ones first and in order; ground truth g chooses from line owner[g], or from line g when owner is
    None. forced [G]: no prior lies inside it, its only candidate is the nearest one.
    """

    index: Tensor
    num_priors: int
    row: Tensor
    valid: Tensor
    owner: Tensor | None
    forced: Tensor

    @property
    def prior(self) -> Tensor:
        """Which prior [R] of its image each candidate is."""
        return self.index % self.num_priors

    def gather(self, values: Tensor) -> Tensor:
        """Rows [R, ...] of the candidates from values [N, num_priors, ...]."""
        return values.flatten(0, 1).index_select(0, self.index)

    def lines(self, values: Tensor, fill: float | None = None) -> Tensor:
        """Values [..., R] of the candidates as [..., U, L]; `fill`, or anything without it, where not valid."""
        lines = values.index_select(-1, self.row.flatten()).view(*values.shape[:-1], *self.row.shape)
        return lines if fill is None else lines.masked_fill_(~self.valid, fill)

    def table(self, lines: Tensor, gts: slice = slice(None)) -> Tensor:
        """Lines [..., U, L] as a table [..., G, L] of the ground truths `gts`; may share memory with them."""
        return lines[..., gts, :] if self.owner is None else lines.index_select(-2, self.owner[gts])

    def rows_of(self, gt: Tensor, column: Tensor) -> Tensor:
        """Candidates [K] in the table's places (gt [K], column [K])."""
        return self.row[gt if self.owner is None else self.owner[gt], column]


def find_candidates(priors: Tensor, gts: GroundTruths, inside_own_gt: bool) -> Candidates:
    """Candidates among priors [P, 4] of every image, ordered as geometry.make_priors orders them.

    inside_own_gt: the priors inside the ground truth, or the nearest one; else those inside any one of the image.
    """
    cells = PriorGrid.of_priors(priors).cells_inside(gts.boxes, nearest_if_none=inside_own_gt)
    num_priors, device = len(priors), priors.device
    index = cells.priors(gts.image * num_priors)
    is_candidate = torch.zeros(gts.num_images * num_priors, dtype=torch.bool, device=device)
    is_candidate[index] = True
    chosen = torch.nonzero(is_candidate).squeeze(1)
    if inside_own_gt:
        owner, count = None, cells.count
        start = count.cumsum(0) - count
        # Where each index of the list stands among the chosen ones.
        row = torch.empty(len(is_candidate), dtype=torch.long, device=device)
        row = row.scatter_(0, chosen, torch.arange(len(chosen), device=device)).index_select(0, index)
    else:
        owner, row = gts.image, None
        bounds = torch.searchsorted(chosen, torch.arange(gts.num_images + 1, device=device) * num_priors)
        start, count = bounds[:-1], bounds.diff()
    # Line by line, the next `count` entries of the list.
    column = torch.arange(int(count.max()) if len(chosen) else 0, device=device)
    table = (start[:, None] + column).clamp_(max=len(index if row is not None else chosen) - 1)
    if row is not None and table.numel():
        table = row.index_select(0, table.flatten()).view(table.shape)
    return Candidates(chosen, num_priors, table, column < count[:, None], owner, cells.none)
