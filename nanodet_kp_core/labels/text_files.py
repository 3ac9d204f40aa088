"""What the formats with a .txt file an image share: which label belongs to which image, and numbers out of lines.

An image without a label file is background. A label file without an image is a fault.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence
from pathlib import Path, PurePosixPath

from nanodet_kp_core.errors import DataError, shown
from nanodet_kp_core.labels.images import Header, files_below, image_header, image_names
from nanodet_kp_core.labels.labels import (
    Box,
    Fault,
    LabeledImage,
    Plate,
    fault_of,
    number,
    read_text,
    whole,
)

MAX_BYTES = 1 << 20
FARTHEST = 4.0  # a corner may lie outside the image, but not three images away: that is a number of pixels
NO_LABELS = ("classes.txt",)  # some tools leave their class list beside the labels

Line = Callable[[str, list[str], Header], "Plate | str"]
"""(file:line, words, image) -> the plate, or what is wrong with it."""


def read_folder(images: Path, labels: Path, faults: list[Fault], line: Line, as_stored: bool) -> list[LabeledImage]:
    """Every image below `images` with the plates of its .txt file in the same place below `labels`.

    as_stored: the tool shows images without their EXIF orientation, so that a turned one cannot be used with its
    labels. Raises DataError when a folder or all images are missing.
    """
    names = image_names(images)
    if not names:
        raise DataError(f"{images}: expected images in the folder or below, got none")
    texts = {name[: -len(".txt")]: name for name in files_below(labels, (".txt",)) if _is_label(name)}
    found: list[LabeledImage] = []
    owners: dict[str, str] = {}
    for name in names:
        stem = str(PurePosixPath(name).with_suffix(""))
        text = labels / texts[stem] if stem in texts else None
        if text and stem in owners:
            faults.append(Fault(str(text), f"expected labels of one image, got {owners[stem]!r} and {name!r}"))
            continue
        owners[stem] = name
        image = _read_image(images, name, text, faults, line, as_stored)
        if image is not None:
            found.append(image)
    for stem in sorted(set(texts) - set(owners)):
        faults.append(Fault(str(labels / texts[stem]), f"expected its image {images / stem}.jpg or the like, got none"))
    return found


def _is_label(name: str) -> bool:
    return PurePosixPath(name).name not in NO_LABELS


def _read_image(
    images: Path, name: str, text: Path | None, faults: list[Fault], line: Line, as_stored: bool
) -> LabeledImage | None:
    path = images / name
    try:
        header = image_header(path)
        lines = read_text(text, "labels", MAX_BYTES).splitlines() if text else []
    except DataError as error:
        faults.append(fault_of(error))
        return None
    if as_stored and header.orientation != 1:
        faults.append(
            Fault(
                str(path),
                f"expected an upright image, got EXIF orientation {header.orientation or 'other than upright'}, which "
                "the label tool ignores; save it upright and label it again",
            )
        )
        return None
    plates = []
    for count, words in enumerate((row.split() for row in lines), start=1):
        if not words:
            continue
        where = f"{text}:{count}"
        plate = line(where, words, header)
        if isinstance(plate, Plate):
            plates.append(plate)
        else:
            faults.append(Fault(where, plate))
    return LabeledImage(name, path, header.width, header.height, str(text or path), plates, labeled=text is not None)


def numbers_of(words: Iterable[str]) -> list[float] | str:
    """The words as numbers that can stand for a share of the image's side, or what is wrong with one of them."""
    found = []
    for word in words:
        value = number(word, 2 * FARTHEST)  # the size of a box that goes from end to end
        if value is None or "_" in word:
            return f"expected a share of the image's width or height, about 0 to 1, got {shown(word)}"
        found.append(value)
    return found


def too_far(plate: Plate, image: LabeledImage) -> bool:
    """Whether the plate lies so far outside the image that the shares would not be read again."""
    points = [*plate.corners, plate.box[:2], plate.box[2:]]
    return any(abs(x) > FARTHEST * image.width or abs(y) > FARTHEST * image.height for x, y in points)


def class_of(word: str, names: Sequence[str]) -> str | None:
    """The class name that an id at the start of a line stands for, or None."""
    index = whole(word, 0, len(names) - 1) if "_" not in word else None
    return None if index is None else names[index]


def to_pixels(shares: Sequence[float], header: Header) -> list[float]:
    """x, y, x, y, ... as shares of the size into pixels."""
    return [share * (header.height if k % 2 else header.width) for k, share in enumerate(shares)]


def to_shares(pixels: Iterable[float], image: LabeledImage) -> list[float]:
    """x, y, x, y, ... in pixels into shares of the size."""
    return [value / (image.height if k % 2 else image.width) for k, value in enumerate(pixels)]


def box_of_shares(shares: Sequence[float], header: Header) -> Box:
    """Center and size as shares into a box in pixels."""
    x, y, width, height = to_pixels(shares, header)
    return x - width / 2, y - height / 2, x + width / 2, y + height / 2


def shares_of_box(box: Box, image: LabeledImage) -> list[float]:
    """The other way round."""
    left, top, right, bottom = box
    return to_shares([(left + right) / 2, (top + bottom) / 2, right - left, bottom - top], image)


def flat(plate: Plate) -> list[float]:
    """x0, y0, .. x3, y3."""
    return [value for corner in plate.corners for value in corner]


def write_lines(folder: Path, image: LabeledImage, lines: Sequence[str]) -> None:
    """The label file of an image; none when there is nothing in it, as the label tools do."""
    if lines:
        path = folder / PurePosixPath(image.name).with_suffix(".txt")
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text("\n".join(lines) + "\n", encoding="utf-8")
