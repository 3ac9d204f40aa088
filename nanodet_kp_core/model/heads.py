"""Heads of NanoDet: that of the Plus, that of the first one, and the auxiliary one that guides label assignment."""

from __future__ import annotations

from collections.abc import Sequence

import torch
from torch import Tensor, nn

from nanodet_kp_core.layout import HeadLayout
from nanodet_kp_core.model.codec import Integral
from nanodet_kp_core.model.layers import ConvNormAct, DepthwiseConvNormAct, Scale, init_convolutions

SCORE_BIAS = -4.595
"""logit(0.01): a fresh head scores one percent everywhere, so that background does not swamp the start."""

Output = tuple[Tensor, nn.Conv2d]
"""The map [N, F, H, W] at the end of a tower and the 1x1 convolution that turns it into raw channels. Every head has
`outputs(features)`, a list of these per level; their channels in a row are the raw ones, the scores among the first.
Export computes the convolutions only where the scores are high."""


def join_levels(maps: Sequence[Tensor]) -> Tensor:
    """Maps [N, C, H, W] of all levels -> [N, num_priors, C], in the order of geometry.make_priors."""
    return torch.cat([level.permute(0, 2, 3, 1).flatten(1, 2) for level in maps], dim=1)


def join_outputs(levels: Sequence[Sequence[Output]]) -> Tensor:
    """Raw [N, num_priors, C] of a head's outputs."""
    maps = [[conv(x) for x, conv in level] for level in levels]
    return join_levels([level[0] if len(level) == 1 else torch.cat(level, dim=1) for level in maps])


def init_scores(output: nn.Module, layout: HeadLayout) -> None:
    """Start the score channels, which come first in this convolution, at one percent."""
    assert isinstance(output, nn.Conv2d)
    assert output.bias is not None
    nn.init.constant_(output.bias[: layout.num_scores], SCORE_BIAS)


def _run(x: Tensor, tower: nn.Module, output: nn.Module) -> Output:
    assert isinstance(tower, nn.ModuleList)
    assert isinstance(output, nn.Conv2d)
    for conv in tower:
        x = conv(x)
    return x, output


def _apply(x: Tensor, tower: nn.Module, output: nn.Module) -> Tensor:
    last, conv = _run(x, tower, output)
    return conv(last)


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
                DepthwiseConvNormAct(widths[i], feat_channels, kernel_size, 1, activation) for i in range(stacked_convs)
            )
            for _ in strides
        )
        self.gfl_cls = nn.ModuleList(nn.Conv2d(widths[-1], layout.num_channels, 1) for _ in strides)
        self.distribution_project = Integral(torch.from_numpy(layout.box_positions()))
        init_convolutions(self, std=0.01)
        for output in self.gfl_cls:
            init_scores(output, layout)

    def outputs(self, features: Sequence[Tensor]) -> list[list[Output]]:
        return [[_run(x, *pair)] for x, pair in zip(features, zip(self.cls_convs, self.gfl_cls), strict=True)]

    def forward(self, features: Sequence[Tensor]) -> Tensor:
        return join_outputs(self.outputs(features))


class NanoDetHead(nn.Module):
    """Head of the first NanoDet (GFL): depthwise 3x3 convolutions per level, not shared. -> raw [N, num_priors, C].

    share_cls_reg: one tower with one output gives classes and distances; otherwise each has its own.
    """

    def __init__(
        self,
        layout: HeadLayout,
        in_channels: int,
        feat_channels: int = 96,
        stacked_convs: int = 2,
        share_cls_reg: bool = True,
        strides: Sequence[int] = (8, 16, 32),
        activation: str = "LeakyReLU",
    ) -> None:
        super().__init__()
        self.layout = layout
        self.strides = tuple(strides)
        widths = [in_channels] + [feat_channels] * stacked_convs

        def tower(convolutions: int) -> nn.ModuleList:
            return nn.ModuleList(
                DepthwiseConvNormAct(widths[i], feat_channels, 3, 1, activation) for i in range(convolutions)
            )

        classes = layout.num_channels if share_cls_reg else layout.num_logits
        distances = layout.num_channels - classes
        self.cls_convs = nn.ModuleList(tower(stacked_convs) for _ in strides)
        self.gfl_cls = nn.ModuleList(nn.Conv2d(widths[-1], classes, 1) for _ in strides)
        # Empty when shared: published weights hold an output there that nothing uses.
        own = () if share_cls_reg else strides
        self.reg_convs = nn.ModuleList(tower(stacked_convs) for _ in own)
        self.gfl_reg = nn.ModuleList(nn.Conv2d(widths[-1], distances, 1) for _ in own)
        self.distribution_project = Integral(torch.from_numpy(layout.box_positions()))
        init_convolutions(self, std=0.01)
        for output in self.gfl_cls:
            init_scores(output, layout)

    def outputs(self, features: Sequence[Tensor]) -> list[list[Output]]:
        classes = [[_run(x, *pair)] for x, pair in zip(features, zip(self.cls_convs, self.gfl_cls), strict=True)]
        if not len(self.gfl_reg):
            return classes
        distances = [[_run(x, *pair)] for x, pair in zip(features, zip(self.reg_convs, self.gfl_reg), strict=True)]
        return [first + second for first, second in zip(classes, distances, strict=True)]

    def forward(self, features: Sequence[Tensor]) -> Tensor:
        return join_outputs(self.outputs(features))


class SimpleConvHead(nn.Module):
    """Auxiliary head: towers (classes, box, corners) shared by all levels. -> raw [N, num_priors, C].

    The third tower for the corners is that of the published four-point fork; a layout without corners has none.
    use_depthwise: depthwise-separable towers and 1x1 outputs, about a ninth of the arithmetic.
    """

    def __init__(
        self,
        layout: HeadLayout,
        in_channels: int = 192,
        feat_channels: int = 192,
        stacked_convs: int = 4,
        strides: Sequence[int] = (8, 16, 32, 64),
        activation: str = "LeakyReLU",
        use_depthwise: bool = False,
    ) -> None:
        super().__init__()
        self.layout = layout
        widths = [in_channels] + [feat_channels] * stacked_convs
        conv, kernel = (DepthwiseConvNormAct, 1) if use_depthwise else (ConvNormAct, 3)

        def tower() -> nn.ModuleList:
            return nn.ModuleList(
                conv(widths[i], feat_channels, 3, activation=activation, norm="gn") for i in range(stacked_convs)
            )

        def output(channels: int) -> nn.Conv2d:
            return nn.Conv2d(widths[-1], channels, kernel, padding=kernel // 2)

        self.cls_convs = tower()
        self.reg_convs = tower()
        self.gfl_cls = output(layout.num_logits)
        self.gfl_reg = output(4 * layout.box_bins)
        if layout.has_corners:
            self.pts_convs = tower()
            self.gfl_pts = output(8 * layout.corner_bins)
        self.scales = nn.ModuleList(Scale() for _ in strides)
        init_convolutions(self, std=0.01)
        init_scores(self.gfl_cls, layout)

    def forward(self, features: Sequence[Tensor]) -> Tensor:
        maps = []
        for x, scale in zip(features, self.scales, strict=True):
            level = [_apply(x, self.cls_convs, self.gfl_cls), scale(_apply(x, self.reg_convs, self.gfl_reg))]
            if self.layout.has_corners:
                level.append(scale(_apply(x, self.pts_convs, self.gfl_pts)))
            maps.append(torch.cat(level, dim=1))
        return join_levels(maps)
