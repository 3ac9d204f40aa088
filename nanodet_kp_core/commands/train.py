"""Train a four-corner detector, or make a finished model better on own images.

    nanodet-kp train --data labels.json --images images/ --out runs/mine
    nanodet-kp train config/armor_s.yaml                 # bundled; any other path is a file of your own
    nanodet-kp train config/armor_s.yaml --resume
    nanodet-kp train config/own_data.yaml --print > my.yaml
    torchrun --nproc_per_node=2 -m nanodet_kp_core train my.yaml     # two GPUs, or two processes on the CPU

With --data the command checks and splits the labels and adapts both stages of the start. OUT/model.onnx is the better
model, or the start when no candidate is better. Repeat the command after a stop: it continues. See docs/own_data.md.
docs/loop.md describes the files of save_dir and how a training resumes.
"""

from __future__ import annotations

import argparse
import logging
import math
import os

# Before torch is loaded: on a busy machine threads that spin for each other take ten times as long as one thread.
os.environ.setdefault("OMP_NUM_THREADS", "1")
os.environ.setdefault("OMP_WAIT_POLICY", "passive")

from nanodet_kp_core.config import check_paths, load_config
from nanodet_kp_core.labels import SHORT_NAMES
from nanodet_kp_core.paths import resolved
from nanodet_kp_core.share import own_or_shared


def main() -> int:
    args = _arguments()
    main_process = os.environ.get("RANK", "0") == "0"
    logging.basicConfig(level=logging.WARNING, format="%(message)s")
    logging.getLogger("nanodet_kp_core").setLevel(logging.INFO if main_process else logging.WARNING)
    if args.config is None:
        return _adapt(args)
    config = load_config(args.config)
    if args.print:
        print(own_or_shared(args.config).read_text(encoding="utf-8"), end="")
        return 0
    from nanodet_kp_core.train.detector_training import train  # not before: torch takes seconds

    check_paths(config, args.config)
    run = train(config, resolved(args.resume) if isinstance(args.resume, str) else args.resume)
    if main_process:
        key, refiner = config.evaluator.save_key, config.evaluator.refiner
        stages = "one stage alone" if refiner is None else f"with {refiner.name} inside"
        print(f"{run.folder}: trained {run.step} steps; {run.folder}/model.onnx is best.pt for the node, {stages}.")
        if run.start and run.best <= run.start.get(key, -math.inf):
            print(f"No validation was better than the start ({key} {run.best:.3f}): best.pt holds its weights.")
        if refiner is None:
            print("Models of the 36 armor classes find more and read numbers far better with the second stage:")
            command = f"nanodet-kp export {run.folder}/best.pt OUT.onnx --calibrate 0.975"
            print(f"{command} --refiner models/armor_reader.onnx")
    return 0


def _adapt(args: argparse.Namespace) -> int:
    from nanodet_kp_core.adapt.plan import Plan
    from nanodet_kp_core.adapt.run import adapt

    outcome = adapt(
        Plan(
            data=args.data, out=args.out, images=args.images, format=args.format, start=args.start,
            validation=args.validation, validation_images=args.validation_images, minutes=args.minutes, seed=args.seed,
            workers=args.workers,
        )
    )  # fmt: skip
    print(f"report: {outcome.report}")
    print(outcome.sentence)
    return 0


def _arguments() -> argparse.Namespace:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("config", nargs="?", help="training configuration (YAML)")
    parser.add_argument(
        "--resume", nargs="?", const=True, metavar="CHECKPOINT",
        help="go on from last.pt in the configured save_dir, or from CHECKPOINT (default: schedule.resume)",
    )  # fmt: skip
    parser.add_argument("--print", action="store_true", help="print the configuration and exit: the start of your own")
    own = parser.add_argument_group("a finished model and own images, without a configuration")
    own.add_argument(
        "--data", type=resolved, metavar="LABELS", help="a COCO file, a data.yaml of YOLO-pose, or a folder"
    )
    own.add_argument("--images", type=resolved, metavar="DIR", help="folder of its images (default: beside the labels)")
    own.add_argument("--format", choices=sorted(SHORT_NAMES), help="label format; needed for .txt files")
    own.add_argument(
        "--out", type=resolved, metavar="RUN", help="folder for the model, the report and intermediate files"
    )
    own.add_argument(
        "--start",
        type=own_or_shared,
        metavar="ONNX",
        help="model to start from, its .pt beside it (default: the bundled one)",
    )
    own.add_argument(
        "--validation",
        type=resolved,
        metavar="LABELS",
        help="labels of validation images (default: a part of --data, by source)",
    )
    own.add_argument("--validation-images", type=resolved, metavar="DIR", help="folder of their images (as --images)")
    own.add_argument(
        "--minutes", type=float, default=20.0, help="budget; a busy machine takes longer (default: %(default)g)"
    )
    own.add_argument("--seed", type=int, default=0, help="seed of the training (default: %(default)s)")
    own.add_argument(
        "--workers", type=int, default=os.cpu_count() or 1, help="processes that render (default: all cores)"
    )
    args = parser.parse_args()
    if (args.config is None) == (args.data is None):
        parser.error("expected a configuration, or --data with labels")
    if args.data is not None and args.out is None:
        parser.error("--data: expected --out RUN as well, a folder for the model and the report; got none")
    if args.data is not None and args.resume:
        parser.error("--resume: expected with a configuration only; with --data the same command goes on by itself")
    if args.data is None and (args.out or args.images or args.start or args.validation):
        parser.error("--out, --images, --start, --validation: expected with --data only; a configuration names its own")
    if not args.minutes > 0 or args.workers < 1 or args.seed < 0:
        parser.error("--minutes and --workers must be positive, --seed not negative")
    return args
