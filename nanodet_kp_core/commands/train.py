"""Train a four-corner detector.

    nanodet-kp train config/armor_s.yaml                 (bundled; any other path is a file of your own)
    nanodet-kp train config/armor_s.yaml --resume
    nanodet-kp train config/own_data.yaml --print > my.yaml
    torchrun --nproc_per_node=2 -m nanodet_kp_core train my.yaml     (two GPUs, or two processes on the CPU)

What lies in save_dir, and how a stopped training goes on, stands in docs/loop.md.
"""

from __future__ import annotations

import argparse
import logging
import os

from nanodet_kp_core.config import check_paths, load_config
from nanodet_kp_core.paths import resolved
from nanodet_kp_core.share import own_or_shared
from nanodet_kp_core.train.loop import train


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("config", help="training configuration (YAML)")
    parser.add_argument(
        "--resume", nargs="?", const=True, metavar="CHECKPOINT",
        help="go on from last.pt in the configured save_dir, or from CHECKPOINT (default: schedule.resume)",
    )  # fmt: skip
    parser.add_argument("--print", action="store_true", help="print the configuration, to be changed, and end")
    args = parser.parse_args()
    main_process = os.environ.get("RANK", "0") == "0"
    logging.basicConfig(level=logging.WARNING, format="%(message)s")
    logging.getLogger("nanodet_kp_core").setLevel(logging.INFO if main_process else logging.WARNING)
    config = load_config(args.config)
    if args.print:
        print(own_or_shared(args.config).read_text(encoding="utf-8"), end="")
        return 0
    check_paths(config, args.config)
    run = train(config, resolved(args.resume) if isinstance(args.resume, str) else args.resume)
    if main_process:
        print(f"{run.folder}: trained {run.step} steps; {run.folder}/model.onnx is best.pt for the node; for scores")
        print(f"that mean something: nanodet-kp export {run.folder}/best.pt OUT.onnx --calibrate 0.975")
    return 0
