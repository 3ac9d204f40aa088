"""Two systems, narrow, learn a few images by heart; `python test/overfit.py` does it with all (CONTRIBUTING.md)."""

import sys
from dataclasses import replace
from pathlib import Path

import pytest
import torch

sys.path.insert(0, str(Path(__file__).resolve().parents[1]))

from overfit import Result, overfit, pictures, shrink

from nanodet_kp_core.config import load_config

CONFIG = Path(__file__).resolve().parents[2] / "config"


@pytest.mark.parametrize("system", ["nanodet_plus_four", "rtmdet_four"])
def test_system_overfits_a_tiny_set(system):
    """Distributions with an auxiliary head, and direct regression with the soft center prior."""
    threads = torch.get_num_threads()
    torch.set_num_threads(1)  # the same sums on every machine
    try:
        result = overfit(shrink(load_config(CONFIG / f"{system}.yaml")), pictures(4), steps=180, lr=0.006)
    finally:
        torch.set_num_threads(threads)
    assert result.last_loss < 0.5 * result.first_loss
    assert result.error_px < 1


def test_a_missed_plate_or_a_loss_that_stays_is_no_success():
    good = Result(first_loss=2.0, last_loss=0.5, error_px=0.4, plates=3, seconds=1.0)
    assert good.passed
    assert not replace(good, last_loss=1.5).passed
    assert not replace(good, error_px=float("inf")).passed
    assert not replace(good, error_px=1.0).passed


def test_the_pictures_hold_plates():
    samples = pictures(3)
    assert all(len(sample.labels) for sample in samples)
    assert len({sample.name for sample in samples}) == 3
