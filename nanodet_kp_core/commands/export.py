"""Export a checkpoint to ONNX, with everything in it that the runtime and the node need.

    nanodet-kp export runs/armor_s/last.pt models/armor_s.onnx --size 640x480

The command compares torch and onnxruntime on --images. Without --images it takes the validation images of the run, or
rendered images where those are missing.
"""

from __future__ import annotations

import argparse
from contextlib import closing
from pathlib import Path

import numpy as np

from nanodet_kp_core.commands._sizes import size
from nanodet_kp_core.errors import DataError
from nanodet_kp_core.evaluate.calibrate import calibrate
from nanodet_kp_core.export.onnx_file import export_onnx, load_model
from nanodet_kp_core.export.second_stage import second_stage, write_beside
from nanodet_kp_core.paths import resolved
from nanodet_kp_core.runtime.images.frame_sources import open_source
from nanodet_kp_core.share import own_or_shared
from nanodet_kp_core.synthetic.generator import render

COMPARED = 8
"""Images on which torch and onnxruntime are compared."""


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("checkpoint", type=own_or_shared, help="checkpoint (.pt) of a training")
    parser.add_argument("onnx", type=resolved, help="ONNX file to write")
    parser.add_argument("--size", type=size, help="WIDTHxHEIGHT of the input (default: data.val.input_size)")
    parser.add_argument("--images", help="image or folder to compare on (default: data.val of the run)")
    parser.add_argument(
        "--output", choices=("raw", "decoded"), default="raw",
        help="raw channels of all priors, or the best priors of each level decoded in the graph: boxes and corners in "
        "input pixels, faster on a CPU, easy to use from C++ (default: %(default)s)",
    )  # fmt: skip
    parser.add_argument("--batch", type=int, default=1, help="images that one run takes (default: %(default)s)")
    parser.add_argument(
        "--calibrate", type=float, metavar="PRECISION",
        help="shift the scores so that 0.5 is the lowest threshold with this precision on data.val of the run",
    )  # fmt: skip
    parser.add_argument(
        "--refiner", type=own_or_shared, metavar="ONNX",
        help="second stage made by nanodet-kp train-refiner, or a model that has one; the command copies it beside "
        "the model, together with the bars stage that it names",
    )  # fmt: skip
    parser.add_argument(
        "--one-file", action="store_true", help="put the second stage of --refiner into the model's file, not beside it"
    )
    args = parser.parse_args()
    if args.calibrate is not None and not 0 < args.calibrate <= 1:
        parser.error(f"--calibrate: expected a precision above 0 and up to 1, got {args.calibrate:g}")
    if args.one_file and args.refiner is None:
        parser.error("--one-file: expected together with --refiner, whose second stage goes into the file")
    model, config, _ = load_model(args.checkpoint)
    refiner = ""
    files: dict[str, bytes] = {}
    if args.refiner is not None:  # before the calibration, which takes minutes
        stage, files = second_stage(args.refiner)
        stage.check_classes(args.checkpoint, config.class_names)
        refiner = stage.path.name
    input_size = args.size or config.data.val.input_size
    offset, metrics = (0.0, {}) if args.calibrate is None else calibrate(model, config, args.calibrate)
    images = _compared(args.images or str(config.data.val.img_path), named=args.images is not None)
    if not args.one_file:
        write_beside(args.onnx, files)
    metadata, worst = export_onnx(
        args.checkpoint, args.onnx, input_size, images, metrics, offset, args.output == "decoded", args.batch, refiner,
        files if args.one_file else {},
    )  # fmt: skip
    print(f"{args.onnx}: input {metadata.input.width}x{metadata.input.height}, {args.onnx.stat().st_size / 1e6:.2f} MB")
    print(f"torch and onnxruntime differ by {worst:.1e} at most on {len(images)} images; score logits {offset:+.2f}")
    return 0


def _compared(place: str, named: bool) -> list[np.ndarray]:
    """Images to compare on. Those that a checkpoint names may be on another machine: then rendered ones will do."""
    if not named and not Path(place).exists():
        print(f"{place}: the validation images of the run are not here; comparing on rendered ones")
        return [render(seed).image for seed in range(COMPARED)]
    images = []
    with closing(open_source(place)) as source:
        for frame in source:
            images.append(frame.image)
            if len(images) == COMPARED:
                break
    if not images:
        raise DataError(f"{place}: expected at least one image to compare on, got none")
    return images
