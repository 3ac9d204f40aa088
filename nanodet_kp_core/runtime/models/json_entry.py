"""The JSON entries of ONNX files, in which detector, refiner and bars describe themselves: one writer, one reader.

An entry is an object with `format_version` and exactly the keys that its version has. Keys are neither guessed nor
ignored; those that were added later may be missing.
"""

from __future__ import annotations

import json
from collections.abc import Collection, Mapping
from dataclasses import MISSING, dataclass, fields
from typing import Any

from nanodet_kp_core.errors import ModelError, shown

_VERSION = "format_version"


@dataclass(frozen=True)
class JsonEntry:
    """One kind of entry. subject: begins each message. version: the one that is written and read."""

    subject: str
    version: int

    def write(self, values: Mapping[str, Any]) -> str:
        """The text of an entry. Raises ValueError for numbers that are not finite."""
        return json.dumps({_VERSION: self.version, **values}, allow_nan=False)

    def read(self, text: str, keys: Collection[str], defaults: Mapping[str, Any]) -> dict[str, Any]:
        """The values of an entry by key, see `keys_of`.

        Raises ModelError for text that is no JSON object, another version, and keys that are missing or unknown.
        """
        try:
            data = json.loads(text)
        except (ValueError, RecursionError) as error:  # brackets nested a thousand deep
            reason = f"expected a JSON object, got text that is no JSON ({error})"
            raise ModelError(f"{self.subject}: {reason}") from None
        if not isinstance(data, dict):
            raise self.wrong("the entry", "a JSON object", data)
        version = data.pop(_VERSION, None)
        if not is_int(version) or version != self.version:
            raise ModelError(
                f"{self.subject}: {_VERSION}: this package reads version {self.version}, the model has "
                f"{shown(version)}; export the model again or install the package version that made it"
            )
        return self.keys_of("the entry", data, keys, defaults)

    def keys_of(self, name: str, data: object, keys: Collection[str], defaults: Mapping[str, Any]) -> dict[str, Any]:
        """The object `data`, called `name` in messages: exactly `keys`, of which those of `defaults` may be missing."""
        if not isinstance(data, dict):
            raise self.wrong(name, "a JSON object", data)
        data = {**defaults, **data}
        missing, unknown = sorted(set(keys) - set(data)), sorted(set(data) - set(keys))
        if missing or unknown:
            raise ModelError(
                f"{self.subject}: {name}: missing keys {missing}, unknown keys {shown(unknown)}; expected exactly "
                f"{sorted(keys)}; export the model again"
            )
        return data

    def as_tuple(self, name: str, value: object, optional: bool = False) -> tuple[Any, ...] | None:
        """A list as a tuple; with `optional`, None for null. Raises ModelError for anything else."""
        if value is None and optional:
            return None
        if not isinstance(value, list):
            raise self.wrong(name, "a list" + (" or null" if optional else ""), value)
        return tuple(value)

    def check_constant(self, name: str, value: object, expected: tuple[int, ...]) -> None:
        """Raises ModelError for another list than the one that this package can use."""
        if value != list(expected):
            raise self.wrong(name, list(expected), value)

    def wrong(self, name: str, expected: object, got: object) -> ModelError:
        """The error of a value."""
        return ModelError(f"{self.subject}: {name}: expected {expected}, got {shown(got)}; export the model again")


def field_names(kind: type) -> tuple[str, ...]:
    """Names of the fields of a dataclass."""
    return tuple(one.name for one in fields(kind))


def field_defaults(kind: type) -> dict[str, Any]:
    """Defaults of the fields of a dataclass, of those that have one."""
    return {one.name: one.default for one in fields(kind) if one.default is not MISSING}


def is_int(value: object) -> bool:
    """Whether a value is a whole number; JSON's true is an int in Python."""
    return isinstance(value, int) and not isinstance(value, bool)
