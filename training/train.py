"""Train a four-corner detector.

    python training/train.py config/armor_s.yaml
    python training/train.py config/armor_s.yaml --resume
"""

from __future__ import annotations

import argparse

from _door import open_door

from nanodet_kp_core.config import load_config
from nanodet_kp_core.train.loop import train


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("config", help="training configuration (YAML)")
    parser.add_argument("--resume", action="store_true", help="go on from last.pt in the configured save_dir")
    args = parser.parse_args()
    run = train(load_config(args.config), args.resume)
    print(f"{run.folder}: trained {run.step} steps; next: python training/export.py {run.folder}/last.pt OUT.onnx")
    return 0


if __name__ == "__main__":
    open_door(main)
