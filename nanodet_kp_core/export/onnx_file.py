"""A trained detector as an ONNX file with its metadata, compared with torch before it is written."""

from __future__ import annotations

import json
import warnings
from collections.abc import Mapping
from dataclasses import replace
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

import cv2
import numpy as np
import onnx
import onnxruntime
import torch
from torch import nn

from nanodet_kp_core.checkpoint import load_checkpoint
from nanodet_kp_core.config import TrainConfig
from nanodet_kp_core.config.describe import describe
from nanodet_kp_core.errors import ConfigError, ModelError
from nanodet_kp_core.export.decoded import NEIGHBOUR_LOGITS, ROWS_PER_LEVEL, DecodedNetwork
from nanodet_kp_core.export.graph import take_bytes
from nanodet_kp_core.export.unshuffle import without_shuffles
from nanodet_kp_core.export.upsample import with_matrices
from nanodet_kp_core.files import write_atomically
from nanodet_kp_core.model.build import build_detector
from nanodet_kp_core.model.detector import OneStageDetector
from nanodet_kp_core.runtime.detection.decode import Decoder
from nanodet_kp_core.runtime.detection.preprocess import preprocess
from nanodet_kp_core.runtime.models.metadata import METADATA_KEY, ModelMetadata, OutputSpec
from nanodet_kp_core.runtime.models.one_file import with_files
from nanodet_kp_core.runtime.refinement.refiner import Refiner

OPSET = 17
IR_VERSION = 8
"""Both are read by onnxruntime 1.16 and newer."""

TOLERANCE = 2e-3
"""Largest difference between torch and onnxruntime: absolute in raw output values (logits); in decoded ones (scores and
input pixels) also a part of the value above 1."""


