"""Tiny ONNX models with the project's metadata whose output is constant, so that known detections come out.

    make_tiny_model(path, [TinyPlate("B_3", 0.9, [[10, 10], [10, 20], [30, 20], [30, 10]])])

The corners are in input pixels; with the default letterbox an image of the input's size maps onto itself.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass, replace
from pathlib import Path

import numpy as np
import onnx
from onnx import TensorProto, helper

from nanodet_kp_core.classes import ARMOR_CLASSES
from nanodet_kp_core.geometry import boxes_of_corners, make_priors
from nanodet_kp_core.layout import HeadLayout
from nanodet_kp_core.runtime.detection.decode import decode
from nanodet_kp_core.runtime.models.metadata import METADATA_KEY, InputSpec, ModelMetadata, OutputSpec

OFF = -12.0
"""Logit of a channel that is off: a score of 6e-6, a bin weight of 6e-6 against 1."""


@dataclass(frozen=True)
class TinyPlate:
    """A plate that the model reports: corners [4][2] in input pixels, box around them."""

    label: str
    score: float
    corners: Sequence[Sequence[float]]


def tiny_metadata(
    width: int = 64,
    height: int = 64,
    class_names: Sequence[str] = ARMOR_CLASSES,
    class_layout: str = "joint",
    corner_codec: str = "signed",
    regression: str = "distribution",
    prior_offset: float = 0.0,
    rows: int = 0,
    **input_values: object,
) -> ModelMetadata:
    """Metadata of a tiny model; rows makes it one whose graph decodes; further keywords go to its InputSpec."""
    return ModelMetadata(
        strides=(8, 16, 32),
        input=InputSpec(width=width, height=height, **input_values),
        output=OutputSpec(layout="NKD", scores="sigmoid", rows=rows) if rows else OutputSpec(),
        head=HeadLayout(
            tuple(class_names),
            class_layout=class_layout,
            corner_codec=corner_codec,
            regression=regression,
            prior_offset=prior_offset,
        ),
        run_id="tiny",
    )


def encode(metadata: ModelMetadata, plates: Sequence[TinyPlate]) -> np.ndarray:
    """The raw output float32 [num_priors, channels] that decodes to these plates, one prior each."""
    head = metadata.head
    priors = make_priors(metadata.input.height, metadata.input.width, metadata.strides, head.prior_offset)
    output = np.full((len(priors), head.num_channels), OFF, np.float32)
    used: set[int] = set()
    for plate in plates:
        corners = np.asarray(plate.corners, np.float64)
        box = boxes_of_corners(corners[None])[0]
        index = _free_prior(priors, box, corners, metadata, used)
        x, y, stride = priors[index, :3].astype(np.float64)
        output[index, : head.num_logits] = _class_logits(metadata, plate)
        sides = np.array([x - box[0], y - box[1], box[2] - x, box[3] - y]) / stride
        offsets = (corners - [x, y]).ravel() / stride * head.corner_signs()
        if head.is_direct:
            output[index, head.box_slice] = np.log(np.maximum(sides, 1e-6))
            output[index, head.corner_slice] = offsets if head.has_corners else []
            continue
        output[index, head.box_slice] = _bins(sides, head.box_positions())
        if head.has_corners:
            output[index, head.corner_slice] = _bins(offsets, head.corner_positions())
    return output


def decoded_rows(metadata: ModelMetadata, plates: Sequence[TinyPlate]) -> np.ndarray:
    """The output [rows, DECODED_VALUES] of a graph that decodes, these plates first, then rows of no score."""
    raw = replace(metadata, output=OutputSpec())
    found = decode(encode(raw, plates), raw, 0.1)
    rows = np.zeros((metadata.output.rows, 14), np.float32)
    rows[: len(found.scores), 0] = found.scores
    rows[: len(found.scores), 1] = found.class_ids
    rows[: len(found.scores), 2:6] = found.boxes
    rows[: len(found.scores), 6:] = found.corners.reshape(-1, 8)
    return rows


def make_tiny_model(
    path: str | Path,
    detections: Sequence[TinyPlate] = (),
    metadata: ModelMetadata | None = None,
    *,
    entry: str | None = None,
    with_entry: bool = True,
    output: np.ndarray | None = None,
) -> Path:
    """Write a model that reports these plates for every image.

    Args:
        path: where to write.
        detections: the plates, corners in input pixels.
        metadata: default `tiny_metadata()`.
        entry: text of the metadata entry instead of the right one; with_entry False leaves the entry out.
        output: the constant output [num_priors, channels] instead of the one for `detections`.
    """
    meta = metadata or tiny_metadata()
    if output is None:
        output = decoded_rows(meta, detections) if meta.output.is_decoded else encode(meta, detections)
    value = np.repeat(output[None].astype(np.float32), meta.input.batch, axis=0)
    kind = {"float32": TensorProto.FLOAT, "uint8": TensorProto.UINT8}[meta.input.dtype]
    graph = helper.make_graph(
        [helper.make_node("Identity", ["value"], [meta.output.name])],
        "tiny",
        [helper.make_tensor_value_info(meta.input.name, kind, meta.input_shape)],
        [helper.make_tensor_value_info(meta.output.name, TensorProto.FLOAT, value.shape)],
        [onnx.numpy_helper.from_array(value, "value")],
    )
    model = helper.make_model(graph, opset_imports=[helper.make_opsetid("", 13)], ir_version=8)
    if with_entry:
        helper.set_model_props(model, {METADATA_KEY: meta.to_json() if entry is None else entry})
    onnx.checker.check_model(model)
    onnx.save(model, str(path))
    return Path(path)


def make_flushed_model(path: Path, detections: Sequence[TinyPlate]) -> Path:
    """Write a model that reports these plates where denormals are zero, and nothing where they are not.

    The mean of the image becomes a denormal and then a number of its own size, by which all logits are lowered.
    """
    metadata = tiny_metadata()
    value = encode(metadata, detections)[None]
    scales = {"down": 1e-30, "far_down": 1e-12, "up": 1e38, "far_up": 1e4}
    names = ["mean", *(f"after_{name}" for name in scales)]
    graph = helper.make_graph(
        [
            helper.make_node("ReduceMean", ["image"], ["mean"], axes=[1, 2, 3], keepdims=0),  # [1]
            *(helper.make_node("Mul", [names[k], name], [names[k + 1]]) for k, name in enumerate(scales)),
            helper.make_node("Sub", ["value", names[-1]], ["output"]),
        ],
        "flushed",
        [helper.make_tensor_value_info("image", TensorProto.FLOAT, metadata.input_shape)],
        [helper.make_tensor_value_info("output", TensorProto.FLOAT, value.shape)],
        [
            onnx.numpy_helper.from_array(value, "value"),
            *(onnx.numpy_helper.from_array(np.float32([factor]), name) for name, factor in scales.items()),
        ],
    )
    model = helper.make_model(graph, opset_imports=[helper.make_opsetid("", 13)], ir_version=8)
    helper.set_model_props(model, {METADATA_KEY: metadata.to_json()})
    onnx.save(model, str(path))
    return path


def _free_prior(
    priors: np.ndarray, box: np.ndarray, corners: np.ndarray, metadata: ModelMetadata, used: set[int]
) -> int:
    """The unused prior nearest to the box's center from which every side and corner can be reached."""
    center = (box[:2] + box[2:]) / 2
    for index in np.argsort(np.abs(priors[:, :2] - center).sum(axis=1), kind="stable"):
        x, y, stride = priors[index, :3].astype(np.float64)
        sides = np.array([x - box[0], y - box[1], box[2] - x, box[3] - y]) / stride
        offsets = (corners - [x, y]).ravel() / stride * metadata.head.corner_signs()
        reach = metadata.head.corner_positions()
        fits = sides.min() >= 0 and sides.max() <= metadata.head.reg_max
        if fits and offsets.min() >= reach[0] and offsets.max() <= reach[-1] and int(index) not in used:
            used.add(int(index))
            return int(index)
    raise ValueError(f"no free prior reaches a plate with the box {box.tolist()}")


def _class_logits(metadata: ModelMetadata, plate: TinyPlate) -> np.ndarray:
    head = metadata.head
    logits = np.full(head.num_logits, OFF, np.float32)
    class_id = metadata.class_names.index(plate.label)
    score = math.log(plate.score / (1 - plate.score))
    if head.num_numbers == 0:
        logits[class_id] = score
        return logits
    color, number = divmod(class_id, head.num_numbers)
    logits[color] = score
    logits[head.num_colors + number] = 5.0
    return logits


def _bins(values: np.ndarray, positions: np.ndarray) -> np.ndarray:
    """Logits [len(values) * bins] of distributions with these means: two neighboring bins share one."""
    weights = np.maximum(0.0, 1.0 - np.abs(values[:, None] - positions[None].astype(np.float64)))
    return np.log(np.maximum(weights, 1e-12)).astype(np.float32).ravel()
