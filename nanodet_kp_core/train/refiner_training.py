"""Training of the refiner on crops that crops.proposal_crops has made."""

from __future__ import annotations

import logging
from typing import Any

import torch
import torch.nn.functional as F
from torch import Tensor

from nanodet_kp_core.classes import ARMOR_CLASSES
from nanodet_kp_core.crops.proposal_crops import Crops
from nanodet_kp_core.errors import TrainingError
from nanodet_kp_core.model.crop_networks import RefinerNetwork
from nanodet_kp_core.runtime.refinement.crops import CROP_CORNERS
from nanodet_kp_core.runtime.refinement.refiner import CORNER_SCALE
from nanodet_kp_core.train.crop_training import CropRecipe, CropTraining
from nanodet_kp_core.train.refiner_start import fit_weights

log = logging.getLogger(__name__)

UNLIT_WEIGHT = 0.1
"""Of rendered plates with their lights off in the question what is a plate. The generator draws one in twelve so that
they are learned; on a field they are rare, and where they count as much as others any dark rectangle passes for one."""

UNLIT_OFFSET = -2.0
"""Added to the logit of plates without light by a refiner of rendered images, for the same reason: the surroundings of
other plates teach it too little about what is dark."""

DOUBT_WEIGHT = 0.15
"""Of plates whose number nobody can read: blank panels, practice targets, far and blurred stickers. There all numbers
are to be equally likely, so that the number's score says whether there is one."""

_DIAGONAL = float(torch.tensor(CROP_CORNERS[2] - CROP_CORNERS[0]).norm())


class RefinerTraining(CropTraining):
    """See CropTraining. unlit: index of the color whose plates have UNLIT_WEIGHT, -1 for none. class_names: kept with
    the weights; a training that starts from them takes the rows of what both know.

    Raises TrainingError when no crop shows a plate.
    """

    kind = "reader"

    def __init__(
        self, crops: Crops, colors: int, numbers: int, recipe: CropRecipe, unlit: int = -1,
        class_names: tuple[str, ...] = ARMOR_CLASSES,
    ) -> None:  # fmt: skip
        if not crops.plate.any():
            raise TrainingError(f"refiner: expected crops to train on, got {len(crops)}, none of plates")
        torch.manual_seed(recipe.seed)
        super().__init__(crops.images, RefinerNetwork(colors, numbers), recipe)
        self.class_names = class_names
        self._parts = [1, colors, numbers, 8]
        self.plate, self.colors, self.numbers, self.offsets = (
            torch.from_numpy(values) for values in (crops.plate, crops.colors, crops.numbers, crops.offsets)
        )
        self._weights = torch.ones(len(crops))
        self._weights[self.plate & (self.colors == unlit)] = UNLIT_WEIGHT

    def state(self) -> dict[str, Any]:
        """With the class names."""
        return super().state() | {"class_names": list(self.class_names)}

    def start_from(self, state: dict[str, Any]) -> None:
        """Begin anew with the averaged weights of another training; of other classes, see fit_weights.

        Raises TrainingError when they are of another network.
        """
        names = tuple(state.get("class_names", ARMOR_CLASSES))  # older files are of armor plates
        weights, sentence = fit_weights(state["average"], names, self.network.state_dict(), self.class_names)
        super().start_from({"average": weights})
        if sentence:
            log.info(sentence)

    def loss(self, values: Tensor, chosen: Tensor) -> Tensor:
        """Plate or not; of plates the color, the number where it is known, doubt where it is not, and the corners."""
        logit, color, number, corners = values.split(self._parts, dim=1)
        plate, numbers = self.plate[chosen], self.numbers[chosen]
        read = numbers >= 0
        loss = F.binary_cross_entropy_with_logits(logit[:, 0], plate.float(), self._weights[chosen])
        if plate.any():
            loss = loss + 0.5 * F.cross_entropy(color[plate], self.colors[chosen][plate])
            offsets = CORNER_SCALE * corners[plate].reshape(-1, 4, 2)
            loss = loss + 0.6 * F.smooth_l1_loss(offsets, self.offsets[chosen][plate], beta=0.5)
        if read.any():
            loss = loss + 0.7 * F.cross_entropy(number[read], numbers[read], label_smoothing=0.05)
        doubtful = plate & ~read
        if doubtful.any():
            loss = loss - DOUBT_WEIGHT * F.log_softmax(number[doubtful], dim=1).mean()
        return loss

    def compare(self, values: Tensor, held: slice) -> dict[str, float]:
        """Corner errors in diagonals."""
        logit, color, number, corners = values.split(self._parts, dim=1)
        plate, colors, numbers, offsets = (t[held] for t in (self.plate, self.colors, self.numbers, self.offsets))
        said, read = logit[:, 0] > 0, numbers >= 0
        before = offsets[plate].norm(dim=2).mean(dim=1) / _DIAGONAL
        after = (CORNER_SCALE * corners[plate].reshape(-1, 4, 2) - offsets[plate]).norm(dim=2).mean(dim=1) / _DIAGONAL
        return {
            "precision": float((said & plate).sum() / said.sum().clamp(min=1)),
            "recall": float((said & plate).sum() / plate.sum().clamp(min=1)),
            "color": float((color[plate].argmax(dim=1) == colors[plate]).float().mean()),
            "number": float((number[read].argmax(dim=1) == numbers[read]).float().mean()),
            "err_before": float(before.mean()),
            "err": float(after.mean()),
            "err_median": float(after.median()),
        }
