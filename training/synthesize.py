"""Render synthetic plates: a data set, a clip, or a contact sheet to look at.

    python training/synthesize.py dataset OUT --count 20000
    python training/synthesize.py clip OUT.avi --seconds 10
    python training/synthesize.py sheet OUT.png

Needs NumPy and OpenCV only.
"""

from __future__ import annotations

import argparse
import os
import time
from pathlib import Path

import cv2
import numpy as np
from _door import open_door, size

from nanodet_kp_core.classes import ARMOR_CLASSES
from nanodet_kp_core.data.synthetic.clip import write_clip
from nanodet_kp_core.data.synthetic.dataset import render_dataset
from nanodet_kp_core.data.synthetic.generator import render
from nanodet_kp_core.errors import DataError


def contact_sheet(path: Path, seed: int, tile: tuple[int, int]) -> None:
    """Eight by five pictures with their labels."""
    tiles = []
    for k in range(40):
        sample = render(seed + k, tile)
        for corners, label, known in zip(sample.corners, sample.labels, sample.number_known):
            name = ARMOR_CLASSES[label] if known else ARMOR_CLASSES[label][0] + "_?"
            cv2.polylines(sample.image, [np.round(corners * 16).astype(np.int32)], True, (0, 255, 0), 1, cv2.LINE_AA, 4)
            cv2.putText(sample.image, name, (int(corners[0, 0]), int(corners[0, 1]) - 3), 0, 0.35, (0, 255, 255))
        for x0, y0, x1, y1 in sample.ignore_boxes.astype(int).tolist():
            cv2.rectangle(sample.image, (x0, y0), (x1, y1), (255, 0, 255))
        tiles.append(sample.image)
    if not cv2.imwrite(str(path), np.vstack([np.hstack(tiles[k : k + 8]) for k in range(0, 40, 8)])):
        raise DataError(f"{path}: expected a writable .png or .jpg path")


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("what", choices=("dataset", "clip", "sheet"))
    parser.add_argument("out", type=Path)
    parser.add_argument("--count", type=int, default=20000, help="pictures of the data set (default %(default)s)")
    parser.add_argument("--seed", type=int, default=0, help="first seed (default %(default)s)")
    parser.add_argument("--size", type=size, help="WIDTHxHEIGHT (default 256x256, clip 640x480)")
    parser.add_argument("--plate-px", type=float, nargs=2, default=(9.0, 160.0), metavar=("LOW", "HIGH"),
                        help="width of a small plate seen from the front, pixels (default 9 160)")
    parser.add_argument("--workers", type=int, default=os.cpu_count() or 1, help="processes (default: all cores)")
    parser.add_argument("--seconds", type=float, default=10.0, help="length of the clip (default %(default)s)")
    parser.add_argument("--fps", type=float, default=30.0, help="frames a second of the clip (default %(default)s)")
    args = parser.parse_args()
    if args.count < 1 or args.seed < 0 or args.workers < 1 or args.seconds <= 0 or args.fps <= 0:
        parser.error("--count, --workers, --seconds and --fps must be positive, --seed not negative")
    if not 4 <= args.plate_px[0] < args.plate_px[1]:
        parser.error(f"--plate-px: expected 4 <= LOW < HIGH, got {args.plate_px[0]:g} {args.plate_px[1]:g}")
    if args.what == "clip":
        frames = write_clip(args.out, args.seconds, args.fps, args.seed, args.size or (640, 480))
        print(f"{args.out}: {frames} frames")
    elif args.what == "sheet":
        contact_sheet(args.out, args.seed, args.size or (256, 256))
        print(args.out)
    else:
        start = time.monotonic()
        plate_px = (args.plate_px[0], args.plate_px[1])
        wanted = args.size or (256, 256)
        for done in render_dataset(args.out, args.count, args.seed, wanted, plate_px, args.workers):
            print(f"\r{done} of {args.count}, {done / (time.monotonic() - start):.0f} pictures/s", end="", flush=True)
        print(f"\n{args.out}/labels.json")
    return 0


if __name__ == "__main__":
    open_door(main)
