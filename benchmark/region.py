"""What looking at the region of interest gains: labeled images, first whole, then around what was found.

    python benchmark/region.py --labels labels.json --images images/ --model models/armor_s.onnx

Far plates are those with a diagonal below --far pixels. Times are medians of processor time for one thread.
"""

from __future__ import annotations

import argparse
import sys
import time
from pathlib import Path

import numpy as np

sys.path.insert(0, str(Path(__file__).resolve().parent.parent))

from nanodet_kp_core.command import open_door
from nanodet_kp_core.commands._dataset_arguments import add_dataset_arguments, records_of
from nanodet_kp_core.evaluate.metrics import match, score_matches
from nanodet_kp_core.evaluate.torch_detector import to_predictions
from nanodet_kp_core.geometry import diagonals
from nanodet_kp_core.runtime.detection.detector import Detector
from nanodet_kp_core.runtime.detection.roi import RoiDetector

TURNS = ("whole", "then region")


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--model", help="exported model (default: the bundled one)")
    parser.add_argument("--far", type=float, default=50, help="pixels (default: %(default)s)")
    add_dataset_arguments(parser)
    args = parser.parse_args()
    detector = Detector(args.model, threads=1)
    follow = RoiDetector(detector, every=2)
    detector.clock = time.process_time
    names = detector.metadata.class_names
    records = records_of(args, names)
    found: dict[str, dict] = {turn: {} for turn in TURNS}
    taken: dict[str, list[float]] = {turn: [] for turn in TURNS}
    regions = 0
    for record in records:
        follow.forget()
        for turn in TURNS:
            found[turn][record.name] = to_predictions(detector, follow(record.load().image))
            taken[turn].append(sum(detector.times.values()))
        regions += follow.region is not None
    print(f"{len(records)} images, {regions} with a region in the second turn")
    print("| | precision | recall | recall of far plates | err | number | ms |\n|---|---|---|---|---|---|---|")
    for turn in TURNS:
        matches = match(records, found[turn], 0.5)
        score = score_matches(matches, names)
        far = sum(int((diagonals(record.corners) < args.far).sum()) for record in records)
        hit = sum(match_.diagonal < args.far for match_ in matches.hits)
        print(
            f"| {turn} | {score.precision:.3f} | {score.recall:.3f} | {hit / max(far, 1):.3f} of {far} | "
            f"{score.err:.4f} | {score.number:.3f} | {np.median(taken[turn]):.2f} |"
        )
    return 0


if __name__ == "__main__":
    open_door(main)
