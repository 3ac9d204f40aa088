"""Training of a network of the second stage on collected crops; what refiner and bars have in common."""

from __future__ import annotations

import logging
import math
import time
from abc import ABC, abstractmethod
from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np
import torch
from torch import Tensor, nn

from nanodet_kp_core.checkpoint import mismatch, save_checkpoint, unreadable
from nanodet_kp_core.errors import ModelError, TrainingError
from nanodet_kp_core.model.crop_networks import CropNet
from nanodet_kp_core.train.ema import WeightAverage
from nanodet_kp_core.train.loop import run_steps
from nanodet_kp_core.train.schedule import set_rate

log = logging.getLogger(__name__)

_COMMANDS = {"bars": "train-bars", "reader": "train-refiner"}  # by kind, which stands in files of today


@dataclass(frozen=True)
class CropRecipe:
    """How such a network is trained. held_out: share of the crops kept back for the figures, the last ones."""

    steps: int = 10000
    batch: int = 128
    rate: float = 0.002
    weight_decay: float = 0.02
    warmup: int = 100
    decay: float = 0.998
    seed: int = 0
    held_out: float = 0.05


class CropTraining(ABC):
    """Network, optimizer and averaged weights; `step` counts what was done, so that a stopped training goes on.

    images: uint8 [N, height, width, 3], of which the first `kept` are trained on.
    Raises TrainingError when they are too few.
    """

    kind: str
    """Name of the network in checkpoints and messages."""

    def __init__(self, images: np.ndarray, network: CropNet, recipe: CropRecipe) -> None:
        self.kept = len(images) - math.ceil(recipe.held_out * len(images))
        if self.kept < 2:
            raise TrainingError(f"{self.kind}: expected crops to train on, got {len(images)}")
        self.recipe = recipe
        self.images = torch.from_numpy(images)
        self.network: CropNet = network.to(memory_format=torch.channels_last)  # type: ignore[call-overload]
        self.average = WeightAverage(self.network, recipe.decay)
        self.optimizer = torch.optim.AdamW(self.network.parameters(), recipe.rate, weight_decay=recipe.weight_decay)
        self.step = 0

    @property
    def total_steps(self) -> int:
        """Those of the recipe."""
        return self.recipe.steps

    @abstractmethod
    def loss(self, values: Tensor, chosen: Tensor) -> Tensor:
        """Of the network's values [B, V] for the crops `chosen`, int64 [B]."""

    @abstractmethod
    def compare(self, values: Tensor, held: slice) -> dict[str, float]:
        """Figures of the values of the crops `held`."""

    def draw(self, random: torch.Generator) -> Tensor:
        """Which crops make the next batch, int64 [B]: any of those that are kept, each as likely."""
        return torch.randint(self.kept, (self.recipe.batch,), generator=random)

    def prepare(self) -> None:
        """Bring the network into the mode of a step."""
        self.network.train()

    def state(self) -> dict[str, Any]:
        """What a training needs to go on, and an export."""
        return {
            "kind": self.kind, "step": self.step, "model": self.network.state_dict(),
            "average": self.average.model.state_dict(), "average_updates": self.average.updates,
            "optimizer": self.optimizer.state_dict(),
        }  # fmt: skip

    def restore(self, state: dict[str, Any]) -> None:
        """Go on from a state. Raises TrainingError when it is of another network."""
        self._check(state["model"])
        self.network.load_state_dict(state["model"])
        self.average.model.load_state_dict(state["average"])
        self.average.updates = state["average_updates"]
        self.optimizer.load_state_dict(state["optimizer"])
        self.step = state["step"]

    def start_from(self, state: dict[str, Any]) -> None:
        """Begin anew with the averaged weights of another training. Raises TrainingError when they are of another
        network."""
        self._check(state["average"])
        self.network.load_state_dict(state["average"])
        self.average.model.load_state_dict(state["average"])

    def _check(self, weights: dict[str, Tensor]) -> None:
        fault = mismatch(self.network.state_dict(), weights)
        if fault:
            raise TrainingError(
                f"expected weights of the {self.kind} of this version, got those of another network: {fault}; "
                "train anew, without them or in another folder"
            )

    def train_step(self) -> float:
        """One batch, drawn from (seed, step) alone; returns the loss."""
        recipe = self.recipe
        random = torch.Generator().manual_seed(recipe.seed * 1_000_003 + self.step)
        chosen = self.draw(random)
        rate = recipe.rate * min(1.0, (self.step + 1) / recipe.warmup)
        rate *= 0.5 * (1 + math.cos(math.pi * min(1.0, self.step / recipe.steps))) + 0.005
        set_rate(self.optimizer, rate)
        self.prepare()
        loss = self.loss(self.network(changed_light(self.images[chosen], random)), chosen)
        if not torch.isfinite(loss):
            raise TrainingError(f"{self.kind}: the loss of step {self.step} is not finite: {loss.item()}")
        self.optimizer.zero_grad(set_to_none=True)
        loss.backward()
        nn.utils.clip_grad_norm_(self.network.parameters(), 5.0)
        self.optimizer.step()
        self.average.update(self.network)
        self.step += 1
        return loss.item()

    @torch.inference_mode()
    def figures(self) -> dict[str, float]:
        """Of the averaged weights on the crops that were held out."""
        held = slice(self.kept, None)
        parts = self.images[held].permute(0, 3, 1, 2).split(256)
        return self.compare(torch.cat([self.average.model(part) for part in parts]), held)

    def line(self, loss: float, speed: float) -> str:
        """About the progress: mean loss since the last line, figures, crops a second."""
        shown = " ".join(f"{name} {value:.4f}" for name, value in self.figures().items())
        return f"step {self.step} of {self.total_steps}: loss {loss:.3f} {shown} ({speed:.0f} crops/s)"


