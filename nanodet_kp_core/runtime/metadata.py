"""The `nanodet_kp` entry of an exported ONNX model: everything that the runtime knows about a model."""

from __future__ import annotations

import json
import math
from collections.abc import Mapping
from dataclasses import asdict, dataclass, field
from functools import cached_property
from typing import Any

from nanodet_kp_core.errors import ConfigError, ModelError
from nanodet_kp_core.layout import HeadLayout

METADATA_KEY = "nanodet_kp"
"""Key in the ONNX `metadata_props` that holds the JSON text."""

FORMAT_VERSION = 1
"""Version of the JSON form that this package writes and reads."""

LATER_KEYS = ("regression", "prior_offset")
"""Keys that may be missing: models from before they existed mean their defaults."""

PAD_VALUE = 114
"""Grey of everything outside the picture: in the letterbox, and in the warps of training."""


@dataclass(frozen=True)
class InputSpec:
    """The network's input: float32 [1, 3, height, width] of pixel values 0..255.

    resize:
        "letterbox" keeps the ratio, centred on grey `pad_value`; "stretch" fills the input.
    mean, std:
        per channel in `channel_order`, applied by the runtime as (pixel - mean) / std; None when the graph
        does it.
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

    def __post_init__(self) -> None:
        _check_positive("input.width", self.width)
        _check_positive("input.height", self.height)
        _check_name("input.name", self.name)
        _check_choice("input.layout", self.layout, ("NCHW",))
        _check_choice("input.dtype", self.dtype, ("float32",))
        _check_choice("input.resize", self.resize, ("letterbox", "stretch"))
        _check_choice("input.channel_order", self.channel_order, ("bgr", "rgb"))
        if not _is_int(self.pad_value) or not 0 <= self.pad_value <= 255:
            raise _wrong("input.pad_value", "an integer grey value in 0..255", self.pad_value)
        if (self.mean is None) != (self.std is None):
            raise _wrong("input.mean and input.std", "both null or both three numbers", (self.mean, self.std))
        _check_triple("input.mean", self.mean)
        _check_triple("input.std", self.std)
        if self.std is not None and min(self.std) <= 0:
            raise _wrong("input.std", "three numbers above 0", self.std)


@dataclass(frozen=True)
class OutputSpec:
    """The network's output [1, num_priors, channels]; `scores`: raw or already through a sigmoid."""

    name: str = "output"
    layout: str = "NPC"
    scores: str = "logits"

    def __post_init__(self) -> None:
        _check_name("output.name", self.name)
        _check_choice("output.layout", self.layout, ("NPC",))
        _check_choice("output.scores", self.scores, ("logits", "sigmoid"))


@dataclass(frozen=True)
class ModelMetadata:
    """A model's metadata, checked when it is made.

    Raises:
        ModelError: a value is of the wrong type or out of range, or the class names do not fit the layout.
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

    def __post_init__(self) -> None:
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
        """Rows of the output: ceil(height / stride) * ceil(width / stride), summed over the strides."""
        return sum(math.ceil(self.input.height / s) * math.ceil(self.input.width / s) for s in self.strides)

    def to_json(self) -> str:
        """The JSON text for `metadata_props`; `from_json` of it gives an equal object."""
        return json.dumps({"format_version": FORMAT_VERSION, **asdict(self)}, allow_nan=False)

    @classmethod
    def from_json(cls, text: str) -> ModelMetadata:
        """Read the JSON text of a model. Keys are neither guessed nor ignored; those of LATER_KEYS may be missing.

        Raises:
            ModelError: no JSON object, another format version, a missing or unknown key, a wrong type or
                value.
        """
        try:
            data = json.loads(text)
        except ValueError as error:
            raise ModelError(f"model metadata: expected a JSON object, got text that is no JSON ({error})") from None
        if not isinstance(data, dict):
            raise _wrong("the entry", "a JSON object", data)
        _check_version(data)
        data = {**{key: cls.__dataclass_fields__[key].default for key in LATER_KEYS}, **data}
        _check_keys("the entry", data, {"format_version", *cls.__dataclass_fields__})
        _check_keys("input", data["input"], set(InputSpec.__dataclass_fields__))
        _check_keys("output", data["output"], set(OutputSpec.__dataclass_fields__))
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
    text = repr(got)
    shown = text if len(text) <= 80 else text[:77] + "..."
    return ModelError(f"model metadata: {what}: expected {expected}, got {shown}; export the model again")


def _check_version(data: dict[str, Any]) -> None:
    version = data.get("format_version")
    if not _is_int(version) or version != FORMAT_VERSION:
        raise ModelError(
            f"model metadata: format_version: this package reads version {FORMAT_VERSION}, the model "
            f"has {version!r}; export the model again or install the package version that made it"
        )


def _check_keys(where: str, data: object, expected: set[str]) -> None:
    if not isinstance(data, dict):
        raise _wrong(where, "a JSON object", data)
    missing, unknown = sorted(expected - set(data)), sorted(set(data) - expected)
    if missing or unknown:
        raise ModelError(
            f"model metadata: {where}: missing keys {missing}, unknown keys {unknown}; expected exactly "
            f"{sorted(expected)}; export the model again"
        )


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


def _check_name(where: str, value: object) -> None:
    if not isinstance(value, str) or not value:
        raise _wrong(where, "a non-empty name", value)


def _check_choice(where: str, value: object, choices: tuple[str, ...]) -> None:
    if value not in choices:
        raise _wrong(where, " or ".join(repr(choice) for choice in choices), value)


def _check_triple(where: str, value: tuple[float, ...] | None) -> None:
    if value is None:
        return
    numbers = all(isinstance(v, (int, float)) and not isinstance(v, bool) and math.isfinite(v) for v in value)
    if len(value) != 3 or not numbers:
        raise _wrong(where, "three finite numbers", value)
