"""Render synthetic plates: a data set, a clip, or a contact sheet to look at.

    nanodet-kp synthesize dataset OUT --count 20000
    nanodet-kp synthesize dataset OUT --count 500 --size 640x480 --plate-px 8 400 --exact
    nanodet-kp synthesize clip OUT.avi --seconds 10
    nanodet-kp synthesize sheet OUT.png

Needs NumPy and OpenCV only.
"""

from __future__ import annotations

import argparse
import os
import time
from pathlib import Path

import cv2
import numpy as np

from nanodet_kp_core.classes import ARMOR_CLASSES
from nanodet_kp_core.commands._sizes import size
from nanodet_kp_core.errors import DataError
from nanodet_kp_core.labels import SHORT_NAMES
from nanodet_kp_core.labels.draw_labels import draw_labels
from nanodet_kp_core.labels.labels import from_plates
from nanodet_kp_core.paths import resolved
from nanodet_kp_core.synthetic.clip import write_clip
from nanodet_kp_core.synthetic.dataset import RenderOptions, render_dataset, write_as
from nanodet_kp_core.synthetic.generator import PLATE_PX, SIZE, render


def contact_sheet(path: Path, seed: int, tile: tuple[int, int], plate_px: tuple[float, float]) -> None:
    """Eight by five images with their labels."""
    samples = [render(seed + k, tile, plate_px) for k in range(40)]
    tiles = [draw_labels(sample.image, from_plates(sample, ARMOR_CLASSES)) for sample in samples]
    rows = np.vstack([np.hstack(tiles[k : k + 8]) for k in range(0, 40, 8)])
    if not cv2.imwrite(str(path), rows, [cv2.IMWRITE_JPEG_QUALITY, 85]):
        raise DataError(f"{path}: expected a writable .png or .jpg path")


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("what", choices=("dataset", "clip", "sheet"), help="what to render")
    parser.add_argument("out", type=resolved, help="folder of the data set, .avi of the clip, or .png of the sheet")
    parser.add_argument("--count", type=int, default=20000, help="images of the data set (default: %(default)s)")
    parser.add_argument("--seed", type=int, default=0, help="seed of the first image (default: %(default)s)")
    parser.add_argument("--size", type=size, help="WIDTHxHEIGHT of the images (default: 256x256, of a clip 640x480)")
    parser.add_argument(
        "--plate-px",
        type=float,
        nargs=2,
        default=PLATE_PX,
        metavar=("LOW", "HIGH"),
        help=f"width of a small plate seen from the front, pixels (default: {PLATE_PX[0]:g} {PLATE_PX[1]:g})",
    )
    parser.add_argument(
        "--exact", action="store_true", help="plates with exact sizes and upright bars, to measure poses"
    )
    parser.add_argument(
        "--format",
        choices=sorted(SHORT_NAMES),
        default="coco",
        help="write the labels in this format too: OUT/FORMAT, with links to the images (default: %(default)s only)",
    )
    parser.add_argument(
        "--workers", type=int, default=os.cpu_count() or 1, help="processes that render (default: all cores)"
    )
    parser.add_argument("--seconds", type=float, default=10.0, help="length of the clip (default: %(default)s)")
    parser.add_argument("--fps", type=float, default=30.0, help="frames a second of the clip (default: %(default)s)")
    args = parser.parse_args()
    if args.count < 1 or args.seed < 0 or args.workers < 1 or args.seconds <= 0 or args.fps <= 0:
        parser.error("--count, --workers, --seconds and --fps must be positive, --seed not negative")
    if not 4 <= args.plate_px[0] < args.plate_px[1]:
        parser.error(f"--plate-px: expected 4 <= LOW < HIGH, got {args.plate_px[0]:g} {args.plate_px[1]:g}")
    plate_px = (args.plate_px[0], args.plate_px[1])
    if args.what == "clip":
        frames = write_clip(args.out, args.seconds, args.fps, args.seed, args.size or (640, 480))
        print(f"{args.out}: {frames} frames")
    elif args.what == "sheet":
        contact_sheet(args.out, args.seed, args.size or SIZE, plate_px)
        print(args.out)
    else:
        _dataset(args, RenderOptions(args.size or SIZE, plate_px, args.exact))
    return 0


def _dataset(args: argparse.Namespace, options: RenderOptions) -> None:
    start = time.monotonic()
    for done in render_dataset(args.out, args.count, args.seed, options, args.workers):
        rate = done / (time.monotonic() - start)
        speed = f"{rate:.0f} images/s, {rate / args.workers:.1f} a process"
        print(f"\r{done} of {args.count}, {speed}", end="", flush=True)
    print(f"\n{args.out}/labels.json")
    if args.format != "coco":
        lost = write_as(args.out, SHORT_NAMES[args.format], args.out / args.format)
        print(f"{args.out / args.format}" + (f"; without {', '.join(lost)}" if lost else ""))
