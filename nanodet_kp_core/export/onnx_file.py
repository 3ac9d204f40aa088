"""A trained detector as an ONNX file with its metadata, compared with torch before it is written."""

from __future__ import annotations

import json
from pathlib import Path
from tempfile import TemporaryDirectory

import numpy as np
import onnx
import onnxruntime
import torch
from torch import Tensor, nn

from nanodet_kp_core.config import TrainConfig
from nanodet_kp_core.errors import ConfigError, ModelError
from nanodet_kp_core.export.describe import describe
from nanodet_kp_core.files import write_atomically
from nanodet_kp_core.model.build import build_detector
from nanodet_kp_core.runtime.metadata import METADATA_KEY, ModelMetadata
from nanodet_kp_core.runtime.preprocess import preprocess
from nanodet_kp_core.train.checkpoint import load_checkpoint

OPSET = 17
IR_VERSION = 8
"""Both are read by onnxruntime 1.16 and newer."""

TOLERANCE = 2e-3
"""Largest absolute difference between torch and onnxruntime in raw output values (logits)."""


class ExportedGraph(nn.Module):
    """Grey levels float32 [1, 3, H, W] -> raw output [1, P, C]: normalisation, network, calibrated scores.

    Calibration is an affine map of the score logits, which keeps their order: score 0.5 then means what the
    validation set says it should.
    """

    def __init__(self, model: nn.Module, config: TrainConfig, gain: float = 1.0, offset: float = 0.0) -> None:
        super().__init__()
        mean, std = config.data.train.pipeline.normalize
        self.model = model
        self.mean: Tensor
        self.std: Tensor
        self.register_buffer("mean", torch.tensor(mean).reshape(1, 3, 1, 1))
        self.register_buffer("std", torch.tensor(std).reshape(1, 3, 1, 1))
        scale, shift = torch.ones(config.layout.num_channels), torch.zeros(config.layout.num_channels)
        scale[: config.layout.num_scores] = gain
        shift[: config.layout.num_scores] = offset
        self.scale: Tensor
        self.shift: Tensor
        self.register_buffer("scale", scale)
        self.register_buffer("shift", shift)

    def forward(self, image: Tensor) -> Tensor:
        raw = self.model((image - self.mean) / self.std)
        return raw * self.scale + self.shift


def load_model(checkpoint: Path) -> tuple[nn.Module, TrainConfig, str]:
    """Averaged weights of a checkpoint in eval mode, without auxiliary branch; its configuration and run id."""
    state = load_checkpoint(checkpoint)
    config = TrainConfig.model_validate(json.loads(state["config"]))
    model = build_detector(config.model.arch, config.class_names, pretrained=False)
    model.load_state_dict(state["average"])
    return model.eval().drop_aux(), config, state["run_id"]


def export_onnx(
    checkpoint: Path,
    target: Path,
    size: tuple[int, int],
    images: list[np.ndarray],
    metrics: dict[str, float] | None = None,
    gain: float = 1.0,
    offset: float = 0.0,
) -> tuple[ModelMetadata, float]:
    """Write `target` for an input of `size` (width, height); returns its metadata and the worst difference to torch.

    images: uint8 BGR pictures on which torch and onnxruntime are compared. Raises ModelError, and writes nothing,
    when they differ by more than TOLERANCE; ConfigError for a size that the model cannot take.
    """
    if min(size) < 32 or any(side % 32 for side in size):
        raise ConfigError(f"size: expected width and height that are multiples of 32, got {size[0]}x{size[1]}")
    model, config, run_id = load_model(checkpoint)
    metadata = describe(config, size, run_id, metrics)
    graph = ExportedGraph(model, config, gain, offset).eval()
    with TemporaryDirectory() as folder:
        raw = Path(folder) / "raw.onnx"
        torch.onnx.export(
            graph, (torch.zeros(1, 3, size[1], size[0]),), str(raw), input_names=[metadata.input.name],
            output_names=[metadata.output.name], opset_version=OPSET, dynamo=False,
        )  # fmt: skip
        proto = onnx.load(str(raw))
    proto.ir_version = IR_VERSION
    entry = proto.metadata_props.add()
    entry.key, entry.value = METADATA_KEY, metadata.to_json()
    onnx.checker.check_model(proto)
    data = proto.SerializeToString()
    worst = _worst_difference(graph, data, metadata, images)
    if not worst <= TOLERANCE:
        raise ModelError(
            f"{target}: expected onnxruntime and torch to agree within {TOLERANCE}, got {worst:.2g}; "
            "nothing was written"
        )
    write_atomically(target, data)
    return metadata, worst


@torch.inference_mode()
def _worst_difference(graph: nn.Module, data: bytes, metadata: ModelMetadata, images: list[np.ndarray]) -> float:
    session = onnxruntime.InferenceSession(data, providers=["CPUExecutionProvider"])
    worst = 0.0
    for image in images:
        blob, _ = preprocess(image, metadata.input)
        own = graph(torch.from_numpy(blob)).numpy()
        other = session.run(None, {metadata.input.name: blob})[0]
        worst = max(worst, float(np.abs(own - other).max()))
    return worst
