"""The networks of the second stage. An upright crop of a proposed plate -> is it one, whose, and where its corners
are; an upright crop of one bar -> where exactly it ends."""

from __future__ import annotations

import torch
from torch import Tensor, nn

from nanodet_kp_core.model.layers import init_convolutions
from nanodet_kp_core.runtime.refinement.bars import NUM_VALUES


def _conv(inputs: int, outputs: int, kernel: int, stride: int = 1, groups: int = 1) -> nn.Sequential:
    return nn.Sequential(
        nn.Conv2d(inputs, outputs, kernel, stride, kernel // 2, groups=groups, bias=False),
        nn.BatchNorm2d(outputs),
        nn.ReLU(inplace=True),
    )


class _Block(nn.Module):
    """Depthwise 5x5 and pointwise convolution; a residual where the shape stays."""

    def __init__(self, inputs: int, outputs: int, stride: int = 1) -> None:
        super().__init__()
        self.depthwise = _conv(inputs, inputs, 5, stride, groups=inputs)
        self.pointwise = _conv(inputs, outputs, 1)
        self.residual = inputs == outputs and stride == 1

    def forward(self, x: Tensor) -> Tensor:
        y = self.pointwise(self.depthwise(x))
        return x + y if self.residual else y


class CropNet(nn.Module):
    """Crops [N, 3, height, width] of BGR values 0..255 -> values [N, V].

    Where a corner lies is read from the whole map at once (fully connected), not averaged over it.
    """

    def __init__(self, features: nn.Sequential, map_size: int, hidden: int, values: int) -> None:
        super().__init__()
        self.features = features
        self.join = nn.Sequential(nn.Flatten(), nn.Linear(map_size, hidden), nn.ReLU(inplace=True))
        self.output = nn.Linear(hidden, values)
        init_convolutions(self)

    def forward(self, crops: Tensor) -> Tensor:
        # -1 to 1. The square root is near the eye's scale: stickers in the dark keep their contrast.
        x = torch.sqrt(crops.float() * (4 / 255)) - 1
        return self.output(self.join(self.features(x)))


class RefinerNetwork(CropNet):
    """Crops [N, 3, 40, 64] -> [N, 1 + colors + numbers + 8]: logit that it is a plate, color logits, number logits,
    corner offsets (runtime.refinement.refiner.CORNER_SCALE)."""

    def __init__(self, colors: int, numbers: int) -> None:
        features = nn.Sequential(
            _conv(3, 16, 3, 2), _Block(16, 32), _Block(32, 64, 2), _Block(64, 64), _Block(64, 96, 2), _Block(96, 96),
            _conv(96, 32, 1),
        )  # fmt: skip
        super().__init__(features, 32 * 5 * 8, 128, 1 + colors + numbers + 8)


class BarsNetwork(CropNet):
    """Crops [N, 3, 56, 24] -> [N, 4]: offsets of the upper and the lower end (runtime.refinement.bars.END_SCALE)."""

    def __init__(self) -> None:
        features = nn.Sequential(
            _conv(3, 16, 3, 2), _Block(16, 32), _Block(32, 32), _Block(32, 48, 2), _Block(48, 48), _Block(48, 48),
            _conv(48, 24, 1),
        )  # fmt: skip
        super().__init__(features, 24 * 14 * 6, 96, NUM_VALUES)
