"""Check labeled images: every fault with file and line, what was expected and what is there.

    nanodet-kp check --labels data/labels.json --images data/images
    nanodet-kp check --labels data/labels --images data/images --format py-label-robomaster --picture check.png

Exit code 1 when there are errors. Warnings (corners outside the image, images that EXIF turns, plates of another
color than their class) may be meant.
"""

from __future__ import annotations

import argparse
import sys

from tqdm import tqdm

from nanodet_kp_core.classes import ARMOR_CLASSES
from nanodet_kp_core.commands._dataset_arguments import add_dataset_arguments, class_names_of, dataset_of
from nanodet_kp_core.labels.check import check_dataset
from nanodet_kp_core.labels.histograms import write_histograms
from nanodet_kp_core.paths import resolved


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    add_dataset_arguments(parser)
    parser.add_argument("--any-class", action="store_true", help="accept every class name")
    parser.add_argument(
        "--picture", type=resolved, metavar="FILE", help="write class and size histograms (.png .svg .pdf)"
    )
    parser.add_argument("--fast", action="store_true", help="read only the first bytes of each image, not its pixels")
    parser.add_argument(
        "--show", type=int, default=50, metavar="N", help="errors to print, and warnings (default: %(default)s)"
    )
    args = parser.parse_args()
    name, labels, images = dataset_of(args)
    class_names = None if args.any_class else class_names_of(args) or ARMOR_CLASSES
    report = check_dataset(
        name, images, labels, class_names, pixels=not args.fast,
        progress=lambda found, total: tqdm(found, "images", total, leave=False, disable=not sys.stderr.isatty()),
    )  # fmt: skip
    for level, faults in (("error", report.errors), ("warning", report.warnings)):
        for fault in faults[: args.show]:
            print(f"{level}: {fault}")
        if len(faults) > args.show:
            print(f"{level}: and {len(faults) - args.show} more (--show {len(faults)})")
    print("\n".join(f"{count:8d} {name}" for name, count in sorted(report.class_counts.items())))
    print(report.summary())
    if args.picture:
        write_histograms(args.picture, report, str(labels))
        print(args.picture)
    return 1 if report.errors else 0
