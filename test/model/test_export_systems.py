"""Every system, exported: onnxruntime agrees with torch, and the robot's detector runs the file."""

import sys
from pathlib import Path

import numpy as np
import onnx
import onnxruntime
import pytest
import torch

sys.path.insert(0, str(Path(__file__).resolve().parents[1]))

from overfit import shrink

from nanodet_kp_core.config import load_config
from nanodet_kp_core.evaluate.torch_detector import torch_detector
from nanodet_kp_core.export.onnx_file import IR_VERSION, OPSET, export_onnx, load_model
from nanodet_kp_core.model.build import build_detector
from nanodet_kp_core.runtime.detector import Detector
from nanodet_kp_core.runtime.metadata import METADATA_KEY
from nanodet_kp_core.train.checkpoint import save_checkpoint

CONFIG = Path(__file__).resolve().parents[2] / "config"
SYSTEMS = (
    "nanodet_plus_m_four", "nanodet_plus_four", "nanodet_plus_m", "nanodet_m", "rtmdet_four", "ghostnet_four",
)  # fmt: skip
SIZE = (96, 64)


def make_lively(model: torch.nn.Module) -> None:
    """Outputs that differ from prior to prior: fresh ones are all the same."""
    for name, part in model.named_modules():
        if isinstance(part, torch.nn.Conv2d) and name.startswith("head."):
            torch.nn.init.xavier_normal_(part.weight)
            if part.bias is not None:
                torch.nn.init.zeros_(part.bias)
        if isinstance(part, torch.nn.BatchNorm2d):
            part.momentum = None  # the statistics become those of the batch below
    with torch.no_grad():
        model.train()(torch.randn(4, 3, 128, 128))


@pytest.mark.parametrize("system", SYSTEMS)
def test_exported_file_finds_what_torch_finds(system, tmp_path):
    torch.manual_seed(3)
    config = shrink(load_config(CONFIG / f"{system}.yaml"))
    model = build_detector(config.model.arch, config.class_names)
    make_lively(model)
    checkpoint = tmp_path / "last.pt"
    state = {"average": model.state_dict(), "config": config.model_dump_json(), "run_id": "run"}
    save_checkpoint(checkpoint, state)
    images = list(np.random.default_rng(0).integers(0, 256, (2, SIZE[1], SIZE[0], 3), np.uint8))
    metadata, _ = export_onnx(checkpoint, tmp_path / "m.onnx", SIZE, images)
    assert metadata.head == config.layout

    proto = onnx.load(str(tmp_path / "m.onnx"))
    assert (proto.ir_version, proto.opset_import[0].version) == (IR_VERSION, OPSET)
    entry = onnxruntime.InferenceSession(str(tmp_path / "m.onnx")).get_modelmeta().custom_metadata_map[METADATA_KEY]
    assert metadata.to_json() == entry

    loaded, again, _ = load_model(checkpoint)
    by_torch = torch_detector(loaded, again, SIZE, torch.device("cpu"), 0.5)
    by_onnx = Detector(tmp_path / "m.onnx", threads=1, score_threshold=0.5)
    for image in images:
        first, second = by_torch(image), by_onnx(image)
        assert len(first) == len(second) > 3
        assert first.labels == second.labels
        np.testing.assert_allclose(first.boxes, second.boxes, atol=0.01)
        np.testing.assert_allclose(first.corners, second.corners, atol=0.01)
        low, high = second.corners.min(axis=1), second.corners.max(axis=1)
        is_box = np.allclose(np.concatenate([low, high], axis=1), second.boxes, atol=1e-4)
        assert is_box == (system == "nanodet_plus_m")  # box-only: the corners are those of the box
