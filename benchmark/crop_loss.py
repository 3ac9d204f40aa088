"""How much surer is an adapted second stage on labeled images that it has not seen: plate or no plate?

    python benchmark/crop_loss.py runs/split_a/model.onnx --labels split_a/held_back.json --images real/images

The proposals of network and scout of the start are cut out of the images, as in a training. Printed are the mean binary
cross-entropy of the start's scores as deployed, and by how much it falls with each model, with one standard error.
Plates without light are left out: their scores have an offset of their own.
"""

from __future__ import annotations

import argparse
import sys
from pathlib import Path
from tempfile import TemporaryDirectory

import numpy as np

sys.path.insert(0, str(Path(__file__).resolve().parent.parent))

from nanodet_kp_core.adapt.calibrate import crop_losses, mean_fall
from nanodet_kp_core.adapt.crops import own_crops, part_of
from nanodet_kp_core.adapt.start import Start, load_start
from nanodet_kp_core.classes import ARMOR_CLASSES, COLORS, UNLIT
from nanodet_kp_core.command import open_door
from nanodet_kp_core.crops.proposal_crops import Crops
from nanodet_kp_core.labels import read_records
from nanodet_kp_core.train.crop_training import load_crop_state


def deployed_losses(start: Start, crops: Crops) -> np.ndarray:
    """Of the model's own second stage."""
    weights = load_crop_state(start.refiner_weights, "reader")["average"]
    return crop_losses(weights, start.refiner_metadata.offset, crops)


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("models", nargs="+", type=Path, help="of nanodet-kp train --data, with their weights beside")
    parser.add_argument("--labels", type=Path, required=True, help="COCO file")
    parser.add_argument("--images", type=Path, required=True, help="folder of its images")
    parser.add_argument("--start", type=Path, help="model that they started from (default: the bundled one)")
    arguments = parser.parse_args()
    start = load_start(arguments.start)
    records = read_records("CocoDataset", arguments.images, arguments.labels, ARMOR_CLASSES)
    with TemporaryDirectory() as folder:
        crops = own_crops(Path(folder), start, records, 1, 0, 1)
    crops = part_of(crops, crops.colors != COLORS.index(UNLIT))
    before = deployed_losses(start, crops)
    print(f"{len(before)} crops, {int(crops.plate.sum())} plates; start {before.mean():.4f}")
    for model in arguments.models:
        fall = mean_fall(before, deployed_losses(load_start(model), crops))
        print(f"{model}: falls by {fall.total:.4f} ({fall.noise:.4f})")
    return 0


if __name__ == "__main__":
    open_door(main)
