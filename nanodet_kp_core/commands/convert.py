"""Convert labeled images from one format into another.

    nanodet-kp convert OUT --to coco --labels data/labels --images data/images --format label-robomaster
    nanodet-kp convert OUT --to yolo-pose --labels data/labels.json

OUT gets the labels and a copy of the images. Numbers keep all their digits. The command names what
the new format cannot hold, and refuses it without --lossy.
"""

from __future__ import annotations

import argparse

from nanodet_kp_core.classes import ARMOR_CLASSES
from nanodet_kp_core.commands._dataset_arguments import add_dataset_arguments, class_names_of, dataset_of
from nanodet_kp_core.errors import DataError
from nanodet_kp_core.labels import SHORT_NAMES, read_labels, write_labels, written_paths
from nanodet_kp_core.labels.labels import Fault, LabeledImage, label_of, raise_faults, unknown_class
from nanodet_kp_core.labels.lossy_conversions import losses, without_losses
from nanodet_kp_core.paths import resolved


def names_in(images: list[LabeledImage]) -> tuple[str, ...]:
    """The 36 armor classes when they are enough, else the names in the order they come."""
    found = dict.fromkeys(plate.name for image in images for plate in image.plates if not plate.ignore)
    return ARMOR_CLASSES if all(label_of(name, ARMOR_CLASSES) for name in found) else tuple(found)


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("out", type=resolved, metavar="OUT", help="new or empty folder")
    parser.add_argument("--to", required=True, choices=sorted(SHORT_NAMES), help="format to write")
    add_dataset_arguments(parser)
    parser.add_argument("--lossy", action="store_true", help="go on without what the new format cannot hold")
    parser.add_argument(
        "--whole-pixels", action="store_true", help="round coordinates (the published VOC reader takes whole ones only)"
    )
    parser.add_argument(
        "--pictures",
        choices=("copy", "link", "none"),
        default="copy",
        help="what to do with the images (default: %(default)s)",
    )
    args = parser.parse_args()
    name, labels, folder = dataset_of(args)
    target = SHORT_NAMES[args.to]
    faults: list[Fault] = []
    images = read_labels(name, folder, labels, faults)
    class_names = class_names_of(args) or names_in(images)
    plates = [plate for image in images for plate in image.plates if not plate.ignore]
    faults += [unknown_class(plate, class_names) for plate in plates if label_of(plate.name, class_names) is None]
    raise_faults(faults)
    lost = losses(target, images, args.whole_pixels)
    if lost and not args.lossy:
        raise DataError(f"{labels}: expected labels that {args.to} can hold, got {', '.join(lost)}; --lossy drops them")
    images = without_losses(target, images, args.whole_pixels)
    write_labels(target, args.out, images, class_names, args.pictures)
    written_images, written_labels = written_paths(target, args.out)
    kept = sum(not plate.ignore for image in images for plate in image.plates)
    print(f"{written_labels}: {len(images)} images, {kept} plates" + (f"; lost: {', '.join(lost)}" if lost else ""))
    print(f"next: nanodet-kp check --format {args.to} --labels {written_labels} --images {written_images}")
    return 0
