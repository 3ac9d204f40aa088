"""A tiny second stage whose answer is known: one class, one correction, and a score that follows the blue channel."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import onnx
from onnx import TensorProto, helper, numpy_helper

from nanodet_kp_core.classes import ARMOR_CLASSES
from nanodet_kp_core.runtime.reader import CORNER_SCALE, READER_KEY, ReaderMetadata


def make_tiny_reader(
    path: Path, label: str = "R_3", shift: tuple[float, float] = (0.0, 0.0), per_blue: float = 0.0, logit: float = 4.0,
    metadata: str | None = None, values: int = 22,
) -> Path:  # fmt: skip
    """Writes a reader: every patch is `label` with all corners moved by `shift` patch pixels; the logit that it is a
    plate is `logit` + `per_blue` * mean blue value."""
    answer = np.zeros((1, values), np.float32)
    color, number = divmod(ARMOR_CLASSES.index(label), 9)
    answer[0, 0], answer[0, 1 + color], answer[0, 5 + number] = logit, 9, 9
    answer[0, 14:22] = np.tile(shift, 4)[: len(answer[0, 14:22])] / CORNER_SCALE
    blue = np.zeros((1, values), np.float32)
    blue[0, 0] = per_blue
    constants = {
        "answer": answer, "blue": blue, "first": np.array([0]), "last": np.array([1]), "channel": np.array([1]),
        "row": np.array([-1, 1]),
    }  # fmt: skip
    nodes = [
        helper.make_node("Slice", ["patches", "first", "last", "channel"], ["bytes"]),
        helper.make_node("Cast", ["bytes"], ["numbers"], to=TensorProto.FLOAT),
        helper.make_node("ReduceMean", ["numbers"], ["mean"], axes=[1, 2, 3], keepdims=0),
        helper.make_node("Reshape", ["mean", "row"], ["column"]),
        helper.make_node("Mul", ["column", "blue"], ["score"]),
        helper.make_node("Add", ["score", "answer"], ["values"]),
    ]
    graph = helper.make_graph(
        nodes,
        "reader",
        [helper.make_tensor_value_info("patches", TensorProto.UINT8, ["n", 3, 40, 64])],
        [helper.make_tensor_value_info("values", TensorProto.FLOAT, ["n", values])],
        [numpy_helper.from_array(array, name) for name, array in constants.items()],
    )
    model = helper.make_model(graph, opset_imports=[helper.make_opsetid("", 17)], ir_version=8)
    entry = model.metadata_props.add()
    entry.key = READER_KEY
    entry.value = ReaderMetadata(ARMOR_CLASSES, 0.2, run_id="tiny").to_json() if metadata is None else metadata
    onnx.save(model, path)
    return path
