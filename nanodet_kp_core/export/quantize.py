"""An exported model with convolutions in int8 (static), compared for speed and accuracy before it is kept."""

from __future__ import annotations

import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path
from tempfile import TemporaryDirectory

import numpy as np
import onnx
from onnx import ModelProto
from onnxruntime.quantization import CalibrationDataReader, QuantFormat, QuantType, quantize_static
from onnxruntime.quantization.shape_inference import quant_pre_process

from nanodet_kp_core.errors import ConfigError, DataError, ModelError
from nanodet_kp_core.evaluate.metrics import Score, score_predictions
from nanodet_kp_core.evaluate.torch_detector import predict
from nanodet_kp_core.files import write_atomically
from nanodet_kp_core.labels.sample import Record
from nanodet_kp_core.runtime.detection.detector import Detector
from nanodet_kp_core.runtime.detection.preprocess import preprocess
from nanodet_kp_core.runtime.models.metadata import METADATA_KEY, ModelMetadata
from nanodet_kp_core.runtime.models.one_file import with_files
from nanodet_kp_core.runtime.models.session import load_session

LARGEST_FALL = 0.01
"""Precision, recall and the accuracy of the number may fall by this, each."""

LARGEST_RISE = 0.002
"""The corner error may rise by this, in plate diagonals."""

LEAST_GAIN = 0.95
"""The network must take at most this part of its time in floats."""

CALIBRATION_PICTURES = 100
_ROUNDS = 30


@dataclass(frozen=True)
class Comparison:
    """Figures of the model in floats and in int8: what they score on the images, milliseconds of the network."""

    scores: tuple[Score, Score]
    milliseconds: tuple[float, float]

    @property
    def refusal(self) -> str | None:
        """Why the int8 model is not worth having; None when it is."""
        before, after = self.scores
        for name in ("precision", "recall", "number"):
            was, now = getattr(before, name), getattr(after, name)
            if now < was - LARGEST_FALL:
                return f"{name} falls from {was:.3f} to {now:.3f}, more than {LARGEST_FALL}"
        if after.err > before.err + LARGEST_RISE:
            return f"the corner error rises from {before.err:.4f} to {after.err:.4f}, more than {LARGEST_RISE}"
        if self.milliseconds[1] > LEAST_GAIN * self.milliseconds[0]:
            was, now = self.milliseconds
            return f"on this CPU the network takes {now:.2f} ms instead of {was:.2f} ms, not {LEAST_GAIN:.0%}"
        return None


def quantize(source: Path, target: Path, records: Sequence[Record], threads: int = 1) -> Comparison:
    """Write `target`, the model `source` with int8 convolutions; returns what was measured.

    records: labeled images. Up to CALIBRATION_PICTURES of them, at most half, give the ranges of the values; the
    others judge.

    Raises:
        ModelError: the int8 model is less accurate or not faster (Comparison.refusal); nothing is written.
        ConfigError: the source decodes in its graph, whose arithmetic on pixels does not survive 8 bits.
        DataError: fewer than two images.
    """
    before = Detector(source, threads=threads, second_stage=False)
    metadata = before.metadata
    if metadata.output.is_decoded:
        raise ConfigError(f"{source}: expected a model with the raw output, got one that decodes; export it with raw")
    if len(records) < 2:
        raise DataError(f"expected labeled images, half to calibrate and half to judge, got {len(records)}")
    # One thread's work is told apart from a busy machine's waiting by its processor time.
    clock = time.process_time if threads == 1 else time.perf_counter
    step = max(2, len(records) // CALIBRATION_PICTURES)
    with TemporaryDirectory() as folder:
        small = Path(folder) / "int8.onnx"
        _quantize(source, small, records[::step], metadata)
        after = Detector(small, threads=threads, second_stage=False)
        judged = [record for number, record in enumerate(records) if number % step]
        both = [score_predictions(judged, predict(one, judged), metadata.class_names) for one in (before, after)]
        comparison = Comparison((both[0], both[1]), _milliseconds(before, after, clock))
        if comparison.refusal:
            raise ModelError(f"{source}: int8 is not worth having: {comparison.refusal}; nothing was written")
        write_atomically(target, with_files(small.read_bytes(), load_session(source, threads).files))
    return comparison


class _Pictures(CalibrationDataReader):
    def __init__(self, records: Sequence[Record], metadata: ModelMetadata) -> None:
        self._left = iter(records)
        self._metadata = metadata

    def get_next(self) -> dict[str, np.ndarray] | None:
        record = next(self._left, None)
        if record is None:
            return None
        blob, _ = preprocess(record.load().image, self._metadata.input)
        blob[:] = blob[0]
        return {self._metadata.input.name: blob}


def _quantize(source: Path, target: Path, records: Sequence[Record], metadata: ModelMetadata) -> None:
    simple = target.with_name("simple.onnx")
    quant_pre_process(str(source), str(simple), skip_symbolic_shape=True)
    _part_from_bytes(simple)
    quantize_static(
        str(simple), str(target), _Pictures(records, metadata), quant_format=QuantFormat.QDQ, per_channel=True,
        activation_type=QuantType.QUInt8, weight_type=QuantType.QInt8,
        nodes_to_exclude=float_nodes(onnx.load(str(simple))),
    )  # fmt: skip
    model = onnx.load(str(target))
    del model.metadata_props[:]
    entry = model.metadata_props.add()
    entry.key, entry.value = METADATA_KEY, metadata.to_json()
    onnx.save(model, str(target))


def _part_from_bytes(path: Path) -> None:
    """Name the normalised pixels anew behind their DequantizeLinear: right after one, the quantisation would take its
    scale for that of the first convolution. Kept in floats instead, that convolution would cost more than it gains:
    onnxruntime then pools bytes in an order of memory that it is slow in."""
    model = onnx.load(str(path))
    first = next((node for node in model.graph.node if node.op_type == "DequantizeLinear"), None)
    if first is not None:
        name = first.output[0]
        first.output[0] = f"{name}_of_bytes"
        again = onnx.helper.make_node("Identity", [first.output[0]], [name], name=f"{name}_again")
        model.graph.node.insert(list(model.graph.node).index(first) + 1, again)
    onnx.save(model, str(path))


def float_nodes(model: ModelProto) -> list[str]:
    """Names of the nodes that keep floats: the normalisation before the first convolution, and the head's last
    convolutions with all that follows, whose values are logits of bins."""
    graph = model.graph
    made_by = {name: node for node in graph.node for name in node.output}
    kept, waiting = [], [output.name for output in graph.output]
    while waiting:
        node = made_by.get(waiting.pop())
        if node is None:
            continue
        kept.append(node.name)
        if node.op_type != "Conv":
            waiting.extend(node.input)
    pixels = {tensor.name for tensor in graph.input}
    for node in graph.node:
        if pixels & set(node.input) and node.op_type != "Conv":
            pixels |= set(node.output)
            kept.append(node.name)
    return kept


def _milliseconds(before: Detector, after: Detector, clock: Callable[[], float]) -> tuple[float, float]:
    """Medians of the networks' times, in turns, so that a busy machine disturbs both alike."""
    taken: list[list[float]] = [[], []]
    gray = np.full((before.metadata.input.height, before.metadata.input.width, 3), 114, np.uint8)
    for detector in (before, after):
        detector.clock = clock
    for _ in range(_ROUNDS):
        for times, detector in zip(taken, (before, after), strict=True):
            detector(gray)
            times.append(detector.times["network"])
    return float(np.median(taken[0])), float(np.median(taken[1]))
