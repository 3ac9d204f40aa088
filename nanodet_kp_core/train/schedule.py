"""Optimizer and learning rate."""

from __future__ import annotations

import math

import torch
from torch import nn

from nanodet_kp_core.config import ScheduleConfig


def build_optimizer(model: nn.Module, schedule: ScheduleConfig) -> torch.optim.AdamW:
    """AdamW; biases and norm parameters (one dimension) are not decayed."""
    parameters = [p for p in model.parameters() if p.requires_grad]
    groups = [
        {"params": [p for p in parameters if p.ndim > 1], "weight_decay": schedule.optimizer.weight_decay},
        {"params": [p for p in parameters if p.ndim <= 1], "weight_decay": 0.0},
    ]
    return torch.optim.AdamW(groups, lr=schedule.optimizer.lr)


def set_rate(optimizer: torch.optim.Optimizer, rate: float) -> None:
    """The learning rate of the next step, for all parameters."""
    for group in optimizer.param_groups:
        group["lr"] = rate


def learning_rate(schedule: ScheduleConfig, step: int, steps_per_epoch: int, batch: int) -> float:
    """Rate at `step` (from 0): linear warm-up, then a cosine over the epochs of T_max (default: all).

    The configured rate is for `reference_batch`; it scales with the batch, or small batches would diverge.
    """
    peak = schedule.optimizer.lr * batch / schedule.optimizer.reference_batch
    low = schedule.lr_schedule.eta_min * batch / schedule.optimizer.reference_batch
    length = (schedule.lr_schedule.T_max or schedule.total_epochs) * steps_per_epoch
    cosine = low + (peak - low) * 0.5 * (1 + math.cos(math.pi * min(1.0, step / max(1, length))))
    if step >= schedule.warmup.steps:
        return cosine
    ratio = schedule.warmup.ratio
    return cosine * (ratio + (1 - ratio) * step / schedule.warmup.steps)
