"""Milliseconds of a detector call, stage by stage, for several models, thread counts and image sizes in one run.

    python benchmark/latency.py --model models/armor_s.onnx --threads 1 2 --size 640x480 1280x1024

The calls of all combinations take turns, so that a noisy machine disturbs them alike; compare within one run only.
Pictures are rendered by the generator. Medians.
"""

from __future__ import annotations

import argparse
import itertools
import sys
from pathlib import Path

import numpy as np

sys.path.insert(0, str(Path(__file__).resolve().parent.parent))

from nanodet_kp_core.command import open_door
from nanodet_kp_core.data.synthetic.clip import clip_frames
from nanodet_kp_core.runtime.bundled import bundled_model
from nanodet_kp_core.runtime.detector import Detector

STAGES = ("preprocess", "network", "decode")


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--model", nargs="+", help="exported models (default: the bundled one)")
    parser.add_argument("--threads", type=int, nargs="+", default=[1, 2])
    parser.add_argument("--size", nargs="+", default=["640x480", "1280x1024"], help="image sizes, WIDTHxHEIGHT")
    parser.add_argument("--rounds", type=int, default=60, help="calls of each combination (default %(default)s)")
    args = parser.parse_args()
    models = args.model or [str(bundled_model())]
    sizes = [tuple(int(side) for side in text.split("x")) for text in args.size]
    pictures = {size: list(clip_frames(1.0, 4, 5, size)) for size in sizes}
    detectors = {pair: Detector(pair[0], threads=pair[1]) for pair in itertools.product(models, args.threads)}
    times: dict[tuple[tuple[str, int], tuple[int, ...]], list[list[float]]] = {}
    for turn in range(args.rounds):
        for key, size in itertools.product(detectors, sizes):
            detector = detectors[key]
            detector(pictures[size][turn % 4])
            times.setdefault((key, size), []).append([detector.times[stage] for stage in STAGES])
    stages = " ".join(f"{stage:>10s}" for stage in STAGES)
    print(f"{'model':28s} threads {'image':>10s} {stages}   call  /network")
    for ((model, threads), size), rows in times.items():
        medians = np.median(rows, axis=0)
        whole = float(np.median(np.sum(rows, axis=1)))
        columns = " ".join(f"{value:10.2f}" for value in medians)
        image = f"{size[0]}x{size[1]}"
        print(f"{Path(model).name:28s} {threads:7d} {image:>10s} {columns} {whole:6.2f} {whole / medians[1]:9.2f}")
    return 0


if __name__ == "__main__":
    open_door(main)
