"""LabelRoboMaster: a .txt file beside each image, nine numbers a line.

    id x1 y1 x2 y2 x3 y3 x4 y4

id = color * 9 + sticker (B R N P; G 1 2 3 4 5 O Bs Bb), then left-top, left-bottom, right-bottom, right-top as shares
of the image's width and height. The tool writes six digits and deletes the file of an image without plates.
Source: the tool's README (github.com/xinyang-go/LabelRoboMaster).
"""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

from nanodet_kp_core.classes import ARMOR_CLASSES
from nanodet_kp_core.errors import shown
from nanodet_kp_core.labels import text_files
from nanodet_kp_core.labels.images import Header
from nanodet_kp_core.labels.labels import Fault, LabeledImage, Plate, plate_of_numbers

IDS = ARMOR_CLASSES
"""Class name of each id."""


def read(images: Path, labels: Path, faults: list[Fault]) -> list[LabeledImage]:
    """Every image with its plates; see text_files.read_folder for what it raises."""
    return text_files.read_folder(images, labels, faults, _line, as_stored=True)


def _line(where: str, words: list[str], header: Header) -> Plate | str:
    name = text_files.class_of(words[0], IDS)
    if len(words) != 9:
        hint = "; 13 are the format of PyLabelRoboMaster or YOLO-pose" if len(words) == 13 else ""
        return f"expected 9 numbers (id and four corners), got {len(words)}{hint}"
    if name is None:
        return f"expected an id of 0 to {len(IDS) - 1}, got {shown(words[0])}"
    shares = text_files.numbers_of(words[1:])
    if isinstance(shares, str):
        return shares
    return plate_of_numbers(where, name, text_files.to_pixels(shares, header), None)


def write(out: Path, images: Sequence[LabeledImage], class_names: Sequence[str]) -> None:
    """Write the label files into out/images, beside the images. A number is written with all its digits."""
    for image in images:
        lines = []
        for plate in image.plates:
            shares = text_files.to_shares(text_files.flat(plate), image)
            lines.append(" ".join(map(str, [IDS.index(plate.name), *shares])))
        text_files.write_lines(out / "images", image, lines)
