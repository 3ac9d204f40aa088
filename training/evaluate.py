"""Score a model on labelled images: precision, recall, corner error, colour and number at a score threshold.

    python training/evaluate.py models/armor_s.onnx --labels labels.json --images images/
    python training/evaluate.py runs/armor_s/best.pt            (on data.val of the run)

A checkpoint (.pt) and its ONNX give the same numbers at the same input size; calibration shifts scores only.
"""

from __future__ import annotations

import argparse
from pathlib import Path

from _door import open_door, size

from nanodet_kp_core.data.formats.coco import read_coco
from nanodet_kp_core.errors import DataError
from nanodet_kp_core.evaluate.metrics import score_predictions
from nanodet_kp_core.evaluate.torch_detector import predict, torch_detector
from nanodet_kp_core.export.onnx_file import load_model
from nanodet_kp_core.runtime.detector import Detector
from nanodet_kp_core.train.loop import pick_device


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("model", type=Path, help="checkpoint (.pt) or exported model (.onnx)")
    parser.add_argument("--labels", type=Path, help="COCO keypoints file (default: data.val of the checkpoint)")
    parser.add_argument("--images", type=Path, help="folder of its pictures (default: images/ beside it)")
    parser.add_argument("--size", type=size, help="WIDTHxHEIGHT of the input; a checkpoint only")
    parser.add_argument("--score", type=float, nargs="+", default=[0.5], help="score thresholds (default 0.5)")
    args = parser.parse_args()
    if any(not 0 < threshold < 1 for threshold in args.score):
        parser.error(f"--score: expected thresholds between 0 and 1, got {args.score}")
    labels, images = args.labels, args.images or (args.labels and args.labels.parent / "images")
    low = min(args.score)
    if args.model.suffix == ".onnx":
        if args.size:
            parser.error("--size: an exported model has a fixed input size; export it again with another one")
        if labels is None:
            raise DataError("--labels: expected a label file to score an exported model on, got none")
        detector = Detector(args.model, score_threshold=low)
    else:
        model, config, _ = load_model(args.model)
        labels, images = labels or config.data.val.ann_path, images or config.data.val.img_path
        device = pick_device(config.device.accelerator)
        detector = torch_detector(model.to(device), config, args.size or config.data.val.input_size, device, low)
    class_names = detector.metadata.class_names
    records = read_coco(labels, images, class_names)
    found = predict(detector, records)
    for threshold in args.score:
        print(f"score {threshold:.2f}: {score_predictions(records, found, class_names, threshold).line()}")
    return 0


if __name__ == "__main__":
    open_door(main)
