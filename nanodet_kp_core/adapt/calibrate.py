"""Scores of a new second stage: its 0.5 is to mean what the start's 0.5 means, and so are its number scores.

Both networks answer the same rendered crops, which neither has learned from. What makes the start's answers likeliest
and what makes the new ones likeliest differ by a shift and a factor; these go into the new metadata. Own validation
images take no part: a threshold chosen on few images flatters there.
"""

from __future__ import annotations

import numpy as np
import torch
from torch import Tensor

from nanodet_kp_core.adapt.second_stage import network_of
from nanodet_kp_core.classes import COLORS, NUMBERS, UNLIT
from nanodet_kp_core.crops.proposal_crops import Crops
from nanodet_kp_core.evaluate.points import Gain
from nanodet_kp_core.evaluate.temperature import fit_temperature
from nanodet_kp_core.numerics import sigmoid
from nanodet_kp_core.runtime.refinement.refiner import read_values

WIDEST = 20.0
"""Largest bias that is looked for, in logits."""


def shifts(before: dict[str, Tensor], after: dict[str, Tensor], crops: Crops) -> tuple[float, float]:
    """(offset to add, factor of the number temperature) for the weights `after`, so that they mean what `before` means.

    Plates without light are left out: the metadata have an offset of their own for them.
    """
    lit = crops.colors != COLORS.index(UNLIT)
    images, plate, numbers = crops.images[lit], crops.plate[lit], crops.numbers[lit]
    read = numbers >= 0
    biases, temperatures = [], []
    for weights in (before, after):
        values = read_values(_answers(weights, images), len(COLORS), len(NUMBERS))
        biases.append(likeliest_bias(values.logits, plate))
        temperatures.append(fit_temperature(values.number_logits[read], numbers[read]) if read.any() else 1.0)
    return biases[1] - biases[0], temperatures[1] / temperatures[0]


def crop_gain(before: dict[str, Tensor], after: dict[str, Tensor], offset: float, crops: Crops) -> Gain:
    """Mean fall of the loss from one network to the other, whose logits are shifted by `offset`. Smoother than counts
    of plates on few images.
    """
    return mean_fall(crop_losses(before, 0.0, crops), crop_losses(after, offset, crops))


def mean_fall(before: np.ndarray, after: np.ndarray) -> Gain:
    """Of the losses [N] of the same crops, and one standard error of it."""
    falls = before - after
    return Gain(float(falls.mean()), float(falls.std() / np.sqrt(len(falls))))


def crop_losses(weights: dict[str, Tensor], offset: float, crops: Crops) -> np.ndarray:
    """Binary cross-entropy of "is it a plate" for each crop, float [N]; `offset` shifts the logits."""
    logits = read_values(_answers(weights, crops.images), len(COLORS), len(NUMBERS)).logits + offset
    return np.logaddexp(0, np.where(crops.plate, -logits, logits))


def likeliest_bias(logits: np.ndarray, plate: np.ndarray) -> float:
    """What to add to the logits [N] so that the truth [N] is likeliest: then as many plates are expected as are."""
    low, high = -WIDEST, WIDEST
    for _ in range(50):
        middle = (low + high) / 2
        too_many = sigmoid(logits + middle).sum() > plate.sum()
        low, high = (low, middle) if too_many else (middle, high)
    return (low + high) / 2


@torch.inference_mode()
def _answers(weights: dict[str, Tensor], images: np.ndarray) -> np.ndarray:
    network = network_of(weights, len(COLORS), len(NUMBERS))
    parts = torch.from_numpy(images).permute(0, 3, 1, 2).split(256)
    return torch.cat([network(part) for part in parts]).numpy()
