"""Training of the second stage on patches that data.proposals has collected."""

from __future__ import annotations

import logging
import math
import time
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from nanodet_kp_core.data.proposals import Patches
from nanodet_kp_core.errors import ModelError, TrainingError
from nanodet_kp_core.model.reader_network import ReaderNetwork
from nanodet_kp_core.runtime.patches import PATCH_CORNERS
from nanodet_kp_core.runtime.reader import CORNER_SCALE
from nanodet_kp_core.train.checkpoint import save_checkpoint
from nanodet_kp_core.train.ema import WeightAverage

_DIAGONAL = float(torch.tensor(PATCH_CORNERS[2] - PATCH_CORNERS[0]).norm())

log = logging.getLogger(__name__)


@dataclass(frozen=True)
class ReaderRecipe:
    """How a reader is trained. held_out: share of the patches kept back for the figures, the last ones."""

    steps: int = 10000
    batch: int = 128
    rate: float = 0.002
    weight_decay: float = 0.02
    warmup: int = 100
    decay: float = 0.998
    seed: int = 0
    held_out: float = 0.05


@dataclass(frozen=True)
class Targets:
    """Patches.* as tensors of one batch."""

    plate: Tensor
    colors: Tensor
    numbers: Tensor
    offsets: Tensor


class ReaderTraining:
    """Network, optimizer and averaged weights; `step` counts what was done, so that a stopped training goes on."""

    def __init__(self, patches: Patches, colors: int, numbers: int, recipe: ReaderRecipe) -> None:
        self.kept = len(patches) - math.ceil(recipe.held_out * len(patches))
        if self.kept < 2 or not patches.plate.any():
            raise TrainingError(
                f"reader: expected patches to train on, got {len(patches)}, of plates {int(patches.plate.sum())}"
            )
        torch.manual_seed(recipe.seed)
        self.recipe, self.colors, self.numbers = recipe, colors, numbers
        self.images = torch.from_numpy(patches.images)
        self.targets = Targets(*(torch.from_numpy(getattr(patches, name)) for name in Targets.__dataclass_fields__))
        self.network = ReaderNetwork(colors, numbers).to(memory_format=torch.channels_last)  # type: ignore[call-overload]
        self.average = WeightAverage(self.network, recipe.decay)
        self.optimizer = torch.optim.AdamW(self.network.parameters(), recipe.rate, weight_decay=recipe.weight_decay)
        self.step = 0

    def state(self) -> dict[str, Any]:
        """What a training needs to go on, and an export."""
        return {
            "kind": "reader", "step": self.step, "model": self.network.state_dict(),
            "average": self.average.model.state_dict(), "average_updates": self.average.updates,
            "optimizer": self.optimizer.state_dict(),
        }  # fmt: skip

    def restore(self, state: dict[str, Any]) -> None:
        """Go on from a state."""
        self.network.load_state_dict(state["model"])
        self.average.model.load_state_dict(state["average"])
        self.average.updates = state["average_updates"]
        self.optimizer.load_state_dict(state["optimizer"])
        self.step = state["step"]

    def start_from(self, state: dict[str, Any]) -> None:
        """Begin anew with the averaged weights of another training."""
        self.network.load_state_dict(state["average"])
        self.average.model.load_state_dict(state["average"])

    def train_step(self) -> float:
        """One batch, drawn from (seed, step) alone; returns the loss."""
        recipe = self.recipe
        random = torch.Generator().manual_seed(recipe.seed * 1_000_003 + self.step)
        chosen = torch.randint(self.kept, (recipe.batch,), generator=random)
        rate = recipe.rate * min(1.0, (self.step + 1) / recipe.warmup)
        rate *= 0.5 * (1 + math.cos(math.pi * min(1.0, self.step / recipe.steps))) + 0.005
        for group in self.optimizer.param_groups:
            group["lr"] = rate
        self.network.train()
        values = self.network(changed_light(self.images[chosen], random))
        loss = self._loss(values, Targets(*(tensor[chosen] for tensor in vars(self.targets).values())))
        if not torch.isfinite(loss):
            raise TrainingError(f"reader: the loss of step {self.step} is not finite: {loss.item()}")
        self.optimizer.zero_grad(set_to_none=True)
        loss.backward()
        nn.utils.clip_grad_norm_(self.network.parameters(), 5.0)
        self.optimizer.step()
        self.average.update(self.network)
        self.step += 1
        return loss.item()

    def _loss(self, values: Tensor, targets: Targets) -> Tensor:
        """Plate or not; of plates the colour, the number where it is known, and the corners."""
        logit, color, number, corners = values.split([1, self.colors, self.numbers, 8], dim=1)
        plate, read = targets.plate, targets.numbers >= 0
        loss = F.binary_cross_entropy_with_logits(logit[:, 0], plate.float())
        if plate.any():
            loss = loss + 0.5 * F.cross_entropy(color[plate], targets.colors[plate])
            offsets = CORNER_SCALE * corners[plate].reshape(-1, 4, 2)
            loss = loss + 0.6 * F.smooth_l1_loss(offsets, targets.offsets[plate], beta=0.5)
        if read.any():
            loss = loss + 0.7 * F.cross_entropy(number[read], targets.numbers[read], label_smoothing=0.05)
        return loss

    @torch.inference_mode()
    def figures(self) -> dict[str, float]:
        """Of the averaged weights on the patches that were held out; corner errors in diagonals."""
        held = slice(self.kept, None)
        parts = self.images[held].permute(0, 3, 1, 2).split(256)
        values = torch.cat([self.average.model(part) for part in parts])
        logit, color, number, corners = values.split([1, self.colors, self.numbers, 8], dim=1)
        plate, colors, numbers, offsets = (tensor[held] for tensor in vars(self.targets).values())
        said, read = logit[:, 0] > 0, numbers >= 0
        before = offsets[plate].norm(dim=2).mean(dim=1) / _DIAGONAL
        after = (CORNER_SCALE * corners[plate].reshape(-1, 4, 2) - offsets[plate]).norm(dim=2).mean(dim=1) / _DIAGONAL
        return {
            "precision": float((said & plate).sum() / said.sum().clamp(min=1)),
            "recall": float((said & plate).sum() / plate.sum().clamp(min=1)),
            "colour": float((color[plate].argmax(dim=1) == colors[plate]).float().mean()),
            "number": float((number[read].argmax(dim=1) == numbers[read]).float().mean()),
            "err_before": float(before.mean()),
            "err": float(after.mean()),
            "err_median": float(after.median()),
        }


