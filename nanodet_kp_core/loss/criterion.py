"""The training loss: label assignment, then score, box, distribution, number and corner terms."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from nanodet_kp_core.assign.atss import ATSSAssigner
from nanodet_kp_core.assign.dsla import DynamicSoftLabelAssigner
from nanodet_kp_core.assign.overlap import aligned_iou
from nanodet_kp_core.assign.targets import GroundTruths, Matches, Targets, inside_boxes
from nanodet_kp_core.errors import ConfigError
from nanodet_kp_core.layout import HeadLayout
from nanodet_kp_core.loss.distribution_focal import distribution_focal_loss
from nanodet_kp_core.loss.giou import giou_loss
from nanodet_kp_core.loss.quality_focal import quality_focal_loss
from nanodet_kp_core.loss.reduction import mean_over_ranks, weighted_average, world_size
from nanodet_kp_core.model.codec import HeadCodec

IGNORE_BORDER = 0.5
"""Pixels by which an ignore box is widened: priors on its border, which may be the image's, count as inside."""


@dataclass(frozen=True)
class LossWeights:
    """Factors of the parts, and what differs between the published loss and the corrected one.

    dfl_coordinates: what the sum over the 12 coordinates is divided by. 12 is their mean; the published 4 makes each
        weigh three times what it does for boxes alone. A layout without corners has 4.
    corner: direct smooth-L1 on decoded corners over the plate's box diagonal; corner_beta is where it turns linear, in
        diagonals.
    """

    qfl: float = 1.0
    qfl_beta: float = 2.0
    giou: float = 2.0
    dfl: float = 0.25
    dfl_coordinates: int = 12
    number: float = 1.0
    corner: float = 0.0
    corner_beta: float = 0.02


@dataclass(frozen=True)
class BatchAssignment:
    """Positives of a batch, concatenated in image then prior order.

    image, prior [K]: where. iou [K]: soft score. boxes [K, 4], corners [K, 8], corner_weight [K, 8], labels [K],
    number_known [K]: their targets. ignored [N, P] bool: background priors that the score loss skips.
    """

    image: Tensor
    prior: Tensor
    iou: Tensor
    boxes: Tensor
    corners: Tensor
    corner_weight: Tensor
    labels: Tensor
    number_known: Tensor
    ignored: Tensor


@dataclass(frozen=True)
class _Positives:
    """One head's predictions at the K positives, and how the regression losses weigh them.

    raw [K, C], priors [K, 4], boxes [K, 4], corners [K, 8]; weight [K] and its sum over the batch (mean over ranks).
    """

    raw: Tensor
    priors: Tensor
    boxes: Tensor
    corners: Tensor
    weight: Tensor
    weight_sum: Tensor


