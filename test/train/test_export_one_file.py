"""The exporter puts the second stage into the model's file, or beside it; calibration finds it in both."""

from pathlib import Path

import cv2
import numpy as np
import onnx
import pytest
from forked import run_forked
from tiny_model import TinyPlate, make_tiny_model, tiny_metadata
from tiny_refiner import make_tiny_bars, make_tiny_refiner, name_refiner

from nanodet_kp_core.errors import ModelError
from nanodet_kp_core.export.crop_network_file import shift_refiner
from nanodet_kp_core.export.second_stage import joined, second_stage
from nanodet_kp_core.runtime.detection.detector import Detector
from nanodet_kp_core.runtime.models.bundled import bundled_model
from nanodet_kp_core.synthetic.generator import render

ROOT = Path(__file__).resolve().parents[2]
CORNERS = np.array([[20, 20], [20, 40], [76, 40], [76, 20]], np.float32)


def export(folder, *words):
    assert cv2.imwrite(str(folder / "a.png"), render(5, (128, 96), (30.0, 60.0)).image)
    script = [str(ROOT / "training/export.py"), str(ROOT / "models/armor_s.pt"), str(folder / "out/m.onnx")]
    options = ["--size", "128x96", "--images", str(folder / "a.png"), "--output", "decoded", *words]
    return run_forked([*script, *options], cwd=folder)


@pytest.mark.parametrize(
    ("source", "options", "files"),
    [
        ("armor_reader.onnx", ["--one-file"], ["m.onnx"]),
        ("armor_s.onnx", [], ["armor_bars.onnx", "armor_reader.onnx", "m.onnx"]),
    ],
)
def test_the_exporter(tmp_path, source, options, files):
    done = export(tmp_path, "--refiner", str(bundled_model(source)), *options)
    assert done.returncode == 0, done.stderr
    assert sorted(path.name for path in (tmp_path / "out").iterdir()) == files
    refiner = Detector(tmp_path / "out/m.onnx").refiner
    bundled = Detector().refiner
    assert refiner is not None and bundled is not None
    assert refiner.metadata == bundled.metadata and refiner.bars is not None


def test_one_file_needs_a_refiner(tmp_path):
    done = export(tmp_path, "--one-file")
    assert (done.returncode, "expected together with --refiner" in done.stderr) == (2, True)


@pytest.fixture
def one(tmp_path):
    """A model with refiner and bars inside, alone in its folder."""
    folder = tmp_path / "parts"
    folder.mkdir()
    make_tiny_bars(folder / "bars.onnx")
    make_tiny_refiner(folder / "refiner.onnx", logit=1.0, bars="bars.onnx")
    plate = TinyPlate("R_3", 0.5, CORNERS)
    name_refiner(make_tiny_model(folder / "m.onnx", [plate], tiny_metadata(128, 128)), "refiner.onnx")
    (tmp_path / "one.onnx").write_bytes(joined(folder / "m.onnx"))
    return tmp_path / "one.onnx"


def test_a_shift_reaches_the_refiner_inside(one):
    image = np.zeros((128, 128, 3), np.uint8)
    before = Detector(one)(image).scores[0]
    refiner = Detector(one).refiner
    assert shift_refiner(refiner.path, 1.5, 0.5).offset == 1.5
    after = Detector(one)
    assert np.log(1 / after(image).scores[0] - 1) == pytest.approx(np.log(1 / before - 1) - 1.5, abs=1e-3)
    assert after.refiner.metadata.number_temperature == 0.5 and after.refiner.bars is not None
    assert len(onnx.load(one).metadata_props) == 3


def test_a_second_stage_is_taken_out_of_one_file(one):
    refiner, files = second_stage(one)
    assert refiner.path.name == "refiner.onnx"
    assert files == {file: (one.parent / "parts" / file).read_bytes() for file in ("refiner.onnx", "bars.onnx")}


def test_a_model_without_a_second_stage_gives_none(tmp_path):
    path = make_tiny_model(tmp_path / "m.onnx", [])
    with pytest.raises(ModelError, match="expected a second stage, or a model that names one, got a model without"):
        second_stage(path)
    assert joined(path) == path.read_bytes()
