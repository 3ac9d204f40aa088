"""ShuffleNetV2 backbone (Ma et al. 2018) without its classifier."""

from __future__ import annotations

from collections.abc import Sequence

import torch
from torch import Tensor, nn

from nanodet_kp_core.errors import ConfigError
from nanodet_kp_core.model.layers import init_convolutions, make_activation

STAGE_REPEATS = {2: 4, 3: 8, 4: 4}
STAGE_CHANNELS = {
    "0.5x": {2: 48, 3: 96, 4: 192},
    "1.0x": {2: 116, 3: 232, 4: 464},
    "1.5x": {2: 176, 3: 352, 4: 704},
}
STEM_CHANNELS = 24  # as published


def interleave(first: Tensor, second: Tensor) -> Tensor:
    """Channel shuffle: [N, C, H, W] twice -> [N, 2C, H, W], channels first[0], second[0], first[1]..

    `second` is the output of a convolution and decides the memory format; `first` may be a slice of channels.
    """
    if second.is_contiguous(memory_format=torch.channels_last) and not second.is_contiguous():
        # In NHWC memory the shuffle is one stack; the reshape below would fall back to NCHW and cost every
        # next layer.
        pair = torch.stack((first.permute(0, 2, 3, 1), second.permute(0, 2, 3, 1)), dim=-1)
        return pair.flatten(-2).permute(0, 3, 1, 2)
    both = torch.cat((first, second), dim=1)
    n, channels, height, width = both.shape
    return both.reshape(n, 2, channels // 2, height, width).transpose(1, 2).reshape(n, channels, height, width)


class ShuffleUnit(nn.Module):
    """ShuffleNetV2 unit: stride 1 transforms half of the channels, stride 2 all of them twice."""

    def __init__(self, in_channels: int, out_channels: int, stride: int, activation: str) -> None:
        super().__init__()
        half = out_channels // 2
        self.stride = stride
        self.branch1 = nn.Sequential()
        if stride == 2:
            self.branch1 = nn.Sequential(
                nn.Conv2d(in_channels, in_channels, 3, stride, 1, groups=in_channels, bias=False),
                nn.BatchNorm2d(in_channels),
                nn.Conv2d(in_channels, half, 1, bias=False),
                nn.BatchNorm2d(half),
                make_activation(activation),
            )
        self.branch2 = nn.Sequential(
            nn.Conv2d(in_channels if stride == 2 else half, half, 1, bias=False),
            nn.BatchNorm2d(half),
            make_activation(activation),
            nn.Conv2d(half, half, 3, stride, 1, groups=half, bias=False),
            nn.BatchNorm2d(half),
            nn.Conv2d(half, half, 1, bias=False),
            nn.BatchNorm2d(half),
            make_activation(activation),
        )

    def forward(self, x: Tensor) -> Tensor:
        if self.stride == 2:
            return interleave(self.branch1(x), self.branch2(x))
        kept, changed = x.chunk(2, dim=1)
        return interleave(kept, self.branch2(changed))


class ShuffleNetV2(nn.Module):
    """Images [N, 3, H, W] -> one feature map per stage in `out_stages`; stage s has stride 2 ** (s + 1).

    stem_channels: width of the first convolution. Raises ConfigError for an unknown `model_size` or stage.
    """

    def __init__(
        self,
        model_size: str = "1.0x",
        out_stages: Sequence[int] = (2, 3, 4),
        activation: str = "LeakyReLU",
        stem_channels: int = STEM_CHANNELS,
    ) -> None:
        super().__init__()
        if model_size not in STAGE_CHANNELS:
            raise ConfigError(f"backbone.model_size: expected one of {tuple(STAGE_CHANNELS)}, got {model_size!r}")
        if not out_stages or list(out_stages) != sorted(set(out_stages) & set(STAGE_REPEATS)):
            raise ConfigError(
                f"backbone.out_stages: expected ascending stages out of (2, 3, 4), got {list(out_stages)}"
            )
        channels = STAGE_CHANNELS[model_size]
        self.out_stages = tuple(out_stages)
        self.out_channels = tuple(channels[stage] for stage in out_stages)
        self.out_strides = tuple(2 ** (stage + 1) for stage in out_stages)
        self.conv1 = nn.Sequential(
            nn.Conv2d(3, stem_channels, 3, 2, 1, bias=False),
            nn.BatchNorm2d(stem_channels),
            make_activation(activation),
        )
        self.maxpool = nn.MaxPool2d(3, 2, 1)
        width = stem_channels
        for stage in range(2, max(out_stages) + 1):
            units = [ShuffleUnit(width, channels[stage], 2, activation)]
            units += [
                ShuffleUnit(channels[stage], channels[stage], 1, activation) for _ in range(STAGE_REPEATS[stage] - 1)
            ]
            setattr(self, f"stage{stage}", nn.Sequential(*units))
            width = channels[stage]
        init_convolutions(self)

    def forward(self, images: Tensor) -> list[Tensor]:
        x = self.maxpool(self.conv1(images))
        features = []
        for stage in range(2, max(self.out_stages) + 1):
            x = getattr(self, f"stage{stage}")(x)
            if stage in self.out_stages:
                features.append(x)
        return features
