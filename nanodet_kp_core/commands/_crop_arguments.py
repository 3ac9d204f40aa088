"""What the scripts that train the second stage are told: images, steps, processes."""

from __future__ import annotations

import argparse
import logging
import os
from collections.abc import Sequence

import torch

from nanodet_kp_core.commands._dataset_arguments import add_dataset_arguments, records_of
from nanodet_kp_core.commands._sizes import size
from nanodet_kp_core.crops.crop_files import Maker, P, collect, joined
from nanodet_kp_core.crops.lit_records import lit_records
from nanodet_kp_core.labels.sample import Record
from nanodet_kp_core.share import own_or_shared
from nanodet_kp_core.synthetic.generator import VERSION
from nanodet_kp_core.train.crop_training import CropRecipe, CropTraining, hand_over, train_crops


def add_crop_arguments(parser: argparse.ArgumentParser, seed: int, side: int) -> None:
    """Arguments of both scripts; seed and side of the rendered images are their own."""
    add_dataset_arguments(parser, required=False)
    parser.add_argument(
        "--pictures", type=int, default=20000, help="rendered images, without --labels (default: %(default)s)"
    )
    parser.add_argument(
        "--seed", type=int, default=seed, help="seed of the first rendered image (default: %(default)s)"
    )
    parser.add_argument(
        "--size", type=size, default=(side, side), help=f"WIDTHxHEIGHT of rendered images (default: {side}x{side})"
    )
    parser.add_argument("--steps", type=int, default=CropRecipe.steps, help="steps of training (default: %(default)s)")
    parser.add_argument(
        "--threads", type=int, default=0, help="threads of torch; 0: as torch chooses (default: %(default)s)"
    )
    parser.add_argument(
        "--workers", type=int, default=os.cpu_count() or 1, help="processes that cut out crops (default: all cores)"
    )
    parser.add_argument(
        "--start", type=own_or_shared, metavar="CHECKPOINT", help="checkpoint of another training to start from"
    )


def prepare(parser: argparse.ArgumentParser, args: argparse.Namespace) -> None:
    """Check the arguments and set up logging and torch."""
    if min(args.pictures, args.steps, args.workers) < 1 or args.threads < 0 or args.seed < 0:
        parser.error("--pictures, --steps and --workers must be positive, --threads and --seed not negative")
    logging.basicConfig(level=logging.INFO, format="%(message)s")
    if args.threads:
        torch.set_num_threads(args.threads)


def pictures(args: argparse.Namespace, names: tuple[str, ...], smallest: float) -> Sequence[Record]:
    """Those of --labels, or rendered ones in other light with plates from `smallest` pixels wide to nearly all of the
    image."""
    if args.labels is not None:
        return records_of(args, names)
    return lit_records(args.pictures, args.seed, args.size, (smallest, 0.86 * args.size[0]))


def collected(args: argparse.Namespace, records: Sequence[Record], make: Maker[P], kind: type[P], wanted: str) -> P:
    """All crops of the images, kept in OUT/crops. wanted: what else than the images they depend on."""
    if args.labels is None:
        wanted += f" generator {VERSION} {args.size[0]}x{args.size[1]} in other light"
    return joined(list(collect(args.out / "crops", records, make, kind, wanted, args.seed, args.workers)))


def train(training: CropTraining, args: argparse.Namespace) -> None:
    """To the end, from where OUT/KIND.pt or --start stands."""
    checkpoint = args.out / f"{training.kind}.pt"
    if args.start is not None and not checkpoint.exists():
        hand_over(args.start, training.kind, training.start_from)
    train_crops(training, checkpoint)
