"""The text of a calibration file becomes plain values: YAML in its dialects, and OpenCV's XML."""

from __future__ import annotations

import json
import re
from pathlib import Path
from typing import Any
from xml.parsers import expat

from nanodet_kp_core.errors import ConfigError
from nanodet_kp_core.texts import decoded
from nanodet_kp_core.yaml_text import parse_yaml

MAX_BYTES = 1 << 14
"""Of YAML that is parsed: a calibration is 1 kB, and PyYAML takes seconds for 16 kB of brackets."""

MAX_LONG_BYTES = 1 << 20
"""Of a file: OpenCV writes the points of all images into it as well."""

_MAX_DEPTH = 8
_KEY = re.compile(r"^[\"']?([A-Za-z_][\w .-]*?)[\"']?\s*:(?:\s|$)")
# First bytes -> what such a file is.
_OTHERS = {
    b"PK\x03\x04": "an archive (.npz of NumPy, .zip)",
    b"\x93NUMPY": "an array of NumPy",
    b"\x80": "a pickle of Python",
    b"\x89PNG": "an image",
    b"\xff\xd8\xff": "an image",
    b"MATLAB": "a file of MATLAB",
}
_WANTED = re.compile(
    r"matrix|dist|coeff|intrinsic|width|height|size|resolution|model|^camera|^cam\d|^[kdprm]\d?$|^[fc][xy]$"
)


def plain_key(key: Any) -> str:
    """A key in lower case without signs: Camera_Matrix, cameraMatrix and camera_matrix are the same."""
    return re.sub(r"[^a-z0-9]", "", str(key)[:80].lower())


def values_of(data: bytes, path: Path) -> Any:
    """What the file holds. Raises ConfigError, which begins with `path`, when it is of a kind that is not read."""
    for magic, kind in _OTHERS.items():
        if data.startswith(magic):
            raise ConfigError(f"{path}: expected a calibration as text, got {kind}; write its numbers as YAML")
    text = decoded(data)
    if text is None or "\0" in text:
        raise ConfigError(f"{path}: expected YAML or XML as text, got bytes that are no text")
    start = text.lstrip()
    if start.startswith(("<?xml", "<opencv_storage")):
        return _xml(start, path)
    if start.startswith(("[image]", "# oST")):
        raise ConfigError(
            f"{path}: expected YAML, got the INI form of camera_calibration; take its ost.yaml, or let `ros2 run "
            "camera_calibration_parsers convert` make one"
        )
    if start.startswith("{") and len(text) > MAX_BYTES:
        try:
            return json.loads(text)
        except (ValueError, RecursionError):
            raise ConfigError(f"{path}: expected JSON, got {len(text)} characters that are none") from None
    return _yaml(text, path)


def _yaml(text: str, path: Path) -> Any:
    # OpenCV's head and tags; what echoed topics and logs leave between documents.
    text = re.sub(r"\A\s*%YAML[:\s][^\n]*\n", "", text)
    text = re.sub(r"!!(opencv|python/tuple)[\w-]*", "", text)
    documents = [part for part in re.split(r"^(?:---|\.\.\.)\s*$", text, flags=re.MULTILINE) if part.strip()]
    text = documents[0] if documents else ""
    if len(text) <= MAX_BYTES:
        try:
            return parse_yaml(text, path, ConfigError)
        except ConfigError as error:
            if "each key once" not in str(error):
                raise
            repeated = error
    else:
        repeated = ConfigError(f"{path}: expected a calibration of at most {MAX_BYTES} bytes, got a larger file")
    # A whole configuration, in which what is not ours may be as it likes.
    short = _wanted_blocks(text)
    if not short.strip() or len(short) > MAX_BYTES or short.strip() == text.strip():
        raise repeated
    return parse_yaml(short, path, ConfigError)


def _wanted_blocks(text: str) -> str:
    """The top-level keys that may belong to a calibration, each with the lines that belong to it."""
    kept, keep = [], False
    for line in text.splitlines():
        match = _KEY.match(line)
        if match:
            keep = _WANTED.search(plain_key(match[1])) is not None
        if keep:
            kept.append(line)
    return "\n".join(kept) + "\n"


def _xml(text: str, path: Path) -> dict[str, Any]:
    """OpenCV's storage as a mapping; matrices are mappings with rows, cols and data."""
    parser = expat.ParserCreate()
    root: dict[str, Any] = {}
    stack: list[tuple[str, dict[str, Any], list[str]]] = [("", root, [])]

    def start(tag: str, _: dict[str, str]) -> None:
        if len(stack) > _MAX_DEPTH:
            raise ConfigError(f"{path}: expected the XML of OpenCV, got elements more than {_MAX_DEPTH} deep")
        stack.append((tag, {}, []))

    def end(_: str) -> None:
        tag, inside, words = stack.pop()
        outer = stack[-1][1]
        if len(stack) == 2 and tag in outer:
            raise ConfigError(f"{path}: expected each element once, got <{tag[:40]}> a second time")
        outer[tag] = inside or _xml_value(tag, "".join(words))

    def refuse(*_: object) -> None:
        raise ConfigError(f"{path}: expected XML without a document type, got a <!DOCTYPE>")

    parser.StartElementHandler, parser.EndElementHandler = start, end
    parser.CharacterDataHandler = lambda words: stack[-1][2].append(words)
    parser.StartDoctypeDeclHandler = refuse
    parser.buffer_text = True
    try:
        parser.Parse(re.sub(r"^<\?xml[^>]*\?>", "", text), True)
    except expat.ExpatError as error:
        raise ConfigError(f"{path}: expected XML, got: {expat.errors.messages[error.code]}") from None
    storage = root.get("opencv_storage")
    if not isinstance(storage, dict):
        got = f"got <{', '.join(root)[:40]}>; write the numbers as YAML"
        raise ConfigError(f"{path}: expected the XML of OpenCV (<opencv_storage>), {got}")
    return storage


def _xml_value(tag: str, text: str) -> Any:
    words = text.split()
    if tag == "data":
        return words
    if len(words) == 1 and re.fullmatch(r"\d{1,9}", words[0]):
        return int(words[0])
    return words if len(words) > 1 and all(re.fullmatch(r"[-+.\deE]+", word) for word in words) else text.strip()
