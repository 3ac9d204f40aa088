"""ShuffleNetV2 without its channel shuffles, for the exported graph alone.

A shuffle moves all channels of a stage after each unit, only for the next unit to take one half of them. Where each
channel is used next is known before: so a unit takes its inputs from where they were made, in the order in which they
lie there, and its first convolution, 1x1, has its weights in that order too. What a stage gives is the same.
"""

from __future__ import annotations

from collections.abc import Sequence
from copy import deepcopy
from itertools import pairwise
from typing import TypeVar

import numpy as np
import torch
from torch import Tensor, nn

from nanodet_kp_core.model.shufflenet import ShuffleUnit

M = TypeVar("M", bound=nn.Module)


class RoutedStage(nn.Module):
    """A stage of ShuffleNetV2, one unit of stride 2 and then others of stride 1: maps [N, C, H, W] -> the same maps.

    A channel is (source, index). Sources 0 and 1 are the two branches of the first unit, source k + 1 is what the k-th
    of the others computes. Each source is split once, into runs of channels that the same unit takes; the stage's
    output counts as a last one.
    """

    def __init__(self, units: Sequence[ShuffleUnit]) -> None:
        super().__init__()
        first, *others = units
        self.branch1, self.branch2 = first.branch1, first.branch2
        self.branches = nn.ModuleList(deepcopy(unit.branch2) for unit in others)
        half = first.half_channels
        channels = _interleaved(_channels(0, half), _channels(1, half))
        takers = np.zeros((len(units) + 1, half), np.int64)
        for number, branch in enumerate(self.branches):
            kept, taken = channels[:half], channels[half:]
            takers[taken[:, 0], taken[:, 1]] = number
            _reorder_inputs(branch, np.lexsort((taken[:, 1], taken[:, 0])))
            channels = _interleaved(kept, _channels(number + 2, half))
        takers[channels[:, 0], channels[:, 1]] = len(others)
        self._order = torch.from_numpy(np.argsort(np.lexsort((channels[:, 1], channels[:, 0]))))
        self._runs = [_runs(row) for row in takers.tolist()]

    def forward(self, x: Tensor) -> Tensor:
        waiting: list[list[Tensor]] = [[] for _ in range(len(self.branches) + 1)]
        self._hand_out(0, self.branch1(x), waiting)
        self._hand_out(1, self.branch2(x), waiting)
        for number, branch in enumerate(self.branches):
            self._hand_out(number + 2, branch(torch.cat(waiting[number], dim=1)), waiting)
        return torch.cat(waiting[-1], dim=1)[:, self._order]

    def _hand_out(self, source: int, maps: Tensor, waiting: list[list[Tensor]]) -> None:
        takers, sizes = zip(*self._runs[source])
        parts = maps.split(list(sizes), dim=1) if len(sizes) > 1 else [maps]
        for taker, part in zip(takers, parts):
            waiting[taker].append(part)


def _reorder_inputs(branch: nn.Module, order: np.ndarray) -> None:
    convolution = next(module for module in branch.modules() if isinstance(module, nn.Conv2d))
    convolution.weight = nn.Parameter(convolution.weight[:, order].detach())


def _channels(source: int, count: int) -> np.ndarray:
    return np.stack([np.full(count, source), np.arange(count)], axis=1)


def _interleaved(first: np.ndarray, second: np.ndarray) -> np.ndarray:
    """What shufflenet.interleave does to channels."""
    return np.stack([first, second], axis=1).reshape(-1, first.shape[1])


def _runs(takers: list[int]) -> list[tuple[int, int]]:
    """(taker, how many in a row): [3, 3, 1] -> [(3, 2), (1, 1)]."""
    edges = [0, *(k for k in range(1, len(takers)) if takers[k] != takers[k - 1]), len(takers)]
    return [(takers[start], end - start) for start, end in pairwise(edges)]


def without_shuffles(model: M) -> M:
    """A copy of the model in which every stage of a ShuffleNetV2 is a RoutedStage."""
    copied = deepcopy(model)
    for module in list(copied.modules()):
        for name, child in module.named_children():
            units = [unit for unit in child.children() if isinstance(unit, ShuffleUnit)]
            if units:
                setattr(module, name, RoutedStage(units))
    return copied
