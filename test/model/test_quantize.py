"""int8: which nodes keep floats, what refuses a model, and that what is written runs like the one in floats."""

import sys
from dataclasses import replace
from pathlib import Path

import numpy as np
import onnx
import pytest
import torch
from onnxruntime.quantization.shape_inference import quant_pre_process

sys.path.insert(0, str(Path(__file__).resolve().parents[1]))

from overfit import shrink
from tiny_model import make_tiny_model, tiny_metadata

from nanodet_kp_core.checkpoint import save_checkpoint
from nanodet_kp_core.config import load_config
from nanodet_kp_core.errors import ConfigError, DataError, ModelError
from nanodet_kp_core.evaluate.metrics import score_predictions
from nanodet_kp_core.export import quantize as quantizing
from nanodet_kp_core.export.onnx_file import export_onnx
from nanodet_kp_core.export.quantize import Comparison, float_nodes, quantize
from nanodet_kp_core.labels.sample import Record
from nanodet_kp_core.model.build import build_detector
from nanodet_kp_core.runtime.models.session import load_session

SIZE = (96, 64)


@pytest.fixture(scope="module")
def source(tmp_path_factory):
    """An exported model with fresh weights and the raw output."""
    torch.manual_seed(3)
    config = shrink(load_config(Path(__file__).resolve().parents[2] / "config" / "armor_s.yaml"))
    model = build_detector(config.model.arch, config.class_names)
    with torch.no_grad():
        for _ in range(3):
            model.train()(torch.randn(4, 3, 64, 96))
    folder = tmp_path_factory.mktemp("model")
    state = {"average": model.state_dict(), "config": config.model_dump_json(), "run_id": "run"}
    save_checkpoint(folder / "last.pt", state)
    export_onnx(folder / "last.pt", folder / "m.onnx", SIZE, [])
    return folder / "m.onnx"


class _Picture(Record):
    """A record whose image is made, not read."""

    def load(self):
        from nanodet_kp_core.labels.sample import Sample

        image = np.random.default_rng(int(self.name)).integers(0, 256, (64, 96, 3), np.uint8)
        return Sample(image=image, name=self.name)


def _records(count):
    return [_Picture(path=Path(f"{k}"), name=str(k), width=96, height=64) for k in range(count)]


def _comparison(milliseconds=(10.0, 8.0), **changes):
    before = replace(score_predictions([], {}, ("B_1",)), precision=0.95, recall=0.9, number=0.8, err=0.04)
    return Comparison((before, replace(before, **changes)), milliseconds)


@pytest.mark.parametrize(
    ("comparison", "reason"),
    [
        (_comparison(), None),
        (_comparison(precision=0.945, recall=0.895, number=0.795, err=0.0415), None),
        (_comparison(precision=0.93), "precision falls from 0.950 to 0.930"),
        (_comparison(recall=0.88), "recall falls"),
        (_comparison(number=0.7), "number falls"),
        (_comparison(err=0.043), "corner error rises from 0.0400 to 0.0430"),
        (_comparison((10.0, 9.8)), "takes 9.80 ms instead of 10.00 ms"),
    ],
)
def test_what_refuses_a_model(comparison, reason):
    assert comparison.refusal is None if reason is None else reason in comparison.refusal


def test_an_int8_model_runs_like_the_one_in_floats(source, tmp_path, monkeypatch):
    target, metadata = tmp_path / "int8.onnx", load_session(source, 1).metadata
    monkeypatch.setattr(quantizing, "_ROUNDS", 2)
    monkeypatch.setattr(quantizing, "LEAST_GAIN", 0.0)
    with pytest.raises(ModelError, match="int8 is not worth having: on this CPU"):
        quantize(source, target, _records(8))
    assert not target.exists()

    monkeypatch.setattr(quantizing, "LEAST_GAIN", 1e9)
    quantize(source, target, _records(8))
    loaded = load_session(target, 1)
    assert loaded.metadata == metadata
    blob = np.random.default_rng(0).integers(0, 256, metadata.input_shape, np.uint8)
    wanted, found = load_session(source, 1).run(blob)[0], loaded.run(blob)[0]
    assert np.corrcoef(wanted.ravel(), found.ravel())[0, 1] > 0.98
    assert not np.array_equal(wanted, found)

    graph = onnx.load(str(target)).graph
    made_by = {name: node.op_type for node in graph.node for name in node.output}
    weights = [made_by.get(node.input[1]) for node in graph.node if node.op_type == "Conv"]
    assert weights.count("DequantizeLinear") == len(weights) - 3  # all but the outputs of the three levels


def test_what_keeps_floats(source, tmp_path):
    quant_pre_process(str(source), str(tmp_path / "simple.onnx"), skip_symbolic_shape=True)
    model = onnx.load(str(tmp_path / "simple.onnx"))
    kinds = {node.name: node.op_type for node in model.graph.node}
    kept = [kinds[name] for name in float_nodes(model)]
    assert kept.count("Conv") == 3
    assert {"DequantizeLinear", "Concat", "Transpose", "Reshape"} <= set(kept)
    assert "LeakyRelu" not in kept


def test_what_cannot_be_quantised(source, tmp_path):
    decoded = make_tiny_model(tmp_path / "decoded.onnx", metadata=tiny_metadata(rows=4))
    with pytest.raises(ConfigError, match="expected a model with the raw output"):
        quantize(decoded, tmp_path / "int8.onnx", _records(4))
    with pytest.raises(DataError, match="expected labeled images"):
        quantize(source, tmp_path / "int8.onnx", _records(1))
