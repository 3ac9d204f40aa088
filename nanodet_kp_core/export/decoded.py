"""A network whose graph decodes: its head's wide last convolutions are computed where the scores are high, only there.

On a CPU this is faster than the raw output, of which the runtime reads a few rows in thousands, and what comes out
needs no knowledge of bins and priors: one threshold and NMS are left to do, in any language.
"""

from __future__ import annotations

import numpy as np
import torch
import torch.nn.functional as F
from torch import Tensor, nn

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
        self.codec = _GraphCodec(model.layout)

    def forward(self, images: Tensor) -> Tensor:
        height, width = images.shape[-2:]
        every = self.model.priors(int(height), int(width))
        levels = self.model.head.outputs(self.model.fpn(self.model.backbone(images)))
        raw, priors, start = [], [], 0
        for level in levels:
            count = int(level[0][0].shape[-2]) * int(level[0][0].shape[-1])
            index = self._best(level[0], count)
            raw.append(torch.cat([_at(index, output) for output in level], dim=1))
            priors.append(every[start : start + count][index])
            start += count
        return self._decode(torch.cat(raw, dim=2).transpose(1, 2), torch.cat(priors, dim=1))

    def _best(self, output: Output, count: int) -> Tensor:
        """Indices [N, K] of the cells with the best scores."""
        x, conv = output
        scores = self.model.layout.num_scores
        assert conv.bias is not None
        best = F.conv2d(x, conv.weight[:scores], conv.bias[:scores]).amax(dim=1, keepdim=True)
        beside = best < F.max_pool2d(best, 3, 1, 1)
        rank = best - NEIGHBOUR_LOGITS * beside.to(best.dtype)
        return rank.flatten(1).topk(min(ROWS_PER_LEVEL, count), sorted=False).indices

    def _decode(self, raw: Tensor, priors: Tensor) -> Tensor:
        """raw [N, K, C] at priors [N, K, 4] -> [N, K, DECODED_VALUES]."""
        layout = self.model.layout
        score, class_id = raw[..., : layout.num_scores].max(dim=-1, keepdim=True)
        if layout.num_numbers:
            number = raw[..., layout.num_scores : layout.num_logits].argmax(dim=-1, keepdim=True)
            class_id = class_id * layout.num_numbers + number
        decoded = self.codec.decode(raw, priors)
        return torch.cat([score.sigmoid(), class_id.to(raw.dtype), decoded.boxes, decoded.corners], dim=-1)


class _GraphCodec(HeadCodec):
    def _means(self, logits: Tensor, positions: Tensor) -> Tensor:
        """Softmax and mean as one matrix product for all groups, with a column for the sum and one for the weighted
        sum of each: kernels are slow at a softmax over a few bins, and at many products with a short vector."""
        groups, bins = int(logits.shape[-1]) // positions.numel(), positions.numpy()
        columns = [np.kron(np.eye(groups, dtype=np.float32), x[:, None]) for x in (np.ones_like(bins), bins)]
        matrix = torch.from_numpy(np.concatenate(columns, axis=1))  # torch cannot export a kron
        total, weighted = (logits.clamp(-REACH, REACH).exp() @ matrix).split(groups, dim=-1)
        return weighted / total


def _at(index: Tensor, output: Output) -> Tensor:
    """The output's channels [N, C, K] at the cells index [N, K]."""
    x, conv = output
    assert conv.bias is not None
    columns = x.flatten(2).gather(2, index[:, None].expand(-1, x.shape[1], -1))
    return conv.weight.flatten(1) @ columns + conv.bias[:, None]
