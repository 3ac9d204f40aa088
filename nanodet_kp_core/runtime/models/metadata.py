"""The `nanodet_kp` entry of an exported ONNX model: everything that the runtime knows about a model."""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import asdict, dataclass, field
from pathlib import PurePath
from typing import Any

from nanodet_kp_core.errors import ConfigError, ModelError
from nanodet_kp_core.layout import MAX_COUNT, HeadLayout, count_problem
from nanodet_kp_core.runtime.models.json_entry import JsonEntry, field_defaults, field_names, is_int

METADATA_KEY = "nanodet_kp"
"""Key in the ONNX `metadata_props` that holds the JSON text."""

_ENTRY = JsonEntry("model metadata", version=1)

OPTIONAL_KEYS = ("regression", "prior_offset", "batch", "rows", "reader")
"""Keys that may be missing: models from before they existed mean their defaults."""

DECODED_VALUES = 14
"""Columns of a decoded row: score, class id, x_min, y_min, x_max, y_max, x0, y0, .. x3, y3."""

MAX_PIXELS = 1 << 26
"""Of the images of one run together, 200 MB."""

PAD_VALUE = 114
"""Gray of everything outside the image: in the letterbox, and in the warps of training."""


@dataclass(frozen=True)
class InputSpec:
    """The network's input: [batch, 3, height, width] of pixel values 0..255.

    dtype:
        "uint8" takes the bytes of the pixels, normalised inside the graph; "float32" the same values as numbers.
    resize:
        "letterbox" keeps the ratio, centered on gray `pad_value`; "stretch" fills the input.
    mean, std:
        per channel in `channel_order`, applied by the runtime as (pixel - mean) / std; None when the graph
        does it, as it must for bytes.
    batch: images that one run takes.
    """

    width: int
    height: int
    name: str = "image"
    layout: str = "NCHW"
    dtype: str = "float32"
    resize: str = "letterbox"
    pad_value: int = PAD_VALUE
    channel_order: str = "bgr"
    mean: tuple[float, float, float] | None = None
    std: tuple[float, float, float] | None = None
    batch: int = 1

    def __post_init__(self) -> None:
        _check_positive("input.width", self.width)
        _check_positive("input.height", self.height)
        _check_name("input.name", self.name)
        _check_choice("input.layout", self.layout, ("NCHW",))
        _check_choice("input.dtype", self.dtype, ("float32", "uint8"))
        _check_choice("input.resize", self.resize, ("letterbox", "stretch"))
        _check_choice("input.channel_order", self.channel_order, ("bgr", "rgb"))
        if not is_int(self.pad_value) or not 0 <= self.pad_value <= 255:
            raise _wrong("input.pad_value", "an integer gray value in 0..255", self.pad_value)
        if (self.mean is None) != (self.std is None):
            raise _wrong("input.mean and input.std", "both null or both three numbers", (self.mean, self.std))
        if self.dtype == "uint8" and self.mean is not None:
            raise _wrong("input.mean and input.std", "null for uint8, whose graph normalises", (self.mean, self.std))
        _check_positive("input.batch", self.batch)
        if self.batch * self.width * self.height > MAX_PIXELS:
            size = f"{self.batch} x {self.width}x{self.height}"
            raise _wrong("input", f"at most {MAX_PIXELS} pixels a run", size)
        _check_triple("input.mean", self.mean)
        _check_triple("input.std", self.std)
        if self.std is not None and min(self.std) <= 0:
            raise _wrong("input.std", "three numbers above 0", self.std)


@dataclass(frozen=True)
class OutputSpec:
    """The network's output, one block per image of the batch.

    layout:
        "NPC": [batch, num_priors, channels], the raw channels of every prior (HeadLayout).
        "NKD": [batch, rows, 14], priors with high scores, decoded, in no particular order; NMS is left to do. A row is
        score, class id, x_min, y_min, x_max, y_max, x0, y0, .. x3, y3, in pixels of the input.
    scores: raw "logits" or already through a "sigmoid"; decoded ones are "sigmoid".
    rows: rows of "NKD"; 0 for "NPC", where it is the number of priors.
    """

    name: str = "output"
    layout: str = "NPC"
    scores: str = "logits"
    rows: int = 0

    def __post_init__(self) -> None:
        _check_name("output.name", self.name)
        _check_choice("output.layout", self.layout, ("NPC", "NKD"))
        _check_choice("output.scores", self.scores, ("sigmoid",) if self.is_decoded else ("logits", "sigmoid"))
        if not is_int(self.rows) or (self.rows > 0) != self.is_decoded or not 0 <= self.rows <= MAX_COUNT:
            raise _wrong("output.rows", "0 for NPC, a whole number of at least 1 for NKD", self.rows)

    @property
    def is_decoded(self) -> bool:
        """Whether rows are decoded priors instead of raw channels."""
        return self.layout == "NKD"


def is_file_name(name: object) -> bool:
    """Whether it is the name of a file without a folder, or an empty text."""
    return isinstance(name, str) and name == PurePath(name).name and "\\" not in name