class DetectionCriterion(nn.Module):
    """Total loss of raw head outputs. It has buffers but no parameters: move it with `.to(device)`.

    Distributions (NanoDet): scores are averaged over the positives, regression is weighted by the predicted score.
    Direct regression (RTMDet): scores are averaged over the sum of the positives' IoUs, which weigh the regression.
    Raises ConfigError when direct corners have no loss.
    """

    def __init__(
        self,
        layout: HeadLayout,
        assigner: DynamicSoftLabelAssigner | ATSSAssigner | None = None,
        weights: LossWeights | None = None,
    ) -> None:
        super().__init__()
        self.layout = layout
        self.codec = HeadCodec(layout)
        self.assigner = assigner or DynamicSoftLabelAssigner()
        self.weights = weights or LossWeights()
        if layout.is_direct and layout.has_corners and not self.weights.corner:
            raise ConfigError(
                "loss.corner_weight: expected more than 0 for a head that regresses corners directly, as they have no "
                "other loss, got 0; set it (config/rtmdet_four.yaml has 10) or corner_codec: none"
            )

    def forward(
        self, raw: Tensor, priors: Tensor, targets: Sequence[Targets], aux_raw: Tensor | None = None
    ) -> tuple[Tensor, dict[str, Tensor]]:
        """(total, parts) for raw [N, P, C], priors [P, 4] and one Targets per image, on any device.

        With `aux_raw` [N, P, C] labels are assigned from the auxiliary predictions, for both heads, and its loss is
        added; its parts are named aux_*. Parts are detached scalars; "num_pos" is the mean over ranks. Everything is
        computed in float32, under autocast too.
        """
        with torch.autocast(raw.device.type, enabled=False):
            raw = raw.float()
            aux_raw = None if aux_raw is None else aux_raw.float()
            assignment = self.assign(raw if aux_raw is None else aux_raw, priors, targets)
            total, parts = self.loss(raw, priors, assignment)
            if aux_raw is not None:
                aux_total, aux_parts = self.loss(aux_raw, priors, assignment)
                total = total + aux_total
                parts |= {f"aux_{name}": value for name, value in aux_parts.items() if name != "num_pos"}
        return total, parts

    @torch.no_grad()
    def assign(self, raw: Tensor, priors: Tensor, targets: Sequence[Targets]) -> BatchAssignment:
        """Positives of a batch from predictions raw [N, P, C]."""
        gts = GroundTruths.join(targets)
        found = self._match(raw, priors, gts)
        gts = gts.to(raw.device)
        border = gts.ignore_boxes + gts.ignore_boxes.new_tensor([-1, -1, 1, 1]) * IGNORE_BORDER
        ignored = gts.per_image(inside_boxes(priors[:, :2], border))
        ignored[found.image, found.prior] = False
        return BatchAssignment(
            image=found.image,
            prior=found.prior,
            iou=found.iou,
            boxes=gts.boxes[found.gt],
            corners=gts.corners[found.gt],
            corner_weight=gts.corner_weight[found.gt],
            labels=gts.labels[found.gt],
            number_known=gts.number_known[found.gt],
            ignored=ignored,
        )

    def loss(self, raw: Tensor, priors: Tensor, assignment: BatchAssignment) -> tuple[Tensor, dict[str, Tensor]]:
        """(total, parts) of one head's raw [N, P, C] under a given assignment."""
        layout = self.layout
        chosen = raw[assignment.image, assignment.prior]  # [K, C]
        confidence = chosen[:, : layout.num_scores].detach().sigmoid().amax(dim=1)
        weight = assignment.iou if layout.is_direct else confidence
        number_weight = assignment.iou * assignment.number_known
        count = torch.full_like(weight, 1.0).sum()
        sums = mean_over_ranks(torch.stack((count, weight.sum(), number_weight.sum()))).clamp(min=1 / world_size())
        num_pos, weight_sum, number_sum = sums.unbind()

        chosen_priors = priors[assignment.prior]
        decoded = self.codec.decode(chosen, chosen_priors)
        positives = _Positives(chosen, chosen_priors, decoded.boxes, decoded.corners, weight, weight_sum)
        parts = {
            "loss_qfl": self._score_loss(raw, assignment, weight_sum if layout.is_direct else num_pos),
            "loss_bbox": giou_loss(decoded.boxes, assignment.boxes, weight, weight_sum, loss_weight=self.weights.giou),
        }
        if not layout.is_direct:
            parts["loss_dfl"] = self._distribution_loss(positives, assignment)
        if layout.num_numbers:
            parts["loss_number"] = self._number_loss(chosen, assignment, number_weight, number_sum)
        if layout.has_corners and self.weights.corner:
            parts["loss_corner"] = self._corner_loss(positives, assignment)
        total = torch.stack(list(parts.values())).sum()
        return total, {name: value.detach() for name, value in parts.items()} | {"num_pos": num_pos}

    def _match(self, raw: Tensor, priors: Tensor, gts: GroundTruths) -> Matches:
        """Positives of raw [N, P, C] with their soft scores: the IoU of the prediction. gts on the CPU."""
        if isinstance(self.assigner, ATSSAssigner):
            gts = gts.to(raw.device)
            matches = self.assigner.match(priors, gts)
            boxes = self.codec.decode(raw[matches.image, matches.prior], priors[matches.prior]).boxes
            return replace(matches, iou=aligned_iou(boxes, gts.boxes[matches.gt]))
        gts = replace(gts, labels=self._score_labels(gts.labels))
        found = self.assigner.candidates(priors, gts)
        candidates = found.gather(raw)
        decoded = self.codec.decode(candidates, priors[found.prior])
        corners = decoded.corners if self.layout.has_corners else None
        logits = candidates[:, : self.layout.num_scores]
        return self.assigner.match(found, gts, logits, decoded.boxes, corners)

    def _score_labels(self, labels: Tensor) -> Tensor:
        """Channel of the score that a class id trains: its color in the factored layout."""
        return labels // self.layout.num_numbers if self.layout.num_numbers else labels

    def _score_loss(self, raw: Tensor, assignment: BatchAssignment, average: Tensor) -> Tensor:
        scores = self.layout.num_scores
        labels = torch.full_like(assignment.ignored, scores, dtype=torch.long)
        labels[assignment.image, assignment.prior] = self._score_labels(assignment.labels)
        quality = raw.new_zeros(labels.shape)
        quality[assignment.image, assignment.prior] = assignment.iou
        return quality_focal_loss(
            raw[..., :scores].flatten(0, 1),
            labels.flatten(),
            quality.flatten(),
            weight=(~assignment.ignored).flatten().to(raw.dtype),
            avg_factor=average,
            beta=self.weights.qfl_beta,
            loss_weight=self.weights.qfl,
        )

    def _distribution_loss(self, positives: _Positives, assignment: BatchAssignment) -> Tensor:
        layout = self.layout
        coordinates = self.weights.dfl_coordinates if layout.has_corners else 4
        average = coordinates * positives.weight_sum
        loss = distribution_focal_loss(
            positives.raw[:, layout.box_slice].reshape(-1, layout.box_bins),
            self.codec.box_bins(positives.priors, assignment.boxes).flatten(),
            weight=positives.weight.repeat_interleave(4),
            avg_factor=average,
            loss_weight=self.weights.dfl,
        )
        if not layout.has_corners:
            return loss
        return loss + distribution_focal_loss(
            positives.raw[:, layout.corner_slice].reshape(-1, layout.corner_bins),
            self.codec.corner_bins(positives.priors, assignment.corners).flatten(),
            weight=(positives.weight[:, None] * assignment.corner_weight).flatten(),
            avg_factor=average,
            loss_weight=self.weights.dfl,
        )

    def _number_loss(self, chosen: Tensor, assignment: BatchAssignment, weight: Tensor, average: Tensor) -> Tensor:
        layout = self.layout
        logits = chosen[:, layout.num_colors : layout.num_logits]
        each = F.cross_entropy(logits, assignment.labels % layout.num_numbers, reduction="none")
        return self.weights.number * weighted_average(each, weight, average)

    def _corner_loss(self, positives: _Positives, assignment: BatchAssignment) -> Tensor:
        sides = assignment.boxes[:, 2:] - assignment.boxes[:, :2]
        # A plate of a few pixels would otherwise turn one pixel of label noise into the largest error of the batch.
        diagonal = sides.norm(dim=1, keepdim=True).clamp(min=8)
        gap = (positives.corners - assignment.corners) / diagonal
        each = F.smooth_l1_loss(gap, torch.zeros_like(gap), beta=self.weights.corner_beta, reduction="none")
        each = (each * assignment.corner_weight).mean(dim=1)
        return self.weights.corner * weighted_average(each, positives.weight, positives.weight_sum)
