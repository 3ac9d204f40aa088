"""Precision and recall on labeled images in another light: dimmer, lighter, hazy, in other colors, noisy, smeared.

    python benchmark/light.py real/dev.json --images real/images --model a.onnx b.onnx

A model that finds plates only in the light of its images fails on the next robot; this shows it without other images.
"""

from __future__ import annotations

import argparse
import sys
from collections.abc import Callable
from functools import partial
from pathlib import Path

import cv2
import numpy as np

sys.path.insert(0, str(Path(__file__).resolve().parent.parent))

from changed_images import read_arguments

from nanodet_kp_core.command import open_door
from nanodet_kp_core.data.photometric import add_noise, blur_along, color_matrix, tone_table
from nanodet_kp_core.evaluate.metrics import Prediction
from nanodet_kp_core.evaluate.torch_detector import to_predictions
from nanodet_kp_core.runtime.images.image_bytes import through_jpeg

Change = Callable[[np.ndarray], np.ndarray]


def toned(image: np.ndarray, gamma: float = 1.0, brightness: float = 0.0, contrast: float = 1.0) -> np.ndarray:
    """See photometric.tone_table."""
    return cv2.LUT(image, tone_table(gamma, brightness, contrast))


def balanced(image: np.ndarray, blue: float, red: float) -> np.ndarray:
    """The image with other gains of the blue and of the red channel."""
    return cv2.transform(image, np.diag([blue, 1.0, red]))


def saturated(image: np.ndarray, saturation: float) -> np.ndarray:
    """See photometric.color_matrix."""
    return cv2.transform(image, color_matrix(saturation, 0))


def noisy(image: np.ndarray, sigma: float) -> np.ndarray:
    """The same noise in every run."""
    return add_noise(np.random.default_rng(0), image, sigma)


CHANGES: dict[str, Change] = {
    "as it is": np.asarray,
    "half the light": partial(toned, contrast=0.5),
    "a quarter": partial(toned, contrast=0.25),
    "twice the light": partial(toned, contrast=2.0),
    "gamma 1.6": partial(toned, gamma=1.6),
    "gamma 0.6": partial(toned, gamma=0.6),
    "haze: 40 levels and 0.84": partial(toned, brightness=40 / 255 / 0.84, contrast=0.84),
    "haze: 64 levels and 0.5": partial(toned, brightness=64 / 255 / 0.5, contrast=0.5),
    "blue 0.8, red 1.2": partial(balanced, blue=0.8, red=1.2),
    "blue 1.2, red 0.8": partial(balanced, blue=1.2, red=0.8),
    "half the saturation": partial(saturated, saturation=0.5),
    "noise of 8 levels": partial(noisy, sigma=8.0),
    "noise of 16 levels": partial(noisy, sigma=16.0),
    "JPEG of quality 30": partial(through_jpeg, quality=30),
    "JPEG of quality 15": partial(through_jpeg, quality=15),
    "motion of 5 pixels": partial(blur_along, length=5.0, degrees=0.0),
    "motion of 9 pixels": partial(blur_along, length=9.0, degrees=0.0),
}


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    compared = read_arguments(parser)
    found: list[dict[str, dict[str, list[Prediction]]]] = [{what: {} for what in CHANGES} for _ in compared.detectors]
    for record in compared.records:
        image = record.load().image
        for what, change in CHANGES.items():
            changed = change(image)
            for detector, by_change in zip(compared.detectors, found):
                by_change[what][record.name] = to_predictions(detector, detector(changed))
    compared.print_head("precision, recall, err")
    for what in CHANGES:
        compared.print_row(compared.records, [by_change[what] for by_change in found], what)
    return 0


if __name__ == "__main__":
    open_door(main)
