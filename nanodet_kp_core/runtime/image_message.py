"""The one place where the fields of ROS's image messages become arrays; no ROS is needed, as in bags there is none."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any, Protocol

import cv2
import numpy as np

from nanodet_kp_core.errors import ImageError
from nanodet_kp_core.runtime.image_bytes import MAX_PIXELS, decode_image, is_possible


class RawImage(Protocol):
    """The fields of a sensor_msgs/Image, out of ROS or out of a bag."""

    encoding: str
    height: int
    width: int
    step: int
    is_bigendian: int
    data: Any  # bytes, an array of them, or uint8 [step * height]


class CompressedBytes(Protocol):
    """The fields of a sensor_msgs/CompressedImage."""

    format: str
    data: Any


@dataclass(frozen=True)
class Picture:
    """Pixels as the detector takes them: uint8 [height, width, 3] in `order` "bgr" or "rgb", [height, width] in "mono".

    For bgr8, rgb8 and mono8 they are a view of the message's bytes, with gaps where its rows have padding.
    """

    pixels: np.ndarray
    order: str

    @property
    def bgr(self) -> np.ndarray:
        """uint8 [height, width, 3], blue-green-red."""
        if self.order == "bgr":
            return self.pixels
        return cv2.cvtColor(self.pixels, cv2.COLOR_RGB2BGR if self.order == "rgb" else cv2.COLOR_GRAY2BGR)


# Encoding -> bytes per pixel, and what is to be done: an order to be taken as it is, or OpenCV's conversion to BGR.
# OpenCV names a Bayer pattern after the second row and column of the tile, ROS after the first, hence the letters.
_ENCODINGS: dict[str, tuple[int, str | int]] = {
    "bgr8": (3, "bgr"),
    "8UC3": (3, "bgr"),
    "rgb8": (3, "rgb"),
    "mono8": (1, "mono"),
    "8UC1": (1, "mono"),
    "bgra8": (4, cv2.COLOR_BGRA2BGR),
    "8UC4": (4, cv2.COLOR_BGRA2BGR),
    "rgba8": (4, cv2.COLOR_RGBA2BGR),
    "bayer_rggb8": (1, cv2.COLOR_BayerBG2BGR),
    "bayer_bggr8": (1, cv2.COLOR_BayerRG2BGR),
    "bayer_gbrg8": (1, cv2.COLOR_BayerGR2BGR),
    "bayer_grbg8": (1, cv2.COLOR_BayerGB2BGR),
    "yuv422": (2, cv2.COLOR_YUV2BGR_UYVY),
    "uyvy": (2, cv2.COLOR_YUV2BGR_UYVY),
    "yuv422_yuy2": (2, cv2.COLOR_YUV2BGR_YUY2),
    "yuyv": (2, cv2.COLOR_YUV2BGR_YUY2),
}
# Two neighbours share their colour.
_IN_PAIRS = frozenset(name for name, (channels, _) in _ENCODINGS.items() if channels == 2)
# Intensities of 16 bits are taken by their upper byte, then as the encoding of 8 bits. 16UC1 is depth in most drivers.
_SIXTEEN_BITS = {
    name.replace("8", "16"): name
    for name in ("mono8", "bgr8", "rgb8", "bgra8", "rgba8", *(name for name in _ENCODINGS if name.startswith("bayer_")))
}
ENCODINGS = frozenset((*_ENCODINGS, *_SIXTEEN_BITS))
"""What is converted here."""

DEPTH_ENCODINGS = ("16UC1", "32FC1")
"""What is refused everywhere: it would become a grey picture."""


def check_image(message: RawImage) -> None:
    """Whether the header fits the data, in no time: a message that is no image must not push out one that is.

    Raises ImageError for an empty image, a size that does not fit the data, and an encoding that is not of ENCODINGS.
    """
    if message.width and message.height and message.encoding not in ENCODINGS:
        known = ", ".join((*_ENCODINGS, *_SIXTEEN_BITS))
        depth = message.encoding in DEPTH_ENCODINGS
        advice = "that is depth, not colour: remap image_raw to the camera's colour image"
        raise ImageError(
            f"{describe(message)} cannot be used: expected one of {known}; "
            f"{advice if depth else 'set the camera driver to bgr8'}"
        )
    check_size(message)
    if message.encoding in _IN_PAIRS and message.width % 2:  # OpenCV 4.5 would read beyond the row
        raise ImageError(f"{describe(message)} cannot be converted: expected an even width, got {message.width}")


def check_size(message: RawImage) -> None:
    """The same for any encoding; of one that is not known here, nobody can say how long its rows must be."""
    if message.width == 0 or message.height == 0:
        raise ImageError(f"image is empty: expected a width and a height above 0, got {message.width}x{message.height}")
    least = message.width * _pixel_bytes(message.encoding)
    if message.step < least:
        raise ImageError(
            f"{describe(message)} is inconsistent: expected a step of at least {least}, got {message.step}"
        )
    expected = message.step * message.height
    if len(message.data) != expected:
        kind = "truncated" if len(message.data) < expected else "too long"
        raise ImageError(
            f"{describe(message)} is {kind}: expected step * height = {expected} bytes of data, got {len(message.data)}"
        )


def view_image(message: RawImage) -> Picture:
    """The message's image, for the detector: without a copy where the encoding allows.

    Raises ImageError as `check_image`, and when the conversion fails. No memory is taken on the word of the header
    alone.
    """
    check_image(message)
    encoding = _SIXTEEN_BITS.get(message.encoding, message.encoding)
    channels, conversion = _ENCODINGS[encoding]
    used = message.width * _pixel_bytes(message.encoding)
    rows = np.frombuffer(message.data, dtype=np.uint8).reshape(message.height, message.step)[:, :used]
    if encoding != message.encoding:
        rows = np.ascontiguousarray(rows.reshape(message.height, -1, 2)[..., 0 if message.is_bigendian else 1])
    pixels = rows if channels == 1 else rows.reshape(message.height, message.width, channels)
    if isinstance(conversion, str):
        return Picture(pixels, conversion)
    try:
        return Picture(cv2.cvtColor(pixels, conversion), "bgr")
    except cv2.error as error:
        raise ImageError(f"{describe(message)} cannot be converted to bgr8: {error.err}") from None


def from_image(message: RawImage) -> np.ndarray:
    """The message's image as uint8 [height, width, 3] BGR; for bgr8 a view of its data. Raises as `view_image`."""
    return view_image(message).bgr


