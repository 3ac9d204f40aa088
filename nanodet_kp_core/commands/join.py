"""Make one file of a model and its second stage, so that it can be copied as one.

    nanodet-kp join models/armor_s.onnx armor_s_one.onnx

The result gives the same plates. Node, `detect` and all scripts take it as any other model.
"""

from __future__ import annotations

import argparse

from nanodet_kp_core.export.second_stage import joined
from nanodet_kp_core.files import write_atomically
from nanodet_kp_core.paths import resolved
from nanodet_kp_core.runtime.detection.detector import Detector
from nanodet_kp_core.share import own_or_shared


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("model", type=own_or_shared, help="ONNX file that names a second stage")
    parser.add_argument("out", type=resolved, metavar="OUT", help="ONNX file to write")
    args = parser.parse_args()
    write_atomically(args.out, joined(args.model))
    refiner = Detector(args.out).refiner
    parts = "no second stage" if refiner is None else refiner.path.name
    if refiner is not None and refiner.bars is not None:
        parts += f" and {refiner.bars.path.name}"
    print(f"{args.out}: {args.model.name} with {parts}, {args.out.stat().st_size / 1e6:.2f} MB")
    return 0
