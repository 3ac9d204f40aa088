"""Parity of the whole network: outputs, detections, training losses and gradients. See parity.py."""

from __future__ import annotations

import json
import re
from pathlib import Path

import numpy as np
import torch
from parity import Checks, prefixes
from published_rules import clip_coordinates, multiclass_nms

from nanodet_kp_core.assign.dsla import DynamicSoftLabelAssigner
from nanodet_kp_core.importer.import_weights import load_published
from nanodet_kp_core.layout import HeadLayout
from nanodet_kp_core.loss.criterion import BatchAssignment, DetectionCriterion, LossWeights, Targets
from nanodet_kp_core.model.codec import HeadCodec
from nanodet_kp_core.model.detector import OneStageDetector
from nanodet_kp_core.model.ghost_pan import GhostPAN
from nanodet_kp_core.model.heads import NanoDetPlusHead, SimpleConvHead
from nanodet_kp_core.model.published.ghostnet import GhostNet
from nanodet_kp_core.model.shufflenet import ShuffleNetV2

SCORE_THRESHOLD, IOU_THRESHOLD, MAX_DETECTIONS = 0.05, 0.6, 20
ZERO_GRADIENT = 1e-3
"""Below this share of the median gradient norm a recorded one is rounding noise, undone by a batch norm."""


def load_network(path: Path) -> OneStageDetector:
    """The published network of full_weights.npz beside `path`; every size is read off its tensors."""
    weights_path = path.with_name("full_weights.npz")
    if not weights_path.is_file():
        raise OSError(f"{path.name} needs full_weights.npz beside it")
    stored = np.load(weights_path)
    state = {name: torch.from_numpy(stored[name]) for name in stored.files}
    state = {name: value.float() if value.is_floating_point() else value for name, value in state.items()}
    model = load_published(state, weights_path)
    model.detach_epoch = 1
    return model


def read_images(data: np.lib.npyio.NpzFile) -> torch.Tensor:
    """Network input [N, 3, H, W] as GOLDEN.md defines it."""
    return (torch.from_numpy(data["image_u8"]).float() - 128) / 64


@torch.no_grad()
def check_evaluation(path: Path) -> Checks:
    """full_eval_*: feature statistics, both heads, detections."""
    data, checks = np.load(path), Checks()
    model, images = load_network(path).eval(), read_images(data)
    features = model.backbone(images)
    for name, maps in (("backbone", features), ("fpn", model.fpn(features))):
        for level, values in enumerate(maps):
            statistics = torch.stack((values.mean(), values.abs().mean(), values.std()))
            checks.near(f"{name}{level} statistics", statistics, data[f"{name}{level}_meanabs"], 1e-3)
            part = data[f"{name}{level}_slice"]
            checks.near(
                f"{name}{level} slice",
                values[:, : part.shape[1], : part.shape[2], : part.shape[3]],
                part,
                1e-3,
            )
    raw, aux = model(images, return_aux=True)
    checks.near("head output", raw, data["head_out"], 1e-3)
    checks.near("auxiliary output", aux, data["aux_out"], 1e-3)
    if "det_stable" not in data.files or bool(data["det_stable"].all()):
        _check_detections(checks, data, model, raw, images.shape[-2:])
    return checks


def _check_detections(
    checks: Checks, data: np.lib.npyio.NpzFile, model: OneStageDetector, raw: torch.Tensor, shape: torch.Size
) -> None:
    decoded = HeadCodec(model.layout).decode(raw, model.priors(*shape))
    boxes_inside, corners_inside = (clip_coordinates(each, shape) for each in (decoded.boxes, decoded.corners))
    scores = raw[..., : model.layout.num_scores].sigmoid()
    for case in prefixes(data, "_boxes_score"):
        image = int(case.removeprefix("det"))
        boxes, score, labels, corners = multiclass_nms(
            boxes_inside[image].numpy(),
            scores[image].numpy(),
            corners_inside[image].reshape(-1, 4, 2).numpy(),
            SCORE_THRESHOLD,
            IOU_THRESHOLD,
            MAX_DETECTIONS,
        )
        expected = data[f"{case}_boxes_score"]
        checks.same(f"{case} labels", labels, data[f"{case}_labels"])
        checks.near(f"{case} boxes (px)", boxes, expected[:, :4], 1e-2)
        checks.near(f"{case} scores", score, expected[:, 4], 1e-3)
        checks.near(f"{case} corners (px)", corners.reshape(-1, 8), data[f"{case}_points"], 1e-2)


