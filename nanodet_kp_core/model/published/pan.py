"""PAN of the first NanoDet (Liu et al. 2018, stripped down): 1x1 convolutions, interpolation and sums."""

from __future__ import annotations

from collections.abc import Sequence

import torch.nn.functional as F
from torch import Tensor, nn


class LateralConv(nn.Module):
    """1x1 convolution with bias, nothing else; `conv` is its name in published state dicts."""

    def __init__(self, in_channels: int, out_channels: int) -> None:
        super().__init__()
        self.conv = nn.Conv2d(in_channels, out_channels, 1)
        nn.init.xavier_uniform_(self.conv.weight)
        assert self.conv.bias is not None
        nn.init.zeros_(self.conv.bias)

    def forward(self, x: Tensor) -> Tensor:
        return self.conv(x)


class PAN(nn.Module):
    """Feature maps, fine to coarse -> as many maps of `out_channels`.

    Each map must be exactly twice as wide and high as the next (input sides divisible by the coarsest backbone
    stride).
    """

    def __init__(self, in_channels: Sequence[int], out_channels: int = 96) -> None:
        super().__init__()
        self.lateral_convs = nn.ModuleList(LateralConv(channels, out_channels) for channels in in_channels)
        self.upsample = nn.Upsample(scale_factor=2, mode="bilinear")

    def forward(self, features: Sequence[Tensor]) -> list[Tensor]:
        lateral = [layer(x) for layer, x in zip(self.lateral_convs, features, strict=True)]
        down = [lateral[-1]]  # fine to coarse
        for fine in reversed(lateral[:-1]):
            down.insert(0, fine + self.upsample(down[0]))
        up = [down[0]]
        for coarse in down[1:]:
            # Bilinear interpolation to half the size reads the middle of four pixels: their mean.
            up.append(coarse + F.avg_pool2d(up[-1], 2))
        return up
