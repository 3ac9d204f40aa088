"""Turn a bag into a data set: every n-th image, labeled by the model, to be corrected in a label tool.

    nanodet-kp bag recording.mcap data/match1 --per-second 2
    nanodet-kp bag recording/ data/match2 --topic /front/image_raw --every 10 --to coco

OUT gets images/ and the labels. LabelRoboMaster opens its own format as it is; nanodet-kp convert makes any other.
"""

from __future__ import annotations

import argparse
import sys
from typing import Any

import numpy as np
from tqdm import tqdm

from nanodet_kp_core.labels import SHORT_NAMES, written_paths
from nanodet_kp_core.labels.bag_images import Choice, label_bag
from nanodet_kp_core.paths import resolved
from nanodet_kp_core.runtime.detection.detector import Detector
from nanodet_kp_core.runtime.images.image_bytes import dark_sentence
from nanodet_kp_core.runtime.images.image_message import view_compressed, view_image
from nanodet_kp_core.runtime.images.rosbag_reader import IMAGE_TYPES, Bag
from nanodet_kp_core.share import own_or_shared


class Decoder:
    """The image of a message, as the node sees it. bits: the most that images of 16 bits have used; 16 for others."""

    def __init__(self) -> None:
        self.bits = 0

    def __call__(self, message: Any, type_name: str) -> np.ndarray:
        picture = view_image(message) if type_name == IMAGE_TYPES[0] else view_compressed(message)
        self.bits = max(self.bits, 16 if picture.bits is None else picture.bits)
        return picture.bgr


def main() -> int:
    args = _arguments()
    choice = Choice(args.every, args.per_second)
    detector = Detector(args.model, score_threshold=args.score)
    bag = Bag(args.bag, args.topic)
    name = SHORT_NAMES[args.to]
    decode = Decoder()
    try:
        found = label_bag(
            bag, args.out, name, detector, decode, choice,
            progress=lambda images: tqdm(images, "images", leave=False, disable=not sys.stderr.isatty()),
        )  # fmt: skip
    finally:
        bag.close()
    for text in found.broken[:5]:
        print(f"warning: left out {text}", file=sys.stderr)
    dark = dark_sentence(decode.bits)
    if dark is not None:
        print(f"warning: {dark}", file=sys.stderr)
    images, labels = written_paths(name, args.out)
    plates = sum(len(image.plates) for image in found.images)
    left_out = f", {len(found.broken)} images left out" if found.broken else ""
    print(f"{labels}: {len(found.images)} images, {plates} plates found by {detector.model_path.name}{left_out}")
    print(f"next: correct them, then: nanodet-kp check --format {args.to} --labels {labels} --images {images}")
    return 0


def _arguments() -> argparse.Namespace:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("bag", type=resolved, metavar="BAG", help="a rosbag2 folder, or its .mcap or .db3 file")
    parser.add_argument("out", type=resolved, metavar="OUT", help="new or empty folder")
    parser.add_argument("--topic", default="", help="which images (default: those of the only image topic)")
    parser.add_argument(
        "--every", type=int, default=1, metavar="N", help="take every N-th image (default: %(default)s)"
    )
    parser.add_argument(
        "--per-second",
        type=float,
        default=0.0,
        metavar="N",
        help="take at most N images a second; 0: no limit (default: %(default)s)",
    )
    parser.add_argument(
        "--to", choices=sorted(SHORT_NAMES), default="label-robomaster", help="format (default: %(default)s)"
    )
    parser.add_argument("--model", type=own_or_shared, help="ONNX made by nanodet-kp export (default: the bundled one)")
    parser.add_argument("--score", type=float, default=0.4, help="lowest score of a label (default: %(default)s)")
    return parser.parse_args()