def check_training(path: Path) -> Checks:
    """full_train: assignment, losses, gradients before and after detaching, running statistics."""
    data, checks = np.load(path), Checks()
    model = load_network(path).train()
    state = {name: value.clone() for name, value in model.state_dict().items()}
    images, targets = read_images(data), _read_targets(data)
    priors = model.priors(*images.shape[-2:])
    criterion = DetectionCriterion(
        model.layout,
        DynamicSoftLabelAssigner(corner_cost="published", inside_own_gt=False),
        LossWeights(dfl_coordinates=4),
    )
    for epoch, moment in enumerate(("before", "after")):
        model.load_state_dict(state)
        model.zero_grad(set_to_none=True)
        model.set_epoch(epoch)
        raw, aux = model(images, return_aux=True)
        total, parts = criterion(raw, priors, targets, aux)
        total.backward()
        for head in ("", "aux_"):
            names = [f"{head}loss_{part}" for part in ("qfl", "bbox", "dfl")]
            parts[f"{head}loss"] = torch.stack([parts[name] for name in names]).sum()
            for name in (*names, f"{head}loss"):
                checks.near(f"{moment} {name} (relative)", parts[name], data[f"{moment}_{name}"], 1e-4, floor=1e-2)
        checks.near(f"{moment} total (relative)", total.item(), data[f"{moment}_total"], 1e-4, floor=1e-2)
        _check_gradients(checks, data, moment, dict(model.named_parameters()))
        if epoch:
            continue
        assert aux is not None
        _check_assignment(checks, data, model, criterion, criterion.assign(aux.detach(), priors, targets))
        _check_own_assignment(checks, data, criterion, raw.detach(), targets, priors)
        _check_output_slice(checks, raw.detach().numpy(), data["train_head_out_slice"])
        for key in [key for key in data.files if key.startswith("bn_after:")]:
            checks.near(key, model.state_dict()[key.split(":")[1]], data[key], 1e-5, floor=1)
    return checks


def _read_targets(data: np.lib.npyio.NpzFile) -> list[Targets]:
    counts = data["num_gts"].tolist()
    split = {key: torch.from_numpy(data[key]).split(counts) for key in ("gt_boxes", "gt_labels", "gt_points")}
    known = [torch.ones(count, dtype=torch.bool) for count in counts]
    return [
        Targets(boxes, labels, points.reshape(-1, 4, 2), flag[:, None].expand(-1, 4), flag, torch.zeros(0, 4))
        for boxes, labels, points, flag in zip(
            split["gt_boxes"], split["gt_labels"], split["gt_points"], known, strict=True
        )
    ]


def _check_gradients(
    checks: Checks, data: np.lib.npyio.NpzFile, moment: str, parameters: dict[str, torch.nn.Parameter]
) -> None:
    names = [str(name) for name in data["param_names"]]
    gradients = {name: torch.zeros(()) if parameters[name].grad is None else parameters[name].grad for name in names}
    norms = np.array([float(gradients[name].norm()) for name in names])
    expected = data[f"{moment}_grad_norm"]
    noise = ZERO_GRADIENT * float(np.median(expected))
    real = expected > noise
    error = np.abs(norms - expected)[real] / expected[real]
    checks.near(f"{moment} gradient norms, median (relative)", np.median(error), 0.0, 5e-3)
    for name, one in zip(np.array(names)[real], error, strict=True):
        checks.near(f"{moment} gradient norm of {name} (relative)", one, 0.0, 0.05)
    checks.near(f"{moment} gradient norms that vanish", norms[~real], np.zeros(int((~real).sum())), noise)
    for key in [key for key in data.files if key.startswith(f"{moment}_grad:")]:
        want = data[key]
        got = gradients[key.split(":")[1]].numpy()
        if got.shape != want.shape:
            raise ValueError(f"{key}: gradient has shape {got.shape}, expected {want.shape}")
        distance = np.linalg.norm(got - want) / max(float(np.linalg.norm(want)), noise)
        checks.near(f"{key} (relative)", distance, 0.0, 0.1)


