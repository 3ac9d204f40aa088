"""Building blocks shared by backbone, neck and heads.

Sub-module names (conv, bn, gn, depthwise, dwnorm, pointwise, pwnorm, primary_conv, cheap_operation) are those of
NanoDet-Plus state dicts, so that published weights load by name.
"""

from __future__ import annotations

import math

import torch
from torch import Tensor, nn

from nanodet_kp_core.errors import ConfigError

ACTIVATIONS = ("LeakyReLU", "ReLU", "ReLU6", "SiLU", "HardSwish")


def make_activation(name: str) -> nn.Module:
    """Activation by name; LeakyReLU has the slope 0.1 of NanoDet-Plus.

    Raises ConfigError for a name outside ACTIVATIONS.
    """
    if name == "LeakyReLU":
        return nn.LeakyReLU(0.1, inplace=True)
    if name == "ReLU":
        return nn.ReLU(inplace=True)
    if name == "ReLU6":
        return nn.ReLU6(inplace=True)
    if name == "SiLU":
        return nn.SiLU(inplace=True)
    if name == "HardSwish":
        return nn.Hardswish(inplace=True)
    raise ConfigError(f"activation: expected one of {ACTIVATIONS}, got {name!r}")


def group_norm(channels: int) -> nn.GroupNorm:
    """Group norm with 32 groups as published; a narrower layer takes the largest divisor."""
    return nn.GroupNorm(math.gcd(32, channels), channels)


class ConvNormAct(nn.Module):
    """Convolution without bias, batch or group norm, activation; `added` comes to the sum before the activation."""

    def __init__(
        self,
        in_channels: int,
        out_channels: int,
        kernel_size: int,
        stride: int = 1,
        activation: str = "LeakyReLU",
        norm: str = "bn",
    ) -> None:
        super().__init__()
        self.conv = nn.Conv2d(in_channels, out_channels, kernel_size, stride, kernel_size // 2, bias=False)
        self.norm_name = norm
        if norm == "gn":
            self.gn = group_norm(out_channels)
        else:
            self.bn = nn.BatchNorm2d(out_channels)
        self.act = make_activation(activation)

    def forward(self, x: Tensor, added: Tensor | None = None) -> Tensor:
        norm = self.gn if self.norm_name == "gn" else self.bn
        x = norm(self.conv(x))
        return self.act(x if added is None else x + added)


class DepthwiseConvNormAct(nn.Module):
    """Depthwise then pointwise convolution, each with batch or group norm and activation.

    `added` has the shape of the output and comes before the last activation: the input itself in a residual block.
    """

    def __init__(
        self,
        in_channels: int,
        out_channels: int,
        kernel_size: int,
        stride: int = 1,
        activation: str = "LeakyReLU",
        norm: str = "bn",
    ) -> None:
        super().__init__()
        self.depthwise = nn.Conv2d(
            in_channels, in_channels, kernel_size, stride, kernel_size // 2, groups=in_channels, bias=False
        )
        self.pointwise = nn.Conv2d(in_channels, out_channels, 1, bias=False)
        make_norm = group_norm if norm == "gn" else nn.BatchNorm2d
        self.dwnorm = make_norm(in_channels)
        self.pwnorm = make_norm(out_channels)
        self.act = make_activation(activation)

    def forward(self, x: Tensor, added: Tensor | None = None) -> Tensor:
        x = self.act(self.dwnorm(self.depthwise(x)))
        x = self.pwnorm(self.pointwise(x))
        return self.act(x if added is None else x + added)


class GhostConv(nn.Module):
    """Half of the output channels by a 1x1 convolution, the other half by a cheap depthwise 3x3 of those."""

    def __init__(self, in_channels: int, out_channels: int, activation: str | None) -> None:
        super().__init__()
        half = out_channels // 2
        self.primary_conv = nn.Sequential(nn.Conv2d(in_channels, half, 1, bias=False), nn.BatchNorm2d(half))
        self.cheap_operation = nn.Sequential(
            nn.Conv2d(half, half, 3, padding=1, groups=half, bias=False), nn.BatchNorm2d(half)
        )
        if activation:
            self.primary_conv.append(make_activation(activation))
            self.cheap_operation.append(make_activation(activation))

    def forward(self, x: Tensor) -> Tensor:
        first = self.primary_conv(x)
        return torch.cat((first, self.cheap_operation(first)), dim=1)


class Scale(nn.Module):
    """One learnable factor."""

    def __init__(self) -> None:
        super().__init__()
        self.scale = nn.Parameter(torch.tensor(1.0))

    def forward(self, x: Tensor) -> Tensor:
        return x * self.scale


def init_convolutions(module: nn.Module, std: float | None = None) -> None:
    """Initialise every convolution under `module`: normal with `std`, or He (fan out) without one."""
    for layer in module.modules():
        if not isinstance(layer, nn.Conv2d):
            continue
        if std is None:
            nn.init.kaiming_normal_(layer.weight, mode="fan_out", nonlinearity="relu")
        else:
            nn.init.normal_(layer.weight, std=std)
        if layer.bias is not None:
            nn.init.zeros_(layer.bias)
