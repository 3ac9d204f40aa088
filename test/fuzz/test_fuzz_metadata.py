"""What a model file says about itself, and the model file."""

import json
import math

import numpy as np
from fuzz import fuzz
from mutate import damaged_bytes, damaged_json
from tiny_model import TinyPlate, make_tiny_model, tiny_metadata

from nanodet_kp_core.classes import ARMOR_CLASSES
from nanodet_kp_core.errors import ModelError
from nanodet_kp_core.runtime.models.metadata import ModelMetadata
from nanodet_kp_core.runtime.models.model_file import has_outside_tensors
from nanodet_kp_core.runtime.refinement.bars import BarsMetadata
from nanodet_kp_core.runtime.refinement.refiner import RefinerMetadata

MODELS = (
    tiny_metadata(class_names=ARMOR_CLASSES[:9]),
    tiny_metadata(class_layout="factored", mean=(1.0, 2.0, 3.0), std=(1.0, 1.0, 1.0)),
    tiny_metadata(class_names=("a", "b"), dtype="uint8", rows=5, batch=2, regression="direct"),
)


def test_model_metadata():
    documents = [json.loads(model.to_json()) for model in MODELS]

    def use(text):
        metadata = ModelMetadata.from_json(text)
        assert ModelMetadata.from_json(metadata.to_json()) == metadata
        assert np.prod(metadata.input_shape, dtype=float) <= 3 * 2**26
        assert metadata.num_priors >= 1 and metadata.output_shape[2] >= 1

    fuzz("model metadata", lambda rng: damaged_json(rng, rng.choice(documents)), use)


def test_refiner_metadata():
    document = json.loads(RefinerMetadata(ARMOR_CLASSES, 0.05, 0.3, -1.0, "run", "bars.onnx").to_json())

    def use(text):
        metadata = RefinerMetadata.from_json(text)
        assert RefinerMetadata.from_json(metadata.to_json()) == metadata
        assert math.isfinite(metadata.offset + metadata.detector_weight + metadata.proposal_score)

    fuzz("refiner metadata", lambda rng: damaged_json(rng, document), use)


def test_bars_metadata():
    document = json.loads(BarsMetadata("run").to_json())

    def use(text):
        metadata = BarsMetadata.from_json(text)
        assert BarsMetadata.from_json(metadata.to_json()) == metadata

    fuzz("bars metadata", lambda rng: damaged_json(rng, document), use)


def test_model_files(tmp_path):
    plate = TinyPlate("a", 0.9, [[10, 10], [11, 20], [30, 22], [29, 12]])
    path = make_tiny_model(tmp_path / "m.onnx", [plate], MODELS[2])
    data = path.read_bytes()

    def use(data):
        try:
            assert has_outside_tensors(data) in (False, True)
        except ValueError as error:
            raise ModelError(str(error)) from None

    fuzz("model files", lambda rng: damaged_bytes(rng, data), use)
