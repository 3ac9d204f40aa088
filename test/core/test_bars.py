"""The last look: bars cut out one by one, corners put where their ends are."""

import json

import numpy as np
import pytest
from test_refiner import HALF, QUAD, name_refiner
from tiny_model import TinyPlate, make_tiny_model, tiny_metadata
from tiny_refiner import make_tiny_bars, make_tiny_refiner

from nanodet_kp_core.errors import ModelError
from nanodet_kp_core.runtime.detection.detector import Detector
from nanodet_kp_core.runtime.refinement import bars as bars_module
from nanodet_kp_core.runtime.refinement.bars import BARS_KEY, Bars, BarsMetadata
from nanodet_kp_core.runtime.refinement.refiner import Refiner, RefinerMetadata

IMAGE = np.zeros((64, 64, 3), np.uint8)
LARGE = ((QUAD - QUAD[0]) * 28 / 16 + 10).astype(np.float32)  # its bars are as long as in their crops


@pytest.fixture(autouse=True)
def one_look(monkeypatch):
    """So that a constant answer moves the ends once."""
    monkeypatch.setattr(bars_module, "MOVED", np.inf)


def test_the_second_look_starts_from_the_ends_of_the_first(tmp_path, monkeypatch):
    bars = Bars(make_tiny_bars(tmp_path / "b.onnx", shift=(2.0, -1.0)))
    monkeypatch.setattr(bars_module, "MOVED", 1.9)
    monkeypatch.setattr(bars_module, "AGREED", 3.0)
    assert np.allclose(bars(IMAGE, LARGE[None])[0], LARGE + (4.0, -2.0), atol=1e-4)
    monkeypatch.setattr(bars_module, "AGREED", 1.0)  # now the second look contradicts the first
    assert np.allclose(bars(IMAGE, LARGE[None])[0], LARGE + (2.0, -1.0), atol=1e-4)


def test_only_the_bars_that_moved_are_looked_at_again(tmp_path, monkeypatch):
    monkeypatch.setattr(bars_module, "MOVED", 1.0)
    monkeypatch.setattr(bars_module, "AGREED", 3.0)
    bars = Bars(make_tiny_bars(tmp_path / "b.onnx", per_blue=0.02))
    image = np.zeros((80, 120, 3), np.uint8)
    image[:, 40:, 0] = 100  # over the right bar: its upper end moves by 2 each time
    looked_at, run = [], bars.network.run
    bars.network.run = lambda blob: looked_at.append(len(blob)) or run(blob)
    moved = (bars(image, LARGE[None])[0] - LARGE)[:, 0]
    assert looked_at == [2, 1]
    assert moved == pytest.approx([0, 0, 0, 4], abs=0.1)  # the upper end of the right bar, twice


def test_corners_follow_the_ends(tmp_path):
    bars = Bars(make_tiny_bars(tmp_path / "b.onnx", shift=(2.0, -1.0)))
    assert bars.metadata.run_id == "tiny"
    assert np.allclose(bars(IMAGE, LARGE[None])[0], LARGE + (2.0, -1.0), atol=1e-4)
    # In a bar that is turned, the ends move along and across the bar, by its own scale.
    turned = (LARGE[:, ::-1] * (2, -2) + (0, 150)).astype(np.float32)
    assert np.allclose(bars(IMAGE, turned[None])[0], turned + (-2.0, -4.0), atol=1e-3)
    assert bars(IMAGE, np.zeros((0, 4, 2), np.float32)).shape == (0, 4, 2)


def test_each_bar_is_seen_for_itself(tmp_path):
    bars = Bars(make_tiny_bars(tmp_path / "b.onnx", per_blue=0.02))
    image = np.zeros((80, 120, 3), np.uint8)
    image[:, 40:, 0] = 100
    found = bars(image, np.stack([LARGE, LARGE + (45, 0)]))
    assert np.allclose(found[0, :3] - LARGE[:3], [[0, 0], [0, 0], [0, 0]], atol=1e-3)
    assert found[0, 3, 0] - LARGE[3, 0] == pytest.approx(2, abs=0.02)
    assert found[1, 0, 0] - LARGE[0, 0] - 45 == pytest.approx(2, abs=0.02)


@pytest.mark.parametrize(("order", "blue"), [("bgr", 40.0), ("rgb", 200.0), ("mono", 100.0)])
def test_blue_is_seen_where_it_is(tmp_path, order, blue):
    bars = Bars(make_tiny_bars(tmp_path / "b.onnx", per_blue=0.05))
    image = np.full((64, 90), 100, np.uint8) if order == "mono" else np.full((64, 90, 3), (40, 90, 200), np.uint8)
    assert bars(image, LARGE[None], order)[0, 0, 0] - LARGE[0, 0] == pytest.approx(0.05 * blue, abs=1e-3)


