"""COCO keypoints with four points a plate.

Categories are matched by name, never by id. "B_?" is a plate whose color is known and whose sticker nobody can read.
An annotation with iscrowd 1 is an ignore box. The published four-point fork keeps its corners in `points` (8 numbers)
instead of `keypoints` (12): both are read. An annotation with neither is a plate of which only the box is known.
"""

from __future__ import annotations

import json
import re
from collections.abc import Iterable, Sequence
from pathlib import Path
from typing import Any

from nanodet_kp_core.classes import factors
from nanodet_kp_core.errors import DataError, shown
from nanodet_kp_core.files import write_atomically
from nanodet_kp_core.geometry import CORNER_NAMES
from nanodet_kp_core.labels.images import existing, name_below
from nanodet_kp_core.labels.labels import (
    MAX_SIDE,
    UNKNOWN,
    Box,
    Fault,
    LabeledImage,
    Plate,
    from_plates,
    number,
    plate_of_numbers,
    read_text,
    safe_name,
    whole,
    with_unlabeled,
)
from nanodet_kp_core.labels.sample import Sample

EXPECTED = "a COCO keypoints file"
MAX_BYTES = 1 << 31
LISTS = {"images": "image", "annotations": "annotation", "categories": "category"}

_SPACE = re.compile(r"[ \t\n\r]*")
_Entry = tuple[dict[str, Any], str]


def read(images: Path, labels: Path, faults: list[Fault]) -> list[LabeledImage]:
    """Images of a label file; one without annotations is background.

    Raises DataError when the file is missing or no COCO file; what is wrong with one entry goes into `faults`.
    """
    text = read_text(labels, EXPECTED, MAX_BYTES)
    try:
        document = _parse(text, labels)
    except json.JSONDecodeError as error:
        raise DataError(f"{labels}:{error.lineno}: expected JSON, got: {error.msg}") from None
    except (ValueError, RecursionError) as error:  # a number of 5000 digits, brackets nested 5000 deep
        raise DataError(f"{labels}: expected JSON, got: {str(error)[:80]}") from None
    names = _category_names(document["categories"], faults)
    listed = {_key(image.get("id")) for image, _ in document["images"]}
    found = dict(_images(document["images"], images, faults))
    seen: set[str] = set()
    for annotation, where in document["annotations"]:
        key = _key(annotation.get("id"))
        if "id" in annotation and key in seen:
            faults.append(Fault(where, "expected an id of its own, got one that another annotation has"))
        seen.add(key)
        owner = _key(annotation.get("image_id"))
        if owner not in listed:
            faults.append(Fault(where, f"expected the id of an image, got {shown(annotation.get('image_id'))}"))
            continue
        plate = _plate(annotation, where, names)
        if not isinstance(plate, Plate):
            faults.append(plate)
        elif owner in found:
            found[owner].plates.append(plate)
    return existing(list(found.values()), faults)


def _parse(text: str, path: Path) -> dict[str, list[_Entry]]:
    """The three lists, each entry with its file:line; everything else in the file is skipped."""
    decode = json.JSONDecoder().raw_decode
    lists: dict[str, list[_Entry]] = {}
    position = _skip(text, 0)
    if text[position : position + 1] != "{":
        raise DataError(f"{path}: expected {EXPECTED} with a list 'images', got no JSON object")
    position = _skip(text, position + 1)
    while text[position : position + 1] != "}":
        key, position = decode(text, position)
        position = _expect(text, _skip(text, position), ":")
        if key in LISTS and text[position : position + 1] == "[":
            lists[key], position = _entries(text, position, path, key)
        else:
            _, position = decode(text, position)
        position = _skip(text, position)
        if text[position : position + 1] != "}":
            position = _expect(text, position, ",")
    if _skip(text, position + 1) != len(text):
        raise json.JSONDecodeError("more text after the end", text, position + 1)
    for key in LISTS:
        if key not in lists:
            raise DataError(f"{path}: expected {EXPECTED} with a list {key!r}, got none")
    return lists


