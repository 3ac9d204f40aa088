"""What every label format is read into and written from: class names as the file says them, and where each stands.

A reader gives LabeledImage, so that a fault can be told with its file and line, and a conversion needs no class list.
Training sees Record: class names become indices there, and only there.
"""

from __future__ import annotations

import difflib
import math
import os
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field
from pathlib import Path, PurePosixPath

import numpy as np

from nanodet_kp_core.classes import factors
from nanodet_kp_core.errors import DataError, shown
from nanodet_kp_core.geometry import BOX_CORNERS
from nanodet_kp_core.labels.sample import Plates, Record
from nanodet_kp_core.texts import decoded

UNKNOWN = "?"
"""Stands for the sticker that nobody can read: "B_?" is a blue plate of unknown number."""

MAX_COORDINATE = 1e6
"""Pixels. A larger number is a typing error, and float32 would no longer hold a twentieth of a pixel."""

MAX_SIDE = 1 << 16

Point = tuple[float, float]
Box = tuple[float, float, float, float]


@dataclass(frozen=True)
class Fault:
    """One sentence about one place. where: file, file:line or an entry in it; level: "error" or "warning"."""

    where: str
    text: str
    level: str = "error"

    def __str__(self) -> str:
        return f"{self.where}: {self.text}"


def fault_of(error: DataError) -> Fault:
    """What a DataError says, as a fault among others."""
    where, _, text = str(error).partition(": ")
    return Fault(where, text)


@dataclass(frozen=True)
class Plate:
    """One labeled object. Coordinates are pixels, in float64 as the file has them.

    name: class name; anything for an ignore box. corners: left-top, left-bottom, right-bottom, right-top.
    visible: 0 not labeled (the coordinates are then those of the box), 1 hidden or outside, 2 seen.
    box: x_min, y_min, x_max, y_max as labeled, or the hull of the corners where the format has none.
    """

    where: str
    name: str
    corners: tuple[Point, ...]
    box: Box
    visible: tuple[int, ...] = (2, 2, 2, 2)
    ignore: bool = False


@dataclass(frozen=True)
class LabeledImage:
    """name: path relative to the image folder, with forward slashes; where: the label file, or the image without one.

    labeled False: nobody wrote down anything about this image, which makes it background.
    """

    name: str
    path: Path
    width: int
    height: int
    where: str
    plates: list[Plate] = field(default_factory=list)
    labeled: bool = True


def hull(corners: Iterable[Point]) -> Box:
    """The smallest box around the points."""
    x, y = zip(*corners)
    return min(x), min(y), max(x), max(y)


def has_hull_box(plate: Plate) -> bool:
    """Whether the box says nothing that the corners do not, to a millionth of a pixel."""
    return all(abs(a - b) <= 1e-6 for a, b in zip(plate.box, hull(plate.corners)))


def corners_of_box(box: Box) -> tuple[Point, ...]:
    """Left-top, left-bottom, right-bottom, right-top of a box."""
    values = [box[k] for k in BOX_CORNERS]
    return tuple(zip(values[::2], values[1::2]))


def plate_of_numbers(where: str, name: str, points: Sequence[float], box: Box | None) -> Plate:
    """A plate whose four corners (8 numbers) are all seen; without a box it gets their hull."""
    corners = tuple(zip(points[::2], points[1::2]))
    return Plate(where, name, corners, box or hull(corners))


def with_unlabeled(corners: Sequence[Point], visible: Sequence[int], box: Box) -> tuple[Point, ...]:
    """The corners, with those of the box where nobody labeled one (visible 0)."""
    return tuple(c if seen else b for c, seen, b in zip(corners, visible, corners_of_box(box)))


def read_text(path: Path, expected: str, limit: int) -> str:
    """The file as text, in one of the encodings of texts.decoded; line ends become single ones.

    Raises DataError when it is missing, unreadable, larger than `limit` bytes or no text.
    """
    try:
        size = path.stat().st_size
        if not path.is_file() or size > limit:
            got = f"{size} bytes" if path.is_file() else "a folder"
            raise DataError(f"{path}: expected {expected} of at most {limit} bytes, got {got}")
        text = decoded(path.read_bytes())
    except OSError as error:
        raise DataError(f"{path}: expected {expected}, got: {error.strerror}") from None
    if text is None:
        raise DataError(f"{path}: expected {expected} in UTF-8, got bytes that are no text; save it as UTF-8")
    return text


def number(value: object, limit: float = MAX_COORDINATE) -> float | None:
    """A finite number between -limit and limit out of a file, or None."""
    if isinstance(value, bool) or not isinstance(value, (int, float, str)):
        return None
    try:
        result = float(value)
    except (ValueError, OverflowError):
        return None
    return result if math.isfinite(result) and abs(result) <= limit else None