def load_model(checkpoint: Path) -> tuple[OneStageDetector, TrainConfig, str]:
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
    metrics: Mapping[str, Any] | None = None,
    offset: float = 0.0,
    decoded: bool = False,
    batch: int = 1,
    refiner: str = "",
    files: Mapping[str, bytes] | None = None,
) -> tuple[ModelMetadata, float]:
    """Write `target` for an input of `size` (width, height); returns its metadata and the worst difference to torch.

    images: uint8 [height, width, 3], BGR, on which torch and onnxruntime are compared.
    metrics: kept in the metadata.
    offset: added to the score logits, so that score 0.5 means what the validation set says it should.
    decoded: the graph decodes the best priors of each level, see DecodedNetwork.
    batch: images of one run.
    refiner: file name of the second stage in target's folder; "" without one.
    files: files of the second stage that go into `target` itself, by name.

    Raises ModelError, and writes nothing, when the two differ by more than TOLERANCE, or the second stage is missing or
    one of other classes; ConfigError for a size or batch that the model cannot take.
    """
    if min(size) < 32 or any(side % 32 for side in size):
        raise ConfigError(f"size: expected width and height that are multiples of 32, got {size[0]}x{size[1]}")
    if batch < 1:
        raise ConfigError(f"batch: expected a whole number of at least 1, got {batch}")
    model, config, run_id = load_model(checkpoint)
    if refiner:
        Refiner(target.parent / refiner, files or {}).check_classes(checkpoint, config.class_names)
    shift_scores(model, size, offset)
    raw = describe(config, size, run_id, metrics)
    raw = replace(raw, input=replace(raw.input, dtype="uint8", batch=batch), reader=refiner)
    rows = sum(min(ROWS_PER_LEVEL, -(-size[0] // stride) * -(-size[1] // stride)) for stride in raw.strides)
    output = OutputSpec(layout="NKD", scores="sigmoid", rows=rows) if decoded else raw.output
    metadata = replace(raw, output=output)
    mean, std = config.data.train.pipeline.normalize
    fast = without_shuffles(with_matrices(model))
    proto = trace(DecodedNetwork(fast) if decoded else fast, metadata)
    take_bytes(proto, mean, std)
    proto.ir_version = IR_VERSION
    entry = proto.metadata_props.add()
    entry.key, entry.value = METADATA_KEY, metadata.to_json()
    onnx.checker.check_model(proto)
    data = proto.SerializeToString()
    worst = _worst_difference(model, (mean, std), data, raw, metadata, images)
    if not worst <= TOLERANCE:
        raise ModelError(
            f"{target}: expected onnxruntime and torch to agree within {TOLERANCE}, got {worst:.2g}; "
            "nothing was written"
        )
    write_atomically(target, with_files(data, files or {}))
    return metadata, worst


@torch.no_grad()
def shift_scores(model: OneStageDetector, size: tuple[int, int], offset: float) -> None:
    """Add `offset` to the score logits, in the bias of the convolutions that give them: no node of its own."""
    levels = model.head.outputs(model.fpn(model.backbone(torch.zeros(1, 3, size[1], size[0]))))
    for conv in {id(level[0][1]): level[0][1] for level in levels}.values():  # one may serve several levels
        assert conv.bias is not None
        conv.bias[: model.layout.num_scores] += offset


def trace(network: nn.Module, metadata: ModelMetadata) -> onnx.ModelProto:
    """The ONNX graph of a network of normalised images."""
    with TemporaryDirectory() as folder, warnings.catch_warnings():
        warnings.simplefilter("ignore", torch.jit.TracerWarning)  # sizes are constants: the input has one size
        raw = Path(folder) / "raw.onnx"
        torch.onnx.export(
            network.eval(), (torch.zeros(metadata.input_shape),), str(raw), input_names=[metadata.input.name],
            output_names=[metadata.output.name], opset_version=OPSET, dynamo=False,
        )  # fmt: skip
        return onnx.load(str(raw))


@torch.inference_mode()
def _worst_difference(
    model: nn.Module,
    normalize: tuple[Any, Any],
    data: bytes,
    raw: ModelMetadata,
    metadata: ModelMetadata,
    images: list[np.ndarray],
) -> float:
    session = onnxruntime.InferenceSession(data, providers=["CPUExecutionProvider"])
    mean, std = (torch.tensor(values).reshape(1, 3, 1, 1) for values in normalize)
    worst = 0.0
    for image in images:
        blob, _ = preprocess(image, metadata.input)
        blob[:] = blob[0]
        own = model((torch.from_numpy(blob[:1]).float() - mean) / std)[0].numpy()
        for other in session.run(None, {metadata.input.name: blob})[0]:
            is_raw = not metadata.output.is_decoded
            worst = max(worst, float(np.abs(own - other).max()) if is_raw else decoded_difference(own, other, raw))
    return worst


def decoded_difference(own: np.ndarray, rows: np.ndarray, raw: ModelMetadata) -> float:
    """Worst difference between the candidates of a raw output [P, C] and the decoded rows [K, DECODED_VALUES].

    The candidates count that surely are among the rows (see DecodedNetwork); each must have its row. Classes are left
    out: where two logits tie either one is right.
    """
    spec = raw.input
    best = own[:, : raw.head.num_scores].max(axis=1)
    chosen, start = [], 0
    for stride in raw.strides:
        shape = (-(-spec.height // stride), -(-spec.width // stride))
        level = best[start : start + shape[0] * shape[1]].reshape(shape)
        lead = level - cv2.dilate(level, np.array([[1, 1, 1], [1, 0, 1], [1, 1, 1]], np.uint8))  # over its neighbors
        rank = (level - NEIGHBOUR_LOGITS * (lead < 0)).ravel()
        last = np.sort(rank)[-ROWS_PER_LEVEL] if rank.size > ROWS_PER_LEVEL else -np.inf
        chosen += (start + np.flatnonzero((rank > last + 1e-3) & (np.abs(lead.ravel()) > 1e-3))).tolist()
        start += level.size
    found = Decoder(raw)(own, 0.0)
    table = np.concatenate([found.scores[:, None], found.boxes, found.corners.reshape(-1, 8)], axis=1)[chosen]
    allowed = np.maximum(1, np.abs(table))[:, None]
    difference = np.abs(table[:, None] - np.delete(rows, 1, axis=1)[None]) / allowed
    return float(difference.max(axis=2).min(axis=1).max(initial=0))
