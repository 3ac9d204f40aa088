"""The one place where image messages become arrays and arrays become image messages.

An array is uint8 [height, width, 3], blue-green-red.
"""

from __future__ import annotations

import array

import cv2
import numpy as np
from sensor_msgs.msg import CompressedImage, Image
from std_msgs.msg import Header

from nanodet_kp_core.errors import ImageError

# Encoding -> channels and the OpenCV conversion to BGR (None: it is BGR already). OpenCV names a Bayer pattern after
# the second row and column of the tile, ROS after the first, hence the other letters.
_ENCODINGS: dict[str, tuple[int, int | None]] = {
    "bgr8": (3, None),
    "8UC3": (3, None),
    "rgb8": (3, cv2.COLOR_RGB2BGR),
    "mono8": (1, cv2.COLOR_GRAY2BGR),
    "8UC1": (1, cv2.COLOR_GRAY2BGR),
    "bgra8": (4, cv2.COLOR_BGRA2BGR),
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


def from_image(message: Image) -> np.ndarray:
    """The message's image as uint8 [height, width, 3] BGR; for bgr8 a view of the message's data, not a copy.

    Encodings that are not in the table go through cv_bridge, where it is installed.

    Raises ImageError for an unknown encoding, an empty image, and a size that does not fit the data.
    """
    if message.width == 0 or message.height == 0:
        raise ImageError(f"image is empty: expected a width and a height above 0, got {message.width}x{message.height}")
    if message.encoding not in _ENCODINGS:
        return _from_image_by_bridge(message)
    channels, conversion = _ENCODINGS[message.encoding]
    rows = _rows(message, channels)
    if conversion is None:
        return rows
    try:
        return cv2.cvtColor(rows, conversion)
    except cv2.error as error:
        raise ImageError(f"{_describe(message)} cannot be converted to bgr8: {error.err}") from None


def from_compressed(message: CompressedImage) -> np.ndarray:
    """The decoded image, uint8 [height, width, 3] BGR. Raises ImageError when the data is no JPEG, PNG or the like."""
    data = np.frombuffer(message.data, dtype=np.uint8)
    # A camera's EXIF orientation must not turn the picture: corners are given in the pixels of the sent image.
    image = cv2.imdecode(data, cv2.IMREAD_COLOR | cv2.IMREAD_IGNORE_ORIENTATION) if data.size else None
    if image is None:
        raise ImageError(
            f"compressed image cannot be decoded: expected JPEG or PNG data, got {data.size} bytes marked "
            f"{message.format!r}; check the camera driver's compression, or use image_transport raw"
        )
    return image


def to_image(image: np.ndarray, header: Header) -> Image:
    """A bgr8 message of an image, uint8 [height, width, 3] BGR."""
    height, width = image.shape[:2]
    data = array.array("B")
    # A ready-made array is taken as it is; any other sequence would be checked byte by byte.
    data.frombytes(memoryview(np.ascontiguousarray(image)).cast("B"))
    message = Image(header=header, height=height, width=width, encoding="bgr8", step=3 * width)
    message.data = data
    return message


def _rows(message: Image, channels: int) -> np.ndarray:
    """The data as [height, width] or [height, width, channels], without the padding at the end of each row."""
    least = message.width * channels
    if message.step < least:
        raise ImageError(
            f"{_describe(message)} is inconsistent: expected a step of at least {least}, got {message.step}"
        )
    expected = message.step * message.height
    if len(message.data) != expected:
        kind = "truncated" if len(message.data) < expected else "too long"
        raise ImageError(
            f"{_describe(message)} is {kind}: expected step * height = {expected} bytes of data, "
            f"got {len(message.data)}"
        )
    data = np.frombuffer(message.data, dtype=np.uint8).reshape(message.height, message.step)[:, :least]
    return data if channels == 1 else data.reshape(message.height, message.width, channels)


def _from_image_by_bridge(message: Image) -> np.ndarray:
    refusal = (
        f"{_describe(message)} cannot be used: expected one of {', '.join(_ENCODINGS)}; set the camera driver to bgr8"
    )
    try:
        from cv_bridge import CvBridge  # only here: it is not needed for the common encodings, and not everywhere
    except ImportError:
        raise ImageError(refusal) from None
    try:
        return np.ascontiguousarray(CvBridge().imgmsg_to_cv2(message, "bgr8"))
    except Exception as error:  # its several versions raise CvBridgeError, KeyError, TypeError and cv2.error
        raise ImageError(f"{refusal} (cv_bridge: {error})") from None


def _describe(message: Image) -> str:
    return f"image of encoding {message.encoding!r}, {message.width}x{message.height},"