def _entries(text: str, position: int, path: Path, key: str) -> tuple[list[_Entry], int]:
    decode = json.JSONDecoder().raw_decode
    line, counted = 1, 0
    entries: list[_Entry] = []
    position = _skip(text, position + 1)
    while text[position : position + 1] != "]":
        line, counted = line + text.count("\n", counted, position), position
        value, position = decode(text, position)
        if not isinstance(value, dict):
            raise DataError(f"{path}:{line}: expected an object in {key!r}, got {shown(value)}")
        entries.append((value, f"{path}:{line}: {LISTS[key]} {shown(value.get('id', len(entries)))}"))
        position = _skip(text, position)
        if text[position : position + 1] != "]":
            position = _expect(text, position, ",")
    return entries, position + 1


def _skip(text: str, position: int) -> int:
    match = _SPACE.match(text, position)
    return match.end() if match else position


def _expect(text: str, position: int, character: str) -> int:
    if text[position : position + 1] != character:
        raise json.JSONDecodeError(f"Expecting {character!r}", text, position)
    return _skip(text, position + 1)


def _key(value: object) -> str:
    """An id as a key of a dict: any JSON value can stand there, and 1 is not "1"."""
    return str(value) if type(value) is int else json.dumps(value)


def _category_names(categories: list[_Entry], faults: list[Fault]) -> dict[str, str]:
    names: dict[str, str] = {}
    for category, where in categories:
        name = category.get("name")
        if not isinstance(name, str) or not name:
            faults.append(Fault(where, f"expected a class name, got {shown(name)}"))
        elif _key(category.get("id")) in names:
            faults.append(Fault(where, "expected an id of its own, got one that another category has"))
        else:
            names[_key(category.get("id"))] = name
    return names


def _images(entries: list[_Entry], folder: Path, faults: list[Fault]) -> Iterable[tuple[str, LabeledImage]]:
    seen = set()
    for image, where in entries:
        name, key = name_below(folder, image.get("file_name")), _key(image.get("id"))
        width, height = whole(image.get("width"), 1, MAX_SIDE), whole(image.get("height"), 1, MAX_SIDE)
        if not safe_name(name):
            why = ", a path of Windows without such a file there" if "\\" in str(name) else ""
            faults.append(Fault(where, f"expected a file_name below the image folder, got {shown(name)}{why}"))
        elif width is None or height is None:
            got = f"{shown(image.get('width'))} x {shown(image.get('height'))}"
            faults.append(Fault(where, f"expected a width and a height of 1 to {MAX_SIDE} pixels, got {got}"))
        elif key in seen:
            faults.append(Fault(where, "expected an id of its own, got one that another image has"))
        else:
            yield key, LabeledImage(str(name), folder / str(name), width, height, where)
        seen.add(key)


def _plate(annotation: dict[str, Any], where: str, names: dict[str, str]) -> Plate | Fault:
    ignore = annotation.get("iscrowd", 0) in (1, True)
    key = _key(annotation.get("category_id"))
    if key not in names and not ignore:
        return Fault(where, f"expected the id of a category, got {shown(annotation.get('category_id'))}")
    values = _numbers(annotation.get("bbox"))
    if values is None or len(values) != 4 or values[2] < 0 or values[3] < 0:
        got = _listed(annotation.get("bbox"))
        return Fault(where, f"expected a bbox of 4 numbers (x, y, width, height), got {got}")
    box = (values[0], values[1], values[0] + values[2], values[1] + values[3])
    if ignore:
        return Plate(where, "", with_unlabeled([(0.0, 0.0)] * 4, (0,) * 4, box), box, (0,) * 4, ignore=True)
    return _corners(annotation, where, names[key], box)


