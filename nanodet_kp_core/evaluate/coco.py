"""COCO's average precision of boxes and of corners (OKS), computed by pycocotools."""

from __future__ import annotations

import contextlib
import io
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any

import numpy as np
from pycocotools.coco import COCO
from pycocotools.cocoeval import COCOeval

from nanodet_kp_core.evaluate.metrics import Prediction
from nanodet_kp_core.labels.sample import Record

OKS_SIGMA = 0.05
"""COCO's per-keypoint sigma, the same for all four corners: OKS = mean of exp(-d^2 / (2 area (2 sigma)^2))."""

MAX_DETECTIONS = 100
_NAN = float("nan")
_BOX_NAMES = ("mAP", "AP_50", "AP_75", "AP_small", "AP_medium", "AP_large")


@dataclass(frozen=True)
class CocoScore:
    """Average precision over IoU (or OKS) 0.50:0.05:0.95, mean over the classes that are labeled; nan without any.

    mAP, AP_50, AP_75: of the boxes; AP_small, AP_medium, AP_large: plates below 32^2, 32^2 to 96^2, above 96^2 pixels
    of box area. oks_mAP, oks_AP_50, oks_AP_75: of the corners. plate_AP, plate_AP_50, plate_oks_AP: the same with all
    classes taken as one, so that a plate with the wrong class counts as found.
    """

    mAP: float = _NAN
    AP_50: float = _NAN
    AP_75: float = _NAN
    AP_small: float = _NAN
    AP_medium: float = _NAN
    AP_large: float = _NAN
    oks_mAP: float = _NAN
    oks_AP_50: float = _NAN
    oks_AP_75: float = _NAN
    plate_AP: float = _NAN
    plate_AP_50: float = _NAN
    plate_oks_AP: float = _NAN


def coco_score(
    records: Sequence[Record],
    predictions: Mapping[str, Sequence[Prediction]],
    class_names: Sequence[str],
    plates_too: bool = False,
) -> CocoScore:
    """Average precision of predictions (by record name); plates_too adds the figures without classes.

    The labeled box counts, and box area is the OKS scale. Ignore boxes are COCO's crowd; so is a plate whose number
    nobody can read while classes count, and one without labeled corners for OKS. A box-only model has no OKS figures.
    """
    names = list(class_names)
    boxes = _average_precision(records, predictions, names, "bbox")
    corners = _average_precision(records, predictions, names, "keypoints")
    score = CocoScore(**boxes, **{f"oks_{name}": value for name, value in corners.items()})
    if not plates_too:
        return score
    boxes = _average_precision(records, predictions, None, "bbox")
    corners = _average_precision(records, predictions, None, "keypoints")
    return replace(score, plate_AP=boxes["mAP"], plate_AP_50=boxes["AP_50"], plate_oks_AP=corners["mAP"])


def _dataset(
    records: Sequence[Record],
    predictions: Mapping[str, Sequence[Prediction]],
    class_names: list[str] | None,
    corners: bool,
) -> tuple[dict[str, Any], list[dict[str, Any]]]:
    """COCO document and results; class_names None makes all plates one class. Ids start at 1: COCOeval needs it."""
    images = [{"id": k} for k in range(1, len(records) + 1)]
    truth: list[dict[str, Any]] = []
    results: list[dict[str, Any]] = []
    for image, record in zip(images, records):
        categories: set[int] = set()
        for found in predictions.get(record.name, ()):
            if (class_names is not None and found.label not in class_names) or (corners and not found.has_corners):
                continue
            category = 1 if class_names is None else class_names.index(found.label) + 1
            categories.add(category)
            results.append(_annotation(results, image["id"], category, found.box, found.corners, np.full(4, 2)))
            results[-1]["score"] = float(found.score)
        unscored = list(record.ignore_boxes)
        for k, label in enumerate(record.labels):
            counted = record.number_known[k] or class_names is None
            if not counted or (corners and not (record.visible[k] > 0).any()):
                unscored.append(record.boxes[k])
                continue
            category = 1 if class_names is None else int(label) + 1
            truth.append(
                _annotation(truth, image["id"], category, record.boxes[k], record.corners[k], record.visible[k])
            )
        for box in unscored:  # a crowd belongs to a class: one for each class that could be excused by it
            for category in sorted(categories):
                truth.append(_annotation(truth, image["id"], category, box, np.zeros((4, 2)), np.zeros(4)))
                truth[-1]["iscrowd"] = 1
    labeled = sorted({entry["category_id"] for entry in truth if not entry["iscrowd"]})
    document = {"images": images, "annotations": truth, "categories": [{"id": c} for c in labeled]}
    return document, results


def _annotation(
    others: list[dict[str, Any]], image: int, category: int, box: np.ndarray, corners: np.ndarray, visible: np.ndarray
) -> dict[str, Any]:
    x, y, right, bottom = (float(v) for v in box)
    return {
        "id": len(others) + 1,
        "image_id": image,
        "category_id": category,
        "bbox": [x, y, right - x, bottom - y],
        "area": (right - x) * (bottom - y),
        "keypoints": np.column_stack([corners, visible]).astype(float).ravel().tolist(),
        "num_keypoints": int((visible > 0).sum()),
        "iscrowd": 0,
    }


def _average_precision(
    records: Sequence[Record],
    predictions: Mapping[str, Sequence[Prediction]],
    class_names: list[str] | None,
    kind: str,
) -> dict[str, float]:
    """mAP, AP_50, AP_75 of "bbox" or "keypoints", and for boxes AP_small, AP_medium and AP_large."""
    names = ("mAP", "AP_50", "AP_75") if kind == "keypoints" else _BOX_NAMES
    document, results = _dataset(records, predictions, class_names, corners=kind == "keypoints")
    box_only = kind == "keypoints" and not results and any(predictions.values())
    if not document["categories"] or box_only:
        return dict.fromkeys(names, _NAN)
    with contextlib.redirect_stdout(io.StringIO()):  # pycocotools prints what it does
        run = COCOeval(_index(document), _index({**document, "annotations": results}), kind)
        run.params.kpt_oks_sigmas = np.full(4, OKS_SIGMA)
        run.params.maxDets = [MAX_DETECTIONS]
        if kind == "keypoints":  # COCO has no small keypoint objects and leaves them out; here most plates are small
            run.params.areaRng, run.params.areaRngLbl = [[0, 1e10]], ["all"]
        run.evaluate()
        run.accumulate()
    precision = run.eval["precision"][..., -1]  # [IoU thresholds, recalls, classes, areas]; -1: nothing labeled
    everything, levels = precision[..., 0], run.params.iouThrs
    figures = [everything, everything[np.isclose(levels, 0.5)], everything[np.isclose(levels, 0.75)]]
    figures += [precision[..., area] for area in range(1, precision.shape[-1])]
    return {name: _mean_known(values) for name, values in zip(names, figures)}


def _index(document: dict[str, Any]) -> COCO:
    coco = COCO()
    coco.dataset = document
    coco.createIndex()
    return coco


def _mean_known(precision: np.ndarray) -> float:
    known = precision[precision > -1]
    return float(known.mean()) if known.size else _NAN
