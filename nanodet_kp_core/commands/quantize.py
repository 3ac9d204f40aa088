"""Try a model with int8 convolutions, and keep it where it is faster on this CPU and nearly as accurate.

    nanodet-kp quantize models/armor_s.onnx runs/armor_s_int8.onnx --labels labels.json --images images/

Some of the labeled images give the ranges of the values, the others judge. The model must have the raw output
(nanodet-kp export --output raw, the default).
"""

from __future__ import annotations

import argparse

from nanodet_kp_core.commands._dataset_arguments import add_dataset_arguments, records_of
from nanodet_kp_core.export.quantize import quantize
from nanodet_kp_core.paths import resolved
from nanodet_kp_core.runtime.models.session import load_session
from nanodet_kp_core.share import own_or_shared


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("model", type=own_or_shared, help="ONNX made by nanodet-kp export")
    parser.add_argument("int8", type=resolved, help="ONNX to write")
    add_dataset_arguments(parser)
    parser.add_argument("--threads", type=int, default=1, help="threads with which it is timed (default: %(default)s)")
    args = parser.parse_args()
    class_names = load_session(args.model, 1).metadata.class_names
    found = quantize(args.model, args.int8, records_of(args, class_names), args.threads)
    for name in ("precision", "recall", "number", "err"):
        before, after = (getattr(score, name) for score in found.scores)
        print(f"{name:10s} {before:.4f} -> {after:.4f}")
    print(f"network    {found.milliseconds[0]:.2f} -> {found.milliseconds[1]:.2f} ms, {args.threads} thread(s)")
    print(f"{args.int8}: {args.int8.stat().st_size / 1e6:.2f} MB")
    return 0
