"""Train a four-corner detector.

python training/train.py config/armor_s.yaml
python training/train.py config/armor_s.yaml --resume
torchrun --nproc_per_node=2 training/train.py config/armor_s.yaml       (two GPUs, or two processes on the CPU)
"""

from __future__ import annotations

import argparse
import logging
import os

from nanodet_kp_core.config import check_paths, load_config
from nanodet_kp_core.paths import resolved
from nanodet_kp_core.train.loop import train


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("config", help="training configuration (YAML)")
    parser.add_argument(
        "--resume", nargs="?", const=True, metavar="CHECKPOINT",
        help="go on from last.pt in the configured save_dir, or from CHECKPOINT (default: schedule.resume)",
    )  # fmt: skip
    args = parser.parse_args()
    main_process = os.environ.get("RANK", "0") == "0"
    logging.basicConfig(level=logging.WARNING, format="%(message)s")
    logging.getLogger("nanodet_kp_core").setLevel(logging.INFO if main_process else logging.WARNING)
    config = load_config(args.config)
    check_paths(config, args.config)
    run = train(config, resolved(args.resume) if isinstance(args.resume, str) else args.resume)
    if main_process:
        print(f"{run.folder}: trained {run.step} steps; {run.folder}/model.onnx is best.pt for the node; for scores")
        print(f"that mean something: python training/export.py {run.folder}/best.pt OUT.onnx --calibrate 0.975")
    return 0
