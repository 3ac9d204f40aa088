"""Train the second stage for a detector: what looks at each of its proposals again.

    python training/train_reader.py models/armor_s.onnx runs/reader --pictures 20000
    python training/train_reader.py my.onnx runs/mine --labels labels.json --start models/armor_reader.pt

Pictures are rendered, or labelled ones of your own. The detector runs over them once; its proposals and the labelled
plates are cut out and kept in OUT/patches. OUT/reader.onnx is then named in an export of the detector with
`training/export.py --reader OUT/reader.onnx`. A stopped run goes on where it was.
"""

from __future__ import annotations

import argparse
import logging
import os
from collections.abc import Sequence
from pathlib import Path

import torch
from _data import add_dataset_arguments, records_of
from _door import open_door, size

from nanodet_kp_core.classes import ARMOR_CLASSES, factors
from nanodet_kp_core.data.proposals import Patches, collect
from nanodet_kp_core.data.sample import Record
from nanodet_kp_core.data.synthetic.records import RenderedRecords
from nanodet_kp_core.errors import ModelError
from nanodet_kp_core.export.reader_file import export_reader
from nanodet_kp_core.runtime.reader import ReaderMetadata
from nanodet_kp_core.runtime.session import load_session
from nanodet_kp_core.train.reader import ReaderRecipe, ReaderTraining, load_reader_state, train_reader


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("detector", type=Path, help="exported model whose proposals are read")
    parser.add_argument("out", type=Path, help="folder for patches, checkpoint and reader.onnx")
    add_dataset_arguments(parser, required=False)
    parser.add_argument("--pictures", type=int, default=20000, help="rendered ones, without --labels (%(default)s)")
    parser.add_argument("--seed", type=int, default=20_000_000, help="of the first rendered picture (%(default)s)")
    parser.add_argument("--size", type=size, default=(256, 256), help="WIDTHxHEIGHT of rendered pictures (256x256)")
    parser.add_argument("--steps", type=int, default=ReaderRecipe.steps, help="of training (%(default)s)")
    parser.add_argument("--threads", type=int, default=0, help="of torch; 0: as torch chooses")
    parser.add_argument("--workers", type=int, default=os.cpu_count() or 1, help="processes that collect (all cores)")
    parser.add_argument("--start", type=Path, metavar="CHECKPOINT", help="reader.pt to start from")
    parser.add_argument("--proposal-score", type=float, default=0.15, help="kept in reader.onnx (%(default)s)")
    parser.add_argument(
        "--detector-weight",
        type=float,
        default=1.0,
        help="of the detector's logit in the final one, kept in reader.onnx (%(default)s)",
    )
    args = parser.parse_args()
    if min(args.pictures, args.steps, args.workers) < 1 or args.threads < 0 or args.seed < 0:
        parser.error("--pictures, --steps and --workers must be positive, --threads and --seed not negative")
    logging.basicConfig(level=logging.INFO, format="%(message)s")
    if args.threads:
        torch.set_num_threads(args.threads)
    names = load_session(args.detector, 1).metadata.class_names
    pair = factors(names)
    if pair is None:
        raise ModelError(f"model {args.detector}: expected classes that are COLOUR_NUMBER pairs, got {list(names)[:4]}")
    colors, numbers = len(pair[0]), len(pair[1])
    patches = _patches(args, names, numbers)
    print(f"{len(patches)} patches, {int(patches.plate.sum())} of plates")
    training = ReaderTraining(patches, colors, numbers, ReaderRecipe(steps=args.steps))
    checkpoint = args.out / "reader.pt"
    if checkpoint.exists():
        training.restore(load_reader_state(checkpoint))
    elif args.start is not None:
        training.start_from(load_reader_state(args.start))
    train_reader(training, checkpoint)
    run_id = f"{training.step} steps on {len(patches)} patches"
    metadata = ReaderMetadata(names, args.proposal_score, args.detector_weight, run_id=run_id)
    worst = export_reader(training.average.model, args.out / "reader.onnx", metadata, patches.images[:64])
    print(f"{args.out / 'reader.onnx'}: torch and onnxruntime differ by {worst:.1e} at most")
    return 0


def _patches(args: argparse.Namespace, names: tuple[str, ...], numbers: int) -> Patches:
    if args.labels is None and names != ARMOR_CLASSES:
        raise ModelError(f"model {args.detector}: expected the 36 classes of the rendered plates, or --labels")
    records: Sequence[Record] = (
        records_of(args, names)
        if args.labels is not None
        else RenderedRecords(args.pictures, args.seed, args.size, (10.0, 0.86 * args.size[0]))
    )
    parts, done = [], 0
    for part in collect(args.out / "patches", records, args.detector, numbers, args.seed, args.workers):
        parts.append(part)
        done += len(part)
        print(f"\r{done} patches", end="", flush=True)
    print()
    return Patches.joined(parts)


if __name__ == "__main__":
    open_door(main)
