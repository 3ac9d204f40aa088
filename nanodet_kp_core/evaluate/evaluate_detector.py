"""How good a detector is on labeled images."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import replace
from pathlib import Path

from nanodet_kp_core.errors import ConfigError
from nanodet_kp_core.evaluate.cameras import label_cameras
from nanodet_kp_core.evaluate.report import Report, build_report
from nanodet_kp_core.evaluate.torch_detector import predict
from nanodet_kp_core.labels import SHORT_NAMES, default_images, guess_format, read_records
from nanodet_kp_core.labels.sample import Record
from nanodet_kp_core.runtime.detection.detector import Detector
from nanodet_kp_core.runtime.poses.pose import Camera

LOWEST = 0.05
"""Score threshold of the one run of the detector: average precision and curves need what lies below 0.5."""


def evaluate_detector(
    detector: Detector,
    labels: str | Path,
    images: str | Path | None = None,
    label_format: str | None = None,
    thresholds: Sequence[float] = (0.5,),
) -> Report:
    """Run the detector over labeled images once and score it at each threshold.

    Args:
        labels: a COCO file, a data.yaml of YOLO-pose, or a folder of .xml or .txt files.
        images: folder of the images; None takes the usual one beside the labels.
        label_format: one of `nanodet-kp check --help`; needed for .txt files, which do not tell it.
        thresholds: scores between 0 and 1; the tables of corners, sizes and classes take the first.

    Raises:
        ConfigError: no threshold, one that is not between 0 and 1, or an unknown format.
        DataError: the labels or images cannot be read.
    """
    if not thresholds or not all(0 < threshold < 1 for threshold in thresholds):
        raise ConfigError(f"thresholds: expected numbers between 0 and 1, got {list(thresholds)}")
    if label_format is not None and label_format not in SHORT_NAMES:
        raise ConfigError(f"label_format: expected one of {', '.join(sorted(SHORT_NAMES))}, got {label_format!r}")
    labels = Path(labels)
    name = guess_format(labels) if label_format is None else SHORT_NAMES[label_format]
    folder = default_images(name, labels) if images is None else Path(images)
    records = read_records(name, folder, labels, detector.metadata.class_names)
    return report_of(detector, records, thresholds, label_cameras(labels), detector.model_path.name, labels.name)


def report_of(
    detector: Detector,
    records: Sequence[Record],
    thresholds: Sequence[float],
    cameras: Mapping[str, Camera] | None,
    model: str,
    data: str,
) -> Report:
    """The report of a detector on records; model and data are their names in it. cameras: by record name."""
    lowest = min(LOWEST, *thresholds)
    predictions = predict(detector, records, replace(detector.options, score_threshold=lowest))
    return build_report(records, predictions, detector.metadata.class_names, thresholds, cameras, lowest, model, data)