def changed_light(images: Tensor, random: torch.Generator) -> Tensor:
    """Patches uint8 [N, 40, 64, 3] under another light: gamma, exposure, white balance, noise; float [N, 3, 40, 64]."""

    def draw(low: float, high: float, channels: int = 1) -> Tensor:
        return torch.empty(len(images), channels, 1, 1).uniform_(low, high, generator=random)

    x = images.permute(0, 3, 1, 2).float() / 255
    x = x ** torch.exp(draw(-0.35, 0.35)) * 255 * torch.exp(draw(-0.35, 0.25)) * torch.exp(draw(-0.08, 0.08, 3))
    x = x + torch.randn(x.shape, generator=random) * draw(0, 5)
    return x.clamp_(0, 255).contiguous(memory_format=torch.channels_last)


@dataclass
class ReaderLog:
    """Lines about a training; every `period` steps."""

    period: int = 500
    losses: list[float] = field(default_factory=list)
    started: float = field(default_factory=time.monotonic)

    def tell(self, training: ReaderTraining, loss: float) -> bool:
        """Adds a loss; True when a line was told."""
        self.losses.append(loss)
        if training.step % self.period and training.step != training.recipe.steps:
            return False
        speed = training.recipe.batch * len(self.losses) / (time.monotonic() - self.started)
        shown = " ".join(f"{name} {value:.4f}" for name, value in training.figures().items())
        mean = sum(self.losses) / len(self.losses)
        log.info(
            "step %d of %d: loss %.3f %s (%.0f patches/s)", training.step, training.recipe.steps, mean, shown, speed
        )
        self.losses.clear()
        self.started = time.monotonic()
        return True


def train_reader(training: ReaderTraining, checkpoint: Path) -> None:
    """Train to the end; the state is written to `checkpoint` with every line of the log."""
    lines = ReaderLog()
    while training.step < training.recipe.steps:
        if lines.tell(training, training.train_step()):
            save_checkpoint(checkpoint, training.state())


def load_reader_state(path: Path) -> dict[str, Any]:
    """Raises ModelError when the file is no checkpoint of a reader."""
    try:
        state = torch.load(path, map_location="cpu", weights_only=True)
    except Exception as error:  # on bytes that are no checkpoint the unpickler fails in any way it likes
        reason = str(error).splitlines()[0] if str(error) else type(error).__name__
        raise ModelError(f"{path}: expected a checkpoint of training/train_reader.py, got: {reason}") from None
    if not isinstance(state, dict) or state.get("kind") != "reader":
        raise ModelError(f"{path}: expected a checkpoint of training/train_reader.py, got another file")
    return state
