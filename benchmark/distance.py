"""Precision and recall on labeled images as if the plates were farther away or nearer.

    python benchmark/distance.py real/dev.json --images real/images --model a.onnx b.onnx

Farther: the image is reduced. Nearer: around each plate of 40 pixels and more a part of the image is cut out, in which
the plate takes the share of the width that is asked for, and enlarged to the size of the image.
"""

from __future__ import annotations

import argparse
import sys
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path

import cv2
import numpy as np

sys.path.insert(0, str(Path(__file__).resolve().parent.parent))

from changed_images import read_arguments

from nanodet_kp_core.command import open_door
from nanodet_kp_core.data.augment import warp_sample
from nanodet_kp_core.data.geometric import scale_matrix, translation_matrix
from nanodet_kp_core.evaluate.metrics import Prediction
from nanodet_kp_core.evaluate.torch_detector import to_predictions
from nanodet_kp_core.labels.sample import Plates, Sample

SCALES = (1.0, 0.7, 0.5, 0.35)
SHARES = (0.3, 0.5, 0.7, 0.85)
SMALLEST = 40.0
"""Width in pixels below which a plate is too blurred once it is enlarged."""


def farther(sample: Sample, scale: float) -> Sample:
    """The sample at `scale` of its size, each pixel the mean of those it covers."""
    image = cv2.resize(sample.image, None, fx=scale, fy=scale, interpolation=cv2.INTER_AREA)
    return replace(
        sample,
        image=image,
        corners=sample.corners * np.float32(scale),
        boxes=sample.boxes * np.float32(scale),
        ignore_boxes=sample.ignore_boxes * np.float32(scale),
    )


def nearer(sample: Sample, share: float) -> Iterator[Sample]:
    """A sample for each plate, which takes `share` of its width; none where the plate takes more already."""
    size = np.array(sample.image.shape[1::-1], np.float64)
    for plate, box in enumerate(sample.boxes.astype(np.float64)):
        width = box[2] - box[0]
        window = size * width / share / size[0]
        if width < SMALLEST or window[0] >= size[0]:
            continue
        start = np.clip((box[:2] + box[2:] - window) / 2, 0, size - window)
        zoom = float(size[0] / window[0])
        matrix = scale_matrix(zoom, zoom) @ translation_matrix(-start[0], -start[1])
        near = warp_sample(sample, matrix, (int(size[0]), int(size[1])))
        yield replace(near, name=f"{sample.name} {plate}")


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    compared = read_arguments(parser)
    compared.print_head("precision, recall, err", "plates")
    for what, value in [("size", scale) for scale in SCALES] + [("share of the width", share) for share in SHARES]:
        labels: list[Plates] = []
        found: list[dict[str, list[Prediction]]] = [{} for _ in compared.detectors]
        for record in compared.records:
            sample = record.load()
            for changed in [farther(sample, value)] if what == "size" else nearer(sample, value):
                labels.append(Plates(**changed.label_fields()))  # without the pixels, which are large
                for detector, by_name in zip(compared.detectors, found):
                    by_name[changed.name] = to_predictions(detector, detector(changed.image))
        compared.print_row(labels, found, f"{what} {value:g}", str(sum(len(each.corners) for each in labels)))
    return 0


if __name__ == "__main__":
    open_door(main)
