"""A tiny second stage whose answer is known: one class, corrections, and values that follow the blue channel."""

from __future__ import annotations

import json
from pathlib import Path

import numpy as np
import onnx
from onnx import TensorProto, helper, numpy_helper

from nanodet_kp_core.classes import ARMOR_CLASSES
from nanodet_kp_core.runtime.models.metadata import METADATA_KEY
from nanodet_kp_core.runtime.refinement.bars import BARS_KEY, END_SCALE, NUM_VALUES, BarsMetadata
from nanodet_kp_core.runtime.refinement.crop_network import INPUT, OUTPUT
from nanodet_kp_core.runtime.refinement.crops import BAR_SIZE, CROP_SIZE
from nanodet_kp_core.runtime.refinement.refiner import CORNER_SCALE, REFINER_KEY, RefinerMetadata


def make_tiny_refiner(
    path: Path, label: str = "R_3", shift: tuple[float, float] = (0.0, 0.0), per_blue: float = 0.0, logit: float = 4.0,
    metadata: str | None = None, values: int = 22, bars: str = "", number_logit: float = 9.0,
    number_per_blue: float = 0.0,
) -> Path:  # fmt: skip
    """Writes a refiner: every crop is `label` with all corners moved by `shift` crop pixels; the logit that it is a
    plate is `logit` + `per_blue` * mean blue value, that of its number likewise, those of the other eight are 0."""
    answer = np.zeros((1, values), np.float32)
    color, number = divmod(ARMOR_CLASSES.index(label), 9)
    answer[0, 0], answer[0, 1 + color], answer[0, 5 + number] = logit, 9, number_logit
    answer[0, 14:22] = np.tile(shift, 4)[: len(answer[0, 14:22])] / CORNER_SCALE
    blue = np.zeros((1, values), np.float32)
    blue[0, 0], blue[0, 5 + number] = per_blue, number_per_blue
    metadata = RefinerMetadata(ARMOR_CLASSES, 0.2, run_id="tiny", bars=bars).to_json() if metadata is None else metadata
    return _save(path, answer, blue, CROP_SIZE, REFINER_KEY, metadata)


def save_refiner(path: Path, answer: np.ndarray, metadata: RefinerMetadata) -> Path:
    """Writes a refiner that answers every crop with the values `answer` [1, V]."""
    return _save(path, answer, np.zeros_like(answer), CROP_SIZE, REFINER_KEY, metadata.to_json())


def name_refiner(path: Path, name: object) -> Path:
    """Makes the model of this path name a refiner."""
    proto = onnx.load(path)
    (entry,) = (entry for entry in proto.metadata_props if entry.key == METADATA_KEY)
    entry.value = json.dumps({**json.loads(entry.value), "reader": name})
    onnx.save(proto, path)
    return path


def make_tiny_bars(
    path: Path, shift: tuple[float, float] = (0.0, 0.0), per_blue: float = 0.0, metadata: str | None = None,
    values: int = NUM_VALUES,
) -> Path:  # fmt: skip
    """Writes bars: both ends are moved by `shift` crop pixels, the upper one also by `per_blue` * mean blue value to
    the right."""
    answer = np.resize(np.array([*shift, *shift], np.float32) / END_SCALE, (1, values))
    blue = np.zeros((1, values), np.float32)
    blue[0, 0] = per_blue / END_SCALE
    metadata = BarsMetadata("tiny").to_json() if metadata is None else metadata
    return _save(path, answer, blue, BAR_SIZE, BARS_KEY, metadata)


def _save(path: Path, answer: np.ndarray, blue: np.ndarray, size: tuple[int, int], key: str, metadata: str) -> Path:
    """A network of crops [n, 3, height, width] -> answer + blue * mean blue value [n, values]."""
    constants = {
        "answer": answer, "blue": blue, "first": np.array([0]), "last": np.array([1]), "channel": np.array([1]),
        "row": np.array([-1, 1]),
    }  # fmt: skip
    nodes = [
        helper.make_node("Slice", [INPUT, "first", "last", "channel"], ["bytes"]),
        helper.make_node("Cast", ["bytes"], ["numbers"], to=TensorProto.FLOAT),
        helper.make_node("ReduceMean", ["numbers"], ["mean"], axes=[1, 2, 3], keepdims=0),
        helper.make_node("Reshape", ["mean", "row"], ["column"]),
        helper.make_node("Mul", ["column", "blue"], ["score"]),
        helper.make_node("Add", ["score", "answer"], [OUTPUT]),
    ]
    width, height = size
    graph = helper.make_graph(
        nodes,
        "second_stage",
        [helper.make_tensor_value_info(INPUT, TensorProto.UINT8, ["n", 3, height, width])],
        [helper.make_tensor_value_info(OUTPUT, TensorProto.FLOAT, ["n", answer.shape[1]])],
        [numpy_helper.from_array(array, name) for name, array in constants.items()],
    )
    model = helper.make_model(graph, opset_imports=[helper.make_opsetid("", 17)], ir_version=8)
    entry = model.metadata_props.add()
    entry.key, entry.value = key, metadata
    onnx.save(model, path)
    return path
