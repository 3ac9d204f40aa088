"""Look at a whole data set: every fault with its file and line, and what the set is made of."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Iterable, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, field
from pathlib import Path

import numpy as np

from nanodet_kp_core.errors import DataError
from nanodet_kp_core.geometry import box_iou
from nanodet_kp_core.labels import read_labels
from nanodet_kp_core.labels.bar_colors import PlateColor, color_faults, plate_colors
from nanodet_kp_core.labels.corner_order import corner_faults
from nanodet_kp_core.labels.images import image_header
from nanodet_kp_core.labels.labels import Fault, LabeledImage, Plate, fault_of, label_of, unknown_class
from nanodet_kp_core.labels.pixels import read_pixels, used_bits
from nanodet_kp_core.runtime.images.image_bytes import dark_sentence

SAME_BOX = 0.85
"""IoU above which two boxes of one image are one plate labeled twice."""

SAME_CORNERS = 0.1
"""Mean distance of the corners, in diagonals, below which they are."""


@dataclass(frozen=True)
class Look:
    """At an image: what is wrong with it. Where its pixels were read, the colors of its plates, and how many bits its
    brightest value has where it is one of 16 bits."""

    faults: list[Fault]
    colors: list[PlateColor] = field(default_factory=list)
    bits: int | None = None


@dataclass
class Report:
    """What a data set holds and what is wrong with it.

    class_counts: plates by class name. diagonals: of each plate's box, pixels. background: images without plates;
    unlabeled: those of them that have no label file at all. without_corners: plates of which only the box is known.
    """

    images: int = 0
    background: int = 0
    unlabeled: int = 0
    ignore_boxes: int = 0
    without_corners: int = 0
    class_counts: Counter[str] = field(default_factory=Counter)
    diagonals: list[float] = field(default_factory=list)
    faults: list[Fault] = field(default_factory=list)

    @property
    def errors(self) -> list[Fault]:
        """Faults that make the data set wrong."""
        return [fault for fault in self.faults if fault.level == "error"]

    @property
    def warnings(self) -> list[Fault]:
        """Faults that may be meant."""
        return [fault for fault in self.faults if fault.level == "warning"]

    def summary(self) -> str:
        """A line on what is there, one on the sizes, and one on the faults."""
        lines = [
            f"{self.images} images, {sum(self.class_counts.values())} plates of {len(self.class_counts)} classes, "
            f"{self.ignore_boxes} ignore boxes; {self.background} images are background, {self.unlabeled} of them "
            "without a label file"
        ]
        if self.without_corners:
            lines.append(f"{self.without_corners} plates have no labeled corner")
        if self.diagonals:
            low, middle, high = np.percentile(self.diagonals, (5, 50, 95))
            lines.append(f"plate diagonals: median {middle:.0f} px, 90 % from {low:.0f} to {high:.0f} px")
        return "\n".join([*lines, f"{len(self.errors)} errors, {len(self.warnings)} warnings"])


def check_dataset(
    name: str,
    images: Path,
    labels: Path,
    class_names: Sequence[str] | None,
    pixels: bool = True,
    progress: Callable[[Iterable[Look], int], Iterable[Look]] = lambda looks, _: looks,
) -> Report:
    """Check a data set in format `name` (as in data.name).

    class_names: None accepts any class. pixels: decode every image, else only read its head. progress: wraps the
    iteration over the images (a look at each, and their number), as tqdm does.
    Raises DataError when the data set cannot be read at all.
    """
    report = Report()
    labeled = read_labels(name, images, labels, report.faults)
    report.faults += corner_faults(labeled)
    for image in labeled:
        plates = [plate for plate in image.plates if not plate.ignore]
        report.images += 1
        report.background += not image.plates
        report.unlabeled += not image.labeled
        report.ignore_boxes += len(image.plates) - len(plates)
        report.without_corners += sum(not any(plate.visible) for plate in plates)
        report.class_counts.update(plate.name for plate in plates)
        report.diagonals += [_diagonal(plate) for plate in plates]
        report.faults += _plate_faults(image, plates, class_names)
    report.faults += _cornerless(report, labeled, str(labels))
    colors: list[PlateColor] = []
    bits: list[int] = []
    with ThreadPoolExecutor() as pool:
        for look in progress(pool.map(lambda image: _look_at(image, pixels), labeled), len(labeled)):
            report.faults += look.faults
            colors += look.colors
            bits += [] if look.bits is None else [look.bits]
    about_all = color_faults(colors, str(labels))
    dark = dark_sentence(max(bits, default=16))
    if dark is not None:
        about_all.append(Fault(str(images), dark, "warning"))
    report.faults[:0] = about_all  # before those of single images
    return report


def _cornerless(report: Report, images: list[LabeledImage], labels: str) -> list[Fault]:
    """Boxes alone teach no corners. A few may be meant; a set of nothing else is the export of another tool."""
    if not report.without_corners:
        return []
    total = sum(report.class_counts.values())
    first = next(p.where for image in images for p in image.plates if not p.ignore and not any(p.visible))
    text = (
        f"expected four labeled corners a plate, got none for {report.without_corners} of {total} plates, first at "
        f"{first}; corners are keypoints with visibility 1 or 2 (polygons in `segmentation` are not read, nor boxes)"
    )
    return [Fault(labels, text, "error" if report.without_corners == total else "warning")]


def _plate_faults(image: LabeledImage, plates: list[Plate], class_names: Sequence[str] | None) -> list[Fault]:
    faults = []
    for plate in plates:
        if class_names is not None and label_of(plate.name, class_names) is None:
            faults.append(unknown_class(plate, class_names))
        left, top, right, bottom = plate.box
        if (right <= left or bottom <= top) and not all(plate.visible):
            got = f"{right - left:g}x{bottom - top:g} pixels"
            faults.append(Fault(plate.where, f"expected a box with a width and a height, got {got}"))
        faults += _box_faults(image, plate)
        faults += _outside(image, plate)
    return faults + _repeated(plates)


def _box_faults(image: LabeledImage, plate: Plate) -> list[Fault]:
    """The labeled box holds the part of the plate that lies in the image, give or take a hand's tremor."""
    left, top, right, bottom = plate.box
    slack = max(1.5, 0.05 * _diagonal(plate))
    for (x, y), seen in zip(plate.corners, plate.visible):
        x, y = min(max(x, 0.0), float(image.width)), min(max(y, 0.0), float(image.height))
        if seen and not (left - slack <= x <= right + slack and top - slack <= y <= bottom + slack):
            got = f"corner ({x:.1f}, {y:.1f}) outside {left:.1f}, {top:.1f} .. {right:.1f}, {bottom:.1f}"
            return [Fault(plate.where, f"expected a box that contains its corners, got {got}")]
    return []


