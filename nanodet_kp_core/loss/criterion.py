"""The training loss: label assignment, then score, box, distribution, number and corner terms."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from nanodet_kp_core.assign.dsla import DynamicSoftLabelAssigner
from nanodet_kp_core.layout import HeadLayout
from nanodet_kp_core.loss.distribution_focal import distribution_focal_loss
from nanodet_kp_core.loss.giou import giou_loss
from nanodet_kp_core.loss.quality_focal import quality_focal_loss
from nanodet_kp_core.loss.reduction import mean_over_ranks, weighted_average
from nanodet_kp_core.model.codec import HeadCodec


@dataclass
class Targets:
    """Ground truth of one image in input pixels; every array may be empty.

    boxes [G, 4]; labels [G] class ids; corners [G, 4, 2]; corner_visible [G, 4] bool: corners that the loss
    may use; number_known [G] bool: the sticker can be read; ignore_boxes [I, 4]: background is not learnt
    inside.
    """

    boxes: Tensor
    labels: Tensor
    corners: Tensor
    corner_visible: Tensor
    number_known: Tensor
    ignore_boxes: Tensor

    @staticmethod
    def empty(device: torch.device | str = "cpu") -> Targets:
        """An image without plates."""
        flat = torch.zeros(0, 4, device=device)
        flag = torch.zeros(0, dtype=torch.bool, device=device)
        labels = torch.zeros(0, dtype=torch.long, device=device)
        return Targets(
            flat, labels, flat.reshape(0, 4, 1).expand(0, 4, 2), flag.reshape(0, 1).expand(0, 4), flag, flat
        )

    def to(self, device: torch.device | str, non_blocking: bool = False) -> Targets:
        """A copy on `device`."""
        return Targets(
            **{name: value.to(device, non_blocking=non_blocking) for name, value in vars(self).items()}
        )


@dataclass(frozen=True)
class LossWeights:
    """Factors of the parts, and what differs between the published loss and the corrected one.

    dfl_corner: factor of the corner distributions; None takes `dfl`.
    dfl_coordinates: what the sum over the 12 coordinates is divided by. 12 is their mean; the published 4
        makes each weigh three times what it does for boxes alone.
    corner: direct smooth-L1 on decoded corners over the plate's box diagonal; corner_beta is where it turns
        linear, in diagonals.
    """

    qfl: float = 1.0
    qfl_beta: float = 2.0
    giou: float = 2.0
    dfl: float = 0.25
    dfl_corner: float | None = None
    dfl_coordinates: int = 12
    number: float = 1.0
    corner: float = 0.0
    corner_beta: float = 0.02


@dataclass(frozen=True)
class BatchAssignment:
    """Positives of a batch, concatenated in image then prior order.

    image, prior [K]: where. iou [K]: soft score. boxes [K, 4], corners [K, 8], corner_weight [K, 8], labels
    [K], number_known [K]: their targets. ignored [N, P] bool: background priors that the score loss skips.
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


