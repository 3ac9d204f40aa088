"""RTMDet's head (Lyu et al. 2022) with a corner branch: shared convolutions, a batch norm for every level."""

from __future__ import annotations

from collections.abc import Sequence

from torch import Tensor, nn

from nanodet_kp_core.layout import HeadLayout
from nanodet_kp_core.model.heads import Output, init_scores, join_outputs
from nanodet_kp_core.model.layers import init_convolutions, make_activation


class SharedConv(nn.Module):
    """3x3 convolution that all levels share (or each has its own), batch norm of each level's own, activation."""

    def __init__(self, in_channels: int, out_channels: int, levels: int, activation: str, share: bool) -> None:
        super().__init__()
        self.conv = nn.ModuleList(
            nn.Conv2d(in_channels, out_channels, 3, padding=1, bias=False) for _ in range(1 if share else levels)
        )
        self.bn = nn.ModuleList(nn.BatchNorm2d(out_channels) for _ in range(levels))
        self.act = make_activation(activation)

    def forward(self, x: Tensor, level: int) -> Tensor:
        conv = self.conv[level if len(self.conv) > 1 else 0]
        return self.act(self.bn[level](conv(x)))


class RTMDetSepBNHead(nn.Module):
    """Two towers (classes, geometry) and 1x1 outputs per level. -> raw [N, num_priors, C], direct regression.

    Box sides are logarithms: the codec takes exp, so that they are positive. The corners are a third output of the
    geometry tower; a tower of their own would add half of the head's arithmetic.
    """

    def __init__(
        self,
        layout: HeadLayout,
        in_channels: int,
        feat_channels: int = 96,
        stacked_convs: int = 2,
        strides: Sequence[int] = (8, 16, 32),
        activation: str = "SiLU",
        share_conv: bool = True,
    ) -> None:
        super().__init__()
        assert layout.is_direct
        self.layout = layout
        self.strides = tuple(strides)
        widths = [in_channels] + [feat_channels] * stacked_convs

        def tower() -> nn.ModuleList:
            return nn.ModuleList(
                SharedConv(widths[i], feat_channels, len(strides), activation, share_conv) for i in range(stacked_convs)
            )

        def outputs(channels: int) -> nn.ModuleList:
            return nn.ModuleList(nn.Conv2d(widths[-1], channels, 1) for _ in strides)

        self.cls_convs = tower()
        self.reg_convs = tower()
        self.rtm_cls = outputs(layout.num_logits)
        self.rtm_reg = outputs(4)
        self.rtm_pts = outputs(8) if layout.has_corners else None
        init_convolutions(self, std=0.01)
        for output in self.rtm_cls:
            init_scores(output, layout)

    def outputs(self, features: Sequence[Tensor]) -> list[list[Output]]:
        levels = []
        for level, x in enumerate(features):
            classes, geometry = x, x
            for cls_conv, reg_conv in zip(self.cls_convs, self.reg_convs, strict=True):
                classes, geometry = cls_conv(classes, level), reg_conv(geometry, level)
            found = [(classes, _conv(self.rtm_cls[level])), (geometry, _conv(self.rtm_reg[level]))]
            if self.rtm_pts is not None:
                found.append((geometry, _conv(self.rtm_pts[level])))
            levels.append(found)
        return levels

    def forward(self, features: Sequence[Tensor]) -> Tensor:
        return join_outputs(self.outputs(features))


def _conv(layer: nn.Module) -> nn.Conv2d:
    assert isinstance(layer, nn.Conv2d)
    return layer