def _outside(image: LabeledImage, plate: Plate) -> list[Fault]:
    points = plate.corners if any(plate.visible) else (plate.box[:2], plate.box[2:])
    outside = [(x, y) for x, y in points if not (0 <= x <= image.width and 0 <= y <= image.height)]
    if not outside:
        return []
    what = f"{len(outside)} of 4 corners outside" if any(plate.visible) else "a box that leaves it"
    text = f"expected corners in the image of {image.width}x{image.height}, got {what}, such as "
    return [Fault(plate.where, text + f"({outside[0][0]:.1f}, {outside[0][1]:.1f})", "warning")]


def _repeated(plates: list[Plate]) -> list[Fault]:
    if len(plates) < 2:
        return []
    boxes = np.array([plate.box for plate in plates], np.float64)
    corners = np.array([plate.corners for plate in plates], np.float64)
    faults = []
    for first, second in np.argwhere(np.triu(box_iou(boxes, boxes) > SAME_BOX, k=1)).tolist():
        distance = np.linalg.norm(corners[first] - corners[second], axis=1).mean()
        if distance <= SAME_CORNERS * _diagonal(plates[first]):
            text = f"expected each plate once, got {plates[second].name!r} in the place of {plates[first].name!r} at "
            faults.append(Fault(plates[second].where, text + plates[first].where))
    return faults


def _look_at(image: LabeledImage, pixels: bool) -> Look:
    colors, bits = [], None
    try:
        header = image_header(image.path)
        size = (header.width, header.height)
        if pixels:
            shown = read_pixels(image.path)
            size = (shown.shape[1], shown.shape[0])
            colors, bits = plate_colors(shown, image.plates), used_bits(image.path)
    except DataError as error:
        return Look([fault_of(error)])
    faults = []
    if size != (image.width, image.height):
        text = f"expected an image of {image.width}x{image.height} as labeled, got {size[0]}x{size[1]}: {image.path}"
        faults.append(Fault(image.where, text))
    if header.orientation != 1:
        text = "expected an upright image, got one that EXIF turns; its labels must fit the image as it is shown turned"
        faults.append(Fault(str(image.path), text, "warning"))
    return Look(faults, colors, bits)


def _diagonal(plate: Plate) -> float:
    left, top, right, bottom = plate.box
    return float(np.hypot(right - left, bottom - top))
