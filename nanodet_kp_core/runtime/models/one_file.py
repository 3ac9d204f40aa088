"""One file for all networks of a model: the second stage inside the detector's file.

Each file of the second stage is an entry of the detector's ONNX metadata, under FILE_KEY and its name. Protobuf keeps
texts there, so its bytes are written as base64. A runtime from before takes such a model as one whose second stage lies
beside it.
"""

from __future__ import annotations

import base64
import binascii
from collections.abc import Mapping
from pathlib import Path

from nanodet_kp_core.errors import ModelError, shown
from nanodet_kp_core.runtime.models.metadata import is_file_name

FILE_KEY = "nanodet_kp_file:"
"""Begins the key in the ONNX `metadata_props` of a file that is kept inside; its name follows."""

_METADATA_PROPS = 14  # field of ModelProto; its entries have the fields 1, key, and 2, value
_BYTES = 2


def files_inside(entries: Mapping[str, str], path: Path) -> dict[str, bytes]:
    """The files that a model keeps inside, by name.

    entries: its ONNX metadata. path: of the model, for the message. Raises ModelError for a name with a folder, and for
    a text that is no base64.
    """
    files = {}
    for key, text in entries.items():
        if not key.startswith(FILE_KEY):
            continue
        name = key.removeprefix(FILE_KEY)
        try:
            if not name or not is_file_name(name):
                raise ValueError("no name of a file")
            files[name] = base64.b64decode(text, validate=True)
        except (ValueError, binascii.Error) as error:
            raise ModelError(
                f"model {path}: expected a file of the second stage in its entry {shown(key)}, got "
                f"{shown(str(error))}; export it again with `nanodet-kp export`"
            ) from None
    return files


def with_files(model: bytes, files: Mapping[str, bytes]) -> bytes:
    """The ONNX model with these files inside.

    model: one that has none of them. Fields of a message that occur again are added, so nothing of it is written anew.
    """
    entries = [
        _field(1, f"{FILE_KEY}{name}".encode()) + _field(2, base64.b64encode(data)) for name, data in files.items()
    ]
    return b"".join((model, *(_field(_METADATA_PROPS, entry) for entry in entries)))


def _field(number: int, data: bytes) -> bytes:
    return _varint(number << 3 | _BYTES) + _varint(len(data)) + data


def _varint(value: int) -> bytes:
    parts = []
    while value > 0x7F:
        parts.append(value & 0x7F | 0x80)
        value >>= 7
    return bytes([*parts, value])