def _corners(annotation: dict[str, Any], where: str, name: str, box: Box) -> Plate | Fault:
    if "keypoints" not in annotation and "points" in annotation:
        points = _numbers(annotation["points"])
        if points is None or len(points) != 8:
            return Fault(where, f"expected points of 8 numbers (x1, y1 .. x4, y4), got {_listed(annotation['points'])}")
        return plate_of_numbers(where, name, points, box)
    keypoints = _numbers(annotation.get("keypoints", [0] * 12))
    if keypoints is None or len(keypoints) != 12:
        return Fault(where, f"expected 4 keypoints (12 numbers), got {_listed(annotation['keypoints'])}")
    visible = tuple(int(v) if v in (0, 1, 2) else -1 for v in keypoints[2::3])
    if -1 in visible:
        return Fault(where, f"expected a visibility of 0, 1 or 2 a corner, got {keypoints[2::3]}")
    corners = tuple(zip(keypoints[::3], keypoints[1::3]))
    return Plate(where, name, with_unlabeled(corners, visible, box), box, visible)


def _numbers(values: object) -> list[float] | None:
    if not isinstance(values, list) or len(values) > 12:
        return None
    found = [number(value) if not isinstance(value, str) else None for value in values]
    return None if None in found else [value for value in found if value is not None]


def _listed(values: object) -> str:
    if not isinstance(values, list):
        return shown(values)
    wrong = next((value for value in values if isinstance(value, str) or number(value) is None), None)
    return f"{len(values)} numbers" if wrong is None else shown(wrong)


def write(out: Path, images: Sequence[LabeledImage], class_names: Sequence[str]) -> None:
    """Write labels.json into `out`, one entry per line. A number is written with all its digits."""
    rows = ((image.name, (image.width, image.height), image.plates) for image in images)
    document = _document(rows, class_names, digits=None)
    lists = (f'"{key}": [\n' + ",\n".join(map(json.dumps, entries)) + "\n]" for key, entries in document.items())
    write_atomically(out / "labels.json", ("{\n" + ",\n".join(lists) + "\n}\n").encode())


def coco_document(samples: Iterable[tuple[str, Sample]], class_names: Sequence[str]) -> dict[str, Any]:
    """The JSON document for (file name, sample) pairs, to a thousandth of a pixel."""
    rows = (
        (name, (sample.image.shape[1], sample.image.shape[0]), from_plates(sample, class_names))
        for name, sample in samples
    )
    return _document(rows, class_names, digits=3)


def _document(
    rows: Iterable[tuple[str, tuple[int, int], Sequence[Plate]]], class_names: Sequence[str], digits: int | None
) -> dict[str, Any]:
    rows, pair = list(rows), factors(class_names)
    names = [*class_names, *(f"{color}_{UNKNOWN}" for color in pair[0])] if pair else list(class_names)
    names += sorted({plate.name for _, _, plates in rows for plate in plates if not plate.ignore} - set(names))
    ids = {name: k for k, name in enumerate(names)}
    images: list[dict[str, Any]] = []
    annotations: list[dict[str, Any]] = []
    for name, (width, height), plates in rows:
        images.append({"id": len(images), "file_name": name, "width": width, "height": height})
        for plate in plates:
            place = {"id": len(annotations), "image_id": images[-1]["id"]}
            category = 0 if plate.ignore else ids[plate.name]
            annotations.append({**place, "category_id": category, **_annotation(plate, digits)})
    categories = [{"id": k, "name": name, "keypoints": list(CORNER_NAMES)} for k, name in enumerate(names)]
    return {"images": images, "annotations": annotations, "categories": categories}


def _annotation(plate: Plate, digits: int | None) -> dict[str, Any]:
    def rounded(value: float) -> float:
        return value if digits is None else round(value, digits)

    left, top, right, bottom = (rounded(value) for value in plate.box)
    keypoints: list[float] = []
    for (x, y), seen in zip(plate.corners, plate.visible):
        keypoints += [rounded(x), rounded(y), seen] if seen else [0.0, 0.0, 0]
    return {
        "bbox": [left, top, rounded(right - left), rounded(bottom - top)],
        "area": rounded((right - left) * (bottom - top)),
        "keypoints": keypoints,
        "num_keypoints": sum(seen > 0 for seen in plate.visible),
        "iscrowd": int(plate.ignore),
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
