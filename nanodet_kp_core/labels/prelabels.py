"""What a model found, as labels that a person corrects."""

from __future__ import annotations

from pathlib import Path

import numpy as np

from nanodet_kp_core.labels.labels import LabeledImage, plate_of_numbers
from nanodet_kp_core.labels.text_files import too_far
from nanodet_kp_core.runtime.detection.detector import Detections


def prelabeled(name: str, path: Path, size: tuple[int, int], detections: Detections) -> LabeledImage:
    """The image (width, height) with the plates that were found, corners to a thousandth of a pixel.

    Where the number is unknown the likeliest class stands: a label file holds nothing else for every format.
    A plate that lies wholly outside the image, or so far that no label format can hold it, is left out.
    """
    width, height = size
    image = LabeledImage(name, path, width, height, name)
    for label, corners in zip(detections.class_labels, detections.corners, strict=True):
        if not np.isfinite(corners).all():
            continue
        plate = plate_of_numbers(name, label, [round(float(value), 3) for value in corners.ravel()], None)
        left, top, right, bottom = plate.box
        if right > 0 and bottom > 0 and left < width and top < height and not too_far(plate, image):
            image.plates.append(plate)
    return image
