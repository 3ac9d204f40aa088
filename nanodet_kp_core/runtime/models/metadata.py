"""The `nanodet_kp` entry of an exported ONNX model: everything that the runtime knows about a model."""

from __future__ import annotations

import json
import math
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass, field, fields
from functools import cached_property
from pathlib import PurePath
from typing import Any

from nanodet_kp_core.errors import ConfigError, ModelError, shown
from nanodet_kp_core.layout import HeadLayout

METADATA_KEY = "nanodet_kp"
"""Key in the ONNX `metadata_props` that holds the JSON text."""

FORMAT_VERSION = 1
"""Version of the JSON form that this package writes and reads."""

OPTIONAL_KEYS = ("regression", "prior_offset", "batch", "rows", "reader")
"""Keys that may be missing: models from before they existed mean their defaults."""

DECODED_VALUES = 14
"""Columns of a decoded row: score, class id, x_min, y_min, x_max, y_max, x0, y0, .. x3, y3."""

MOST = 1 << 16
"""Of every size and number in the metadata: what a file claims must not take the memory of the robot."""

MOST_PIXELS = 1 << 26
"""Of the images of one run together, 200 MB."""

PAD_VALUE = 114
"""Gray of everything outside the image: in the letterbox, and in the warps of training."""


@dataclass(frozen=True)
class InputSpec:
    """The network's input: [batch, 3, height, width] of pixel values 0..255.

    dtype:
        "uint8" takes the bytes of the pixels, normalised inside the graph; "float32" the same values as numbers.
    resize:
        "letterbox" keeps the ratio, centerd on gray `pad_value`; "stretch" fills the input.
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
        if not _is_int(self.pad_value) or not 0 <= self.pad_value <= 255:
            raise _wrong("input.pad_value", "an integer gray value in 0..255", self.pad_value)
        if (self.mean is None) != (self.std is None):
            raise _wrong("input.mean and input.std", "both null or both three numbers", (self.mean, self.std))
        if self.dtype == "uint8" and self.mean is not None:
            raise _wrong("input.mean and input.std", "null for uint8, whose graph normalises", (self.mean, self.std))
        _check_positive("input.batch", self.batch)
        if self.batch * self.width * self.height > MOST_PIXELS:
            size = f"{self.batch} x {self.width}x{self.height}"
            raise _wrong("input", f"at most {MOST_PIXELS} pixels a run", size)
        _check_triple("input.mean", self.mean)
        _check_triple("input.std", self.std)
        if self.std is not None and min(self.std) <= 0:
            raise _wrong("input.std", "three numbers above 0", self.std)


@dataclass(frozen=True)
class OutputSpec:
    """The network's output, one block per image of the batch.

    layout:
        "NPC": [batch, num_priors, channels], the raw channels of every prior (HeadLayout).
        "NKD": [batch, rows, DECODED_VALUES], priors with high scores, decoded: boxes and corners in input pixels,
        in no particular order; NMS is left to do.
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
        if not _is_int(self.rows) or (self.rows > 0) != self.is_decoded or not 0 <= self.rows <= MOST:
            raise _wrong("output.rows", "0 for NPC, a whole number of at least 1 for NKD", self.rows)

    @property
    def is_decoded(self) -> bool:
        """Whether rows are decoded priors instead of raw channels."""
        return self.layout == "NKD"


def is_file_name(name: object) -> bool:
    """Whether it is the name of a file without a folder, or an empty text."""
    return isinstance(name, str) and name == PurePath(name).name and "\\" not in name


