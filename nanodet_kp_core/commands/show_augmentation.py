"""Show what training sees: a sheet of augmented images with their labels.

    nanodet-kp show-augmentation OUT.jpg --config config/own_data.yaml
    nanodet-kp show-augmentation OUT.jpg

With --config the sheet shows images of its data.train (the first source of a list) as they are in --epoch. Without it,
the sheet shows rendered images, one row for each kind of augmentation. The same arguments give the same sheet.
"""

from __future__ import annotations

import argparse
import itertools
import json
import tempfile
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any

import cv2
import numpy as np

from nanodet_kp_core.classes import ARMOR_CLASSES
from nanodet_kp_core.config import DataConfig, load_config
from nanodet_kp_core.data.dataset import PlateDataset
from nanodet_kp_core.errors import DataError
from nanodet_kp_core.labels.coco import coco_document
from nanodet_kp_core.labels.draw_labels import draw_labels
from nanodet_kp_core.labels.labels import from_plates
from nanodet_kp_core.labels.sample import Sample
from nanodet_kp_core.layout import HeadLayout
from nanodet_kp_core.paths import resolved
from nanodet_kp_core.synthetic.generator import render

KINDS: dict[str, dict[str, Any]] = {
    "as it is": {},
    "perspective to shear": {
        "perspective": 0.002, "stretch": [[0.8, 1.2], [0.8, 1.2]], "rotation": 12, "shear": 8
    },
    "scale, translate, flip": {"scale": [0.6, 1.4], "translate": 0.2, "flip": 0.5},
    "mosaic": {"mosaic": 1.0},
    "copy_paste": {"copy_paste": 1.0},
    "brightness to gamma": {
        "brightness": 0.15, "contrast": [0.6, 1.4], "saturation": [0.5, 1.5], "hue": 10, "gamma": [0.6, 1.6]
    },
    "motion_blur, noise, jpeg": {"motion_blur": 0.6, "noise": 14, "jpeg": 0.6},
}  # fmt: skip
TILE = (224, 160)
FEWEST_PLATES, DARKEST = 2, 45.0
"""Which rendered images are shown: on a dark one there is nothing to see."""


def kinds_sheet(columns: int, epoch: int) -> list[np.ndarray]:
    """Rows of `columns` rendered images, one for each of KINDS, its name written on the first."""
    layout = HeadLayout(ARMOR_CLASSES, "factored")
    tiles = []
    with tempfile.TemporaryDirectory() as folder:
        samples = [(f"{k}.png", sample) for k, sample in zip(range(3 * columns), _pictures())]
        for name, sample in samples:
            cv2.imwrite(str(Path(folder, name)), sample.image)
        labels = Path(folder, "labels.json")
        labels.write_text(json.dumps(coco_document(samples, ARMOR_CLASSES)))
        for kind, pipeline in KINDS.items():
            config = DataConfig(img_path=Path(folder), ann_path=labels, input_size=TILE, pipeline=pipeline)
            data = PlateDataset(config, layout)
            row = [_drawn(data.sample(epoch, k), ARMOR_CLASSES) for k in range(columns)]
            for width, color in ((3, (0, 0, 0)), (1, (255, 255, 255))):
                cv2.putText(row[0], kind, (4, TILE[1] - 6), cv2.FONT_HERSHEY_SIMPLEX, 0.36, color, width, cv2.LINE_AA)
            tiles += row
    return tiles


def _drawn(sample: Sample, class_names: Sequence[str]) -> np.ndarray:
    return draw_labels(sample.image, from_plates(sample, class_names))


def contact_sheet(pictures: Sequence[np.ndarray], columns: int) -> np.ndarray:
    """Equally large images [H, W, 3] in rows of `columns`; what is left over of the last row is black."""
    missing = -len(pictures) % columns
    cells = [*pictures, *[np.zeros_like(pictures[0])] * missing]
    return np.vstack([np.hstack(cells[k : k + columns]) for k in range(0, len(cells), columns)])


def _pictures() -> Iterator[Sample]:
    """Rendered images with enough to see on them."""
    for seed in itertools.count():
        sample = render(seed, (2 * TILE[0], 2 * TILE[1]), (20.0, 140.0))
        if len(sample.labels) >= FEWEST_PLATES and sample.image.mean() > DARKEST:
            yield sample


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("out", type=resolved, help="image to write: .jpg or .png")
    parser.add_argument(
        "--config", help="training configuration (YAML); without it: rendered images, one row for each kind"
    )
    parser.add_argument("--count", type=int, default=12, help="number of images with --config (default: %(default)s)")
    parser.add_argument("--columns", type=int, default=4, help="images in a row (default: %(default)s)")
    parser.add_argument("--epoch", type=int, default=0, help="the epoch whose images are drawn (default: %(default)s)")
    args = parser.parse_args()
    if args.out.suffix not in (".jpg", ".png"):
        parser.error(f"expected a path that ends in .jpg or .png, got {args.out}")
    if args.count < 1 or args.columns < 1 or args.epoch < 0:
        parser.error("--count and --columns must be positive, --epoch not negative")
    if args.config is None:
        tiles = kinds_sheet(args.columns, args.epoch)
    else:
        config = load_config(args.config)
        data = PlateDataset(config.data.train, config.layout, config.seed, total_epochs=config.schedule.total_epochs)
        wanted = range(min(args.count, len(data)))
        tiles = [_drawn(data.sample(args.epoch, index), config.class_names) for index in wanted]
    options = [] if args.out.suffix == ".png" else [cv2.IMWRITE_JPEG_QUALITY, 72]
    if not cv2.imwrite(str(args.out), contact_sheet(tiles, args.columns), options):
        raise DataError(f"{args.out}: expected a path that can be written")
    print(args.out)
    return 0
