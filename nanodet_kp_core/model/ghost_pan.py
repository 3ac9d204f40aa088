"""Ghost-PAN of NanoDet-Plus: path aggregation with ghost bottlenecks (GhostNet, Han et al. 2020)."""

from __future__ import annotations

from collections.abc import Sequence

import torch
from torch import Tensor, nn

from nanodet_kp_core.model.layers import ConvNormAct, DepthwiseConvNormAct, GhostConv, init_convolutions


class GhostBottleneck(nn.Module):
    """Two ghost convolutions beside a depthwise shortcut. [N, in, H, W] -> [N, out, H, W]."""

    def __init__(self, in_channels: int, out_channels: int, kernel_size: int, activation: str) -> None:
        super().__init__()
        self.ghost1 = GhostConv(in_channels, out_channels, activation)
        self.ghost2 = GhostConv(out_channels, out_channels, None)
        self.shortcut = nn.Sequential(
            nn.Conv2d(
                in_channels,
                in_channels,
                kernel_size,
                padding=kernel_size // 2,
                groups=in_channels,
                bias=False,
            ),
            nn.BatchNorm2d(in_channels),
            nn.Conv2d(in_channels, out_channels, 1, bias=False),
            nn.BatchNorm2d(out_channels),
        )

    def forward(self, x: Tensor) -> Tensor:
        return self.ghost2(self.ghost1(x)) + self.shortcut(x)


class GhostBlocks(nn.Module):
    """Fusion of two concatenated maps: [N, 2 * width, H, W] -> [N, width, H, W]."""

    def __init__(self, width: int, kernel_size: int, activation: str) -> None:
        super().__init__()
        # A sequence of one: published state dicts number the bottleneck.
        self.blocks = nn.Sequential(GhostBottleneck(2 * width, width, kernel_size, activation))

    def forward(self, x: Tensor) -> Tensor:
        return self.blocks(x)


class GhostPAN(nn.Module):
    """Feature maps, fine to coarse -> as many maps of `out_channels` plus `num_extra_level` coarser ones.

    Each map must be exactly twice as wide and high as the next (input sides divisible by the coarsest
    backbone stride).
    """

    def __init__(
        self,
        in_channels: Sequence[int],
        out_channels: int = 96,
        kernel_size: int = 5,
        num_extra_level: int = 1,
        use_depthwise: bool = True,
        activation: str = "LeakyReLU",
    ) -> None:
        super().__init__()
        conv = DepthwiseConvNormAct if use_depthwise else ConvNormAct
        steps = len(in_channels) - 1
        self.reduce_layers = nn.ModuleList(
            ConvNormAct(channels, out_channels, 1, activation=activation) for channels in in_channels
        )
        self.upsample = nn.Upsample(scale_factor=2, mode="bilinear")
        # Blocks of the downward path are numbered from the coarsest pair, those of the upward path from the
        # finest.
        self.top_down_blocks = nn.ModuleList(GhostBlocks(out_channels, kernel_size, activation) for _ in range(steps))
        self.downsamples = nn.ModuleList(
            conv(out_channels, out_channels, kernel_size, 2, activation) for _ in range(steps)
        )
        self.bottom_up_blocks = nn.ModuleList(GhostBlocks(out_channels, kernel_size, activation) for _ in range(steps))
        self.extra_lvl_in_conv = nn.ModuleList(
            conv(out_channels, out_channels, kernel_size, 2, activation) for _ in range(num_extra_level)
        )
        self.extra_lvl_out_conv = nn.ModuleList(
            conv(out_channels, out_channels, kernel_size, 2, activation) for _ in range(num_extra_level)
        )
        init_convolutions(self)

    def forward(self, features: Sequence[Tensor]) -> list[Tensor]:
        reduced = [layer(x) for layer, x in zip(self.reduce_layers, features, strict=True)]
        down = [reduced[-1]]  # fine to coarse
        for block, fine in zip(self.top_down_blocks, reversed(reduced[:-1]), strict=True):
            down.insert(0, block(torch.cat((self.upsample(down[0]), fine), dim=1)))
        up = [down[0]]
        for downsample, block, coarse in zip(self.downsamples, self.bottom_up_blocks, down[1:], strict=True):
            up.append(block(torch.cat((downsample(up[-1]), coarse), dim=1)))
        coarsest_in = reduced[-1]
        for from_input, from_output in zip(self.extra_lvl_in_conv, self.extra_lvl_out_conv, strict=True):
            up.append(from_input(coarsest_in) + from_output(up[-1]))
        return up
