"""Denormals as zero: in the programs, and not in a process that only imports the detector.

The mode belongs to the process's first session, so that each test has a process of its own.
"""

import subprocess
import sys
from pathlib import Path

import cv2
import numpy as np
import pytest
from tiny_model import TinyPlate, make_flushed_model

from nanodet_kp_core.runtime.models.bundled import bundled_model

ROOT = Path(__file__).resolve().parents[2]
PLATE = TinyPlate("R_4", 0.9, [[10, 10], [11, 20], [30, 22], [29, 12]])

START = """
import sys, threading
import numpy as np
from nanodet_kp_core.runtime.models.denormals import denormals_are_zero, flush_denormals
from nanodet_kp_core.runtime.detection.detector import Detector

def found(threads=1):
    return len(Detector(sys.argv[1], threads=threads)(np.full((64, 64, 3), 90, np.uint8)))
"""


def python(code, *arguments):
    """What it prints, in a process of its own."""
    command = [sys.executable, "-c", START + code, *map(str, arguments)]
    done = subprocess.run(command, cwd=ROOT, capture_output=True, text=True, timeout=120, check=False)
    assert done.returncode == 0, done.stderr
    return done.stdout.split()


@pytest.fixture(scope="module")
def model(tmp_path_factory):
    """It finds the plate only where denormals are zero."""
    return make_flushed_model(tmp_path_factory.mktemp("denormals") / "m.onnx", [PLATE])


def test_a_detector_alone_changes_nothing(model):
    assert python("print(found(), denormals_are_zero())", model) == ["0", "False"]


@pytest.mark.parametrize("threads", [1, 2])
def test_flushed_in_the_thread_and_in_those_it_starts(model, threads):
    code = """
first = threading.Event()
early = threading.Thread(target=lambda: (first.wait(), print(denormals_are_zero())))
early.start()
print(flush_denormals(), found(int(sys.argv[2])))
late = threading.Thread(target=lambda: print(found(int(sys.argv[2])), denormals_are_zero()))
late.start()
late.join()
first.set()
"""
    assert python(code, model, threads) == ["True", "1", "1", "True", "False"]


def test_too_late_says_so(model):
    assert python("print(found(), flush_denormals())", model) == ["0", "False"]


def test_the_command_line_flushes(model, tmp_path):
    cv2.imwrite(str(tmp_path / "a.png"), np.full((64, 64, 3), 90, np.uint8))
    command = [sys.executable, "-m", "nanodet_kp_core.detect", str(tmp_path / "a.png"), "--model", str(model)]
    done = subprocess.run(command, cwd=ROOT, capture_output=True, text=True, timeout=120, check=True)
    assert "a.png: R_4 0.90" in done.stdout


@pytest.mark.parametrize("name", ["armor_s.onnx", "armor_m.onnx"])
def test_a_bundled_model_finds_the_same(name):
    """Not one bit differs."""
    code = """
import hashlib
from nanodet_kp_core.synthetic.generator import render

images = [render(seed, (640, 480)).image for seed in range(4)]
if sys.argv[2] == "flush":
    assert flush_denormals()
detector = Detector(sys.argv[1])
results = [detector(image) for image in images]
print(sum(map(len, results)))
print(*(hashlib.sha256(r.scores.tobytes() + r.boxes.tobytes() + r.corners.tobytes()).hexdigest() for r in results))
"""
    path = bundled_model(name)
    flushed = python(code, path, "flush")
    assert int(flushed[0]) > 0 and flushed == python(code, path, "keep")
