"""Calibrated cameras out of numbers and files, and how one that was calibrated for another size fits an image."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

from nanodet_kp_core.errors import ConfigError
from nanodet_kp_core.paths import DEVICE, FILE, brief, resolved, what_is
from nanodet_kp_core.runtime.pose import Camera
from nanodet_kp_core.yaml_text import parse_yaml

MAX_BYTES = 1 << 14  # a calibration is 1 kB; PyYAML takes seconds for 16 kB of brackets
MAX_SIDE = 1 << 16

_PINHOLE = ("", "plumb_bob", "rational_polynomial")  # one model in OpenCV, which goes by the number of coefficients
_FISHEYE = ("equidistant", "fisheye")
_SQUARE = 1.25
_SAME_SHAPE = 0.01  # of the sides' ratio: a size that was rounded is the same picture, a cropped one is not


@dataclass(frozen=True)
class Calibration:
    """A camera and the size (width, height) of the images that it was calibrated with; None where nobody wrote it."""

    camera: Camera
    size: tuple[int, int] | None

    def fitted(self, size: tuple[int, int], where: str) -> Camera:
        """The camera for images of another size (width, height) that show the same.

        Raises ConfigError, beginning with `where`, when the sides have another ratio: then something was cut off, and
        nobody knows what.
        """
        if self.size is None or self.size == size:
            return self.camera
        across, down = (mine / other for mine, other in zip(self.size, size))
        if abs(across / down - 1) > _SAME_SHAPE:
            raise ConfigError(
                f"{where}: expected the calibration of a {size[0]}x{size[1]} image or of one with the same ratio of "
                f"the sides, got {self.size[0]}x{self.size[1]}; calibrate the camera at this size"
            )
        return self.camera.window(0, 0, (across, down))


def lens_camera(where: str, matrix: Any, distortion: Any, model: str) -> Camera:
    """Camera of a matrix, nine numbers row by row, and the coefficients of a distortion model by its name in ROS.

    Raises ConfigError that begins with `where`.
    """
    if model not in (*_PINHOLE, *_FISHEYE):
        known = ", ".join([*_PINHOLE[1:], *_FISHEYE])
        got = f"got {model[:40]!r}; calibrate with one of them"
        raise ConfigError(f"{where}: expected a distortion model of {known}, {got}")
    numbers, lens = _numbers(matrix, 9, 9), _numbers(distortion, 0, 14)
    if numbers is None:
        got = f"got {_shown(matrix)}; calibrate again"
        raise ConfigError(f"{where}: expected a camera matrix of nine finite numbers, {got}")
    if lens is None:
        got = _shown(distortion)
        raise ConfigError(f"{where}: expected at most 14 finite distortion coefficients, got {got}; calibrate again")
    try:
        return Camera(np.reshape(numbers, (3, 3)), np.array(lens), fisheye=model in _FISHEYE)
    except ConfigError as error:
        raise ConfigError(f"{where}: {error}") from None


def check_plausible(where: str, camera: Camera, size: tuple[int, int]) -> None:
    """Raise ConfigError when no camera with images of this size (width, height) has such a matrix.

    Poses do not show it: four corners of a small plate fit nearly every camera.
    """
    (fx, _, cx), (_, fy, cy), _ = camera.matrix.tolist()
    if not 1 / _SQUARE <= fx / fy <= _SQUARE:
        got = f"got {fx:.6g} and {fy:.6g}; calibrate again"
        raise ConfigError(f"{where}: expected focal lengths of square pixels, {got}")
    if not (0 <= cx <= size[0] and 0 <= cy <= size[1]):
        raise ConfigError(
            f"{where}: expected an optical centre inside {size[0]}x{size[1]}, got ({cx:.6g}, {cy:.6g}); "
            "calibrate again, at this size"
        )


def read_calibration(path: str | Path) -> Calibration:
    """The YAML that ROS's camera_calibration writes, or our own keys `matrix` (three rows) and `distortion`.

    Raises ConfigError when the file cannot be read or holds no camera.
    """
    path = resolved(path)
    document = _load(path)
    if not isinstance(document, dict):
        raise ConfigError(f"{path}: expected the YAML of ROS's camera_calibration, got {_shown(document)}")
    where = str(path)
    if "matrix" in document:
        rows = document["matrix"]
        is_rows = isinstance(rows, list) and len(rows) == 3 and all(isinstance(row, list) for row in rows)
        matrix = [value for row in rows for value in row[:4]] if is_rows else rows
        return Calibration(lens_camera(where, matrix, document.get("distortion") or [], ""), None)
    matrix, lens = document.get("camera_matrix"), document.get("distortion_coefficients")
    model = document.get("distortion_model")
    if not isinstance(matrix, dict):
        raise ConfigError(f"{path}: expected camera_matrix with a list of nine numbers, got {_shown(matrix)}")
    data = lens.get("data", []) if isinstance(lens, dict) else []
    camera = lens_camera(where, matrix.get("data"), data, model if isinstance(model, str) else "")
    size = _size(document, where)
    if size is not None:
        check_plausible(where, camera, size)
    return Calibration(camera, size)


def _size(document: dict[Any, Any], where: str) -> tuple[int, int] | None:
    width, height = document.get("image_width"), document.get("image_height")
    if width is None and height is None:
        return None
    if type(width) is int and type(height) is int and min(width, height) > 0 and max(width, height) <= MAX_SIDE:
        return width, height
    got = f"{_shown(width)} x {_shown(height)}"
    raise ConfigError(f"{where}: expected image_width and image_height of 1 to {MAX_SIDE} pixels, got {got}")


def _load(path: Path) -> Any:
    try:
        found = what_is(path)
        if found not in (FILE, DEVICE):
            raise ConfigError(f"{brief(path)}: expected a calibration file, got {found}; check the path")
        with path.open("rb") as file:
            data = file.read(MAX_BYTES + 1)
    except OSError as error:
        raise ConfigError(f"{path}: expected a calibration file, got: {error.strerror}") from None
    if len(data) > MAX_BYTES:
        raise ConfigError(f"{path}: expected a calibration of at most {MAX_BYTES} bytes, got a larger file")
    try:
        text = data.decode("utf-8-sig")
    except UnicodeDecodeError:
        raise ConfigError(f"{path}: expected YAML in UTF-8, got bytes that are no text") from None
    return parse_yaml(text, path, ConfigError)


def _numbers(values: Any, least: int, most: int) -> list[float] | None:
    """Finite numbers, or None; whatever is nested or endless is not unfolded."""
    if not isinstance(values, list) or not least <= len(values) <= most:
        return None
    if not all(type(value) in (int, float) and abs(value) < 1e12 for value in values):  # refuses NaN too
        return None
    return [float(value) for value in values]


def _shown(value: Any) -> str:
    """Short, and without unfolding what is nested."""
    if isinstance(value, list):
        if len(value) > 14 or not all(type(item) in (int, float) for item in value):
            return f"a list of {len(value)}"
        return "[" + ", ".join(f"{item:.6g}" for item in value) + "]"
    if isinstance(value, int) and abs(value) > 1e15:
        return "a huge number"
    return repr(value)[:60] if isinstance(value, (str, int, float, type(None))) else f"a {type(value).__name__}"
