"""The page of the metadata of ONNX files, from the classes that write and read it."""

from __future__ import annotations

import json
from dataclasses import MISSING, Field, fields
from typing import Any

from nanodet_kp_core.layout import HeadLayout
from nanodet_kp_core.runtime.models.metadata import METADATA_KEY, OPTIONAL_KEYS, InputSpec, ModelMetadata, OutputSpec
from nanodet_kp_core.runtime.models.one_file import FILE_KEY
from nanodet_kp_core.runtime.refinement.bars import BARS_KEY, BarsMetadata
from nanodet_kp_core.runtime.refinement.crop_network import INPUT, OUTPUT
from nanodet_kp_core.runtime.refinement.refiner import REFINER_KEY, RefinerMetadata
from reference.markdown import docstring, fenced, table

_MODEL = ModelMetadata(strides=(8, 16, 32), input=InputSpec(640, 480), head=HeadLayout(("B_3", "R_3")))
_REFINER = RefinerMetadata(("B_3", "R_3"), 0.05)
_BARS = BarsMetadata()


def page() -> str:
    """Markdown without a title."""
    return "\n\n".join(
        [
            _ABOUT,
            f"## {METADATA_KEY}: the detector",
            "Of a file with two classes and an input of 640x480:",
            fenced(_text(_MODEL), "json"),
            docstring(ModelMetadata.__doc__),
            _keys(ModelMetadata, "input", "output", "head"),
            "### input",
            docstring(InputSpec.__doc__),
            _keys(InputSpec),
            "### output",
            docstring(OutputSpec.__doc__),
            _keys(OutputSpec),
            "### The channels of the head",
            "These keys stand beside the others, not in an object of their own.",
            docstring(HeadLayout.__doc__),
            _keys(HeadLayout),
            f"## {REFINER_KEY}: the refiner",
            _tensors(),
            fenced(_text(_REFINER), "json"),
            docstring(RefinerMetadata.__doc__),
            _keys(RefinerMetadata, optional=True),
            f"## {BARS_KEY}: the bars",
            _tensors(),
            fenced(_text(_BARS), "json"),
            docstring(BarsMetadata.__doc__),
            f"## {FILE_KEY}NAME: a file inside",
            f"A model in one file has an entry `{FILE_KEY}NAME` for each file of its second stage, in base64.",
        ]
    )


_ABOUT = f"""\
`metadata_props` of an ONNX file say what its tensors mean. Each entry is a JSON object with `format_version` and the
keys below. An unknown key is an error. A missing one is an error too, except where it may be missing. An entry of
another version is refused. A file without the entry `{METADATA_KEY}` is no model of this package. *None* in the texts
below is `null` in JSON.

How the stages work together: [second_stage.md](../second_stage.md). How an image becomes plates:
[runtime.md](../runtime.md)."""


def _tensors() -> str:
    return f"The network's input is `{INPUT}`, its output `{OUTPUT}`. `patch` is the width and height of a crop."


def _text(entry: ModelMetadata | RefinerMetadata | BarsMetadata) -> str:
    """As it is in a file, but for the line ends; lists stay in one line."""
    values = json.loads(entry.to_json())
    return "{\n" + ",\n".join(f"  {json.dumps(key)}: {json.dumps(value)}" for key, value in values.items()) + "\n}"


def _keys(kind: type, *left_out: str, optional: bool = False) -> str:
    rows = [
        (f"`{one.name}`", f"`{one.type}`", _default(one), _may_be_missing(one, optional))
        for one in fields(kind)
        if one.name not in left_out
    ]
    return table(("key", "type in Python", "default", "may be missing"), rows)


def _default(one: Field[Any]) -> str:
    if one.default_factory is not MISSING:
        return f"`{json.dumps(one.default_factory())}`"
    return "" if one.default is MISSING else f"`{json.dumps(one.default)}`"


def _may_be_missing(one: Field[Any], optional: bool) -> str:
    return "yes" if one.default is not MISSING and (optional or one.name in OPTIONAL_KEYS) else "no"
