"""The weights of the final score: found again where they are known, and what they are found from."""

from types import SimpleNamespace

import numpy as np
import pytest
from tiny_model import TinyPlate, make_tiny_model, tiny_metadata
from tiny_refiner import make_tiny_refiner, name_refiner

from nanodet_kp_core.classes import ARMOR_CLASSES
from nanodet_kp_core.errors import DataError
from nanodet_kp_core.evaluate.score_weights import Evidence, collected, fit_score_weights
from nanodet_kp_core.numerics import logit, sigmoid
from nanodet_kp_core.runtime.detection.detector import Detector
from nanodet_kp_core.runtime.refinement.refiner import USUAL_SIZE, RefinerMetadata

QUAD = np.array([[20, 40], [20, 60], [60, 60], [60, 40]], np.float32)


@pytest.mark.parametrize(("detector", "scout_score", "size"), [(2.0, 0.26, -0.8), (0.5, 0.6, 0.0), (1.0, 0.4, 1.5)])
def test_the_weights_of_known_scores_are_found(detector, scout_score, size):
    rng = np.random.default_rng(3)
    logits, sizes = rng.normal(0, 3, 20000), rng.normal(0, 0.7, 20000)
    proposed = np.where(rng.uniform(size=20000) < 0.4, 0.3, rng.uniform(0.15, 0.9, 20000))  # 0.3: by the scout
    said = np.where(proposed == 0.3, scout_score, proposed)
    chances = sigmoid(0.8 * (logits + detector * logit(said) + size * sizes - 1.0))
    found = fit_score_weights(Evidence(logits, proposed, sizes, rng.uniform(size=20000) < chances), 0.3)
    assert found.detector_weight == pytest.approx(detector, abs=0.15)
    assert found.scout_score == pytest.approx(scout_score, abs=0.04)
    assert found.size_weight == pytest.approx(size, abs=0.12)


def test_what_the_detector_said_against_the_truth_counts_nothing():
    rng = np.random.default_rng(4)
    logits, proposed = rng.normal(0, 2, 4000), rng.uniform(0.15, 0.9, 4000)
    truth = rng.uniform(size=4000) < sigmoid(logits - 0.5 * logit(proposed))
    found = fit_score_weights(Evidence(logits, proposed, np.zeros(4000), truth), 0.3)
    assert found.detector_weight < 0.01
    assert found.scout_score == 0.3  # the scout has proposed nothing


def test_a_second_stage_that_tells_nothing_is_refused():
    logits = np.linspace(-3, 3, 400)
    with pytest.raises(DataError, match="expected a second stage that tells plates from others"):
        fit_score_weights(Evidence(logits, np.full(400, 0.5), np.zeros(400), logits < 0), 0.3)


@pytest.mark.parametrize("plates", [0, 49, 1000 - 49])
def test_too_few_of_a_kind(plates):
    evidence = Evidence(np.zeros(1000), np.full(1000, 0.5), np.zeros(1000), np.arange(1000) < plates)
    with pytest.raises(DataError, match=f"expected 50 plates .* as many false .* got {plates} and {1000 - plates}"):
        fit_score_weights(evidence, 0.3)


@pytest.mark.parametrize("label", ["R_3", "N_3"])
def test_the_looks_are_found_again_in_the_score(tmp_path, make_record, label):
    """A plate that is proposed with 0.7, and a false alarm with 0.6."""
    plates = [TinyPlate("B_1", 0.7, QUAD), TinyPlate("B_1", 0.6, QUAD + (60, 50))]
    model = name_refiner(make_tiny_model(tmp_path / "m.onnx", plates, tiny_metadata(128, 128)), "refiner.onnx")
    known = RefinerMetadata(
        ARMOR_CLASSES, 0.2, detector_weight=1.5, offset=0.4, unlit_offset=-0.7, size_weight=-0.5
    ).to_json()  # fmt: skip
    make_tiny_refiner(tmp_path / "refiner.onnx", label, logit=1.0, metadata=known)
    record = make_record([QUAD], [label])
    records = [SimpleNamespace(**vars(record), load=lambda: SimpleNamespace(image=np.zeros((128, 128, 3), np.uint8)))]
    evidence = collected(records, Detector(model, score_threshold=0.05))
    assert evidence.plate.tolist() == [True, False]
    assert evidence.logits == pytest.approx([1.0, 1.0], abs=1e-3)
    assert evidence.proposed == pytest.approx([0.7, 0.6], abs=1e-3)
    assert evidence.sizes == pytest.approx([np.log(np.hypot(40, 20) / USUAL_SIZE)] * 2, abs=1e-3)
