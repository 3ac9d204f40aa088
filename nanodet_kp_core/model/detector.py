"""The one-stage detector: backbone, neck, head, and for training the assign guidance module (AGM) of NanoDet-Plus."""

from __future__ import annotations

import torch
from torch import Tensor, nn

from nanodet_kp_core.errors import ConfigError
from nanodet_kp_core.layout import HeadLayout
from nanodet_kp_core.model.codec import prior_tensor
from nanodet_kp_core.model.ghost_pan import GhostPAN
from nanodet_kp_core.model.heads import NanoDetHead, NanoDetPlusHead, SimpleConvHead
from nanodet_kp_core.model.plain import PlainNet, SumPAN
from nanodet_kp_core.model.published.ghostnet import GhostNet
from nanodet_kp_core.model.published.pan import PAN
from nanodet_kp_core.model.published.rtmdet_head import RTMDetSepBNHead
from nanodet_kp_core.model.shufflenet import ShuffleNetV2

Backbone = ShuffleNetV2 | GhostNet | PlainNet
Neck = GhostPAN | PAN | SumPAN
Head = NanoDetPlusHead | NanoDetHead | RTMDetSepBNHead


class OneStageDetector(nn.Module):
    """Images [N, 3, H, W] (normalised) -> raw head output [N, num_priors, layout.num_channels].

    H and W must be divisible by the coarsest backbone stride. With `aux_head`, `model(images, return_aux=True)` also
    gives the auxiliary output of the same shape, for the criterion. That head sees the pyramid, concatenated with a
    second one of its own when there is an `aux_fpn` (as published).
    """

    def __init__(
        self,
        backbone: Backbone,
        fpn: Neck,
        head: Head,
        aux_fpn: Neck | None = None,
        aux_head: SimpleConvHead | None = None,
        detach_epoch: int = 0,
    ) -> None:
        super().__init__()
        self.backbone = backbone
        self.fpn = fpn
        self.head = head
        self.aux_fpn = aux_fpn
        self.aux_head = aux_head
        self.detach_epoch = detach_epoch
        self.epoch = 0

    @property
    def layout(self) -> HeadLayout:
        """Meaning of the output channels."""
        return self.head.layout

    def set_epoch(self, epoch: int) -> None:
        """From `detach_epoch` on the auxiliary loss no longer reaches backbone and neck."""
        self.epoch = epoch

    def drop_aux(self) -> OneStageDetector:
        """Removes the auxiliary branch, in place: what inference and export keep."""
        self.aux_fpn = None
        self.aux_head = None
        return self

    def priors(self, height: int, width: int) -> Tensor:
        """Priors [num_priors, 4] (x, y, stride, stride) for an input of that size, on the model's device."""
        device = next(self.head.parameters()).device
        return prior_tensor(height, width, self.head.strides, device, self.layout.prior_offset)

    def forward(self, images: Tensor, return_aux: bool = False) -> Tensor | tuple[Tensor, Tensor | None]:
        """raw [N, P, C]; with `return_aux` the pair (raw, auxiliary raw or None)."""
        self._check_size(images)
        features = self.backbone(images)
        pyramid = self.fpn(features)
        raw = self.head(pyramid)
        if not return_aux:
            return raw
        return raw, self._auxiliary(features, pyramid)

    def _auxiliary(self, features: list[Tensor], pyramid: list[Tensor]) -> Tensor | None:
        if self.aux_head is None:
            return None
        if self.epoch >= self.detach_epoch:
            features = [x.detach() for x in features]
            pyramid = [x.detach() for x in pyramid]
        if self.aux_fpn is not None:
            own = self.aux_fpn(features)
            pyramid = [torch.cat(pair, dim=1) for pair in zip(pyramid, own, strict=True)]
        return self.aux_head(pyramid)

    def _check_size(self, images: Tensor) -> None:
        if torch.jit.is_tracing():
            return
        step = self.backbone.out_strides[-1]
        height, width = images.shape[-2:]
        if height % step or width % step:
            raise ConfigError(
                f"input size: expected width and height divisible by {step}, got {width}x{height}; "
                f"use {-(-width // step) * step}x{-(-height // step) * step}"
            )