@dataclass(frozen=True, kw_only=True)
class ModelMetadata:
    """A model's metadata, checked when it is made.

    strides: pixels between the priors of each level.
    input: the network's input.
    output: the network's output.
    head: meaning of the output's channels.
    run_id: of the training.
    metrics: figures of the model on the validation images.
    reader: file name of the second stage (runtime.refinement.refiner), which lies in the same folder; "" without one.

    Raises ModelError for a value of the wrong type or out of range.
    """

    strides: tuple[int, ...]
    input: InputSpec
    output: OutputSpec = field(default_factory=OutputSpec)
    head: HeadLayout
    run_id: str = ""
    metrics: Mapping[str, Any] = field(default_factory=dict)
    reader: str = ""

    def __post_init__(self) -> None:
        if not is_file_name(self.reader):
            raise _wrong("reader", "the name of a file in the model's folder, or an empty text", self.reader)
        if not self.strides:
            raise _wrong("strides", "a list of at least one stride", [])
        for stride in self.strides:
            _check_positive("strides", stride)
        if not isinstance(self.run_id, str):
            raise _wrong("run_id", "a text", self.run_id)
        if not isinstance(self.metrics, Mapping):
            raise _wrong("metrics", "an object", self.metrics)

    @property
    def class_names(self) -> tuple[str, ...]:
        """Of the head."""
        return self.head.class_names

    @property
    def num_priors(self) -> int:
        """ceil(height / stride) * ceil(width / stride), summed over the strides."""
        return sum(math.ceil(self.input.height / s) * math.ceil(self.input.width / s) for s in self.strides)

    @property
    def input_shape(self) -> tuple[int, int, int, int]:
        """Shape of the network's input."""
        return (self.input.batch, 3, self.input.height, self.input.width)

    @property
    def output_shape(self) -> tuple[int, int, int]:
        """Shape of the network's output."""
        if self.output.is_decoded:
            return (self.input.batch, self.output.rows, DECODED_VALUES)
        return (self.input.batch, self.num_priors, self.head.num_channels)

    def to_json(self) -> str:
        """The JSON text for `metadata_props`; `from_json` of it gives an equal object."""
        values = asdict(self)
        head = values["head"]
        names = {"class_names": head.pop("class_names")}
        before, after = ("strides", "input", "output"), ("run_id", "metrics", "reader")
        parts = ({key: values[key] for key in before}, head, {key: values[key] for key in after})
        return _ENTRY.write({key: value for part in (names, *parts) for key, value in part.items()})

    @classmethod
    def from_json(cls, text: str) -> ModelMetadata:
        """Read the JSON text of a model; keys of OPTIONAL_KEYS may be missing.

        Raises:
            ModelError: see JsonEntry.read; a wrong type or value.
        """
        head, own = field_names(HeadLayout), tuple(name for name in field_names(cls) if name != "head")
        data = _ENTRY.read(text, (*head, *own), _optional(HeadLayout) | _optional(cls))
        data["class_names"] = _ENTRY.as_tuple("class_names", data["class_names"])
        try:
            layout = HeadLayout(**{key: data.pop(key) for key in head})
        except ConfigError as error:
            raise ModelError(f"model metadata: {error}") from None
        data["strides"] = _ENTRY.as_tuple("strides", data["strides"])
        data["input"] = InputSpec(**_input_values(data["input"]))
        data["output"] = OutputSpec(**_values_of("output", data["output"], OutputSpec))
        return cls(head=layout, **data)


def _input_values(data: object) -> dict[str, Any]:
    values = _values_of("input", data, InputSpec)
    lists = {key: _ENTRY.as_tuple(f"input.{key}", values[key], optional=True) for key in ("mean", "std")}
    return values | lists


def _values_of(name: str, data: object, kind: type) -> dict[str, Any]:
    return _ENTRY.keys_of(name, data, field_names(kind), _optional(kind))


def _optional(kind: type) -> dict[str, Any]:
    return {key: value for key, value in field_defaults(kind).items() if key in OPTIONAL_KEYS}


def _wrong(name: str, expected: str, got: object) -> ModelError:
    return _ENTRY.wrong(name, expected, got)


def _check_positive(where: str, value: object) -> None:
    problem = count_problem(value)
    if problem is not None:
        raise _wrong(where, problem, value)


def _check_name(where: str, value: object) -> None:
    if not isinstance(value, str) or not value:
        raise _wrong(where, "a non-empty name", value)


def _check_choice(where: str, value: object, choices: tuple[str, ...]) -> None:
    if value not in choices:
        raise _wrong(where, " or ".join(repr(choice) for choice in choices), value)


def _check_triple(where: str, value: tuple[float, ...] | None) -> None:
    if value is None:
        return
    numbers = all(isinstance(v, (int, float)) and not isinstance(v, bool) and abs(v) < 1e6 for v in value)  # nor NaN
    if len(value) != 3 or not numbers:
        raise _wrong(where, "three finite numbers", value)
