"""YOLO-pose: data.yaml with class names and kpt_shape, images/ and labels/ with a .txt file an image.

    class cx cy w h x1 y1 v1 x2 y2 v2 x3 y3 v3 x4 y4 v4         kpt_shape [4, 3]
    class cx cy w h x1 y1 x2 y2 x3 y3 x4 y4                     kpt_shape [4, 2]

Everything but the class and the visibilities is a share of the image's width or height. The labels of an image are
where its path says `labels` instead of its last `images`; without such a folder they are beside the image.
Source: the data set pages of the Ultralytics documentation.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import yaml

from nanodet_kp_core.errors import DataError, shown
from nanodet_kp_core.geometry import MIRROR_LEFT_RIGHT
from nanodet_kp_core.labels import text_files
from nanodet_kp_core.labels.images import Header
from nanodet_kp_core.labels.labels import (
    Fault,
    LabeledImage,
    Plate,
    plate_of_numbers,
    read_text,
    with_unlabeled,
)
from nanodet_kp_core.yaml_text import parse_yaml

EXPECTED = "a data.yaml of YOLO-pose"
MAX_NAMES = 1000
MAX_BYTES = 1 << 16  # PyYAML takes seconds for a megabyte


@dataclass(frozen=True)
class _Sheet:
    """What data.yaml says: names by id (None where an id has no name), numbers a corner."""

    names: tuple[str, ...]
    numbers: int

    def line(self, where: str, words: list[str], header: Header) -> Plate | str:
        name = text_files.class_of(words[0], self.names)
        expected = 5 + 4 * self.numbers
        if len(words) != expected:
            return f"expected {expected} numbers (kpt_shape [4, {self.numbers}] in data.yaml), got {len(words)}"
        if not name:
            return f"expected the id of a class in data.yaml (0 to {len(self.names) - 1}), got {shown(words[0])}"
        shares = text_files.numbers_of(words[1:])
        if isinstance(shares, str):
            return shares
        box = text_files.box_of_shares(shares[:4], header)
        if self.numbers == 2:
            return plate_of_numbers(where, name, text_files.to_pixels(shares[4:], header), box)
        marks = [mark if mark in (0, 1, 2) else None for mark in shares[6::3]]
        if None in marks:
            return f"expected a visibility of 0, 1 or 2 a corner, got {shares[6::3]}"
        visible = tuple(int(mark or 0) for mark in marks)
        corners = [(x * header.width, y * header.height) for x, y in zip(shares[4::3], shares[5::3])]
        return Plate(where, name, with_unlabeled(corners, visible, box), box, visible)


def read(images: Path, labels: Path, faults: list[Fault]) -> list[LabeledImage]:
    """Every image below `images` with its plates; `labels` is the data.yaml.

    Raises DataError when data.yaml is missing or wrong, and see text_files.read_folder.
    """
    sheet = _read_sheet(labels)
    return text_files.read_folder(images, labels_folder(images), faults, sheet.line, as_stored=False)


def labels_folder(images: Path) -> Path:
    """Where the labels of an image folder are."""
    parts = images.parts if "images" in images.parts else images.absolute().parts
    if "images" not in parts:
        return images
    last = len(parts) - 1 - parts[::-1].index("images")
    return Path(*parts[:last], "labels", *parts[last + 1 :])


def _read_sheet(path: Path) -> _Sheet:
    values = parse_yaml(read_text(path, EXPECTED, MAX_BYTES), path, DataError, named="names")
    if not isinstance(values, dict):
        raise DataError(f"{path}: expected {EXPECTED} with names and kpt_shape, got {shown(values)}")
    names, shape = _names(values.get("names"), path), values.get("kpt_shape")
    if shape not in ([4, 2], [4, 3]):
        got = shape if isinstance(shape, list) and len(shape) < 4 and all(type(n) is int for n in shape) else None
        raise DataError(f"{path}: kpt_shape: expected [4, 2] or [4, 3], got {got or shown(shape)}")
    return _Sheet(names, shape[1])


def _names(values: object, path: Path) -> tuple[str, ...]:
    """Names by id, out of a list or of a mapping from id to name; an id that is left out has an empty name."""
    entries = dict(enumerate(values)) if isinstance(values, list) else values
    if not isinstance(entries, dict) or not entries or len(entries) > MAX_NAMES:
        raise DataError(f"{path}: names: expected a list of class names, got {shown(values)}")
    for key, name in entries.items():
        if type(key) is not int or not 0 <= key < MAX_NAMES:
            raise DataError(f"{path}: names: expected ids of 0 and more, got {shown(key)}")
        if type(name) is not str or name == "":
            raise DataError(
                f"{path}: names: expected a class name for id {key}, got {shown(name)}; put the name into quotes"
            )
    names = [str(entries.get(key, "")) for key in range(max(entries) + 1)]
    repeated = sorted({name for name in names if name and names.count(name) > 1})
    if repeated:
        raise DataError(f"{path}: names: expected different names, got {shown(repeated[0])} twice")
    return tuple(names)


def write(out: Path, images: Sequence[LabeledImage], class_names: Sequence[str]) -> None:
    """Write data.yaml and the label files into out/labels, with visibilities. A number has all its digits.

    Names that the plates have besides `class_names` ("B_?") follow them.
    """
    used = {plate.name for image in images for plate in image.plates}
    names = [*class_names, *sorted(used - set(class_names))]
    (out / "labels").mkdir(parents=True, exist_ok=True)
    for image in images:
        text_files.write_lines(out / "labels", image, lines_of(image, names))
    (out / "data.yaml").write_text(sheet_of(names), encoding="utf-8")


def lines_of(image: LabeledImage, names: Sequence[str]) -> list[str]:
    """The label file of an image, line by line."""
    ids = {name: k for k, name in enumerate(names)}
    return [_written(plate, image, ids) for plate in image.plates]


def sheet_of(names: Sequence[str]) -> str:
    """The text of data.yaml."""
    sheet = {
        "path": ".",
        "train": "images",
        "val": "images",
        "kpt_shape": [4, 3],
        "flip_idx": list(MIRROR_LEFT_RIGHT),
        "names": dict(enumerate(names)),
    }
    return yaml.safe_dump(sheet, sort_keys=False, allow_unicode=True)


def _written(plate: Plate, image: LabeledImage, ids: dict[str, int]) -> str:
    words: list[float] = [ids[plate.name], *text_files.shares_of_box(plate.box, image)]
    shares = text_files.to_shares(text_files.flat(plate), image)
    for x, y, seen in zip(shares[::2], shares[1::2], plate.visible):
        words += [x, y, seen] if seen else [0.0, 0.0, 0]
    return " ".join(map(str, words))