def whole(value: object, low: int, high: int) -> int | None:
    """A whole number between low and high out of a file, or None."""
    result = number(value, max(abs(low), abs(high)))
    return int(result) if result is not None and result.is_integer() and low <= result <= high else None


def safe_name(name: object) -> bool:
    """Whether `name` is a path below the image folder that every system can write."""
    if not isinstance(name, str) or not name or not name.isprintable() or "\\" in name:
        return False
    path = PurePosixPath(name)
    if path.is_absolute() or ".." in path.parts or (len(name) > 1 and name[1] == ":"):
        return False
    return all(len(os.fsencode(part)) <= 255 for part in path.parts) and len(name) <= 1024 and path.name != ""


def raise_faults(faults: Sequence[Fault]) -> None:
    """Raise DataError with the first errors, one per line, when there are any."""
    errors = [fault for fault in faults if fault.level == "error"]
    if not errors:
        return
    lines = [str(fault) for fault in errors[:5]]
    if len(errors) > len(lines):
        lines.append(f"and {len(errors) - len(lines)} more; nanodet-kp check lists them all")
    raise DataError("\n".join(lines))


def label_of(name: str, class_names: Sequence[str]) -> tuple[int, bool] | None:
    """Index of a class name and whether its number is known ("B_?"); None when the class list has no such class."""
    if name in class_names:
        return class_names.index(name), True
    color, _, sticker = name.partition("_")
    pair = factors(class_names)
    if sticker == UNKNOWN and pair is not None and color in pair[0]:
        return pair[0].index(color) * len(pair[1]), False
    return None


def unknown_class(plate: Plate, class_names: Sequence[str]) -> Fault:
    """The fault of a plate whose class is not in the list, with the most similar one."""
    folded = {name.casefold(): name for name in class_names}
    near = difflib.get_close_matches(plate.name.casefold(), list(folded), n=1, cutoff=0.5)
    listed = ", ".join(class_names[:6]) + (", ..." if len(class_names) > 6 else "")
    hint = f"; did you mean {folded[near[0]]!r}?" if near else ""
    return Fault(plate.where, f"expected one of the class names {listed}, got {shown(plate.name)}{hint}")


def to_records(images: Iterable[LabeledImage], class_names: Sequence[str], faults: list[Fault]) -> list[Record]:
    """Records with class indices; a plate of an unknown class is a fault and left out."""
    names = list(class_names)
    known = {name: label_of(name, names) for name in {p.name for image in images for p in image.plates}}
    records = []
    for image in images:
        plates = [plate for plate in image.plates if not plate.ignore]
        for plate in plates:
            if known[plate.name] is None:
                faults.append(unknown_class(plate, names))
        plates = [plate for plate in plates if known[plate.name] is not None]
        labels = [known[plate.name] or (0, False) for plate in plates]
        record = Record(
            path=image.path,
            name=image.name,
            width=image.width,
            height=image.height,
            corners=np.array([plate.corners for plate in plates], np.float32).reshape(-1, 4, 2),
            boxes=np.array([plate.box for plate in plates], np.float32).reshape(-1, 4),
            visible=np.array([plate.visible for plate in plates], np.int8).reshape(-1, 4),
            labels=np.array([label for label, _ in labels], np.int64),
            number_known=np.array([sure for _, sure in labels], bool),
            ignore_boxes=np.array([p.box for p in image.plates if p.ignore], np.float32).reshape(-1, 4),
        )
        records.append(record)
    return records


def from_plates(plates: Plates, class_names: Sequence[str]) -> list[Plate]:
    """The plates of a record or sample under their class names; ignore boxes come last.

    A float32 becomes the shortest decimal that reads back as the same float32.
    """
    found = []
    rows = zip(plates.corners, plates.boxes, plates.visible, plates.labels, plates.number_known)
    for corners, box, visible, label, known in rows:
        name = class_names[label] if known else f"{class_names[label].partition('_')[0]}_{UNKNOWN}"
        points = tuple((_shortest(x), _shortest(y)) for x, y in corners)
        found.append(Plate(plates.name, name, points, _box(box), tuple(int(v) for v in visible)))
    for box in plates.ignore_boxes:
        found.append(Plate(plates.name, "", corners_of_box(_box(box)), _box(box), (0, 0, 0, 0), ignore=True))
    return found


def from_records(records: Iterable[Record], class_names: Sequence[str]) -> list[LabeledImage]:
    """Records as a writer takes them."""
    return [LabeledImage(r.name, r.path, r.width, r.height, r.name, from_plates(r, class_names)) for r in records]


def _shortest(value: np.floating) -> float:
    return float(str(np.float32(value)))


def _box(values: np.ndarray) -> Box:
    left, top, right, bottom = (_shortest(v) for v in values)
    return left, top, right, bottom
