"""The bytes of an ONNX file, looked through before onnxruntime gets them: a tensor may name another file to be read.

onnxruntime 1.16 follows such names out of the model's folder, and takes as much memory as they claim; our models are
one file. Read without the `onnx` package, which a robot does not have. Source: onnx.proto3 of ONNX 1.16, and the
encoding page of the Protocol Buffers documentation.
"""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

from nanodet_kp_core.errors import ModelError
from nanodet_kp_core.runtime.models.foreign import foreign_kind

MAX_BYTES = 1 << 28
"""Of a model file; the largest published network of the family has 20 MB."""

MAX_FIELDS = 1 << 20
"""Of all its messages together, so that the look takes a second at most; a network has some ten thousand."""

# Message -> field number -> the message in that field: every way from a model to a tensor.
_MESSAGES = {
    "model": {7: "graph", 20: "training", 25: "function"},
    "training": {1: "graph", 2: "graph"},
    "graph": {1: "node", 5: "tensor", 15: "sparse"},
    "function": {7: "node", 11: "attribute"},
    "node": {5: "attribute"},
    "attribute": {5: "tensor", 6: "graph", 10: "tensor", 11: "graph", 22: "sparse", 23: "sparse"},
    "sparse": {1: "tensor", 2: "tensor"},
    "tensor": {},
}
_EXTERNAL_DATA, _DATA_LOCATION = 13, 14
_VARINT, _FIXED64, _BYTES, _FIXED32 = 0, 1, 2, 5


def read_model(path: Path) -> bytes:
    """Raises ModelError when the file cannot be read, is too large, is no ONNX, or has tensors in other files."""
    try:
        size = path.stat().st_size
        data = path.read_bytes() if size <= MAX_BYTES else b""
    except OSError as error:
        raise ModelError(f"model {path}: expected an ONNX file, got: {error.strerror}; check the path") from None
    if size > MAX_BYTES:
        wanted = f"an ONNX file of at most {MAX_BYTES} bytes"
        raise ModelError(f"model {path}: expected {wanted}, got {size}; check the path")
    check_model(data, path)
    return data


def check_model(data: bytes, path: Path) -> None:
    """Raises ModelError, which names `path`, when the bytes are no ONNX, or have tensors in other files."""
    try:
        outside = has_outside_tensors(data)
    except ValueError as error:
        kind = foreign_kind(data)
        if kind is not None:
            raise ModelError(f"model {path}: expected an ONNX model, got {kind}") from None
        raise ModelError(
            f"model {path}: expected an ONNX model, got a file that is no ONNX ({error}); "
            "export it again with `nanodet-kp export`"
        ) from None
    if outside:
        raise ModelError(
            f"model {path}: expected an ONNX model in one file, got one with tensors in other files, which could be "
            "any file of this machine; export it again with `nanodet-kp export`"
        )


def has_outside_tensors(data: bytes) -> bool:
    """Whether any tensor of an ONNX model says that its values are in another file.

    Raises ValueError when the bytes are no ONNX, which is written as protobuf.
    """
    pending, left = [("model", 0, len(data))], MAX_FIELDS
    while pending:
        message, start, end = pending.pop()
        inside = _MESSAGES[message]
        for number, kind, value, stop in _fields(data, start, end):
            left -= 1
            if left < 0:
                raise ValueError(f"more than {MAX_FIELDS} fields")
            if message == "tensor" and (number == _EXTERNAL_DATA or (number == _DATA_LOCATION and value)):
                return True
            if kind == _BYTES and number in inside:
                pending.append((inside[number], value, stop))
    return False


def _fields(data: bytes, place: int, end: int) -> Iterator[tuple[int, int, int, int]]:
    """(number, wire type, value, end) of the fields in data[place:end]; the value of bytes is where they begin."""
    while place < end:
        tag, place = _varint(data, place, end)
        number, kind = tag >> 3, tag & 7
        if not 0 < number < 1 << 29 or kind not in (_VARINT, _FIXED64, _BYTES, _FIXED32):
            raise ValueError(f"byte {place}: not a field of protobuf")
        value = place
        if kind == _VARINT:
            value, place = _varint(data, place, end)
        elif kind == _BYTES:
            length, value = _varint(data, place, end)
            place = value + length
        else:
            place += 8 if kind == _FIXED64 else 4
        if place > end:
            raise ValueError(f"byte {value}: a field that ends beyond its message")
        yield number, kind, value, place


def _varint(data: bytes, place: int, end: int) -> tuple[int, int]:
    value = 0
    for shift in range(0, 70, 7):
        if place >= end:
            break
        byte = data[place]
        place += 1
        value |= (byte & 0x7F) << shift
        if byte < 0x80:
            return value, place
    raise ValueError(f"byte {place}: a number without an end")
