"""Calibrated cameras out of numbers, and how one that was calibrated for another size fits an image."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np

from nanodet_kp_core.errors import ConfigError
from nanodet_kp_core.runtime.poses.pose import Camera

MAX_SIDE = 1 << 16

# One model in OpenCV, which goes by the number of coefficients. radtan is Kalibr's name.
_PINHOLE = ("", "plumb_bob", "rational_polynomial", "radtan")
_FISHEYE = ("equidistant", "fisheye", "kannala_brandt")
_NONE = ("none",)
_FISHEYE_COUNT = 4
_FOCAL = (0.1, 100.0)  # in larger sides of the image: from beyond a fisheye's to a telescope's
_SQUARE = 1.25
_SAME_SHAPE = 0.01  # of the sides' ratio: a size that was rounded is the same image, a cropped one is not


@dataclass(frozen=True)
class Calibration:
    """A camera and the size (width, height) of the images that it was calibrated with; None where nobody wrote it."""

    camera: Camera
    size: tuple[int, int] | None

    def fitted(self, size: tuple[int, int], where: str) -> Camera:
        """The camera for images of another size (width, height) that show the same.

        Raises ConfigError, beginning with `where`, when the sides have another ratio: then something was cut off, and
        nobody knows what. So for a camera without a size that no camera of such images is.
        """
        if self.size is None:
            check_plausible(where, self.camera, size)
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
    model = model.strip().lower()
    if model not in (*_PINHOLE, *_FISHEYE, *_NONE):
        known = ", ".join([*_PINHOLE[1:], *_FISHEYE, *_NONE])
        got = f"got {model[:40]!r}; calibrate with one of them"
        raise ConfigError(f"{where}: expected a distortion model of {known}, {got}")
    numbers, lens = numbers_of(matrix, 9, 9), numbers_of(distortion, 0, 14)
    if numbers is None:
        got = f"got {shown_numbers(matrix)}; calibrate again"
        raise ConfigError(f"{where}: expected a camera matrix of nine finite numbers, {got}")
    if lens is None:
        got = shown_numbers(distortion)
        raise ConfigError(f"{where}: expected at most 14 finite distortion coefficients, got {got}; calibrate again")
    if model in _FISHEYE and len(lens) > _FISHEYE_COUNT and not any(lens[_FISHEYE_COUNT:]):
        lens = lens[:_FISHEYE_COUNT]  # padded to the length of another model
    if model in _NONE:
        if any(lens):
            got = f"got {shown_numbers(lens)}; name their model"
            raise ConfigError(f"{where}: expected no coefficients for distortion model 'none', {got}")
        lens = []
    try:
        return Camera(np.reshape(numbers, (3, 3)), np.array(lens), fisheye=model in _FISHEYE)
    except ConfigError as error:
        raise ConfigError(f"{where}: {error}") from None


def check_plausible(where: str, camera: Camera, size: tuple[int, int]) -> None:
    """Raise ConfigError when no camera with images of this size (width, height) has such a matrix.

    Poses do not show it: four corners of a small plate fit nearly every camera.
    """
    (fx, _, cx), (_, fy, cy), _ = camera.matrix.tolist()
    low, high = (share * max(size) for share in _FOCAL)
    if not (low <= fx <= high and low <= fy <= high):
        raise ConfigError(
            f"{where}: expected focal lengths of {low:.0f} to {high:.0f} pixels for an image of {size[0]}x{size[1]}, "
            f"got {fx:.6g} and {fy:.6g}, which no lens has: that is no calibration in pixels; calibrate the camera"
        )
    if not 1 / _SQUARE <= fx / fy <= _SQUARE:
        got = f"got {fx:.6g} and {fy:.6g}; calibrate again"
        raise ConfigError(f"{where}: expected focal lengths of square pixels, {got}")
    if not (0 <= cx <= size[0] and 0 <= cy <= size[1]):
        raise ConfigError(
            f"{where}: expected an optical center inside {size[0]}x{size[1]}, got ({cx:.6g}, {cy:.6g}); "
            "calibrate again, at this size"
        )


def numbers_of(values: Any, least: int, most: int) -> list[float] | None:
    """Finite numbers, or None; whatever is nested or endless is not unfolded."""
    if not isinstance(values, list) or not least <= len(values) <= most:
        return None
    if not all(type(value) in (int, float) and abs(value) < 1e12 for value in values):  # refuses NaN too
        return None
    return [float(value) for value in values]


def shown_numbers(value: Any) -> str:
    """Short, and without unfolding what is nested."""
    if isinstance(value, list):
        if len(value) > 14 or not all(type(item) in (int, float) for item in value):
            return f"a list of {len(value)}"
        return "[" + ", ".join(f"{item:.6g}" for item in value) + "]"
    if isinstance(value, int) and abs(value) > 1e15:
        return "a huge number"
    return repr(value)[:60] if isinstance(value, (str, int, float, type(None))) else f"a {type(value).__name__}"
