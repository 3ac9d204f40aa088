"""GhostNet backbone (Han et al. 2020) without its classifier; sub-module names are those of the public weights."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import torch.nn.functional as F
from torch import Tensor, nn

from nanodet_kp_core.errors import ConfigError
from nanodet_kp_core.model.layers import GhostConv, init_convolutions, make_activation

STEM_CHANNELS = 16
SQUEEZE = 4
"""Squeeze-and-excitation narrows to a quarter of the channels."""


@dataclass(frozen=True)
class Unit:
    """One bottleneck: depthwise kernel, channels inside and after it, squeeze-and-excitation, stride."""

    kernel: int
    inner: int
    out: int
    squeeze: bool = False
    stride: int = 1


STAGES: tuple[tuple[Unit, ...], ...] = (
    (Unit(3, 16, 16),),
    (Unit(3, 48, 24, stride=2),),
    (Unit(3, 72, 24),),
    (Unit(5, 72, 40, squeeze=True, stride=2),),
    (Unit(5, 120, 40, squeeze=True),),
    (Unit(3, 240, 80, stride=2),),
    (
        Unit(3, 200, 80),
        Unit(3, 184, 80),
        Unit(3, 184, 80),
        Unit(3, 480, 112, squeeze=True),
        Unit(3, 672, 112, squeeze=True),
    ),
    (Unit(5, 672, 160, squeeze=True, stride=2),),
    (Unit(5, 960, 160), Unit(5, 960, 160, squeeze=True), Unit(5, 960, 160), Unit(5, 960, 160, squeeze=True)),
)
"""Stages 0..8 at width 1.0; stage 9 is a 1x1 convolution to LAST_CHANNELS."""

LAST_CHANNELS = 960


def _round_to_four(channels: float) -> int:
    """Nearest multiple of 4 (at least 4), as the public networks of other widths have it."""
    rounded = max(4, int(channels + 2) // 4 * 4)
    return rounded + 4 if rounded < 0.9 * channels else rounded


class SqueezeExcite(nn.Module):
    """Weighs every channel by what all of them see on average."""

    def __init__(self, channels: int) -> None:
        super().__init__()
        narrow = _round_to_four(channels / SQUEEZE)
        self.conv_reduce = nn.Conv2d(channels, narrow, 1)
        self.conv_expand = nn.Conv2d(narrow, channels, 1)

    def forward(self, x: Tensor) -> Tensor:
        mean = F.adaptive_avg_pool2d(x, 1)  # [N, C, 1, 1]
        return x * F.hardsigmoid(self.conv_expand(F.relu(self.conv_reduce(mean))))


class Bottleneck(nn.Module):
    """Ghost convolution out, depthwise convolution where it strides, ghost convolution back, shortcut."""

    def __init__(self, in_channels: int, unit: Unit, activation: str) -> None:
        super().__init__()
        pad = unit.kernel // 2
        self.ghost1 = GhostConv(in_channels, unit.inner, activation)
        self.stride = unit.stride
        if unit.stride > 1:
            self.conv_dw = nn.Conv2d(
                unit.inner, unit.inner, unit.kernel, unit.stride, pad, groups=unit.inner, bias=False
            )
            self.bn_dw = nn.BatchNorm2d(unit.inner)
        self.se = SqueezeExcite(unit.inner) if unit.squeeze else None
        self.ghost2 = GhostConv(unit.inner, unit.out, None)
        self.shortcut = nn.Sequential()
        if unit.stride > 1 or in_channels != unit.out:
            self.shortcut = nn.Sequential(
                nn.Conv2d(in_channels, in_channels, unit.kernel, unit.stride, pad, groups=in_channels, bias=False),
                nn.BatchNorm2d(in_channels),
                nn.Conv2d(in_channels, unit.out, 1, bias=False),
                nn.BatchNorm2d(unit.out),
            )

    def forward(self, x: Tensor) -> Tensor:
        inner = self.ghost1(x)
        if self.stride > 1:
            inner = self.bn_dw(self.conv_dw(inner))
        if self.se is not None:
            inner = self.se(inner)
        return self.ghost2(inner) + self.shortcut(x)


class LastConv(nn.Module):
    """1x1 convolution, batch norm and activation under their public names."""

    def __init__(self, in_channels: int, out_channels: int, activation: str) -> None:
        super().__init__()
        self.conv = nn.Conv2d(in_channels, out_channels, 1, bias=False)
        self.bn1 = nn.BatchNorm2d(out_channels)
        self.act1 = make_activation(activation)

    def forward(self, x: Tensor) -> Tensor:
        return self.act1(self.bn1(self.conv(x)))


class GhostNet(nn.Module):
    """Images [N, 3, H, W] -> one feature map per stage in `out_stages` (0..9, ascending).

    The usual stages 4, 6 and 9 have strides 8, 16 and 32 and, at width 1.0, 40, 112 and 960 channels.
    Raises ConfigError for other stages.
    """

    def __init__(
        self, width_mult: float = 1.0, out_stages: Sequence[int] = (4, 6, 9), activation: str = "ReLU"
    ) -> None:
        super().__init__()
        if not out_stages or list(out_stages) != sorted(set(out_stages) & set(range(len(STAGES) + 1))):
            raise ConfigError(
                f"backbone.out_stages: expected ascending stages out of 0..{len(STAGES)}, got {list(out_stages)}"
            )
        self.out_stages = tuple(out_stages)
        stem = _round_to_four(STEM_CHANNELS * width_mult)
        self.conv_stem = nn.Conv2d(3, stem, 3, 2, 1, bias=False)
        self.bn1 = nn.BatchNorm2d(stem)
        self.act1 = make_activation(activation)
        widths, strides, blocks = [stem], [2], []
        for stage in STAGES:
            units = []
            for unit in stage:
                inner, out = _round_to_four(unit.inner * width_mult), _round_to_four(unit.out * width_mult)
                scaled = Unit(unit.kernel, inner, out, unit.squeeze, unit.stride)
                units.append(Bottleneck(widths[-1], scaled, activation))
                widths.append(out)
            blocks.append(nn.Sequential(*units))
            strides.append(strides[-1] * stage[0].stride)
        last = _round_to_four(LAST_CHANNELS * width_mult)
        blocks.append(nn.Sequential(LastConv(widths[-1], last, activation)))
        channels = [_round_to_four(stage[-1].out * width_mult) for stage in STAGES] + [last]
        strides = [*strides[1:], strides[-1]]
        self.out_channels = tuple(channels[stage] for stage in out_stages)
        self.out_strides = tuple(strides[stage] for stage in out_stages)
        # What comes after the last map would only be trained for nothing.
        self.blocks = nn.Sequential(*blocks[: max(out_stages) + 1])
        init_convolutions(self)

    def forward(self, images: Tensor) -> list[Tensor]:
        x = self.act1(self.bn1(self.conv_stem(images)))
        features = []
        for stage, block in enumerate(self.blocks):
            x = block(x)
            if stage in self.out_stages:
                features.append(x)
        return features
