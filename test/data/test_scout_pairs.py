"""What the scout's weights are fitted to, and that a fit finds what ranks plates first."""

import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest

from nanodet_kp_core.crops.scout_pairs import average_precision, pairs_of
from nanodet_kp_core.numerics import logistic_weights
from nanodet_kp_core.runtime.refinement.bar_pairs import WEIGHTS
from nanodet_kp_core.synthetic.generator import render

SCRIPT = Path(__file__).resolve().parents[2] / "training" / "fit_scout.py"


def test_pairs_are_told_apart_by_the_labels():
    samples = [render(seed, (320, 240), (20, 100)) for seed in range(5000, 5020)]
    features, plates = pairs_of(samples)
    assert features.shape == (len(plates), len(WEIGHTS)) and 0 < plates.sum() < len(plates)
    assert not pairs_of([_bare(sample) for sample in samples])[1].any()


def _bare(sample):
    """The same image without labels."""
    return type(sample)(image=sample.image, name=sample.name)


def test_pairs_in_ignore_boxes_teach_nothing():
    sample = _bare(render(5003, (320, 240), (20, 100)))
    covered = type(sample)(
        image=sample.image, name=sample.name, ignore_boxes=np.array([[-1, -1, 400, 400]], np.float32)
    )
    assert len(pairs_of([sample])[1]) > 0 == len(pairs_of([covered])[1])


def test_a_fit_finds_the_weights_that_made_the_labels():
    rng = np.random.default_rng(0)
    features = rng.normal(size=(20000, 3)) * (1, 5, 0.1)
    true = np.array([1.0, -0.4, 8.0])
    plates = rng.random(20000) < 1 / (1 + np.exp(-features @ true))
    assert logistic_weights(features, plates) == pytest.approx(true, rel=0.1)


def test_average_precision_by_hand():
    assert average_precision(np.array([3.0, 2.0, 1.0]), np.array([True, False, True])) == pytest.approx((1 + 2 / 3) / 2)


def test_the_script_prints_the_line_to_copy():
    command = [sys.executable, str(SCRIPT), "--images", "200", "--seed", "5000", "--size", "320x240"]
    done = subprocess.run(command, capture_output=True, text=True, timeout=300)
    assert done.returncode == 0, done.stderr
    line = done.stdout.splitlines()[-1]
    assert line.startswith("WEIGHTS = np.array([-") and line.endswith("])")
    weights = np.array(line[len("WEIGHTS = np.array([") : -2].split(","), float)
    assert weights.shape == WEIGHTS.shape and (weights[[1, 2, 4]] < 0).all()  # shifted, turned, close together
