"""What light.py and distance.py share: the models and labeled images they are called with, and their tables."""

from __future__ import annotations

import argparse
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

from nanodet_kp_core.evaluate.metrics import Prediction, score_predictions
from nanodet_kp_core.labels import default_images, guess_format, read_records
from nanodet_kp_core.labels.sample import Plates, Record
from nanodet_kp_core.runtime.detection.detector import Detector
from nanodet_kp_core.runtime.models.bundled import bundled_model


@dataclass(frozen=True)
class Comparison:
    """Models that see the same labeled images, and the score from which their detections count."""

    detectors: list[Detector]
    records: list[Record]
    score: float

    def print_head(self, *titles: str) -> None:
        """The head of the table: the titles, then a column for each model."""
        cells = [*titles, *(detector.model_path.name for detector in self.detectors)]
        print(f"| {' | '.join(cells)} |\n{'|---' * len(cells)}|")

    def print_row(
        self, labels: Sequence[Plates], found: Sequence[Mapping[str, Sequence[Prediction]]], *titles: str
    ) -> None:
        """A row of it: the titles, then precision, recall and err of each model. found: predictions by the name of the
        image, for each model."""
        names = self.detectors[0].metadata.class_names
        scores = [score_predictions(labels, predictions, names, self.score) for predictions in found]
        cells = [f"{score.precision:.3f}, {score.recall:.3f}, {score.err:.4f}" for score in scores]
        print(f"| {' | '.join([*titles, *cells])} |")


def read_arguments(parser: argparse.ArgumentParser) -> Comparison:
    """What the command line asks for; the arguments are added to the program's parser."""
    parser.add_argument("labels", type=Path, help="COCO file, data.yaml of YOLO-pose or folder of .xml files")
    parser.add_argument("--images", type=Path, help="folder of its images (default: beside the labels)")
    parser.add_argument("--model", nargs="+", default=[str(bundled_model())], help="default: the bundled one")
    parser.add_argument("--score", type=float, default=0.5)
    args = parser.parse_args()
    name = guess_format(args.labels)
    detectors = [Detector(model, score_threshold=args.score) for model in args.model]
    names = detectors[0].metadata.class_names
    records = read_records(name, args.images or default_images(name, args.labels), args.labels, names)
    return Comparison(detectors, records, args.score)