def changed_light(images: Tensor, random: torch.Generator) -> Tensor:
    """Crops uint8 [N, height, width, 3] under another light: gamma, exposure, white balance, haze, noise; float [N, 3,
    height, width]. Half of them change little; the others are dimmer, blown out, in haze, or of
    other colors."""

    def draw(low: float, high: float, channels: int = 1) -> Tensor:
        return torch.empty(len(images), channels, 1, 1).uniform_(low, high, generator=random)

    strong = (draw(0, 1) < 0.5).float()
    exposure = torch.exp(draw(-0.35, 0.25) + strong * draw(-1, 0.6))
    balance = torch.exp((1 + strong) * draw(-0.08, 0.08, 3))
    haze = strong * draw(-70, 70).clamp_(min=0)
    x = images.permute(0, 3, 1, 2).float() / 255
    x = x ** torch.exp(draw(-0.35, 0.35)) * exposure * balance * (255 - haze) + haze
    x = x + torch.randn(x.shape, generator=random) * draw(0, 5)
    return x.clamp_(0, 255).contiguous(memory_format=torch.channels_last)


@dataclass
class CropLog:
    """A checkpoint and a line every `period` steps, and at the end."""

    training: CropTraining
    checkpoint: Path
    period: int
    losses: list[float] = field(default_factory=list)
    started: float = field(default_factory=time.monotonic)

    def stepped(self, loss: float) -> None:
        """After a step."""
        training = self.training
        self.losses.append(loss)
        if training.step % self.period and training.step != training.total_steps:
            return
        speed = training.recipe.batch * len(self.losses) / (time.monotonic() - self.started)
        log.info(training.line(sum(self.losses) / len(self.losses), speed))
        save_checkpoint(self.checkpoint, training.state())
        self.losses.clear()
        self.started = time.monotonic()


def train_crops(training: CropTraining, checkpoint: Path, period: int = 500) -> None:
    """Train to the end, from where `checkpoint` stands if it is there; it is written every `period` steps."""
    if checkpoint.exists():
        hand_over(checkpoint, training.kind, training.restore)
    run_steps(training, CropLog(training, checkpoint, period).stepped)


def hand_over(path: Path, kind: str, take: Callable[[dict[str, Any]], None]) -> None:
    """Load a checkpoint and give it to `take`, a training's `restore` or `start_from`. Raises ModelError as
    load_crop_state, and TrainingError with the file's name."""
    state = load_crop_state(path, kind)
    try:
        take(state)
    except TrainingError as error:
        raise TrainingError(f"{path}: {error}") from None


def load_crop_state(path: Path, kind: str) -> dict[str, Any]:
    """A checkpoint. Raises ModelError when the file is none, or is that of another network."""
    wanted = f"a checkpoint of nanodet-kp {_COMMANDS.get(kind, kind)}"
    try:
        state = torch.load(path, map_location="cpu", weights_only=True)
    except Exception as error:  # on bytes that are no checkpoint the unpickler fails in any way it likes
        raise ModelError(f"{path}: expected {wanted}, got {unreadable(path, error)}") from None
    if not isinstance(state, dict) or state.get("kind") != kind:
        raise ModelError(f"{path}: expected {wanted}, got another file")
    return state
