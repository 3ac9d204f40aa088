"""Batch norm that leaves its statistics as they are, for a training or for a pass over images that come again."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager

from torch import nn
from torch.nn.modules.batchnorm import _BatchNorm


def freeze_norm(model: nn.Module) -> None:
    """Batch norm uses and keeps the statistics that it has, until model.train(): those of few images would be worse."""
    for layer in _norms(model):
        layer.eval()


@contextmanager
def untracked_norm(model: nn.Module) -> Iterator[None]:
    """Batch norm uses the statistics of each batch, and its running ones stay."""
    norms = _norms(model)
    for layer in norms:
        layer.track_running_stats = False
    try:
        yield
    finally:
        for layer in norms:
            layer.track_running_stats = True


def _norms(model: nn.Module) -> list[_BatchNorm]:
    return [layer for layer in model.modules() if isinstance(layer, _BatchNorm)]