@dataclass(frozen=True)
class ModelMetadata:
    """A model's metadata, checked when it is made.

    Raises:
        ModelError: a value is of the wrong type or out of range, or the class names do not fit the layout.

    reader: file name of the second stage (runtime.refinement.refiner), which lies in the same folder; "" without one.
    """

    class_names: tuple[str, ...]
    strides: tuple[int, ...]
    input: InputSpec
    output: OutputSpec = field(default_factory=OutputSpec)
    class_layout: str = "joint"
    reg_max: int = 7
    corner_codec: str = "signed"
    regression: str = "distribution"
    prior_offset: float = 0.0
    run_id: str = ""
    metrics: Mapping[str, Any] = field(default_factory=dict)
    reader: str = ""

    def __post_init__(self) -> None:
        if not is_file_name(self.reader):
            raise _wrong("reader", "the name of a file in the model's folder, or an empty text", self.reader)
        if not self.class_names or not all(isinstance(name, str) and name for name in self.class_names):
            raise _wrong("class_names", "a list of at least one non-empty name", list(self.class_names))
        if len(set(self.class_names)) != len(self.class_names):
            raise _wrong("class_names", "names that occur once", list(self.class_names))
        if not self.strides:
            raise _wrong("strides", "a list of at least one stride", [])
        for stride in self.strides:
            _check_positive("strides", stride)
        _check_positive("reg_max", self.reg_max)
        if not isinstance(self.run_id, str):
            raise _wrong("run_id", "a text", self.run_id)
        if not isinstance(self.metrics, Mapping):
            raise _wrong("metrics", "an object", self.metrics)
        try:
            _ = self.head  # built here so that a class list that does not fit the layout fails at once
        except ConfigError as error:
            raise ModelError(f"model metadata: {error}") from None

    @cached_property
    def head(self) -> HeadLayout:
        """Meaning of the output's channels."""
        return HeadLayout(
            self.class_names,
            self.class_layout,
            self.reg_max,
            self.corner_codec,
            self.regression,
            self.prior_offset,
        )

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
        return json.dumps({"format_version": FORMAT_VERSION, **asdict(self)}, allow_nan=False)

    @classmethod
    def from_json(cls, text: str) -> ModelMetadata:
        """Read the JSON text of a model. Keys are neither guessed nor ignored; those of OPTIONAL_KEYS may be missing.

        Raises:
            ModelError: no JSON object, another format version, a missing or unknown key, a wrong type or
                value.
        """
        try:
            data = json.loads(text)
        except (ValueError, RecursionError) as error:  # brackets nested a thousand deep
            raise ModelError(f"model metadata: expected a JSON object, got text that is no JSON ({error})") from None
        if not isinstance(data, dict):
            raise _wrong("the entry", "a JSON object", data)
        _check_version(data)
        data = _read_object("the entry", data, cls, extra=("format_version",))
        data["input"] = _read_object("input", data["input"], InputSpec)
        data["output"] = _read_object("output", data["output"], OutputSpec)
        source = data["input"]
        data_input = {**source, "mean": _as_tuple("input.mean", source["mean"], optional=True)}
        data_input["std"] = _as_tuple("input.std", source["std"], optional=True)
        values = {key: value for key, value in data.items() if key != "format_version"}
        values["class_names"] = _as_tuple("class_names", data["class_names"])
        values["strides"] = _as_tuple("strides", data["strides"])
        values["input"] = InputSpec(**data_input)
        values["output"] = OutputSpec(**data["output"])
        return cls(**values)


def _wrong(what: str, expected: str, got: object) -> ModelError:
    return ModelError(f"model metadata: {what}: expected {expected}, got {shown(got)}; export the model again")


def _check_version(data: dict[str, Any]) -> None:
    version = data.get("format_version")
    if not _is_int(version) or version != FORMAT_VERSION:
        raise ModelError(
            f"model metadata: format_version: this package reads version {FORMAT_VERSION}, the model "
            f"has {shown(version)}; export the model again or install the package version that made it"
        )


def _read_object(where: str, data: object, kind: type, extra: Sequence[str] = ()) -> dict[str, Any]:
    """The JSON object with exactly the keys of the dataclass `kind`, later ones filled in."""
    if not isinstance(data, dict):
        raise _wrong(where, "a JSON object", data)
    known = {one.name: one for one in fields(kind)}
    data = {**{key: known[key].default for key in OPTIONAL_KEYS if key in known}, **data}
    expected = {*known, *extra}
    missing, unknown = sorted(expected - set(data)), sorted(set(data) - expected)
    if missing or unknown:
        raise ModelError(
            f"model metadata: {where}: missing keys {missing}, unknown keys {shown(unknown)}; expected exactly "
            f"{sorted(expected)}; export the model again"
        )
    return data


def _as_tuple(where: str, value: object, optional: bool = False) -> tuple[Any, ...] | None:
    if value is None and optional:
        return None
    if not isinstance(value, list):
        raise _wrong(where, "a list" + (" or null" if optional else ""), value)
    return tuple(value)


def _is_int(value: object) -> bool:
    return isinstance(value, int) and not isinstance(value, bool)  # JSON true is an int in Python


def _check_positive(where: str, value: object) -> None:
    if not isinstance(value, int) or isinstance(value, bool) or value < 1:
        raise _wrong(where, "a whole number of at least 1", value)
    if value > MOST:
        raise _wrong(where, f"a whole number of at most {MOST}", value)


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
