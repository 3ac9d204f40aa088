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

    index [R]: the candidates, as image * num_priors + prior, ascending. row [U, L], invalid [U, L]: U lines of
    candidates (of R), the valid ones first and in order; ground truth g chooses from line owner[g], or from line g when
    owner is None. forced [G]: no prior lies inside it, its only candidate is the nearest one.
    """

    index: Tensor
    num_priors: int
    row: Tensor
    invalid: Tensor
    owner: Tensor | None
    forced: Tensor

    @property
    def prior(self) -> Tensor:
        """Which prior [R] of its image each candidate is."""
        return self.index % self.num_priors

    def gather(self, values: Tensor) -> Tensor:
        """Rows [R, ...] of the candidates from values [N, num_priors, ...]."""
        return values.flatten(0, 1).index_select(0, self.index)

    def lines(self, values: Tensor) -> Tensor:
        """Values [F, R] of the candidates as [F, U, L]; anything where invalid."""
        return values.index_select(1, self.row.flatten()).view(len(values), *self.row.shape)

    def table(self, lines: Tensor, gts: slice = slice(None)) -> Tensor:
        """Lines [..., U, L] as a table [..., G, L] of the ground truths `gts`; may share memory with them."""
        return lines[..., gts, :] if self.owner is None else lines.index_select(-2, self.owner[gts])

    def places(self, gt: Tensor, column: Tensor) -> Tensor:
        """Where the table's entries (gt, column) stand in the flattened lines."""
        line = gt if self.owner is None else self.owner[gt]
        return line * self.row.shape[1] + column


def find_candidates(priors: Tensor, gts: GroundTruths, inside_own_gt: bool) -> Candidates:
    """Candidates among priors [P, 4] of every image, ordered as geometry.make_priors orders them.

    inside_own_gt: the priors inside the ground truth, or the nearest one; else those inside any one of the image.
    """
    cells = PriorGrid.of_priors(priors).cells_inside(gts.boxes, nearest_if_none=inside_own_gt)
    num_priors, device = len(priors), priors.device
    index = cells.priors(gts.image * num_priors)
    is_candidate = torch.zeros(gts.num_images * num_priors, dtype=torch.bool, device=device)
    chosen = is_candidate.index_fill_(0, index, True).nonzero().squeeze(1)
    # Where each line starts: in the list of all candidates of all boxes, or of the chosen ones.
    if inside_own_gt:
        owner, count = None, cells.count
        start = count.cumsum(0).sub_(count)
    else:
        owner, bounds = gts.image, torch.arange(0, len(is_candidate) + 1, num_priors, device=device)
        bounds = torch.searchsorted(chosen, bounds)
        start, count = bounds[:-1], bounds[1:] - bounds[:-1]
    column = torch.arange(int(count.max()) if len(chosen) else 0, device=device)
    row = (start[:, None] + column).clamp_(max=len(index if inside_own_gt else chosen) - 1)
    if inside_own_gt:
        rank = torch.empty(len(is_candidate), dtype=torch.long, device=device)
        rank.index_copy_(0, chosen, torch.arange(len(chosen), device=device))
        row = rank.index_select(0, index).index_select(0, row.flatten()).view(row.shape)
    return Candidates(chosen, num_priors, row, column >= count[:, None], owner, cells.none)