def _check_assignment(
    checks: Checks,
    data: np.lib.npyio.NpzFile,
    model: OneStageDetector,
    criterion: DetectionCriterion,
    found: BatchAssignment,
) -> None:
    labels = np.full(data["assign_labels"].shape, model.layout.num_scores)
    labels[found.image, found.prior] = found.labels
    scores = np.zeros(labels.shape, np.float32)
    scores[found.image, found.prior] = found.iou
    checks.same("assigned labels", labels, data["assign_labels"])
    checks.near("assigned scores", scores, data["assign_scores"], 1e-4)
    counts = np.bincount(found.image, minlength=len(labels))
    checks.same("positives per image", counts, data["assign_num_pos"])
    height, width = data["image_u8"].shape[-2:]
    priors = model.priors(height, width)[found.prior]
    codec = criterion.codec
    bins = torch.cat((codec.box_bins(priors, found.boxes), codec.corner_bins(priors, found.corners)), 1)
    checks.near("distance targets", bins, data["assign_dist_targets"], 1e-5)
    checks.near("box targets", found.boxes, data["assign_box_targets"], 1e-5)


def _check_own_assignment(
    checks: Checks,
    data: np.lib.npyio.NpzFile,
    criterion: DetectionCriterion,
    raw: torch.Tensor,
    targets: list[Targets],
    priors: torch.Tensor,
) -> None:
    total, parts = criterion(raw, priors, targets)
    for name in ("loss_qfl", "loss_bbox", "loss_dfl"):
        checks.near(f"selfassign {name} (relative)", parts[name], data[f"selfassign_{name}"], 1e-4, floor=1e-2)
    checks.near("selfassign loss (relative)", total.item(), data["selfassign_loss"], 1e-4, floor=1e-2)
    counts = np.bincount(criterion.assign(raw, priors, targets).image, minlength=len(targets))
    checks.same("selfassign positives per image", counts, data["selfassign_num_pos"])


def _check_output_slice(checks: Checks, raw: np.ndarray, part: np.ndarray) -> None:
    """The recording keeps every k-th prior without saying k: any k with as many rows may be the one."""
    steps = [k for k in range(1, raw.shape[1] + 1) if len(range(0, raw.shape[1], k)) == part.shape[1]]
    errors = [float(np.abs(raw[:, ::k] - part).max()) for k in steps]
    checks.near("head output in training", min(errors, default=float("nan")), 0.0, 1e-2)


def check_param_counts(path: Path) -> Checks:
    """param_counts.json: trainable parameters of every part of every published size."""
    checks = Checks()
    table = json.loads(path.read_text(encoding="utf-8"))
    for group, rows in table.items():
        if group == "note":
            continue
        kind, classes = group.rstrip("0123456789"), int(group.lstrip("abcdefghijklmnopqrstuvwxyz"))
        codec = {"plain": "none", "four": "unsigned"}[kind]
        layout = HeadLayout(tuple(map(str, range(classes))), "joint", 7, codec)
        for key, expected in rows.items():
            checks.same(f"{group} {key}", _count_parameters(key, layout), expected)
    return checks


def _count_parameters(key: str, layout: HeadLayout) -> list[int]:
    """[backbone, fpn, head, aux_fpn, aux_head, inference, training] of "backbone_size/width"."""
    name, _, width = key.rpartition("/")
    wide = int(width)
    with torch.device("meta"):  # counted, not run
        ghost = re.match(r"ghostnet_([\d.]+)\(out ([\d,]+)", name)
        backbone = (
            GhostNet(float(ghost[1]), tuple(map(int, ghost[2].split(","))))
            if ghost
            else ShuffleNetV2(name.removeprefix("shufflenetv2_"))
        )
        neck, aux_neck = (GhostPAN(backbone.out_channels, wide) for _ in range(2))
        head, aux_head = NanoDetPlusHead(layout, wide, wide), SimpleConvHead(layout, 2 * wide, 2 * wide)
    counts = [sum(p.numel() for p in part.parameters()) for part in (backbone, neck, head, aux_neck, aux_head)]
    return [*counts, sum(counts[:3]), sum(counts)]


CHECKERS = {
    "full_eval_a": check_evaluation,
    "full_eval_b": check_evaluation,
    "full_train": check_training,
    "param_counts.json": check_param_counts,
}
