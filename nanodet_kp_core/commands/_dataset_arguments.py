"""The arguments with which the commands of this folder take labeled images: --format, --labels, --images, --classes."""

from __future__ import annotations

import argparse
from pathlib import Path

from nanodet_kp_core.errors import DataError
from nanodet_kp_core.labels import SHORT_NAMES, default_images, guess_format, read_records
from nanodet_kp_core.labels.labels import read_text
from nanodet_kp_core.labels.sample import Record
from nanodet_kp_core.paths import resolved


def add_dataset_arguments(parser: argparse.ArgumentParser, required: bool = True) -> None:
    """The arguments that name a data set; `required` False where it may come from somewhere else."""
    group = parser.add_argument_group("the data set")
    group.add_argument(
        "--labels", type=resolved, required=required, metavar="PATH",
        help="a COCO file, a data.yaml of YOLO-pose, or a folder of .xml or .txt files",
    )  # fmt: skip
    group.add_argument(
        "--images", type=resolved, metavar="DIR", help="folder of its images (default: beside the labels)"
    )
    group.add_argument(
        "--format", choices=sorted(SHORT_NAMES),
        help="label format; needed for .txt files",
    )  # fmt: skip
    group.add_argument(
        "--classes", type=resolved, metavar="FILE",
        help="text file with one class name per line (default: the 36 armor classes)",
    )  # fmt: skip


def dataset_of(args: argparse.Namespace) -> tuple[str, Path, Path]:
    """Name of the format (as in data.name), label path and image folder that the arguments say.

    Raises DataError when the format cannot be told from the labels.
    """
    name = SHORT_NAMES[args.format] if args.format else guess_format(args.labels)
    return name, args.labels, args.images or default_images(name, args.labels)


def class_names_of(args: argparse.Namespace) -> tuple[str, ...] | None:
    """Class names of --classes, or None when it is not given. Raises DataError for an empty or repeated name."""
    if args.classes is None:
        return None
    text = read_text(args.classes, "a text file with one class name per line", 1 << 20)
    names = tuple(line.strip() for line in text.splitlines() if line.strip())
    repeated = sorted({name for name in names if names.count(name) > 1})
    if not names or repeated:
        got = repeated or "an empty file"
        raise DataError(f"{args.classes}: expected different class names, one per line, got {got}")
    return names


def records_of(args: argparse.Namespace, class_names: tuple[str, ...]) -> list[Record]:
    """Records of the data set that the arguments say. Raises DataError when its labels are wrong."""
    name, labels, images = dataset_of(args)
    return read_records(name, images, labels, class_names)
