"""From head channels to pixels and back: distributions, boxes and corners.

What the channels mean, and the corner codecs, are defined in HeadLayout. The integral is that of Generalized
Focal Loss (Li et al. 2020), the exponential that of RTMDet (Lyu et al. 2022).
"""

from __future__ import annotations

import math
from dataclasses import dataclass
from functools import lru_cache

import torch
from torch import Tensor, nn

from nanodet_kp_core.geometry import BOX_CORNERS, make_priors
from nanodet_kp_core.layout import DIRECT_REACH, HeadLayout

CLAMP_MARGIN = 0.1
"""Distance targets stop this far (strides) before the last bin, so that a bin to the right always exists."""


@lru_cache(maxsize=32)
def prior_tensor(
    height: int, width: int, strides: tuple[int, ...], device: torch.device | str = "cpu", offset: float = 0.0
) -> Tensor:
    """Priors [num_priors, 4] in [x, y, stride, stride] of an input in pixels; offset as in make_priors.

    Shared: do not modify.
    """
    return torch.from_numpy(make_priors(height, width, strides, offset)).to(device)


def integral(logits: Tensor, positions: Tensor) -> Tensor:
    """Expectation of each distribution: [..., groups * bins] -> [..., groups], unit of `positions` [bins]."""
    grouped = logits.unflatten(-1, (-1, positions.numel()))
    return grouped.softmax(dim=-1) @ positions.to(logits.dtype)


class Integral(nn.Module):
    """`integral` with its bin positions in the state dict (buffer `project`), as in published weights."""

    project: Tensor

    def __init__(self, positions: Tensor) -> None:
        super().__init__()
        self.register_buffer("project", positions)

    def forward(self, logits: Tensor) -> Tensor:
        return integral(logits, self.project)


def distance2bbox(points: Tensor, distance: Tensor) -> Tensor:
    """Boxes [..., 4] from points [..., 2] and distances [..., 4] left, top, right, bottom."""
    return torch.cat((points - distance[..., :2], points + distance[..., 2:]), dim=-1)


def bbox2distance(points: Tensor, boxes: Tensor, max_distance: float | None = None) -> Tensor:
    """Distances [..., 4] left, top, right, bottom of boxes from points.

    max_distance: with it they are clamped to 0..max_distance - 0.1.
    """
    distance = torch.cat((points - boxes[..., :2], boxes[..., 2:] - points), dim=-1)
    return distance if max_distance is None else distance.clamp(0, max_distance - CLAMP_MARGIN)


def distance2corners(points: Tensor, distance: Tensor, signs: Tensor) -> Tensor:
    """Corners [..., 8] (x0, y0, .. x3, y3) = point + sign * distance.

    points [..., 2], distance [..., 8], signs [8] (HeadLayout.corner_signs).
    """
    return torch.cat((points,) * 4, dim=-1) + signs * distance


def corners2distance(
    points: Tensor, corners: Tensor, signs: Tensor, low: float | None = None, high: float | None = None
) -> Tensor:
    """Distances [..., 8] of corners [..., 8] from points [..., 2]; clamped to low..high where given."""
    distance = signs * (corners - torch.cat((points,) * 4, dim=-1))
    return distance if low is None and high is None else distance.clamp(low, high)


@dataclass(frozen=True)
class Decoded:
    """boxes [..., 4] and corners [..., 8] in input pixels."""

    boxes: Tensor
    corners: Tensor


class HeadCodec(nn.Module):
    """Decodes raw head channels [..., C] at priors; encodes targets of distributions into bin coordinates."""

    box_positions: Tensor
    corner_positions: Tensor
    corner_signs: Tensor

    def __init__(self, layout: HeadLayout) -> None:
        super().__init__()
        self.layout = layout
        self.register_buffer("box_positions", torch.from_numpy(layout.box_positions()), persistent=False)
        self.register_buffer("corner_positions", torch.from_numpy(layout.corner_positions()), persistent=False)
        self.register_buffer("corner_signs", torch.from_numpy(layout.corner_signs()), persistent=False)

    def decode(self, raw: Tensor, priors: Tensor) -> Decoded:
        """raw [..., C] at priors [..., 4] (broadcast) -> boxes and corners in input pixels.

        Without corner channels the corners are those of the box.
        """
        points, stride = priors[..., :2], priors[..., 2:3]
        sides, offsets = self.strides(raw[..., self.layout.box_slice], raw[..., self.layout.corner_slice])
        boxes = distance2bbox(points, sides * stride)
        if offsets is None:
            return Decoded(boxes, boxes[..., list(BOX_CORNERS)])
        return Decoded(boxes, distance2corners(points, offsets * stride, self.corner_signs))

    def strides(self, box: Tensor, corner: Tensor) -> tuple[Tensor, Tensor | None]:
        """Box sides [..., 4] and corner distances [..., 8] in strides, from their raw channels."""
        if self.layout.is_direct:
            sides = box.clamp(max=math.log(DIRECT_REACH)).exp()  # before exp: an infinity would have a NaN gradient
            offsets = corner.clamp(-DIRECT_REACH, DIRECT_REACH)
        else:
            sides = integral(box, self.box_positions)
            offsets = integral(corner, self.corner_positions) if self.layout.has_corners else corner
        return sides, offsets if self.layout.has_corners else None

    def box_bins(self, priors: Tensor, boxes: Tensor) -> Tensor:
        """Targets [K, 4] on the bin axis (0..reg_max - 0.1) of boxes [K, 4] at priors [K, 4]."""
        distance = bbox2distance(priors[..., :2], boxes) / priors[..., 2:3]
        return distance.clamp(0, self.layout.reg_max - CLAMP_MARGIN)

    def corner_bins(self, priors: Tensor, corners: Tensor) -> Tensor:
        """Targets [K, 8] on the bin axis of corners [K, 8] at priors [K, 4].

        Distances beyond the codec's reach are clamped: to 0..reg_max - 0.1 strides (unsigned: a corner on the
        other side of the prior becomes 0) or to +-(reg_max - 0.1) (signed, then shifted by reg_max to be a
        bin index).
        """
        low, high = float(self.layout.corner_positions()[0]), self.layout.reg_max - CLAMP_MARGIN
        low = low + CLAMP_MARGIN if low < 0 else low
        distance = corners2distance(priors[..., :2], corners, self.corner_signs) / priors[..., 2:3]
        return distance.clamp(low, high) - self.corner_positions[0]
