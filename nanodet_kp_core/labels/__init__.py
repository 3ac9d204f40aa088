"""Label formats, one file each; every reader gives the same records. Classes go by name, never by id."""

from __future__ import annotations

import os
import shutil
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path, PurePosixPath
from typing import Literal

from nanodet_kp_core.errors import DataError, shown
from nanodet_kp_core.labels import coco, label_robomaster, py_label_robomaster, voc, yolo_pose
from nanodet_kp_core.labels.corner_order import corner_faults
from nanodet_kp_core.labels.images import image_header
from nanodet_kp_core.labels.labels import (
    Fault,
    LabeledImage,
    from_records,
    raise_faults,
    safe_name,
    to_records,
)
from nanodet_kp_core.labels.sample import Record
from nanodet_kp_core.paths import names_below

_LABEL_FILES = (".json", ".yaml", ".yml")

Pictures = Literal["copy", "link", "move", "none"]
"""What write_labels does with the image files."""


@dataclass(frozen=True)
class Format:
    """A reader, a writer, and what the format can hold.

    written: file or folder of the labels that `write` makes, inside the folder of the data set.
    ids: class name of each id, where the label tool fixes them; None where the labels name the classes.
    visibility, boxes, ignores: whether the format can hold visibilities of corners, boxes that are not the hull of the
        corners, ignore boxes.
    one_file_per_image: False where one label file holds all images.
    shares: whether coordinates are shares of the image's size instead of pixels.
    upright: whether its tool ignores EXIF orientation.
    """

    read: Callable[[Path, Path, list[Fault]], list[LabeledImage]]
    write: Callable[[Path, Sequence[LabeledImage], Sequence[str]], None]
    written: str
    ids: tuple[str, ...] | None = None
    visibility: bool = True
    boxes: bool = True
    ignores: bool = True
    one_file_per_image: bool = True
    shares: bool = False
    upright: bool = False


FORMATS = {
    "CocoDataset": Format(coco.read, coco.write, "labels.json", one_file_per_image=False),
    "XMLDataset": Format(voc.read, voc.write, "annotations"),
    "YoloPoseDataset": Format(yolo_pose.read, yolo_pose.write, "data.yaml", ignores=False, shares=True),
    "LabelRoboMasterDataset": Format(
        label_robomaster.read,
        label_robomaster.write,
        "images",
        ids=label_robomaster.IDS,
        visibility=False,
        boxes=False,
        ignores=False,
        shares=True,
        upright=True,
    ),
    "PyLabelRoboMasterDataset": Format(
        py_label_robomaster.read,
        py_label_robomaster.write,
        "labels",
        ids=py_label_robomaster.IDS,
        visibility=False,
        ignores=False,
        shares=True,
        upright=True,
    ),
}
"""By the name that data.train.name and data.val.name have in a configuration. config.data.DatasetName lists the names
too."""

SHORT_NAMES = {
    "coco": "CocoDataset",
    "voc": "XMLDataset",
    "yolo-pose": "YoloPoseDataset",
    "label-robomaster": "LabelRoboMasterDataset",
    "py-label-robomaster": "PyLabelRoboMasterDataset",
}
"""The same for a command line."""


def format_of(name: str) -> Format:
    """The format of that name (as in data.name). Raises DataError for any other."""
    if name not in FORMATS:
        raise DataError(f"data.name: expected one of {', '.join(FORMATS)}, got {shown(name)}")
    return FORMATS[name]


def read_labels(name: str, images: Path, labels: Path, faults: list[Fault]) -> list[LabeledImage]:
    """Everything a data set says, under the class names that stand there.

    What is wrong with one image or plate goes into `faults`, and that image or plate is left out.
    Raises DataError when the data set cannot be read at all.
    """
    return format_of(name).read(Path(images), Path(labels), faults)


def read_records(name: str, images: Path, labels: Path, class_names: Sequence[str]) -> list[Record]:
    """Records of a data set; images without labels are background (records without plates).

    Raises DataError when it cannot be read, or with one line for each of the first few faults: file:line, what was
    expected, what came. Corners that cross, span nothing or go round the wrong way are such a fault.
    """
    faults: list[Fault] = []
    labeled = read_labels(name, images, labels, faults)
    records = to_records(labeled, class_names, faults)
    raise_faults(faults + corner_faults(labeled, turned=False))
    return records


