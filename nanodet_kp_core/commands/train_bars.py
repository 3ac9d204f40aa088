"""Train the last look of the second stage: where the bars of a plate end, to a part of a pixel.

    nanodet-kp train-bars runs/bars --pictures 20000
    nanodet-kp train-bars runs/mine --labels labels.json --start models/armor_bars.pt

Images are rendered, or labeled ones of your own. Bars of their plates are cut out and kept in OUT/crops.
OUT/bars.onnx is then named in a refiner with `nanodet-kp train-refiner --bars OUT/bars.onnx`. A stopped run goes on
where it was.
"""

from __future__ import annotations

import argparse

from nanodet_kp_core.classes import ARMOR_CLASSES
from nanodet_kp_core.commands._crop_arguments import add_crop_arguments, collected, pictures, prepare, train
from nanodet_kp_core.commands._dataset_arguments import class_names_of
from nanodet_kp_core.crops.bar_crops import BarCrops, bars_of_records
from nanodet_kp_core.export.crop_network_file import export_crop_network
from nanodet_kp_core.paths import resolved
from nanodet_kp_core.runtime.refinement.bars import BarsMetadata
from nanodet_kp_core.train.bar_training import BarsTraining
from nanodet_kp_core.train.crop_training import CropRecipe


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("out", type=resolved, help="folder for crops, checkpoint and bars.onnx")
    add_crop_arguments(parser, seed=40_000_000, side=320)
    args = parser.parse_args()
    prepare(parser, args)
    records = pictures(args, class_names_of(args) or ARMOR_CLASSES, smallest=10.0)
    crops = collected(args, records, bars_of_records, BarCrops, "bars")
    print(f"{len(crops)} bars")
    training = BarsTraining(crops, CropRecipe(steps=args.steps, batch=256, rate=0.003))
    train(training, args)
    metadata = BarsMetadata(f"{training.step} steps on {len(crops)} bars")
    worst = export_crop_network(training.average.model, args.out / "bars.onnx", metadata, crops.images[:64])
    print(f"{args.out / 'bars.onnx'}: torch and onnxruntime differ by {worst:.1e} at most")
    return 0
