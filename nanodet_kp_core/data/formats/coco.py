"""COCO keypoints with four points a plate.

Categories are matched by name, never by id. "B_?" is a plate whose colour is known and whose sticker nobody can read.
An annotation with iscrowd 1 is an ignore box.
"""

from __future__ import annotations

import json
from collections.abc import Iterable, Sequence
from pathlib import Path
from typing import Any

import numpy as np

from nanodet_kp_core.classes import factors
from nanodet_kp_core.data.sample import Record, Sample
from nanodet_kp_core.errors import DataError
from nanodet_kp_core.geometry import CORNER_NAMES, boxes_of_corners

UNKNOWN = "?"


def read_coco(ann_path: Path, img_path: Path, class_names: Sequence[str]) -> list[Record]:
    """Records of a label file; images without annotations are kept as background.

    Raises DataError when the file is missing, no COCO keypoints file, or names a class that is not in `class_names`.
    """
    try:
        data = json.loads(Path(ann_path).read_text(encoding="utf-8"))
    except OSError as error:
        raise DataError(f"{ann_path}: expected a COCO keypoints file, got: {error.strerror}") from None
    except ValueError as error:
        raise DataError(f"{ann_path}: expected JSON, got: {error}") from None
    for key in ("images", "annotations", "categories"):
        if not isinstance(data, dict) or not isinstance(data.get(key), list):
            raise DataError(f"{ann_path}: expected a COCO keypoints file with a list {key!r}, got none")
    try:
        return _records(data, Path(ann_path), Path(img_path), list(class_names))
    except (KeyError, TypeError, ValueError) as error:
        raise DataError(f"{ann_path}: expected COCO keypoints entries, got one with {error!r}") from None


def _records(data: dict[str, Any], ann_path: Path, img_path: Path, class_names: list[str]) -> list[Record]:
    names = {category["id"]: str(category["name"]) for category in data["categories"]}
    by_image: dict[Any, list[dict[str, Any]]] = {}
    for annotation in data["annotations"]:
        by_image.setdefault(annotation["image_id"], []).append(annotation)
    records = []
    for image in data["images"]:
        plates, ignores = [], []
        for annotation in by_image.get(image["id"], []):
            x, y, w, h = annotation["bbox"]
            if annotation.get("iscrowd"):
                ignores.append((x, y, x + w, y + h))
                continue
            points = np.asarray(annotation["keypoints"], np.float32)
            if points.size != 12:
                raise DataError(
                    f"{ann_path}: annotation {annotation['id']}: expected 4 keypoints (12 numbers), got {points.size}"
                )
            label, known = _label(names[annotation["category_id"]], class_names, ann_path)
            plates.append((points.reshape(4, 3)[:, :2], label, known))
        records.append(
            Record(
                path=img_path / image["file_name"],
                name=image["file_name"],
                width=int(image["width"]),
                height=int(image["height"]),
                corners=np.array([p[0] for p in plates], np.float32).reshape(-1, 4, 2),
                labels=np.array([p[1] for p in plates], np.int64),
                number_known=np.array([p[2] for p in plates], bool),
                ignore_boxes=np.array(ignores, np.float32).reshape(-1, 4),
            )
        )
    return records


def _label(name: str, class_names: list[str], ann_path: Path) -> tuple[int, bool]:
    if name in class_names:
        return class_names.index(name), True
    color, _, number = name.partition("_")
    pair = factors(class_names)
    if number == UNKNOWN and pair is not None and color in pair[0]:
        return pair[0].index(color) * len(pair[1]), False
    raise DataError(f"{ann_path}: expected one of the class_names {class_names[:4]}..., got category {name!r}")


def coco_document(samples: Iterable[tuple[str, Sample]], class_names: Sequence[str]) -> dict[str, Any]:
    """The JSON document for (file name, sample) pairs."""
    names = list(class_names)
    pair = factors(names)
    names += [f"{color}_{UNKNOWN}" for color in pair[0]] if pair else []
    images: list[dict[str, Any]] = []
    annotations: list[dict[str, Any]] = []
    for file_name, sample in samples:
        height, width = sample.image.shape[:2]
        images.append({"id": len(images), "file_name": file_name, "width": width, "height": height})
        for corners, label, known in zip(sample.corners, sample.labels, sample.number_known):
            name = class_names[label] if known else f"{class_names[label].partition('_')[0]}_{UNKNOWN}"
            keypoints = [float(v) for x, y in corners.round(3).tolist() for v in (x, y, 2)]
            box = boxes_of_corners(corners)
            annotations.append(_annotation(annotations, images, box, names.index(name), keypoints, 0))
        for box in sample.ignore_boxes:
            annotations.append(_annotation(annotations, images, box, 0, [0.0] * 12, 1))
    categories = [{"id": k, "name": n, "keypoints": list(CORNER_NAMES)} for k, n in enumerate(names)]
    return {"images": images, "annotations": annotations, "categories": categories}


def _annotation(
    annotations: list[Any], images: list[Any], box: np.ndarray, category: int, keypoints: list[float], crowd: int
) -> dict[str, Any]:
    x, y, right, bottom = (round(float(v), 3) for v in box)
    return {
        "id": len(annotations),
        "image_id": images[-1]["id"],
        "category_id": category,
        "bbox": [x, y, round(right - x, 3), round(bottom - y, 3)],
        "area": round((right - x) * (bottom - y), 3),
        "keypoints": keypoints,
        "num_keypoints": 0 if crowd else 4,
        "iscrowd": crowd,
    }


def merge_coco(documents: Iterable[dict[str, Any]]) -> dict[str, Any]:
    """One document out of several with the same categories; ids are numbered anew."""
    merged: dict[str, Any] = {"images": [], "annotations": [], "categories": []}
    for document in documents:
        merged["categories"] = document["categories"]
        image_offset, annotation_offset = len(merged["images"]), len(merged["annotations"])
        for image in document["images"]:
            merged["images"].append({**image, "id": image["id"] + image_offset})
        for annotation in document["annotations"]:
            merged["annotations"].append(
                {
                    **annotation,
                    "id": annotation["id"] + annotation_offset,
                    "image_id": annotation["image_id"] + image_offset,
                }
            )
    return merged
