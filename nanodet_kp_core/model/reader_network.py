"""The network of the second stage: an upright patch of a proposed plate -> is it one, whose, and where exactly."""

from __future__ import annotations

import torch
from torch import Tensor, nn

from nanodet_kp_core.model.layers import init_convolutions


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


class ReaderNetwork(nn.Module):
    """Patches [N, 3, 40, 64] of BGR values 0..255 -> [N, 1 + colors + numbers + 8].

    Values: logit that it is a plate, colour logits, number logits, corner offsets (runtime.reader.CORNER_SCALE). Where
    a corner lies is read from the whole map at once (fully connected), not averaged over it.
    """

    def __init__(self, colors: int, numbers: int) -> None:
        super().__init__()
        self.features = nn.Sequential(
            _conv(3, 16, 3, 2), _Block(16, 32), _Block(32, 64, 2), _Block(64, 64), _Block(64, 96, 2), _Block(96, 96),
            _conv(96, 32, 1),
        )  # fmt: skip
        self.join = nn.Sequential(nn.Flatten(), nn.Linear(32 * 5 * 8, 128), nn.ReLU(inplace=True))
        self.output = nn.Linear(128, 1 + colors + numbers + 8)
        init_convolutions(self)

    def forward(self, patches: Tensor) -> Tensor:
        # The square root is near the eye's scale: stickers in the dark keep their contrast.
        x = torch.sqrt(patches.float() / 255) * 2 - 1
        return self.output(self.join(self.features(x)))
