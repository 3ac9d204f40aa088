"""What the bundled models find on rendered images: a floor, so that no change breaks them unseen.

Measured over 400 images of 640x480 with plates of 20 px and more (seeds 0 to 399, generator 7), all of them and the
worst of the 20 groups of 20 images, `armor_s` / `armor_m`: recall 0.85 / 0.89, worst 0.69 / 0.80; precision 1.00 /
1.00, worst 0.96 / 0.96; median corner error 0.50 / 0.51 px, worst 0.90 / 0.80; number 0.97 / 0.97, worst 0.88 / 0.85;
color 0.99 / 0.99, worst 0.91 / 0.92. Another generator or a model trained anew draws another group. The group of this
test has 0.87 / 0.87, 1.00 / 1.00, 0.57 / 0.49 px, 0.95 / 0.91 and 1.00 / 1.00.
"""

from dataclasses import replace

import numpy as np
import pytest

from nanodet_kp_core.evaluate.metrics import Prediction, match, score_matches
from nanodet_kp_core.evaluate.tables import plate_widths
from nanodet_kp_core.runtime.detection.detector import Detector
from nanodet_kp_core.runtime.models.bundled import bundled_model
from nanodet_kp_core.synthetic.generator import render

SEEDS = range(20)
SIZE = (640, 480)
LEAST_PX = 20.0
"""Width of a plate. Narrower ones count neither as found nor as missed."""

LEAST_RECALL = 0.70
LEAST_PRECISION = 0.85
MOST_ERROR_PX = 1.0
LEAST_NUMBER = 0.75
LEAST_COLOR = 0.85


def rendered(seed):
    sample = render(seed, SIZE, (30.0, 160.0))
    wide = plate_widths(sample.corners) >= LEAST_PX
    ignored = np.concatenate([sample.ignore_boxes, sample.boxes[~wide]])
    return replace(sample, **sample.fields_of_plates(wide), ignore_boxes=ignored)


@pytest.fixture(scope="module")
def samples():
    return [rendered(seed) for seed in SEEDS]


@pytest.mark.parametrize("name", ["armor_s.onnx", "armor_m.onnx"])
def test_a_bundled_model_finds_rendered_plates(samples, name):
    detector = Detector(bundled_model(name))
    predictions = {}
    for sample in samples:
        found = detector(sample.image)
        rows = zip(found.labels, found.scores.tolist(), found.corners, strict=True)
        predictions[sample.name] = [Prediction(label, score, corners) for label, score, corners in rows]
    matches = match(samples, predictions, threshold=0.5)
    score = score_matches(matches, detector.metadata.class_names)
    line = score.line()
    assert score.plates >= 20, line
    assert score.recall >= LEAST_RECALL, line
    assert score.precision >= LEAST_PRECISION, line
    assert np.median([hit.err_px for hit in matches.hits]) <= MOST_ERROR_PX, line
    assert score.number >= LEAST_NUMBER, line
    assert score.color >= LEAST_COLOR, line
