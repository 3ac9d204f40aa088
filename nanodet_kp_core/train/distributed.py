"""Which device a process trains on, and how the processes that torchrun started form one training."""

from __future__ import annotations

import logging
import os
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import timedelta
from typing import TYPE_CHECKING

import torch
import torch.distributed as dist
from torch import nn

from nanodet_kp_core.errors import TrainingError
from nanodet_kp_core.train.sync_norm import synchronise_batch_norm

if TYPE_CHECKING:
    from nanodet_kp_core.config import DeviceConfig

PATIENCE = timedelta(hours=3)
"""How long the others wait for the first process, which validates alone."""

_groups: list[dist.ProcessGroup | None] = []
"""Keeps gloo's group alive longer than the training that uses it. Its destructor waits for a thread of its own, which
may be waiting for Python's lock; that is released when Python drops the last reference, but not when
DistributedDataParallel does: one process in about forty then never ended."""

log = logging.getLogger(__name__)


@dataclass(frozen=True)
class Process:
    """The one with the number `rank` of `world`; the local_rank-th of its machine, on `device`."""

    device: torch.device
    rank: int = 0
    world: int = 1
    local_rank: int = 0

    @property
    def main(self) -> bool:
        """Whether this is the process that validates, writes files and shows progress."""
        return self.rank == 0

    def agree(self, flag: bool) -> bool:
        """The first process's flag, in every process; all wait for it."""
        if self.world == 1:
            return flag
        value = torch.tensor([float(flag)], device=self.device)
        dist.broadcast(value, src=0)
        return bool(value.item())

    def wrap(self, model: nn.Module) -> nn.Module:
        """The module whose backward averages gradients over the processes; `model` itself in a single one.

        Batch norm in `model` then takes its statistics over all of them, in place.
        """
        if self.world == 1:
            return model
        synchronise_batch_norm(model, self.device)
        return nn.parallel.DistributedDataParallel(
            model,
            device_ids=[self.device] if self.device.type == "cuda" else None,
            broadcast_buffers=False,  # the only buffers that change are those of the synchronised batch norm
        )


@contextmanager
def join(config: DeviceConfig) -> Iterator[Process]:
    """This process, by torchrun's environment; a single one without it.

    Raises TrainingError when the configured device is not there.
    """
    rank, world, local = (int(os.environ.get(n, d)) for n, d in (("RANK", 0), ("WORLD_SIZE", 1), ("LOCAL_RANK", 0)))
    device = choose_device(config, local, world)
    if device.type == "cuda":
        torch.cuda.set_device(device)
    if world > 1:
        dist.init_process_group("nccl" if device.type == "cuda" else "gloo", timeout=PATIENCE)
        _groups.append(dist.group.WORLD)
    try:
        yield Process(device, rank, world, local)
    finally:
        if world > 1:
            dist.destroy_process_group()


def choose_device(config: DeviceConfig, local_rank: int = 0, world: int = 1) -> torch.device:
    """Device of the local_rank-th process of this machine, from device.accelerator and device.gpu_ids.

    Raises TrainingError when it is not there, or when several are configured for a process that is alone.
    """
    ids = [config.gpu_ids] if isinstance(config.gpu_ids, int) else list(config.gpu_ids or ())
    if ids == [-1] and config.accelerator == "auto":  # the published way to ask for the CPU
        return torch.device("cpu")
    device = pick_device(config.accelerator)
    if device.type == "cpu":
        if ids and local_rank == 0:
            log.info("device.gpu_ids %s is ignored: training runs on the CPU", ids)
        return device
    if world == 1 and len(ids) > 1:
        raise TrainingError(
            f"device.gpu_ids: expected one id for a single process, got {ids}; "
            f"start {len(ids)} with: torchrun --nproc_per_node={len(ids)} -m nanodet_kp_core train CONFIG.yaml"
        )
    if ids and local_rank >= len(ids):
        raise TrainingError(
            f"device.gpu_ids: expected an id for each process of this machine, got {ids} for process {local_rank}; "
            f"start torchrun with --nproc_per_node={len(ids)}"
        )
    index = ids[local_rank] if ids else local_rank
    count = torch.cuda.device_count()
    if not 0 <= index < count:
        raise TrainingError(f"device.gpu_ids: expected ids from 0 to {count - 1}, the accelerators here, got {index}")
    return torch.device("cuda", index)


def pick_device(accelerator: str) -> torch.device:
    """The kind of device of device.accelerator. Raises TrainingError when CUDA is asked for and not there."""
    if accelerator == "cuda" and not torch.cuda.is_available():
        raise TrainingError("device.accelerator: expected a CUDA accelerator, got none that torch can use; use auto")
    use_cuda = accelerator == "cuda" or (accelerator == "auto" and torch.cuda.is_available())
    return torch.device("cuda" if use_cuda else "cpu")