def check_compressed(message: CompressedBytes) -> None:
    """Raises ImageError when the data does not begin as a JPEG or PNG of a possible size."""
    if not is_possible(np.frombuffer(message.data, dtype=np.uint8)):
        raise _undecodable(message)


def from_compressed(message: CompressedBytes) -> np.ndarray:
    """The decoded image, uint8 [height, width, 3] BGR. Raises ImageError when the data is no JPEG or PNG."""
    image = decode_image(np.frombuffer(message.data, dtype=np.uint8))
    if image is None:
        raise _undecodable(message)
    return image


def view_compressed(message: CompressedBytes) -> Picture:
    """The decoded image, for the detector. Raises as `from_compressed`."""
    return Picture(from_compressed(message), "bgr")


def _pixel_bytes(encoding: str) -> int:
    """Bytes of a pixel; 0 of an encoding that is not known here."""
    if encoding in _SIXTEEN_BITS:
        return 2 * _ENCODINGS[_SIXTEEN_BITS[encoding]][0]
    return _ENCODINGS[encoding][0] if encoding in _ENCODINGS else 0


def _undecodable(message: CompressedBytes) -> ImageError:
    return ImageError(
        f"compressed image cannot be decoded: expected JPEG or PNG data of at most {MAX_PIXELS} pixels, "
        f"got {len(message.data)} bytes marked {message.format[:40]!r}; check the camera driver's compression, or use "
        "image_transport raw"
    )


def describe(message: RawImage) -> str:
    """The beginning of a sentence about it."""
    return f"image of encoding {message.encoding[:40]!r}, {message.width}x{message.height},"
