"""Calibration files as people have them: of ROS, OpenCV, Kalibr, an echoed CameraInfo, or plain numbers.

What is read must be there as a whole: a file whose distortion cannot be found is refused, not taken for a lens without.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from nanodet_kp_core.errors import ConfigError
from nanodet_kp_core.paths import DEVICE, FILE, brief, resolved, what_is
from nanodet_kp_core.runtime.poses.calibration_text import MAX_BYTES, MAX_LONG_BYTES, plain_key, values_of
from nanodet_kp_core.runtime.poses.lens import (
    MAX_SIDE,
    Calibration,
    check_plausible,
    lens_camera,
    shown_numbers,
)

__all__ = ["MAX_BYTES", "MAX_SIDE", "Calibration", "check_plausible", "lens_camera", "read_calibration"]

_MATRIX = ("cameramatrix", "matrix", "k", "intrinsicmatrix", "cameraintrinsics", "intrinsics", "intrinsic", "mtx")
_PROJECTION = ("projectionmatrix", "p", "projection")
_MODEL = ("distortionmodel", "distortiontype", "distmodel")
_WIDTH = ("imagewidth", "width", "camerawidth")
_HEIGHT = ("imageheight", "height", "cameraheight")
_SIZE = ("resolution", "imagesize", "imgsize", "imageresolution")
_FOCAL = ("fx", "fy", "cx", "cy")
_TERMS = ("k1", "k2", "p1", "p2", "k3")
_MOST_DEPTH = 4

_WRITE = (
    "write camera_matrix: {rows: 3, cols: 3, data: [fx, 0, cx, 0, fy, cy, 0, 0, 1]} and distortion_coefficients: "
    "{rows: 1, cols: 5, data: [k1, k2, p1, p2, k3]} (data: [] for a lens without distortion)"
)

Values = Mapping[str, Any]
"""A mapping whose keys went through plain_key."""


def read_calibration(path: str | Path, rectified: bool = False) -> Calibration:
    """The camera of a file: of ROS's camera_calibration, of OpenCV (YAML, XML), of Kalibr, an echoed CameraInfo, or our
    own keys `matrix` (three rows) and `distortion`.

    rectified: of the images that image_proc makes: the projection matrix, without distortion.
    Raises ConfigError when the file cannot be read, holds no camera, several, or one whose distortion is not found.
    """
    path = resolved(path)
    where = str(path)
    document = values_of(_load(path), path)
    if not isinstance(document, dict):
        raise ConfigError(f"{where}: expected a calibration, got {shown_numbers(document)}; {_WRITE}")
    found = _cameras(document)
    if len(found) != 1:
        got = f"{len(found)}: {', '.join(name for name, _ in found)}; leave one" if found else f"none; {_WRITE}"
        raise ConfigError(f"{where}: expected camera_matrix with nine numbers, got {got}")
    values = found[0][1]
    _check_window(values, where)
    size = _size(values, where)
    if rectified:
        camera = lens_camera(where, _projection(values, where), [], "")
    else:
        lens, model = _distortion(values, where)
        camera = lens_camera(where, _matrix(values, where), lens, model)
    if size is not None:
        check_plausible(where, camera, size)
    return Calibration(camera, size)


def _cameras(document: Any, name: str = "", depth: int = 0) -> list[tuple[str, Values]]:
    """The mappings that hold a matrix, with the keys that lead to them."""
    if not isinstance(document, dict) or depth > _MOST_DEPTH:
        return []
    values = {plain_key(key): value for key, value in document.items()}
    matrix = _first(values, _MATRIX)
    is_matrix = matrix in _MATRIX[:2] or isinstance(values.get(matrix or ""), (list, dict))
    if is_matrix or all(key in _without_prefix(values) for key in _FOCAL):
        return [(name or "the file", values)]
    found = []
    for key, value in document.items():
        found += _cameras(value, f"{name}.{key}".strip(".")[:60], depth + 1)
    return found


def _load(path: Path) -> bytes:
    try:
        found = what_is(path)
        if found not in (FILE, DEVICE):
            raise ConfigError(f"{brief(path)}: expected a calibration file, got {found}; check the path")
        with path.open("rb") as file:
            data = file.read(MAX_LONG_BYTES + 1)
    except OSError as error:
        raise ConfigError(f"{path}: expected a calibration file, got: {error.strerror}") from None
    if len(data) > MAX_LONG_BYTES:
        raise ConfigError(f"{path}: expected a calibration of at most {MAX_LONG_BYTES} bytes, got a larger file")
    return data


def _matrix(values: Values, where: str) -> Any:
    name = _first(values, _MATRIX)
    if name is None:
        terms = _without_prefix(values)
        fx, fy, cx, cy = (terms[key] for key in _FOCAL)
        return [fx, 0.0, cx, 0.0, fy, cy, 0.0, 0.0, 1.0]
    numbers = _flat(values[name], name, where)
    if name in ("intrinsics", "intrinsic") and isinstance(numbers, list) and len(numbers) == 4:  # Kalibr
        fx, fy, cx, cy = numbers
        return [fx, 0.0, cx, 0.0, fy, cy, 0.0, 0.0, 1.0]
    return numbers


def _projection(values: Values, where: str) -> Any:
    name = _first(values, _PROJECTION)
    if name is None:
        raise ConfigError(
            f"{where}: expected projection_matrix, which rectified images are made with, got none; calibrate with "
            "camera_calibration, or subscribe to the image that is not rectified"
        )
    numbers = _flat(values[name], name, where)
    if not isinstance(numbers, list) or len(numbers) != 12:
        got = shown_numbers(numbers)
        raise ConfigError(f"{where}: expected projection_matrix of three rows of four numbers, got {got}")
    return [numbers[4 * row + column] for row in range(3) for column in range(3)]


def _distortion(values: Values, where: str) -> tuple[Any, str]:
    """Coefficients and the name of their model. Raises ConfigError where they cannot be found for certain."""
    model = values.get(_first(values, _MODEL) or "", "")
    model = "" if model is None else str(model)
    if str(values.get("fisheyemodel", 0)).strip() in ("1", "True", "true"):
        model = "equidistant"
    if str(values.get("cameramodel", "pinhole")).lower() not in ("pinhole", "none"):
        got = str(values["cameramodel"])[:40]
        raise ConfigError(f"{where}: expected camera_model pinhole, got {got!r}; calibrate again with pinhole")
    names = [key for key in values if _is_distortion(key)]
    terms = {key: value for key, value in _without_prefix(values).items() if re.fullmatch(r"[kp]\d", key)}
    if len(names) > 1 or (names and terms):
        got = " and ".join([*names, *terms])[:80]
        raise ConfigError(f"{where}: expected distortion coefficients under one key, got {got}; {_WRITE}")
    if names:
        return _flat(values[names[0]], names[0], where), model
    if terms:
        if not {"k1", "k2"} <= set(terms) <= set(_TERMS):
            raise ConfigError(f"{where}: expected k1, k2, p1, p2 and k3, got {', '.join(terms)[:80]}; {_WRITE}")
        return [terms.get(key, 0.0) for key in _TERMS], model
    if model.lower() == "none" or ("matrix" in values and not model):  # our own form may leave it out
        return [], model
    raise ConfigError(f"{where}: expected distortion_coefficients, got none; {_WRITE}")


def _is_distortion(key: str) -> bool:
    return key in ("d", "d1", "kc", "coeffs", "coefficients") or (
        "dist" in key and key not in _MODEL and not re.search(r"distance|enable|undist|^use|^is|err", key)
    )


def _flat(value: Any, name: str, where: str) -> Any:
    """The numbers of a list, of rows, or of a mapping with `data`; anything else as it is, for the message."""
    if isinstance(value, dict):
        entries = {plain_key(key): entry for key, entry in value.items()}
        if "data" not in entries:
            got = ", ".join(entries)[:80] or "nothing"
            raise ConfigError(f"{where}: expected {name} with `data`, got {got}; {_WRITE}")
        numbers = _flat(entries["data"], name, where)
        rows, columns = entries.get("rows"), entries.get("cols")
        if (
            isinstance(rows, int)
            and isinstance(columns, int)
            and isinstance(numbers, list)
            and (name not in _MATRIX and rows * columns != len(numbers))
        ):
            got = f"{shown_numbers(rows)} x {shown_numbers(columns)} and {len(numbers)} numbers"
            raise ConfigError(f"{where}: expected as many numbers in {name} as rows times cols, got {got}")
        return numbers
    if not isinstance(value, list) or len(value) > 14:
        return value
    if value and all(isinstance(row, list) and len(row) <= 14 for row in value):
        value = [number for row in value for number in row][:15]
    return [_number(entry) for entry in value]


def _number(value: Any) -> Any:
    """Numbers that YAML takes for text, such as 5e-05, as Python writes them."""
    if isinstance(value, str) and re.fullmatch(r"\s*[-+]?(\d+\.?\d*|\.\d+)([eE][-+]?\d+)?\s*", value):
        return float(value)
    return value


def _size(values: Values, where: str) -> tuple[int, int] | None:
    pair = values.get(_first(values, _SIZE) or "")
    entries = pair if isinstance(pair, list) and len(pair) == 2 else None
    if entries is None:
        entries = [values.get(_first(values, names) or "") for names in (_WIDTH, _HEIGHT)]
    width, height = (_whole(entry) for entry in entries)
    if width is None and height is None:
        return None
    if type(width) is int and type(height) is int and min(width, height) > 0 and max(width, height) <= MAX_SIDE:
        return width, height
    got = f"{shown_numbers(width)} x {shown_numbers(height)}"
    raise ConfigError(f"{where}: expected image_width and image_height of 1 to {MAX_SIDE} pixels, got {got}")


def _whole(value: Any) -> Any:
    value = _number(value)
    return int(value) if isinstance(value, float) and value.is_integer() and abs(value) < 1e9 else value


def _check_window(values: Values, where: str) -> None:
    """An echoed CameraInfo may be of a part of the sensor; a file holds for whole images."""
    roi = values.get("roi")
    window = [_number(entry) for key, entry in roi.items() if key != "do_rectify"] if isinstance(roi, dict) else []
    binned = any(values.get(key) not in (None, 0, 1) for key in ("binningx", "binningy"))
    if binned or any(entry not in (0, 0.0) for entry in window):
        raise ConfigError(
            f"{where}: expected the calibration of whole images, got one with a region of interest or binning; let the "
            "node take it from the topic camera_info"
        )


def _first(values: Values, names: tuple[str, ...]) -> str | None:
    return next((name for name in names if name in values), None)


def _without_prefix(values: Values) -> dict[str, Any]:
    """Camera.fx, Camera1.fx and fx are the same; only such short names."""
    terms = {}
    for key, value in values.items():
        match = re.fullmatch(r"(?:camera\d?|cam\d?)?([fc][xy]|[kp]\d)", key)
        if match and not isinstance(value, (dict, list)):
            terms[match[1]] = _number(value)
    return terms
