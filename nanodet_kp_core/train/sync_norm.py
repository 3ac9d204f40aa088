"""Batch norm over all processes of a distributed training, on the CPU too, where torch has none."""

from __future__ import annotations

from typing import Any

import torch
import torch.distributed as dist
from torch import Tensor, nn


class _SumOverRanks(torch.autograd.Function):
    """Sum of a tensor over the ranks. The gradient is summed too: what one rank puts in reaches the loss of all."""

    @staticmethod
    def forward(ctx: Any, values: Tensor) -> Tensor:
        total = values.clone()
        dist.all_reduce(total)
        return total

    @staticmethod
    def backward(ctx: Any, *grads: Tensor) -> Tensor:
        total = grads[0].clone()
        dist.all_reduce(total)
        return total


class SyncBatchNorm(nn.BatchNorm2d):
    """BatchNorm2d whose training statistics are those of the images of all ranks; each rank has as many images."""

    def forward(self, input: Tensor) -> Tensor:
        """[N, C, H, W] -> the same shape and type."""
        if not self.training or not dist.is_initialized():
            return super().forward(input)
        x = input if input.dtype == torch.float64 else input.float()
        count = x.shape[0] * x.shape[2] * x.shape[3]
        variance, mean = torch.var_mean(x, dim=(0, 2, 3), correction=0)
        # float64: the mean square minus the squared mean would lose digits that the variance needs
        mean, square = mean.double() * count, (variance.double() + mean.double().square()) * count
        total = count * dist.get_world_size()
        mean, square = _SumOverRanks.apply(torch.stack((mean, square))).div(total).unbind()
        variance = square - mean.square()
        self._follow(mean.detach(), variance.detach() * (total / (total - 1)))
        gain = (self.weight.double() * (variance + self.eps).rsqrt()).to(x.dtype)
        shift = (self.bias.double() - mean * gain).to(x.dtype)
        return (x * gain[:, None, None] + shift[:, None, None]).to(input.dtype)

    def _follow(self, mean: Tensor, variance: Tensor) -> None:
        if not self.track_running_stats or self.running_mean is None or self.running_var is None:
            return
        assert self.momentum is not None
        self.running_mean.lerp_(mean.to(self.running_mean.dtype), self.momentum)
        self.running_var.lerp_(variance.to(self.running_var.dtype), self.momentum)
        if self.num_batches_tracked is not None:
            self.num_batches_tracked.add_(1)


def synchronise_batch_norm(model: nn.Module, device: torch.device) -> None:
    """Replace every batch norm in `model`, in place; the names of parameters and buffers stay.

    On CUDA it is torch's own, fused one.
    """
    for name, child in model.named_children():
        if type(child) is not nn.BatchNorm2d:
            synchronise_batch_norm(child, device)
            continue
        own: type[Any] = nn.SyncBatchNorm if device.type == "cuda" else SyncBatchNorm
        new = own(child.num_features, child.eps, child.momentum)
        for part in ("weight", "bias", "running_mean", "running_var", "num_batches_tracked"):
            setattr(new, part, getattr(child, part))  # the same tensors: an optimizer may hold them already
        setattr(model, name, new.train(child.training))
