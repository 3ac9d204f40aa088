"""Detection heads: the light one of inference and the heavy auxiliary one that guides label assignment."""

from __future__ import annotations

from collections.abc import Sequence

import torch
from torch import Tensor, nn

from nanodet_kp_core.layout import HeadLayout
from nanodet_kp_core.model.codec import Integral
from nanodet_kp_core.model.layers import ConvNormAct, DepthwiseConvNormAct, Scale, init_convolutions

SCORE_BIAS = -4.595
"""logit(0.01): a fresh head scores one percent everywhere, so that background does not swamp the start."""


def join_levels(maps: Sequence[Tensor]) -> Tensor:
    """Maps [N, C, H, W] of all levels -> [N, num_priors, C], in the order of geometry.make_priors."""
    return torch.cat([level.permute(0, 2, 3, 1).flatten(1, 2) for level in maps], dim=1)


def _init_scores(output: nn.Module, layout: HeadLayout) -> None:
    assert isinstance(output, nn.Conv2d)
    assert output.bias is not None
    nn.init.constant_(output.bias[: layout.num_scores], SCORE_BIAS)


class NanoDetPlusHead(nn.Module):
    """Depthwise convolutions and one 1x1 output per level, not shared. -> raw [N, num_priors, C]."""

    def __init__(
        self,
        layout: HeadLayout,
        in_channels: int,
        feat_channels: int = 96,
        stacked_convs: int = 2,
        kernel_size: int = 5,
        strides: Sequence[int] = (8, 16, 32, 64),
        activation: str = "LeakyReLU",
    ) -> None:
        super().__init__()
        self.layout = layout
        self.strides = tuple(strides)
        widths = [in_channels] + [feat_channels] * stacked_convs
        self.cls_convs = nn.ModuleList(
            nn.ModuleList(
                DepthwiseConvNormAct(widths[i], feat_channels, kernel_size, 1, activation)
                for i in range(stacked_convs)
            )
            for _ in strides
        )
        self.gfl_cls = nn.ModuleList(nn.Conv2d(widths[-1], layout.num_channels, 1) for _ in strides)
        self.distribution_project = Integral(torch.from_numpy(layout.box_positions()))
        init_convolutions(self, std=0.01)
        for output in self.gfl_cls:
            _init_scores(output, layout)

    def forward(self, features: Sequence[Tensor]) -> Tensor:
        maps = []
        for x, convs, output in zip(features, self.cls_convs, self.gfl_cls, strict=True):
            assert isinstance(convs, nn.ModuleList)
            for conv in convs:
                x = conv(x)
            maps.append(output(x))
        return join_levels(maps)


class SimpleConvHead(nn.Module):
    """Auxiliary head: three towers (classes, box, corners) shared by all levels. -> raw [N, num_priors, C].

    The third tower for the corners is that of the published four-point fork.
    """

    def __init__(
        self,
        layout: HeadLayout,
        in_channels: int = 192,
        feat_channels: int = 192,
        stacked_convs: int = 4,
        strides: Sequence[int] = (8, 16, 32, 64),
        activation: str = "LeakyReLU",
    ) -> None:
        super().__init__()
        self.layout = layout
        widths = [in_channels] + [feat_channels] * stacked_convs

        def tower() -> nn.ModuleList:
            return nn.ModuleList(
                ConvNormAct(widths[i], feat_channels, 3, activation=activation, norm="gn")
                for i in range(stacked_convs)
            )

        self.cls_convs = tower()
        self.reg_convs = tower()
        self.pts_convs = tower()
        self.gfl_cls = nn.Conv2d(widths[-1], layout.num_logits, 3, padding=1)
        self.gfl_reg = nn.Conv2d(widths[-1], 4 * layout.box_bins, 3, padding=1)
        self.gfl_pts = nn.Conv2d(widths[-1], 8 * layout.corner_bins, 3, padding=1)
        self.scales = nn.ModuleList(Scale() for _ in strides)
        init_convolutions(self, std=0.01)
        _init_scores(self.gfl_cls, layout)

    def forward(self, features: Sequence[Tensor]) -> Tensor:
        maps = []
        for x, scale in zip(features, self.scales, strict=True):
            classes, box, corners = x, x, x
            for cls_conv, reg_conv, pts_conv in zip(
                self.cls_convs, self.reg_convs, self.pts_convs, strict=True
            ):
                classes, box, corners = cls_conv(classes), reg_conv(box), pts_conv(corners)
            distributions = (scale(self.gfl_reg(box)), scale(self.gfl_pts(corners)))
            maps.append(torch.cat((self.gfl_cls(classes), *distributions), dim=1))
        return join_levels(maps)
