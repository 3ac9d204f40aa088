"""Score a model on labeled images: average precision, corner error, pose error, at one or more score thresholds.

    nanodet-kp evaluate models/armor_s.onnx --labels labels.json --images images/ --report out/
    nanodet-kp evaluate my.onnx --beside models/armor_s.onnx --labels labels.json --images images/ --report out/
    nanodet-kp evaluate runs/armor_s/best.pt            # on data.val of the run

A checkpoint (.pt) and its ONNX give the same numbers at the same input size; calibration shifts scores only. What the
figures mean stands in docs/evaluation.md.
"""

from __future__ import annotations

import argparse
from pathlib import Path

from nanodet_kp_core.adapt.sources import sources_of
from nanodet_kp_core.commands._dataset_arguments import add_dataset_arguments, records_of
from nanodet_kp_core.commands._sizes import size
from nanodet_kp_core.data.dataset import read_dataset
from nanodet_kp_core.errors import DataError, ModelError
from nanodet_kp_core.evaluate.cameras import label_cameras
from nanodet_kp_core.evaluate.compare_page import write_comparison
from nanodet_kp_core.evaluate.evaluate_detector import LOWEST, report_of
from nanodet_kp_core.evaluate.html_report import write_report
from nanodet_kp_core.evaluate.standing import Standing
from nanodet_kp_core.evaluate.summary import summary
from nanodet_kp_core.evaluate.torch_detector import predict, torch_detector
from nanodet_kp_core.export.onnx_file import load_model
from nanodet_kp_core.files import write_atomically
from nanodet_kp_core.labels.sample import Record
from nanodet_kp_core.paths import resolved
from nanodet_kp_core.runtime.detection.detector import Detector
from nanodet_kp_core.runtime.poses.calibration import read_calibration
from nanodet_kp_core.runtime.poses.pose import Camera
from nanodet_kp_core.share import own_or_shared
from nanodet_kp_core.train.distributed import pick_device


def main() -> int:
    args = _arguments()
    if args.model.suffix == ".onnx":
        detector, data = Detector(args.model), None
    else:
        model, config, _ = load_model(args.model)
        data = config.data.val
        device = pick_device(config.device.accelerator)
        detector = torch_detector(model.to(device), config, args.size or data.input_size, device)
    class_names = detector.metadata.class_names
    if args.labels is not None:
        records, labels = records_of(args, class_names), args.labels
    elif data is not None:
        data = data.model_copy(update={"img_path": args.images or data.img_path})
        records, labels = read_dataset(data, class_names), data.ann_path
    else:
        raise DataError("--labels: expected labels to score an exported model on, got none")
    records = records[: args.limit]
    cameras = _cameras(args.camera, labels, records)
    report = report_of(detector, records, args.score, cameras, args.model.name, labels.name)
    print(summary(report))
    if args.json:
        write_atomically(args.json, report.to_json().encode())
    if args.report:
        print(f"report: {write_report(report, args.report, args.gallery)}")
    if args.beside:
        _compare(args, records, report.data)
    return 0


def _compare(args: argparse.Namespace, records: list[Record], data: str) -> None:
    """A page with another model beside this one, and a line for each."""
    source_of = sources_of([record.name for record in records])
    made: list[Standing] = []
    for path in (args.beside, args.model):
        detector = Detector(path, score_threshold=LOWEST)
        names = detector.metadata.class_names
        if made and names != made[0].class_names:
            raise ModelError(f"--beside {args.beside}: expected the class names of {args.model}, got others")
        made.append(Standing(records, predict(detector, records), names, source_of))
        print(f"{path.name}: {made[-1].line()}")
    models, page = (args.beside.name, args.model.name), args.report / "compare.html"
    write_comparison(page, " and ".join(models), [], {data: (made[0], made[1])}, models, made[1], args.gallery)
    print(f"comparison: {page}")


def _arguments() -> argparse.Namespace:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("model", type=own_or_shared, help="checkpoint (.pt) or exported model (.onnx)")
    add_dataset_arguments(parser, required=False)
    parser.add_argument("--size", type=size, help="WIDTHxHEIGHT of the input; a checkpoint only")
    parser.add_argument(
        "--score", type=float, nargs="+", default=[0.5],
        help="score thresholds (default: 0.5); the report's tables of corners, sizes and classes take the first",
    )  # fmt: skip
    parser.add_argument("--limit", type=int, metavar="N", help="the first N images only")
    parser.add_argument("--camera", type=resolved, help="calibration (YAML) of the camera that took all the images")
    parser.add_argument("--json", type=resolved, metavar="FILE", help="write all figures as JSON")
    parser.add_argument("--report", type=resolved, metavar="DIR", help="write DIR/index.html with plots and a gallery")
    parser.add_argument(
        "--beside", type=own_or_shared, metavar="ONNX",
        help="another exported model, shown beside this one in DIR/compare.html",
    )  # fmt: skip
    parser.add_argument(
        "--gallery", type=int, default=24, metavar="N", help="images of each kind in the report (default: %(default)s)"
    )
    args = parser.parse_args()
    if any(not 0 < threshold < 1 for threshold in args.score):
        parser.error(f"--score: expected thresholds between 0 and 1, got {args.score}")
    if args.limit is not None and args.limit < 1:
        parser.error(f"--limit: expected a whole number of at least 1, got {args.limit}")
    if args.gallery < 0:
        parser.error(f"--gallery: expected a whole number of at least 0, got {args.gallery}")
    if args.classes:
        parser.error("--classes: a model brings its own class names, labels are matched with them by name")
    if args.beside and (not args.report or args.model.suffix != ".onnx"):
        parser.error("--beside: expected an exported model (.onnx) to compare, and --report with a folder")
    if args.format and not args.labels:
        parser.error("--format: expected together with --labels")
    if args.size and args.model.suffix == ".onnx":
        parser.error("--size: an exported model has a fixed input size; export it again with another one")
    return args


def _cameras(calibration: Path | None, labels: Path, records: list[Record]) -> dict[str, Camera]:
    """Cameras by record name: of the calibration file for all, else of the label file where it has them."""
    if calibration is None:
        return label_cameras(labels)
    camera = read_calibration(calibration).camera
    return {record.name: camera for record in records}