def guess_format(labels: Path) -> str:
    """The format that a label path looks like. Raises DataError when it is missing or could be several."""
    if labels.suffix.lower() == ".json":
        return "CocoDataset"
    if labels.suffix.lower() in (".yaml", ".yml"):
        return "YoloPoseDataset"
    if labels.is_dir() and any(names_below(labels, (".xml",))):
        return "XMLDataset"
    if not labels.exists():
        raise DataError(f"{labels}: expected a label file or a folder of them, got nothing at that path")
    files = sorted(path for path in labels.glob("*") if path.suffix.lower() in _LABEL_FILES)
    if files:
        raise DataError(f"{labels}: expected a label file, got the folder that holds it; give {files[0]} instead")
    raise DataError(
        f"{labels}: expected --format with one of {', '.join(SHORT_NAMES)}, got none; .txt files do not tell theirs"
    )


def default_images(name: str, labels: Path) -> Path:
    """The image folder when nobody says one: LabelRoboMaster's labels lie beside the images, all others' do not."""
    return labels if name == "LabelRoboMasterDataset" else labels.parent / "images"


def write_dataset(
    name: str, out: Path, records: Sequence[Record], class_names: Sequence[str], pictures: Pictures = "copy"
) -> None:
    """write_labels of records."""
    write_labels(name, out, from_records(records, class_names), class_names, pictures)


def written_paths(name: str, out: Path) -> tuple[Path, Path]:
    """Image folder and label path of a data set that write_labels has written."""
    return out / "images", out / format_of(name).written


def write_labels(
    name: str, out: Path, images: Sequence[LabeledImage], class_names: Sequence[str], pictures: Pictures = "copy"
) -> None:
    """Write a data set into `out`, an empty or new folder: images/ and the labels (see written_paths).

    pictures: "copy" the images, "link" to them, "move" them (on one disk), or "none" when the labels alone are wanted.
    The format must hold the labels: lossy_conversions.losses counts what it cannot hold, without_losses leaves it out.
    Raises DataError when the folder holds something, when two images would share a label file, or when a file cannot be
    written.
    """
    target = format_of(name)
    if out.exists() and (not out.is_dir() or any(out.iterdir())):
        raise DataError(f"{out}: expected a new or empty folder to write into, got one with files in it")
    _check_names(out, target, images, class_names)
    try:
        for image in images:
            _place(image, out / "images" / image.name, pictures)
        (out / "images").mkdir(parents=True, exist_ok=True)
        target.write(out, images, class_names)
    except OSError as error:
        raise DataError(f"{error.filename or out}: expected to read and write here, got: {error.strerror}") from None


def _place(image: LabeledImage, target: Path, pictures: Pictures) -> None:
    if pictures == "none":
        return
    target.parent.mkdir(parents=True, exist_ok=True)
    if pictures == "link":
        target.symlink_to(os.path.abspath(image.path))
    elif pictures == "move":
        os.replace(image.path, target)
    else:
        shutil.copyfile(image.path, target)


def _check_names(out: Path, target: Format, images: Sequence[LabeledImage], class_names: Sequence[str]) -> None:
    owners: dict[str, str] = {}
    for image in images:
        if not safe_name(image.name):
            raise DataError(f"{image.where}: expected an image name that every system can write, got {image.name!r}")
        stem = image.name if not target.one_file_per_image else str(PurePosixPath(image.name).with_suffix(""))
        if stem in owners:
            both = f"{owners[stem]!r} and {image.name!r}"
            raise DataError(f"{out}: expected one label file for each image, got one for {both}")
        owners[stem] = image.name
        if target.upright and image.plates and image_header(image.path).orientation != 1:
            raise DataError(f"{image.path}: expected an upright image for this label tool, got one that EXIF turns")
    for name in {*class_names, *(plate.name for image in images for plate in image.plates if not plate.ignore)}:
        if not name.isprintable() or name != name.strip() or not name:
            raise DataError(f"{out}: expected class names of printable characters, got {shown(name)}")
