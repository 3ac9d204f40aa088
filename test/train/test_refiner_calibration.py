"""The temperature of the number scores: found, written, and what the script makes of labeled images."""

from pathlib import Path
from types import SimpleNamespace

import cv2
import numpy as np
import pytest
from forked import run_forked
from tiny_model import TinyPlate, make_tiny_model, tiny_metadata
from tiny_refiner import make_tiny_refiner, name_refiner

from nanodet_kp_core.classes import ARMOR_CLASSES
from nanodet_kp_core.errors import ModelError
from nanodet_kp_core.evaluate.temperature import TEMPERATURES, fit_temperature, number_evidence
from nanodet_kp_core.export.crop_network_file import shift_refiner
from nanodet_kp_core.geometry import boxes_of_corners
from nanodet_kp_core.labels import write_dataset
from nanodet_kp_core.labels.sample import Record
from nanodet_kp_core.runtime.detection.detector import Detections, Detector
from nanodet_kp_core.runtime.detection.options import DetectOptions
from nanodet_kp_core.runtime.refinement.refiner import Refiner, number_scores

ROOT = Path(__file__).resolve().parents[2]
QUAD = np.array([[20, 40], [20, 60], [60, 60], [60, 40]], np.float32)


@pytest.mark.parametrize("temperature", [0.4, 1.0, 3.0])
def test_the_temperature_of_known_logits_is_found(temperature):
    rng = np.random.default_rng(5)
    honest = rng.normal(0, 2, (6000, 9))
    chances = np.exp(honest) / np.exp(honest).sum(axis=1, keepdims=True)
    numbers = (rng.uniform(size=(6000, 1)) > chances.cumsum(axis=1)).sum(axis=1).clip(0, 8)
    logits = (honest * temperature + rng.normal(0, 9, (6000, 1))).astype(np.float32)  # a shift of all changes nothing
    assert fit_temperature(logits, numbers) == pytest.approx(temperature, rel=0.06)


def test_a_few_right_numbers_do_not_make_it_certain():
    numbers = np.arange(20) % 9
    logits = np.eye(9, dtype=np.float32)[numbers] * 5
    temperature = fit_temperature(logits, numbers)
    assert TEMPERATURES[0] < temperature < TEMPERATURES[-1]
    assert number_scores(logits, temperature) == pytest.approx(1 - 1 / 22, abs=0.005)  # one of 22 may be wrong


def test_the_evidence_of_the_hits():
    """Two plates: the number of the first is known and 3; then a false alarm. Each has logits of its own."""

    class Known:
        metadata = SimpleNamespace(class_names=ARMOR_CLASSES, head=SimpleNamespace(has_corners=True))
        refiner, options, model_path = object(), DetectOptions(), "m.onnx"
        number_logits = np.arange(27, dtype=np.float32).reshape(3, 9)

        def __call__(self, image):
            corners = np.stack([QUAD + (0, 100), QUAD + (90, 0), QUAD])
            scores, ids = np.array([0.9, 0.8, 0.6], np.float32), np.array([12, 0, 1])
            return Detections(scores, ids, boxes_of_corners(corners), corners, ARMOR_CLASSES)

    def evidence(detector, known):
        record = Record(
            path=Path("a.png"), name="a.png", width=200, height=200, corners=np.stack([QUAD, QUAD + (90, 0)]),
            labels=np.array([ARMOR_CLASSES.index("R_3"), ARMOR_CLASSES.index("B_1")]), number_known=np.array(known),
        )  # fmt: skip
        return number_evidence([SimpleNamespace(**vars(record), load=lambda: SimpleNamespace(image=None))], detector)

    detector = Known()
    logits, numbers = evidence(detector, [True, False])
    assert (logits.tolist(), numbers.tolist()) == ([list(range(18, 27))], [3])
    logits, numbers = evidence(detector, [False, False])
    assert (logits.shape, numbers.shape) == ((0, 9), (0,))
    detector.refiner = None
    with pytest.raises(ModelError, match="expected one that names a refiner"):
        evidence(detector, [True, True])


def test_a_shift_sets_the_temperature_or_leaves_it(tmp_path):
    path = make_tiny_refiner(tmp_path / "r.onnx")
    assert shift_refiner(path, 0.5, 0.61234).number_temperature == 0.6123
    shift_refiner(path, 0.5)
    assert (Refiner(path).metadata.number_temperature, Refiner(path).metadata.offset) == (0.6123, 1.0)


@pytest.mark.parametrize(("label", "known"), [("R_3", 10), ("R_?", 0)])
def test_the_script(tmp_path, label, known):
    """Ten images with a plate that this refiner takes for a 3."""
    plate = TinyPlate("B_1", 0.9, QUAD)
    model = name_refiner(make_tiny_model(tmp_path / "m.onnx", [plate], tiny_metadata(128, 128)), "refiner.onnx")
    make_tiny_refiner(tmp_path / "refiner.onnx", "R_3", number_logit=5.0)
    records = []
    for k in range(10):
        path = tmp_path / f"{k}.png"
        cv2.imwrite(str(path), np.zeros((128, 128, 3), np.uint8))
        record = Record(
            path=path, name=path.name, width=128, height=128, corners=QUAD[None],
            labels=np.array([ARMOR_CLASSES.index("R_3")]), number_known=np.array([label == "R_3"]),
        )  # fmt: skip
        records.append(record)
    write_dataset("CocoDataset", tmp_path / "data", records, ARMOR_CLASSES)
    command = [ROOT / "training/calibrate_refiner.py", model, "--labels", tmp_path / "data/labels.json"]
    done = run_forked(command, cwd=tmp_path)
    assert done.returncode == 0, done.stderr
    temperature = Refiner(tmp_path / "refiner.onnx").metadata.number_temperature
    assert f"number temperature {temperature:g}, from {known} plates whose number is known" in done.stdout
    (score,) = Detector(model)(np.zeros((128, 128, 3), np.uint8)).number_scores
    assert score == pytest.approx(1 - 1 / 12 if known else 1 / (1 + 8 * np.exp(-5)), abs=0.01)
    assert (temperature == 1) == (known == 0)
