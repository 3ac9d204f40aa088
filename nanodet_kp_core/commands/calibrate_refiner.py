"""Calibrate the scores of a model's second stage, for plates and for numbers.

    nanodet-kp calibrate-refiner models/armor_s.onnx --labels val/labels.json --precision 0.97

The model with its refiner runs over labeled images; the offset in the refiner's metadata is changed so that 0.5 is
the lowest threshold with that precision there. Then the temperature of the number scores is changed so that the true
numbers of the hits are likeliest, where the labels know them. --weights fits the parts of the score as well. Models
that share a refiner share all of it.
"""

from __future__ import annotations

import argparse
from dataclasses import asdict, replace

from nanodet_kp_core.commands._dataset_arguments import add_dataset_arguments, records_of
from nanodet_kp_core.errors import ModelError
from nanodet_kp_core.evaluate.calibrate import offset_for
from nanodet_kp_core.evaluate.score_weights import collected, fit_score_weights
from nanodet_kp_core.evaluate.temperature import fit_temperature, number_evidence
from nanodet_kp_core.export.crop_network_file import shift_refiner
from nanodet_kp_core.paths import resolved
from nanodet_kp_core.runtime.detection.detector import Detector
from nanodet_kp_core.runtime.detection.options import DetectOptions


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("model", type=resolved, help="ONNX file that names a refiner")
    add_dataset_arguments(parser)
    parser.add_argument("--precision", type=float, default=0.97, help="precision at score 0.5 (default: %(default)s)")
    parser.add_argument(
        "--weights", action="store_true",
        help="first fit what the detector's score, the scout and the size of a plate count in the final score "
        "(detector_weight, scout_score, size_weight of the refiner); takes some hundred images",
    )  # fmt: skip
    args = parser.parse_args()
    if not 0 < args.precision <= 1:
        parser.error(f"--precision: expected a number above 0 and up to 1, got {args.precision:g}")
    detector = Detector(args.model, score_threshold=0.05)
    refiner = detector.refiner
    if refiner is None:
        raise ModelError(f"model {args.model}: expected one with a refiner, got one without; see docs/second_stage.md")
    records = records_of(args, detector.metadata.class_names)
    weights: dict[str, float] = {}
    if args.weights:
        weights = asdict(fit_score_weights(collected(records, detector), refiner.metadata.scout_score))
        refiner.metadata = replace(refiner.metadata, **weights)  # type: ignore[arg-type]
        print(", ".join(f"{name} {value:g}" for name, value in weights.items()))
    shift = 0.0
    for _ in range(2):  # which proposals get a second look depends on the shift, so the second time is nearer
        offset, score = offset_for(args.precision, records, detector)
        refiner.metadata = replace(refiner.metadata, offset=refiner.metadata.offset + offset)
        shift += offset
    detector.options = DetectOptions(score_threshold=0.5)
    logits, numbers = number_evidence(records, detector)
    temperature = fit_temperature(logits, numbers) if len(numbers) else None
    metadata = shift_refiner(refiner.path, shift, temperature, weights)
    print(f"{refiner.path}: offset {metadata.offset:+.2f}; at score 0.5: {score.line()}")
    print(f"number temperature {metadata.number_temperature:g}, from {len(numbers)} plates whose number is known")
    return 0
