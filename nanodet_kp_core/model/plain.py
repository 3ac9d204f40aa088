"""A plain backbone and neck for a CPU: depthwise blocks, and sums instead of splits, shuffles and concatenations.

onnxruntime keeps maps in blocks of 16 channels from the first convolution to the last: a sum is part of the convolution
before it, a ReLU too, and doubling by nearest neighbors works on blocks. Widths are multiples of 16 for that reason.
"""

from __future__ import annotations

from collections.abc import Sequence

from torch import Tensor, nn

from nanodet_kp_core.model.layers import ConvNormAct, DepthwiseConvNormAct, init_convolutions


class PlainStage(nn.Module):
    """Maps [N, in, H, W] -> [N, out, H / 2, W / 2]: a block of stride 2, then `blocks` residual ones."""

    def __init__(self, in_channels: int, out_channels: int, blocks: int, kernel_size: int, activation: str) -> None:
        super().__init__()
        self.down = DepthwiseConvNormAct(in_channels, out_channels, kernel_size, 2, activation)
        self.blocks = nn.ModuleList(
            DepthwiseConvNormAct(out_channels, out_channels, kernel_size, 1, activation) for _ in range(blocks)
        )

    def forward(self, x: Tensor) -> Tensor:
        x = self.down(x)
        for block in self.blocks:
            x = block(x, x)
        return x


class PlainNet(nn.Module):
    """Images [N, 3, H, W] -> maps of the strides 8, 16 and 32.

    channels, blocks: width of the stages of the strides 4, 8, 16 and 32, and their residual blocks. The stage of stride
    4 has kernels of 3 x 3, the others of `kernel_size`.
    """

    def __init__(
        self,
        stem_channels: int = 16,
        channels: Sequence[int] = (32, 64, 96, 128),
        blocks: Sequence[int] = (1, 3, 4, 2),
        kernel_size: int = 5,
        activation: str = "ReLU",
    ) -> None:
        super().__init__()
        widths, kernels = (stem_channels, *channels), (3, kernel_size, kernel_size, kernel_size)
        self.out_channels, self.out_strides = tuple(channels[1:]), (8, 16, 32)
        self.stem = ConvNormAct(3, stem_channels, 3, 2, activation)
        self.stages = nn.ModuleList(
            PlainStage(widths[k], widths[k + 1], blocks[k], kernels[k], activation) for k in range(len(channels))
        )
        init_convolutions(self)

    def forward(self, images: Tensor) -> list[Tensor]:
        x, maps = self.stem(images), []
        for stage in self.stages:
            x = stage(x)
            maps.append(x)
        return maps[1:]


class SumPAN(nn.Module):
    """Feature maps, fine to coarse -> as many maps of `out_channels`, from coarse to fine and back, all by sums.

    Each map must be exactly twice as wide and high as the next (input sides divisible by the coarsest backbone
    stride). bottom_up: False leaves out the way back, and with it what the coarse maps learn from the fine ones.
    """

    def __init__(
        self,
        in_channels: Sequence[int],
        out_channels: int = 48,
        kernel_size: int = 5,
        activation: str = "ReLU",
        bottom_up: bool = True,
    ) -> None:
        super().__init__()
        steps = len(in_channels) - 1

        def block(stride: int) -> DepthwiseConvNormAct:
            return DepthwiseConvNormAct(out_channels, out_channels, kernel_size, stride, activation)

        # Fine to coarse, as the maps.
        self.laterals = nn.ModuleList(
            ConvNormAct(width, out_channels, 1, activation=activation) for width in in_channels
        )
        self.blocks = nn.ModuleList(block(1) for _ in range(steps))
        self.downsamples = nn.ModuleList(block(2) for _ in range(steps if bottom_up else 0))
        self.upsample = nn.Upsample(scale_factor=2, mode="nearest")
        init_convolutions(self)

    def forward(self, features: Sequence[Tensor]) -> list[Tensor]:
        *finer, coarsest = zip(self.laterals, features, strict=True)
        lateral, x = coarsest
        down = [lateral(x)]  # fine to coarse
        for (lateral, x), block in zip(reversed(finer), reversed(self.blocks), strict=True):
            x = lateral(x, self.upsample(down[0]))
            down.insert(0, block(x, x))
        if not self.downsamples:
            return down
        up = [down[0]]
        for downsample, coarse in zip(self.downsamples, down[1:], strict=True):
            up.append(downsample(up[-1], coarse))
        return up