@pytest.mark.parametrize("shift", [(float("nan"), 0.0), (float("inf"), 0.0), (1e30, 1e30)])
def test_ends_that_break_a_plate_are_left(tmp_path, shift):
    bars = Bars(make_tiny_bars(tmp_path / "b.onnx", shift=shift))
    assert np.array_equal(bars(IMAGE, LARGE[None])[0], LARGE)


@pytest.fixture
def model(tmp_path):
    """A detector with one plate and a refiner that agrees; the refiner names bars.onnx."""
    make_tiny_refiner(tmp_path / "refiner.onnx", bars="bars.onnx")
    path = make_tiny_model(tmp_path / "m.onnx", [TinyPlate("R_3", 0.5, LARGE)], tiny_metadata(128, 128))
    return name_refiner(path, "refiner.onnx")


def test_the_detector_looks_at_the_bars_last(model, tmp_path):
    make_tiny_bars(tmp_path / "bars.onnx", shift=(3.0, 1.0))
    found = Detector(model)(np.zeros((128, 128, 3), np.uint8))
    assert found.labels == ["R_3"]
    assert np.allclose(found.corners[0], LARGE + (3.0, 1.0), atol=0.05)
    assert np.allclose(found.boxes[0], [13, 11, 76, 39], atol=0.05)  # of the corners as they are now


@pytest.mark.parametrize(("logit", "looks"), [(1.5, 2), (2.5, 1)])
def test_a_clear_plate_needs_no_second_look(model, tmp_path, logit, looks):
    """Every look of this refiner moves the corners; bars that say nothing leave them there."""
    make_tiny_refiner(tmp_path / "refiner.onnx", shift=(1.0, 0.0), logit=logit, bars="bars.onnx")
    make_tiny_bars(tmp_path / "bars.onnx")
    image = np.zeros((128, 128, 3), np.uint8)
    assert np.allclose(Detector(model)(image).corners[0], LARGE + (looks * 28 / 16, 0), atol=0.05)
    assert len(Detector(model, score_threshold=0.995)(image)) == 0  # sigmoid(5) is 0.993


def test_bars_that_are_not_there(model, tmp_path):
    with pytest.raises(ModelError, match=r"bars\.onnx: expected the second stage .* got no such"):
        Detector(model)
    make_tiny_refiner(tmp_path / "bars.onnx")
    with pytest.raises(ModelError, match=f"expected an ONNX model with a '{BARS_KEY}' metadata entry"):
        Detector(model)


@pytest.mark.parametrize("name", ["../bars.onnx", "a/b.onnx", 3])
def test_bars_outside_the_folder_are_refused(tmp_path, name):
    values = json.loads(RefinerMetadata(("B_1", "B_2", "R_1", "R_2"), 0.2).to_json())
    path = make_tiny_refiner(tmp_path / "r.onnx", metadata=json.dumps({**values, "bars": name}))
    with pytest.raises(ModelError, match="bars: expected the name of a file in the same folder"):
        Refiner(path)


def test_a_refiner_without_bars_reads_as_before(tmp_path):
    refiner = Refiner(make_tiny_refiner(tmp_path / "r.onnx"))
    assert refiner.bars is None
    assert np.allclose(refiner(IMAGE, QUAD[None], HALF[:1]).corners[0], QUAD, atol=1e-3)


GOOD = json.loads(BarsMetadata("x").to_json())


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("no json", "bars: expected a JSON object"),
        ("[1]", "bars: the entry: expected a JSON object"),
        ("{}", "bars: format_version: this package reads version 1, the model has None"),
        (json.dumps({**GOOD, "more": 1}), r"unknown keys \['more'\]"),
        (json.dumps({**GOOD, "format_version": 9}), r"reads version 1, the model has 9"),
        (json.dumps({**GOOD, "patch": [32, 32]}), r"patch: expected \[24, 56\], got \[32, 32\]"),
        (json.dumps({**GOOD, "run_id": 5}), "run_id: expected a text, got 5"),
    ],
)
def test_wrong_metadata_of_bars(tmp_path, text, message):
    path = make_tiny_bars(tmp_path / "b.onnx", metadata=text)
    with pytest.raises(ModelError, match=message):
        Bars(path)


def test_bars_with_other_values(tmp_path):
    with pytest.raises(ModelError, match="expected 4 values a crop"):
        Bars(make_tiny_bars(tmp_path / "b.onnx", values=6))
