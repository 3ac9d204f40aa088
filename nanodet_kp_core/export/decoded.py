"""A network whose graph decodes: its head's wide last convolutions are computed where the scores are high, only there.

On a CPU this is faster than the raw output, of which the runtime reads a few rows in thousands, and what comes out
needs no knowledge of bins and priors: one threshold and NMS are left to do, in any language.
"""

from __future__ import annotations

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from nanodet_kp_core.geometry import BOX_CORNERS
from nanodet_kp_core.layout import HeadLayout
from nanodet_kp_core.model.codec import HeadCodec
from nanodet_kp_core.model.detector import OneStageDetector
from nanodet_kp_core.model.heads import Output

ROWS_PER_LEVEL = 48
"""Priors that a level decodes: with 32, 48 and 64 armor_s and its refiner find .776, .784 and .785 of rendered plates.
Each 16 of them take one to two per cent of the network's time."""

NEIGHBOUR_LOGITS = 1.0
"""A prior beside a better one ranks as if its score logit were so much lower: where a low threshold lets in more than
ROWS_PER_LEVEL, places get ahead of what NMS would take away. Where there is room for all nothing changes. With three
logits noise of the background came before the second plate of a pair (docs/runtime.md)."""

REACH = 80.0
"""Logits of bins are cut here, or their exponentials would leave float32."""


class DecodedNetwork(nn.Module):
    """Normalised images [N, 3, H, W] -> [N, rows, metadata.DECODED_VALUES]; see metadata.OutputSpec."""

    def __init__(self, model: OneStageDetector) -> None:
        super().__init__()
        self.model = model
        self.codec = GraphCodec(model.layout)

    def forward(self, images: Tensor) -> Tensor:
        height, width = images.shape[-2:]
        places = self.codec.places(self.model.priors(int(height), int(width)))
        levels = self.model.head.outputs(self.model.fpn(self.model.backbone(images)))
        raw, chosen, start = [], [], 0
        for level in levels:
            index = self._best(level[0])
            columns = [_at(index, output) for output in level]
            raw.append(columns[0] if len(columns) == 1 else torch.cat(columns, dim=2))
            chosen.append(index + start if start else index)
            start += int(level[0][0].shape[-2]) * int(level[0][0].shape[-1])
        return self._decode(torch.cat(raw, dim=1), places[torch.cat(chosen, dim=1)])

    def _best(self, output: Output) -> Tensor:
        """Indices [N, K] of the cells with the best scores."""
        x, conv = output
        scores = self.model.layout.num_scores
        assert conv.bias is not None
        best = F.conv2d(x, conv.weight[:scores], conv.bias[:scores]).amax(dim=1, keepdim=True)
        beside = best < F.max_pool2d(best, 3, 1, 1)
        rank = (best - NEIGHBOUR_LOGITS * beside.to(best.dtype)).flatten(1)
        return rank.topk(min(ROWS_PER_LEVEL, int(rank.shape[1])), sorted=False).indices

    def _decode(self, raw: Tensor, places: Tensor) -> Tensor:
        """raw [N, K, C] at places [N, K, 13] -> [N, K, DECODED_VALUES]."""
        layout = self.model.layout
        score, class_id = raw[..., : layout.num_scores].max(dim=-1, keepdim=True)
        if layout.num_numbers:
            number = raw[..., layout.num_scores : layout.num_logits].argmax(dim=-1, keepdim=True)
            class_id = class_id * layout.num_numbers + number
        points = self.codec.points(raw[..., layout.num_logits :], places)
        return torch.cat([score.sigmoid(), class_id.to(raw.dtype), points], dim=-1)


class GraphCodec:
    """What HeadCodec.decode computes, in few nodes: each takes its time, however little there is to compute.

    All coordinates of box and corners are one row of twelve. A softmax and its mean are one matrix product for all of
    them, with a column for the sum and one for the weighted sum of each: kernels are slow at a softmax over a few bins,
    and at many products with a short vector.
    """

    def __init__(self, layout: HeadLayout) -> None:
        self.plain = HeadCodec(layout)
        corners = layout.corner_signs().tolist() if layout.has_corners else []
        self.turned = torch.diag(torch.tensor([-1.0, -1, 1, 1, *corners]))
        """Distances of the head -> offsets from the prior, [4 or 12, 12]."""
        if not corners:
            self.turned = self.turned[:, [0, 1, 2, 3, *BOX_CORNERS]]
        positions = [self.plain.box_positions] * 4 + [self.plain.corner_positions] * len(corners)
        self.sums = torch.cat(
            [
                torch.block_diag(*(torch.ones(len(bins), 1) for bins in positions)) @ self.turned.abs(),
                torch.block_diag(*(bins[:, None] for bins in positions)) @ self.turned,
            ],
            dim=1,
        )
        """Exponentials of the bins' logits -> twelve sums, then twelve weighted ones."""

    def places(self, priors: Tensor) -> Tensor:
        """Priors [P, 4] -> [P, 13]: x and y six times, as in a row of coordinates, and the stride."""
        return torch.cat([priors[:, :2].repeat(1, 6), priors[:, 2:3]], dim=1)

    def points(self, raw: Tensor, places: Tensor) -> Tensor:
        """Box and corners [..., 12] in input pixels, of their raw channels and places [..., 13]."""
        layout = self.plain.layout
        if layout.is_direct:
            sides, corners = self.plain.strides(raw[..., :4], raw[..., 4:])
            offsets = (sides if corners is None else torch.cat([sides, corners], dim=-1)) @ self.turned
        else:
            total, weighted = (raw.clamp(-REACH, REACH).exp() @ self.sums).split(12, dim=-1)
            offsets = weighted / total
        return places[..., :12] + offsets * places[..., 12:]


def _at(index: Tensor, output: Output) -> Tensor:
    """The output's channels [N, K, C] at the cells index [N, K]."""
    x, conv = output
    count, cells = int(x.shape[0]), int(x.shape[2]) * int(x.shape[3])
    if count > 1:
        index = index + cells * torch.arange(count)[:, None]
    rows = x.permute(0, 2, 3, 1).reshape(count * cells, -1)[index.flatten()]
    return F.linear(rows, conv.weight.flatten(1), conv.bias).unflatten(0, (count, -1))
