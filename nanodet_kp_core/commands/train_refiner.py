"""Train the second stage for a detector. It looks at each proposal again.

    nanodet-kp train-refiner models/armor_s.onnx runs/refiner --pictures 20000
    nanodet-kp train-refiner my.onnx runs/mine --labels labels.json --start models/armor_reader.pt

Images are rendered, or labeled ones of your own. The detector runs over them once; its proposals and the labeled
plates are cut out and kept in OUT/crops. OUT/refiner.onnx is then named in an export of the detector with
`nanodet-kp export --refiner OUT/refiner.onnx`. A stopped run goes on where it was.
"""

from __future__ import annotations

import argparse
from functools import partial
from zlib import crc32

from nanodet_kp_core.classes import ARMOR_CLASSES, COLORS, UNLIT, are_armor, brief, class_factors
from nanodet_kp_core.commands._crop_arguments import add_crop_arguments, collected, pictures, prepare, train
from nanodet_kp_core.crops.proposal_crops import LOOKED_AT, PROPOSAL_SCORE, Crops, crops_of_records
from nanodet_kp_core.errors import ModelError
from nanodet_kp_core.export.crop_network_file import export_crop_network
from nanodet_kp_core.files import write_atomically
from nanodet_kp_core.paths import resolved
from nanodet_kp_core.runtime.models.session import load_session
from nanodet_kp_core.runtime.refinement.bars import Bars
from nanodet_kp_core.runtime.refinement.refiner import RefinerMetadata
from nanodet_kp_core.share import own_or_shared
from nanodet_kp_core.train.crop_training import CropRecipe
from nanodet_kp_core.train.refiner_training import UNLIT_OFFSET, RefinerTraining


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("detector", type=own_or_shared, help="exported model whose proposals are read")
    parser.add_argument("out", type=resolved, help="folder for crops, checkpoint and refiner.onnx")
    add_crop_arguments(parser, seed=20_000_000, side=256)
    parser.add_argument(
        "--proposal-score",
        type=float,
        default=LOOKED_AT,
        help="lowest score that is looked at again, kept in refiner.onnx (default: %(default)s; "
        f"training uses {PROPOSAL_SCORE})",
    )
    parser.add_argument(
        "--detector-weight",
        type=float,
        default=1.0,
        help="weight of the detector's logit in the final logit, kept in refiner.onnx (default: %(default)s)",
    )
    parser.add_argument(
        "--bars", type=own_or_shared, metavar="ONNX",
        help="last look made by nanodet-kp train-bars; it is copied beside refiner.onnx, which names it",
    )  # fmt: skip
    parser.add_argument(
        "--light-bars", action=argparse.BooleanOptionalAction,
        help="whether the left and right sides of a target are lit bars: the scout proposes pairs of them, and no two "
        "targets share one; kept in refiner.onnx (default: where the classes are those of armor plates)",
    )  # fmt: skip
    args = parser.parse_args()
    prepare(parser, args)
    names = load_session(args.detector, 1).metadata.class_names
    if args.labels is None and names != ARMOR_CLASSES:
        raise ModelError(
            f"model {args.detector}: expected the 36 classes of the rendered plates, or --labels, got {brief(names)}"
        )
    colors, numbers = map(len, class_factors(names))
    light_bars = are_armor(names) if args.light_bars is None else args.light_bars
    if args.bars is not None and not light_bars:
        parser.error("--bars: expected targets with lit bars, got others; leave it out, or say --light-bars")
    bars = "" if args.bars is None else Bars(args.bars).path.name
    make = partial(crops_of_records, args.detector, numbers, light_bars=light_bars)
    wanted = f"{args.detector.name} {crc32(args.detector.read_bytes()):08x}"  # exports of one network are of one size
    wanted += "" if light_bars else " without scout"
    crops = collected(args, pictures(args, names, smallest=10.0), make, Crops, wanted)
    print(f"{len(crops)} crops, {int(crops.plate.sum())} of plates")
    unlit = COLORS.index(UNLIT) if args.labels is None else -1
    training = RefinerTraining(crops, colors, numbers, CropRecipe(steps=args.steps), unlit, names)
    train(training, args)
    run_id = f"{training.step} steps on {len(crops)} crops"
    rare = UNLIT_OFFSET if args.labels is None else 0.0  # one's own images show what is rare
    metadata = RefinerMetadata(
        names, args.proposal_score, args.detector_weight, run_id=run_id, bars=bars, unlit_offset=rare,
        light_bars=light_bars,
    )  # fmt: skip
    worst = export_crop_network(training.average.model, args.out / "refiner.onnx", metadata, crops.images[:64])
    if args.bars is not None:
        write_atomically(args.out / bars, args.bars.read_bytes())
    print(f"{args.out / 'refiner.onnx'}: torch and onnxruntime differ by {worst:.1e} at most")
    return 0
