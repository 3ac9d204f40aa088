"""PyLabelRoboMaster: folders images/ and labels/, a .txt file an image, with or without a box.

    id cx cy w h x1 y1 x2 y2 x3 y3 x4 y4        (13 numbers, as the tool writes it)
    id x1 y1 x2 y2 x3 y3 x4 y4                  (9 numbers)

id = color * 8 + type, colors blue and red, types G 1 2 3 4 5 O B; box center, box size and the corners left-top,
left-bottom, right-bottom, right-top as shares of the image's width and height. The tool knows neither plates that are
off or purple nor the small plate of the base: its base is the large one, "Bb" here. It deletes the file of an image
without plates, and moves rejected images into a folder `deserted`, which is left out.
Source: the tool's user guide (github.com/EclidFundgue/PyLabelRoboMaster).
"""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

from nanodet_kp_core.errors import shown
from nanodet_kp_core.labels import text_files
from nanodet_kp_core.labels.images import Header
from nanodet_kp_core.labels.labels import Fault, LabeledImage, Plate, plate_of_numbers

IDS = tuple(f"{color}_{kind}" for color in "BR" for kind in ("G", "1", "2", "3", "4", "5", "O", "Bb"))
"""Class name of each id; the tool itself calls them BG, B1, .. BO, BB, RG, .. RB."""


def read(images: Path, labels: Path, faults: list[Fault]) -> list[LabeledImage]:
    """Every image with its plates; see text_files.read_folder for what it raises."""
    return text_files.read_folder(images, labels, faults, _line, as_stored=True)


def _line(where: str, words: list[str], header: Header) -> Plate | str:
    name = text_files.class_of(words[0], IDS)
    if len(words) not in (9, 13):
        return f"expected 13 numbers (id, box, four corners) or 9 without a box, got {len(words)}"
    if name is None:
        return f"expected an id of 0 to {len(IDS) - 1}, got {shown(words[0])}; LabelRoboMaster has 36 ids"
    shares = text_files.numbers_of(words[1:])
    if isinstance(shares, str):
        return shares
    box = text_files.box_of_shares(shares[:4], header) if len(words) == 13 else None
    return plate_of_numbers(where, name, text_files.to_pixels(shares[-8:], header), box)


def write(out: Path, images: Sequence[LabeledImage], class_names: Sequence[str]) -> None:
    """Write the label files into out/labels, with boxes. A number is written with all its digits."""
    (out / "labels").mkdir(parents=True, exist_ok=True)
    for image in images:
        lines = []
        for plate in image.plates:
            shares = text_files.shares_of_box(plate.box, image)
            shares += text_files.to_shares(text_files.flat(plate), image)
            lines.append(" ".join(map(str, [IDS.index(plate.name), *shares])))
        text_files.write_lines(out / "labels", image, lines)
