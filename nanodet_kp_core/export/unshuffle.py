"""ShuffleNetV2 without its channel shuffles, for the exported graph alone.

A shuffle moves all channels of a stage after each unit, only for the next unit to take one half of them. Where each
channel is used next is known before: so a unit takes its inputs from where they were made, in the order in which they
lie there, and its first convolution, 1x1, has its weights in that order too. What a stage gives is the same.
"""

from __future__ import annotations

from collections.abc import Sequence
from copy import deepcopy
from itertools import groupby
from typing import TypeVar

import torch
from torch import Tensor, nn

from nanodet_kp_core.model.shufflenet import ShuffleUnit, interleave

M = TypeVar("M", bound=nn.Module)


class RoutedStage(nn.Module):
    """A stage of ShuffleNetV2, one unit of stride 2 and then others of stride 1: maps [N, C, H, W] -> the same maps.

    Takes the units over and changes them. Sources 0 and 1 are the two branches of the first unit, source k + 1 is what
    the k-th of the others computes; channels are numbered through all sources. Each source is split once, into runs of
    channels that the same unit takes; the stage's output counts as a last one.
    """

    def __init__(self, units: Sequence[ShuffleUnit]) -> None:
        super().__init__()
        first, *others = units
        self.branch1, self.branch2 = first.branch1, first.branch2
        self.branches = nn.ModuleList(unit.branch2 for unit in others)
        half = _first_convolution(first.branch2).out_channels
        made = torch.arange((len(units) + 1) * half).reshape(-1, 1, half, 1, 1)  # by source, each a map of its numbers
        takers = torch.empty((len(units) + 1) * half, dtype=torch.int64)
        maps = interleave(made[0], made[1])
        for taker, unit in enumerate(others):
            kept, taken = maps.chunk(2, dim=1)
            takers[taken.flatten()] = taker
            convolution = _first_convolution(unit.branch2)
            convolution.weight = nn.Parameter(convolution.weight[:, taken.flatten().argsort()].detach())
            maps = interleave(kept, made[taker + 2])
        takers[maps.flatten()] = len(others)
        self._order = maps.flatten().argsort().argsort()  # where in the sorted output each channel lies
        rows = takers.reshape(-1, half).tolist()
        self._runs = [[(taker, len(list(run))) for taker, run in groupby(row)] for row in rows]

    def forward(self, x: Tensor) -> Tensor:
        waiting: list[list[Tensor]] = [[] for _ in range(len(self.branches) + 1)]
        self._hand_out(0, self.branch1(x), waiting)
        self._hand_out(1, self.branch2(x), waiting)
        for number, branch in enumerate(self.branches):
            self._hand_out(number + 2, branch(torch.cat(waiting[number], dim=1)), waiting)
        return torch.cat(waiting[-1], dim=1)[:, self._order]

    def _hand_out(self, source: int, maps: Tensor, waiting: list[list[Tensor]]) -> None:
        takers, sizes = zip(*self._runs[source])
        parts = maps.split(list(sizes), dim=1) if len(sizes) > 1 else [maps]  # a split into one would be a copy
        for taker, part in zip(takers, parts):
            waiting[taker].append(part)


def _first_convolution(branch: nn.Module) -> nn.Conv2d:
    return next(module for module in branch.modules() if isinstance(module, nn.Conv2d))


def without_shuffles(model: M) -> M:
    """A copy of the model in which every stage of a ShuffleNetV2 is a RoutedStage."""
    copied = deepcopy(model)
    for module in list(copied.modules()):
        for name, child in module.named_children():
            units = [unit for unit in child.children() if isinstance(unit, ShuffleUnit)]
            if units:
                setattr(module, name, RoutedStage(units))
    return copied