class DetectionCriterion(nn.Module):
    """Total loss of raw head outputs. It has buffers but no parameters: move it with `.to(device)`."""

    def __init__(
        self,
        layout: HeadLayout,
        assigner: DynamicSoftLabelAssigner | None = None,
        weights: LossWeights | None = None,
    ) -> None:
        super().__init__()
        self.layout = layout
        self.codec = HeadCodec(layout)
        self.assigner = assigner or DynamicSoftLabelAssigner()
        self.weights = weights or LossWeights()

    def forward(
        self, raw: Tensor, priors: Tensor, targets: Sequence[Targets], aux_raw: Tensor | None = None
    ) -> tuple[Tensor, dict[str, Tensor]]:
        """(total, parts) for raw [N, P, C], priors [P, 4] and one Targets per image.

        With `aux_raw` [N, P, C] labels are assigned from the auxiliary predictions, for both heads, and its
        loss is added; its parts are named aux_*. Parts are detached scalars; "num_pos" is the mean over
        ranks.
        """
        raw = raw.float()
        assignment = self.assign(raw if aux_raw is None else aux_raw.float(), priors, targets)
        total, parts = self.loss(raw, priors, assignment)
        if aux_raw is not None:
            aux_total, aux_parts = self.loss(aux_raw.float(), priors, assignment)
            total = total + aux_total
            parts |= {f"aux_{name}": value for name, value in aux_parts.items() if name != "num_pos"}
        return total, parts

    @torch.no_grad()
    def assign(self, raw: Tensor, priors: Tensor, targets: Sequence[Targets]) -> BatchAssignment:
        """Positives of a batch from predictions raw [N, P, C]."""
        pairs = [self.assigner.candidate_pairs(priors, target.boxes) for target in targets]
        rows = [torch.nonzero(allowed.any(dim=1)).squeeze(1) for allowed, _ in pairs]
        # Decode the candidates only, of all images at once.
        image = torch.cat([torch.full_like(row, i) for i, row in enumerate(rows)])
        candidates = raw[image, torch.cat(rows)]
        decoded = self.codec.decode(candidates, priors[torch.cat(rows)])
        sizes = [len(row) for row in rows]
        logits = candidates[:, : self.layout.num_scores].split(sizes)
        boxes, corners = decoded.boxes.split(sizes), decoded.corners.split(sizes)

        found = []  # per image: prior, ground truth, IoU
        for i, target in enumerate(targets):
            if not sizes[i]:
                found.append((rows[i], rows[i], boxes[i].new_zeros(0)))
                continue
            cost, iou = self.assigner.cost(
                logits[i],
                boxes[i],
                target.boxes,
                self._score_labels(target.labels),
                corners[i],
                target.corners.flatten(1),
                target.corner_visible.repeat_interleave(2, dim=1),
            )
            allowed, forced = pairs[i]
            row, gt = self.assigner.match(cost, iou, allowed[rows[i]], forced[rows[i]])
            found.append((rows[i][row], gt, iou[row, gt]))

        image = torch.cat([torch.full_like(prior, i) for i, (prior, _, _) in enumerate(found)])
        prior = torch.cat([prior for prior, _, _ in found])
        visible = torch.cat([t.corner_visible[gt] for t, (_, gt, _) in zip(targets, found, strict=True)])
        ignored = torch.stack([_inside_any(priors, t.ignore_boxes) for t in targets])
        ignored[image, prior] = False
        return BatchAssignment(
            image=image,
            prior=prior,
            iou=torch.cat([iou for _, _, iou in found]),
            boxes=torch.cat([t.boxes[gt] for t, (_, gt, _) in zip(targets, found, strict=True)]),
            corners=torch.cat(
                [t.corners[gt].flatten(1) for t, (_, gt, _) in zip(targets, found, strict=True)]
            ),
            corner_weight=visible.repeat_interleave(2, dim=1).to(raw.dtype),
            labels=torch.cat([t.labels[gt] for t, (_, gt, _) in zip(targets, found, strict=True)]),
            number_known=torch.cat(
                [t.number_known[gt] for t, (_, gt, _) in zip(targets, found, strict=True)]
            ),
            ignored=ignored,
        )

    def loss(
        self, raw: Tensor, priors: Tensor, assignment: BatchAssignment
    ) -> tuple[Tensor, dict[str, Tensor]]:
        """(total, parts) of one head's raw [N, P, C] under a given assignment."""
        layout, weights = self.layout, self.weights
        chosen = raw[assignment.image, assignment.prior]  # [K, C]
        chosen_priors = priors[assignment.prior]
        confidence = chosen[:, : layout.num_scores].detach().sigmoid().amax(dim=1)
        number_weight = assignment.iou * assignment.number_known
        sums = torch.stack((raw.new_tensor(float(len(chosen))), confidence.sum(), number_weight.sum()))
        num_pos, confidence_sum, number_sum = mean_over_ranks(sums).clamp(min=1).unbind()

        decoded = self.codec.decode(chosen, chosen_priors)
        parts = {
            "loss_qfl": self._score_loss(raw, assignment, num_pos),
            "loss_bbox": giou_loss(
                decoded.boxes, assignment.boxes, confidence, confidence_sum, loss_weight=weights.giou
            ),
            "loss_dfl": self._distribution_loss(
                chosen, chosen_priors, assignment, confidence, confidence_sum
            ),
        }
        if layout.num_numbers:
            parts["loss_number"] = self._number_loss(chosen, assignment, number_weight, number_sum)
        if weights.corner:
            parts["loss_corner"] = self._corner_loss(decoded.corners, assignment, confidence, confidence_sum)
        total = torch.stack(list(parts.values())).sum()
        detached = {name: value.detach() for name, value in parts.items()}
        return total, detached | {"num_pos": num_pos}

    def _score_labels(self, labels: Tensor) -> Tensor:
        """Channel of the score that a class id trains: its colour in the factored layout."""
        return labels // self.layout.num_numbers if self.layout.num_numbers else labels

    def _score_loss(self, raw: Tensor, assignment: BatchAssignment, num_pos: Tensor) -> Tensor:
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
            avg_factor=num_pos,
            beta=self.weights.qfl_beta,
            loss_weight=self.weights.qfl,
        )

    def _distribution_loss(
        self,
        chosen: Tensor,
        priors: Tensor,
        assignment: BatchAssignment,
        confidence: Tensor,
        confidence_sum: Tensor,
    ) -> Tensor:
        layout, weights = self.layout, self.weights
        average = weights.dfl_coordinates * confidence_sum
        box = distribution_focal_loss(
            chosen[:, layout.box_slice].reshape(-1, layout.box_bins),
            self.codec.box_bins(priors, assignment.boxes).flatten(),
            weight=confidence.repeat_interleave(4),
            avg_factor=average,
            loss_weight=weights.dfl,
        )
        corner = distribution_focal_loss(
            chosen[:, layout.corner_slice].reshape(-1, layout.corner_bins),
            self.codec.corner_bins(priors, assignment.corners).flatten(),
            weight=(confidence[:, None] * assignment.corner_weight).flatten(),
            avg_factor=average,
            loss_weight=weights.dfl if weights.dfl_corner is None else weights.dfl_corner,
        )
        return box + corner

    def _number_loss(
        self, chosen: Tensor, assignment: BatchAssignment, weight: Tensor, average: Tensor
    ) -> Tensor:
        layout = self.layout
        logits = chosen[:, layout.num_colors : layout.num_logits]
        each = F.cross_entropy(logits, assignment.labels % layout.num_numbers, reduction="none")
        return self.weights.number * weighted_average(each, weight, average)

    def _corner_loss(
        self, corners: Tensor, assignment: BatchAssignment, confidence: Tensor, confidence_sum: Tensor
    ) -> Tensor:
        sides = assignment.boxes[:, 2:] - assignment.boxes[:, :2]
        # A plate of a few pixels would otherwise turn one pixel of label noise into the largest error of the
        # batch.
        diagonal = sides.norm(dim=1, keepdim=True).clamp(min=8)
        gap = (corners - assignment.corners) / diagonal
        each = F.smooth_l1_loss(gap, torch.zeros_like(gap), beta=self.weights.corner_beta, reduction="none")
        each = (each * assignment.corner_weight).mean(dim=1)
        return self.weights.corner * weighted_average(each, confidence, confidence_sum)


def _inside_any(priors: Tensor, boxes: Tensor) -> Tensor:
    """Mask [P] of priors [P, 4] that lie in one of the boxes [I, 4], border included."""
    points = priors[:, None, :2]
    return ((points >= boxes[None, :, :2]) & (points <= boxes[None, :, 2:])).all(dim=-1).any(dim=1)
