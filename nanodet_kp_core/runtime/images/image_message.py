"""The one place where the fields of ROS's image messages become arrays; no ROS is needed, as in bags there is none."""

from __future__ import annotations

from typing import Any, Protocol

import cv2
import numpy as np

from nanodet_kp_core.errors import ImageError
from nanodet_kp_core.runtime.images.compressed_message import (
    CompressedBytes,
    check_compressed,
    from_compressed,
    unpack_compressed,
    view_compressed,
)
from nanodet_kp_core.runtime.images.encodings import (
    DEPTH_ADVICE,
    DEPTH_ENCODINGS,
    EIGHT_BITS,
    ENCODINGS,
    FULL_PLANES,
    PLANES,
    SIXTEEN_BITS,
    ImageView,
    from_full_planes,
    from_planes,
    is_even_enough,
    pixel_bytes,
    rows_of,
)

__all__ = [
    "DEPTH_ENCODINGS",
    "ENCODINGS",
    "CompressedBytes",
    "ImageView",
    "RawImage",
    "check_compressed",
    "check_image",
    "check_size",
    "describe",
    "from_compressed",
    "from_image",
    "unpack_compressed",
    "unpack_image",
    "view_compressed",
    "view_image",
]


_MORE_ROWS = {3: " * 3 / 2", 4: " * 2", 6: " * 3"}
"""How much longer the data of planes is than step * height, by twice that factor."""


class RawImage(Protocol):
    """The fields of a sensor_msgs/Image, out of ROS or out of a bag."""

    encoding: str
    height: int
    width: int
    step: int
    is_bigendian: int
    data: Any  # bytes, an array of them, or uint8 [step * height]


def check_image(message: RawImage) -> None:
    """Whether the header fits the data, in no time: a message that is no image must not push out one that is.

    Raises ImageError for an empty image, a size that does not fit the data, and an encoding that is not of ENCODINGS.
    """
    if message.width and message.height and message.encoding not in ENCODINGS:
        known = ", ".join((*EIGHT_BITS, *PLANES, *FULL_PLANES, *SIXTEEN_BITS))
        advice = DEPTH_ADVICE if message.encoding in DEPTH_ENCODINGS else "set the camera driver to bgr8"
        raise ImageError(f"{describe(message)} cannot be used: expected one of {known}; {advice}")
    check_size(message)
    if not is_even_enough(message.encoding, message.width, message.height, message.step):
        # OpenCV 4.5 would read beyond the row.
        wanted = "an even width, height and step" if message.encoding in PLANES else "an even width"
        got = f"{message.width}x{message.height} with a step of {message.step}"
        raise ImageError(f"{describe(message)} cannot be converted: expected {wanted}, got {got}")


def check_size(message: RawImage) -> None:
    """The same for any encoding; of one that is not known here, nobody can say how long its rows must be."""
    if message.width == 0 or message.height == 0:
        raise ImageError(f"image is empty: expected a width and a height above 0, got {message.width}x{message.height}")
    least = message.width * pixel_bytes(message.encoding)
    if message.step < least:
        raise ImageError(
            f"{describe(message)} is inconsistent: expected a step of at least {least}, got {message.step}"
        )
    expected = message.step * rows_of(message.encoding, message.height)
    if len(message.data) != expected:
        wanted = f"step * height{_MORE_ROWS.get(expected * 2 // (message.step * message.height), '')}"
        kind = "truncated" if len(message.data) < expected else "too long"
        raise ImageError(
            f"{describe(message)} is {kind}: expected {wanted} = {expected} bytes of data, got {len(message.data)}"
        )


def view_image(message: RawImage) -> ImageView:
    """The message's image, for the detector: without a copy where the encoding allows.

    Raises ImageError as `check_image`, and when the conversion fails. No memory is taken on the word of the header
    alone.
    """
    check_image(message)
    return unpack_image(message)


def unpack_image(message: RawImage) -> ImageView:
    """The image of a message that `check_image` has accepted. Raises ImageError when the conversion fails."""
    if message.encoding in PLANES or message.encoding in FULL_PLANES:
        planes = np.frombuffer(message.data, dtype=np.uint8).reshape(-1, message.step)
        convert = from_planes if message.encoding in PLANES else from_full_planes
        return ImageView(convert(planes, message.encoding, message.width, message.height), "bgr")
    encoding = SIXTEEN_BITS.get(message.encoding, message.encoding)
    channels, conversion = EIGHT_BITS[encoding]
    used = message.width * pixel_bytes(message.encoding)
    rows = np.frombuffer(message.data, dtype=np.uint8).reshape(message.height, message.step)[:, :used]
    bits = None
    if encoding != message.encoding:
        rows = np.ascontiguousarray(rows.reshape(message.height, -1, 2)[..., 0 if message.is_bigendian else 1])
        light = rows.reshape(message.height, -1, channels)[..., :3]  # transparency is none
        bits = 8 + int(light.max()).bit_length()
    pixels = rows if channels == 1 else rows.reshape(message.height, message.width, channels)
    if isinstance(conversion, str):
        return ImageView(pixels, conversion, bits)
    try:
        return ImageView(cv2.cvtColor(pixels, conversion), "bgr", bits)
    except cv2.error as error:
        raise ImageError(f"{describe(message)} cannot be converted to bgr8: {error.err}") from None


def from_image(message: RawImage) -> np.ndarray:
    """The message's image as uint8 [height, width, 3] BGR; for bgr8 a view of its data. Raises as `view_image`."""
    return view_image(message).bgr


def describe(message: RawImage) -> str:
    """The beginning of a sentence about it."""
    return f"image of encoding {message.encoding[:40]!r}, {message.width}x{message.height},"
