"""The exported ONNX graph: pixels in as bytes, normalised by one node."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
from onnx import ModelProto, TensorProto, helper, numpy_helper


def take_bytes(model: ModelProto, mean: Sequence[float], std: Sequence[float]) -> None:
    """Turn the input of normalised values into one of pixel bytes, in place: (byte - mean) / std inside the graph.

    One DequantizeLinear converts and normalises; on the CPU that costs less than a subtraction and a division, and less
    than the conversion to numbers outside the graph. Its zero point is a whole number: a mean of whole numbers needs
    nothing else. What another one has behind the point is added by a second node; in the bias of the first convolution
    it would be wrong at the border, where the padding stands for the mean.
    """
    graph = model.graph
    image, normalised = graph.input[0], f"{graph.input[0].name}_normalised"
    zero = np.round(np.asarray(mean, np.float64))
    scale = 1 / np.asarray(std, np.float64)
    rest = ((zero - np.asarray(mean, np.float64)) * scale).astype(np.float32)
    for node in graph.node:
        node.input[:] = [normalised if name == image.name else name for name in node.input]
    constants: dict[str, np.ndarray] = {"image_scale": scale.astype(np.float32), "image_zero": zero.astype(np.uint8)}
    first = normalised
    if rest.any():
        first = f"{normalised}_whole"
        constants["image_rest"] = rest.reshape(1, 3, 1, 1)
        graph.node.insert(0, helper.make_node("Add", [first, "image_rest"], [normalised]))
    graph.node.insert(
        0, helper.make_node("DequantizeLinear", [image.name, "image_scale", "image_zero"], [first], axis=1)
    )
    graph.initializer.extend(numpy_helper.from_array(value, name) for name, value in constants.items())
    image.type.tensor_type.elem_type = TensorProto.UINT8
