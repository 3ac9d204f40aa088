"""Look at labeled images: corners with their order, boxes and class names drawn in.

    nanodet-kp view --labels data/labels.json --save seen/
    nanodet-kp view --labels data/labels --images data/images --format label-robomaster --show

In the window: any key for the next image, q or Escape to end.
"""

from __future__ import annotations

import argparse
from pathlib import Path

import cv2
import numpy as np

from nanodet_kp_core.commands._dataset_arguments import add_dataset_arguments, dataset_of
from nanodet_kp_core.errors import DataError
from nanodet_kp_core.labels import read_labels
from nanodet_kp_core.labels.draw_labels import draw_labels
from nanodet_kp_core.labels.labels import Fault
from nanodet_kp_core.labels.pixels import read_pixels
from nanodet_kp_core.paths import resolved


def save(path: Path, picture: np.ndarray) -> None:
    """Write an image in the format that its name says."""
    path.parent.mkdir(parents=True, exist_ok=True)
    if not cv2.imwrite(str(path), picture):
        raise DataError(f"{path}: expected a path that can be written, got one that cannot")


def show(title: str, picture: np.ndarray) -> bool:
    """Show an image and wait for a key; False when the user wants to end."""
    try:
        cv2.imshow("labels", picture)
        cv2.setWindowTitle("labels", title)
        return cv2.waitKey(0) & 0xFF not in (ord("q"), 27)
    except cv2.error:
        raise DataError("--show: expected a screen and an OpenCV with windows, got none; use --save") from None


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    add_dataset_arguments(parser)
    where = parser.add_mutually_exclusive_group(required=True)
    where.add_argument("--save", type=resolved, metavar="DIR", help="write the images into a folder")
    where.add_argument("--show", action="store_true", help="show them in a window")
    parser.add_argument(
        "--scale", type=float, default=1.0, help="enlarge the images, for small plates (default: %(default)s)"
    )
    parser.add_argument("--count", type=int, metavar="N", help="the first N images only")
    args = parser.parse_args()
    if not 0.1 <= args.scale <= 16:
        parser.error(f"--scale: expected 0.1 to 16, got {args.scale:g}")
    name, labels, folder = dataset_of(args)
    faults: list[Fault] = []
    images = read_labels(name, folder, labels, faults)[: args.count]
    for image in images:
        picture = draw_labels(read_pixels(image.path), image.plates, args.scale)
        if args.save:
            save(args.save / image.name, picture)
        elif not show(image.name, picture):
            break
    if faults:
        print(f"{len(faults)} faults in the labels, such as {faults[0]}; nanodet-kp check lists them all")
    if args.save:
        print(f"{args.save}: {len(images)} images")
    return 0
