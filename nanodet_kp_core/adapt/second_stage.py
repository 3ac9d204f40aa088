"""Training of the second stage on own crops beside rendered ones, from the weights of the start."""

from __future__ import annotations

import copy
from typing import Any

import torch
import torch.nn.functional as F
from torch import Tensor

from nanodet_kp_core.adapt.recipe import SecondStage
from nanodet_kp_core.crops.crop_files import joined
from nanodet_kp_core.crops.proposal_crops import Crops
from nanodet_kp_core.model.crop_networks import RefinerNetwork
from nanodet_kp_core.runtime.refinement.refiner import CORNER_SCALE
from nanodet_kp_core.train.frozen_norm import freeze_norm
from nanodet_kp_core.train.refiner_training import RefinerTraining

SHOWN = ("precision", "recall", "number", "err")
"""Figures of a progress line."""


class SecondStageTraining(RefinerTraining):
    """See RefinerTraining. A batch has `own_share` own crops, rare numbers more often than frequent ones; rendered ones
    are pulled to the start's answers. The first blocks of the network and the statistics of batch norm stay those of
    the start: a few hundred own images teach no better ones.

    replay, own: crops to learn from. held: own crops of validation, for the figures only; none of plates will do.
    state: of the start, as load_crop_state gives it. unlit: index of the color without light.
    """

    def __init__(
        self, replay: Crops, own: Crops, held: Crops, state: dict[str, Any], recipe: SecondStage, steps: int,
        colors: int, numbers: int, unlit: int,
    ) -> None:  # fmt: skip
        super().__init__(joined([replay, own, held]), colors, numbers, recipe.crops(steps), unlit)
        self.kept = len(replay) + len(own)
        self._rendered, self._own_share, self._distill = len(replay), recipe.own_share, recipe.distill
        self._weights[self._rendered :] = 1.0  # own images show how rare plates without light are
        self.start_from(state)
        for block in list(self.network.features.children())[: recipe.frozen]:
            block.requires_grad_(False)
        self._likely = likelihoods(self.plate[self._rendered : self.kept], self.numbers[self._rendered : self.kept])
        self.start_figures = self.figures() if len(held) else {}
        """Figures of the start on the crops that are held out."""
        parts = self.images[: self._rendered].permute(0, 3, 1, 2).split(256)
        with torch.inference_mode():
            teacher = copy.deepcopy(self.average.model)
            self._taught = torch.cat([teacher(part) for part in parts]).clone()

    def prepare(self) -> None:
        """The mode of a step, with batch norm as it stands."""
        super().prepare()
        freeze_norm(self.network)

    def draw(self, random: torch.Generator) -> Tensor:
        """Rendered crops, then own ones."""
        own = round(self._own_share * self.recipe.batch)
        rendered = torch.randint(self._rendered, (self.recipe.batch - own,), generator=random)
        return torch.cat([rendered, self._rendered + torch.multinomial(self._likely, own, True, generator=random)])

    def loss(self, values: Tensor, chosen: Tensor) -> Tensor:
        """That of the labels, and the distance to the start on rendered crops."""
        loss = super().loss(values, chosen)
        rendered = chosen < self._rendered
        if not self._distill or not rendered.any():
            return loss
        return loss + self._distill * self._distance(values[rendered], chosen[rendered])

    def _distance(self, values: Tensor, chosen: Tensor) -> Tensor:
        """From the start's answers for rendered crops, weighted as the parts of the labels' loss are; 0 where equal."""
        taught, plate = self._taught[chosen], self.plate[chosen]
        said, known = (rows.split(self._parts, dim=1) for rows in (values, taught))
        sure = known[0].sigmoid()
        total = F.binary_cross_entropy_with_logits(said[0], sure) - F.binary_cross_entropy_with_logits(known[0], sure)
        if not plate.any():
            return total
        for k, weight in ((1, 0.5), (2, 0.7)):
            one, other = (rows[k][plate].log_softmax(dim=1) for rows in (said, known))
            total = total + weight * F.kl_div(one, other, reduction="batchmean", log_target=True)
        return total + 0.6 * F.smooth_l1_loss(CORNER_SCALE * said[3][plate], CORNER_SCALE * known[3][plate], beta=0.5)

    def line(self, loss: float, speed: float) -> str:
        """About the progress: figures on the held out crops, those of the start in brackets."""
        shown, start = "no validation crops", self.start_figures
        if start:
            now = self.figures()
            shown = ", ".join(f"{name} {now[name]:.3f} (start {start[name]:.3f})" for name in SHOWN)
        return f"second stage, step {self.step} of {self.total_steps}, own validation crops: {shown}"


def likelihoods(plate: Tensor, numbers: Tensor) -> Tensor:
    """How likely each own crop is to be drawn, float [N]: plates by one over the root of how many have their number, 1
    in the mean, so that plates and others keep their shares; others 1."""
    likely = torch.ones(len(plate))
    kinds = numbers[plate] + 1  # 0: a number that nobody can read
    if len(kinds):
        rare = torch.bincount(kinds)[kinds].float().rsqrt()
        likely[plate] = rare / rare.mean()
    return likely


def blended(start: dict[str, Tensor], trained: dict[str, Tensor], share: float) -> dict[str, Tensor]:
    """Weights `share` of the way from the start to the trained ones; counters are those of the trained."""
    return {
        name: torch.lerp(start[name], value, share) if value.dtype.is_floating_point else value
        for name, value in trained.items()
    }


def network_of(weights: dict[str, Tensor], colors: int, numbers: int) -> RefinerNetwork:
    """A network with these weights, ready to export."""
    network = RefinerNetwork(colors, numbers)
    network.load_state_dict(weights)
    return network.eval()
