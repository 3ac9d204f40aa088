"""Training of the last look on bars that crops.bar_crops has made."""

from __future__ import annotations

import torch
import torch.nn.functional as F
from torch import Tensor

from nanodet_kp_core.crops.bar_crops import BarCrops
from nanodet_kp_core.model.crop_networks import BarsNetwork
from nanodet_kp_core.runtime.refinement.bars import END_SCALE
from nanodet_kp_core.train.crop_training import CropRecipe, CropTraining


class BarsTraining(CropTraining):
    """See CropTraining."""

    kind = "bars"

    def __init__(self, crops: BarCrops, recipe: CropRecipe) -> None:
        torch.manual_seed(recipe.seed)
        super().__init__(crops.images, BarsNetwork(), recipe)
        self.offsets, self.pixels = torch.from_numpy(crops.offsets), torch.from_numpy(crops.pixels)

    def loss(self, values: Tensor, chosen: Tensor) -> Tensor:
        """Distances of the ends; nearly linear, for an end that is covered or drowned in glare is anywhere."""
        return F.smooth_l1_loss(END_SCALE * values.reshape(-1, 2, 2), self.offsets[chosen], beta=0.2)

    def compare(self, values: Tensor, held: slice) -> dict[str, float]:
        """Distances of the ends in crop pixels; their median in pixels of the image, by what a pixel of the crop is
        there."""
        off = (END_SCALE * values.reshape(-1, 2, 2) - self.offsets[held]).norm(dim=2)
        figures = {
            "off_before": float(self.offsets[held].norm(dim=2).mean()),
            "off": float(off.mean()),
            "off_median": float(off.median()),
        }
        pixels = self.pixels[held]
        for name, low, high in (("small", 0, 0.6), ("middle", 0.6, 1.75), ("large", 1.75, torch.inf)):
            inside = (pixels >= low) & (pixels < high)
            figures[f"px_{name}"] = float((off[inside] * pixels[inside, None]).median()) if inside.any() else 0.0
        return figures
