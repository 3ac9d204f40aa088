"""Parity of the parts: assigner, losses, codecs, suppression, warps. See parity.py."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import torch
from parity import Checks, prefixes
from published_rules import clip_coordinates, minimum_size, multiclass_nms, normalise

from nanodet_kp_core.assign.atss import ATSSAssigner
from nanodet_kp_core.assign.candidates import Pairs
from nanodet_kp_core.assign.dsla import DynamicSoftLabelAssigner
from nanodet_kp_core.assign.targets import Assignment, GroundTruths, Targets
from nanodet_kp_core.data import geometric as warp
from nanodet_kp_core.geometry import make_priors
from nanodet_kp_core.layout import CORNER_SIGNS
from nanodet_kp_core.loss.distribution_focal import distribution_focal_each, distribution_focal_loss
from nanodet_kp_core.loss.giou import giou_each, giou_loss
from nanodet_kp_core.loss.quality_focal import quality_focal_each, quality_focal_loss
from nanodet_kp_core.model import codec

WARP_ORDER = ("perspective", "scale", "stretch", "rotation", "shear", "flip", "translate", "resize")
CONFLICT_MARGIN = 5e-5
GIOU_TIES = (0, 2, 3, 5)
"""Rows of equal, empty, inverted and zero-width boxes: their subgradient is a matter of choice."""


def check_dsla(path: Path, assigner: DynamicSoftLabelAssigner) -> Checks:
    """dsla_*: assignment, pair costs and IoUs."""
    data, checks = np.load(path), Checks()
    for case in prefixes(data, "_out_gt_index"):
        name = _case_name(data, case)

        def read(key: str, case: str = case) -> torch.Tensor:
            return torch.from_numpy(data[f"{case}_{key}"])

        with_corners = assigner.corner_cost != "none"
        gts = _one_image(read("gt_boxes"), read("gt_labels"), read("gt_points") if with_corners else None)
        priors, logits, boxes = read("priors"), read("cls_logits"), read("pred_boxes")
        corners = read("pred_points") if with_corners else None
        result = assigner.assign(logits, priors, boxes, gts, corners)
        _check_assignment(checks, data, case, result, ~_tied_priors(data, case))
        if f"{case}_aux_cost" not in data.files:
            continue
        found = assigner.candidates(priors, gts)
        rows = found.prior
        checks.same(f"{name} candidates", rows, np.flatnonzero(data[f"{case}_aux_candidate_mask"]))
        chosen, count = None if corners is None else corners[rows].numpy(), np.full(len(gts.boxes), len(rows))
        pairs = Pairs.of_counts(count, np.tile(np.arange(len(rows)), len(count)))
        cost, iou = assigner.costs(found, pairs, gts, logits[rows].numpy(), boxes[rows].numpy(), chosen)
        parts = [("cost", cost, "aux_cost")]
        if chosen is not None:
            corner_cost = assigner.corner_costs(pairs.gt, pairs.candidate, gts, chosen)
            parts.append(("corner cost", corner_cost, "aux_points_cost"))
        for part, values, key in parts:
            want = data[f"{case}_{key}"]
            checks.near(f"{name} {part} (relative)", _table(values, want), want, 1e-4, floor=1e-2)
        want = data[f"{case}_aux_pair_iou"]
        checks.near(f"{name} pair IoU", _table(iou, want), want, 1e-5)
    return checks


def check_atss(path: Path) -> Checks:
    """atss: assignment with and without ignore boxes, by the published rule."""
    data, checks = np.load(path), Checks()
    for case in prefixes(data, "_out_gt_index"):

        def read(key: str, case: str = case) -> torch.Tensor:
            return torch.from_numpy(data[f"{case}_{key}"])

        anchors, scale = read("anchors"), float(data[f"{case}_anchor_scale"])
        priors = torch.cat((anchors[:, :2] + anchors[:, 2:], 2 * (anchors[:, 2:] - anchors[:, :2]) / scale), 1) / 2
        assigner = ATSSAssigner(
            int(data[f"{case}_topk"]), scale, keep_all_gts=False, ignore_iof_thr=float(data[f"{case}_ignore_iof_thr"])
        )
        checks.same(f"{_case_name(data, case)} anchors", assigner.anchors(priors), anchors)
        gts = _one_image(read("gt_boxes"), read("gt_labels"), ignore_boxes=read("gt_boxes_ignore"))
        _check_assignment(checks, data, case, assigner.assign(priors, gts), np.ones(len(priors), bool))
    return checks


def _case_name(data: np.lib.npyio.NpzFile, case: str) -> str:
    return str(data[f"{case}_name"].item()) if f"{case}_name" in data.files else case


def _one_image(
    boxes: torch.Tensor,
    labels: torch.Tensor,
    corners: torch.Tensor | None = None,
    ignore_boxes: torch.Tensor | None = None,
) -> GroundTruths:
    targets = Targets.empty()
    known = torch.ones(len(boxes), dtype=torch.bool)
    corners = torch.zeros(len(boxes), 8) if corners is None else corners
    ignored = targets.ignore_boxes if ignore_boxes is None else ignore_boxes
    visible = known[:, None].expand(-1, 4)
    return GroundTruths.join([Targets(boxes, labels, corners.view(-1, 4, 2), visible, known, ignored)])


def _table(values: np.ndarray, want: np.ndarray) -> np.ndarray:
    """Values of all pairs, ordered by ground truth, as [candidates, ground truths]."""
    return values.reshape(want.shape[::-1]).T


def _check_assignment(
    checks: Checks, data: np.lib.npyio.NpzFile, case: str, result: Assignment, sure: np.ndarray
) -> None:
    name = _case_name(data, case)
    checks.same(f"{name} indices", result.gt_index[sure], data[f"{case}_out_gt_index"][sure])
    checks.same(f"{name} labels", result.labels[sure], data[f"{case}_out_label"][sure])
    checks.near(f"{name} IoU", result.ious[sure], data[f"{case}_out_iou"][sure], 1e-5)


def _tied_priors(data: np.lib.npyio.NpzFile, case: str) -> np.ndarray:
    """Mask [N]: priors whose two cheapest ground truths cost the same within CONFLICT_MARGIN.

    Only in a case whose recorded conflict margin is that small (two equal boxes): there rounding decides.
    """
    tied = np.zeros(len(data[f"{case}_out_gt_index"]), bool)
    if f"{case}_aux_margins" not in data.files or data[f"{case}_aux_margins"][2] > CONFLICT_MARGIN:
        return tied
    cheapest = np.sort(data[f"{case}_aux_cost"], axis=1)
    tied[data[f"{case}_aux_candidate_mask"]] = cheapest[:, 1] - cheapest[:, 0] <= CONFLICT_MARGIN
    return tied


def check_losses(path: Path) -> Checks:
    """losses: value, per-row value and gradient of the three losses."""
    data, checks = np.load(path), Checks()
    for case in prefixes(data, "_out_loss"):
        pred = torch.from_numpy(data[f"{case}_pred"]).requires_grad_()
        weight = torch.from_numpy(data[f"{case}_weight"]) if f"{case}_weight" in data.files else None
        average, factor = float(data[f"{case}_avg_factor"]), float(data[f"{case}_loss_weight"])
        common = {"weight": weight, "avg_factor": None if average < 0 else average, "loss_weight": factor}

        def read(key: str, case: str = case) -> torch.Tensor:
            return torch.from_numpy(data[f"{case}_{key}"])

        if case.startswith("qfl"):
            beta = float(data[f"{case}_beta"])
            loss = quality_focal_loss(pred, read("label"), read("score"), beta=beta, **common)
            each = quality_focal_each(pred, read("label"), read("score"), beta)
        elif case.startswith("dfl"):
            loss = distribution_focal_loss(pred, read("target"), **common)
            each = distribution_focal_each(pred, read("target"))
        else:
            eps = float(data[f"{case}_eps"]) if f"{case}_eps" in data.files else 1e-7
            loss = giou_loss(pred, read("target"), eps=eps, **common)
            each = giou_each(pred, read("target"), eps)
        checks.near(f"{case} loss (relative)", loss.item(), data[f"{case}_out_loss"], 1e-5, floor=1e-3)
        each = factor * each.detach() * (1 if weight is None else weight)
        expected = data[f"{case}_out_each"]
        if expected.ndim == 0:  # all weights zero: upstream returns the sum
            each = each.sum()
        checks.near(f"{case} rows (relative)", each, expected, 1e-5, floor=1e-1)
        (gradient,) = torch.autograd.grad(loss, pred)
        _check_gradient(checks, case, gradient, data[f"{case}_out_grad"])
    return checks


def _check_gradient(checks: Checks, case: str, gradient: torch.Tensor, expected: np.ndarray) -> None:
    if not case.startswith("giou"):
        checks.near(f"{case} gradient", gradient, expected, 1e-6, relative=1e-4)
        return
    ties = np.isin(np.arange(len(expected)), GIOU_TIES)
    checks.near(f"{case} gradient", gradient[~ties], expected[~ties], 1e-6, relative=1e-4)
    checks.near(f"{case} gradient at ties", gradient[ties], expected[ties], 1e-4)


def check_codecs(path: Path) -> Checks:
    """codecs: integrals, box and corner distances, priors."""
    data, checks = np.load(path), Checks()
    signs = torch.tensor(CORNER_SIGNS, dtype=torch.float32)

    def read(key: str) -> torch.Tensor:
        return torch.from_numpy(data[key])

    for case in prefixes(data, "_reg_max"):
        positions = torch.arange(int(data[f"{case}_reg_max"]) + 1, dtype=torch.float32)
        checks.near(f"{case}", codec.integral(read(f"{case}_in"), positions), data[f"{case}_out"], 1e-5)
    points, shape = read("points"), data["max_shape_hw"].tolist()
    for suffix, limit in (("free", None), ("clip", shape)):
        boxes = codec.distance2bbox(points, read("dist4"))
        corners = codec.distance2corners(points, read("dist8"), signs)
        if limit is not None:
            boxes, corners = clip_coordinates(boxes, limit), clip_coordinates(corners, limit)
        checks.near(f"distance2bbox_{suffix}", boxes, data[f"distance2bbox_{suffix}"], 1e-5, floor=1)
        checks.near(f"distance2pts_{suffix}", corners, data[f"distance2pts_{suffix}"], 1e-5, floor=1)
    for key in [key for key in data.files if key.startswith("bbox2distance_")]:
        suffix = key.split("_")[1]
        limit = None if suffix == "free" else float(suffix.removeprefix("max"))
        high = None if limit is None else limit - codec.CLAMP_MARGIN
        boxes = codec.bbox2distance(points, read("boxes"), limit)
        low = None if limit is None else 0.0
        corners = codec.corners2distance(points, read("quads"), signs, low, high)
        checks.near(key, boxes, data[key], 1e-5, floor=1)
        checks.near(f"pts2distance_{suffix}", corners, data[f"pts2distance_{suffix}"], 1e-5, floor=1)
    box_distance = codec.bbox2distance(points, read("boxes"))
    raw = torch.cat((box_distance, codec.corners2distance(points, read("quads"), signs)), 1)
    raw = raw / read("strides")[:, None]
    reg_max = float(data["head_dist_targets_clamped"].max()) + codec.CLAMP_MARGIN
    checks.near("head_dist_targets_raw", raw, data["head_dist_targets_raw"], 1e-5, floor=1)
    clamped = raw.clamp(0, reg_max - codec.CLAMP_MARGIN)
    checks.near("head_dist_targets_clamped", clamped, data["head_dist_targets_clamped"], 1e-5, floor=1)
    for case in prefixes(data, "_per_level"):
        height, width = data[f"{case}_image_hw"].tolist()
        strides = list(dict.fromkeys(data[case][:, 2].astype(int).tolist()))
        priors = make_priors(height, width, strides)
        checks.same(case, priors, data[case])
        levels = [int((priors[:, 2] == stride).sum()) for stride in strides]
        checks.same(f"{case} per level", levels, data[f"{case}_per_level"])
    return checks


def check_nms(path: Path) -> Checks:
    """nms: exact set and order."""
    data, checks = np.load(path), Checks()
    for case in prefixes(data, "_out_boxes"):
        boxes, scores, labels, corners = multiclass_nms(
            data[f"{case}_boxes"],
            data[f"{case}_scores"],
            data[f"{case}_points"].reshape(-1, 4, 2),
            float(data[f"{case}_score_thr"]),
            float(data[f"{case}_iou_thr"]),
            int(data[f"{case}_max_num"]),
        )
        checks.same(f"{case} boxes", boxes, data[f"{case}_out_boxes"])
        checks.same(f"{case} scores", scores, data[f"{case}_out_scores"])
        checks.same(f"{case} labels", labels, data[f"{case}_out_labels"])
        checks.same(f"{case} corners", corners.reshape(-1, 8), data[f"{case}_out_points"])
    return checks


def check_warp(path: Path) -> Checks:
    """warp: matrices, boxes and corners both ways, sizes, pixels."""
    data, checks = np.load(path), Checks()
    source, target = data["src_wh"], data["dst_wh"]
    for case in (key[:-2] for key in data.files if key.endswith("_M") and key.startswith("m")):
        matrix = data[f"{case}_M"]
        _check_shapes(checks, data, f"{case}_", data["boxes"], data["points"], matrix, target)
        back = np.linalg.inv(matrix)
        _check_shapes(checks, data, f"{case}_inv_", data[f"{case}_boxes"], data[f"{case}_points"], back, source)
    for case in prefixes(data, "_keep_ratio"):
        size = data[f"{case}_out_hw"][::-1]
        matrix = warp.compose_warp(source, [data[f"{case}_factor_{name}"] for name in WARP_ORDER])
        checks.near(f"{case} matrix", matrix, data[f"{case}_M"], 1e-9, relative=1e-12)
        keep_ratio = bool(data[f"{case}_keep_ratio"])
        if keep_ratio:
            checks.same(f"{case} size", minimum_size(source, target, int(data[f"{case}_divisible"])), size)
        resize = warp.resize_matrix(source, size, keep_ratio)
        checks.near(f"{case} resize matrix", resize, data[f"{case}_factor_resize"], 1e-9)
        _check_shapes(checks, data, f"{case}_out_", data["boxes"], data["points"], matrix, size)
    for case in (key[:-3] for key in data.files if key.startswith("mindst") and key.endswith("_in")):
        width, height, target_width, target_height, divisor = data[f"{case}_in"].tolist()
        sizes = (width, height), (target_width, target_height)
        checks.same(case, minimum_size(*sizes, divisor), data[f"{case}_out"])
        for keep in (0, 1):
            key = f"{case.replace('mindst', 'resize')}_keep{keep}"
            checks.near(key, warp.resize_matrix(*sizes, bool(keep)), data[key], 1e-9)
    pixels = warp.warp_image(data["pix_in"], data["pix_M"], data["pix_dst_wh"].tolist())
    checks.near("pixels (gray levels)", pixels, data["pix_out"], 1.0)
    normal = normalise(data["pix_out"], data["norm_mean"], data["norm_std"])
    checks.near("normalised pixels", normal, data["pix_norm"], 1e-5)
    return checks


def _check_shapes(
    checks: Checks,
    data: np.lib.npyio.NpzFile,
    prefix: str,
    boxes: np.ndarray,
    points: np.ndarray,
    matrix: np.ndarray,
    size: np.ndarray,
) -> None:
    corners = warp.warp_corners(points, matrix, size).reshape(-1, 8)
    checks.near(f"{prefix}boxes (px)", warp.warp_boxes(boxes, matrix, size), data[f"{prefix}boxes"], 1e-3)
    checks.near(f"{prefix}points (px)", corners, data[f"{prefix}points"], 1e-3)


CHECKERS = {
    "dsla_plain": lambda path: check_dsla(path, DynamicSoftLabelAssigner(corner_cost="none", inside_own_gt=False)),
    "dsla_points": lambda path: check_dsla(
        path, DynamicSoftLabelAssigner(corner_cost="published", inside_own_gt=False)
    ),
    "dsla_rtm": lambda path: check_dsla(
        path, DynamicSoftLabelAssigner(corner_cost="none", inside_own_gt=False, soft_center_radius=3)
    ),
    "atss": check_atss,
    "losses": check_losses,
    "codecs": check_codecs,
    "nms": check_nms,
    "warp": check_warp,
}
