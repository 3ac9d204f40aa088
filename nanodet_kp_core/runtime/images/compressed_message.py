"""The fields of ROS's compressed image messages become arrays; what the bytes hold, only `format` says."""

from __future__ import annotations

from typing import Any, Protocol

import cv2
import numpy as np

from nanodet_kp_core.errors import ImageError
from nanodet_kp_core.runtime.images.encodings import DEPTH_ADVICE, DEPTH_ENCODINGS, ImageView, demosaic
from nanodet_kp_core.runtime.images.image_bytes import (
    MAX_PIXELS,
    decode_image,
    is_deep,
    is_gray,
    is_possible,
    upper_byte,
)

_NO_GREY = ("yuv", "uyvy", "yuyv", "nv")  # a single channel of such bytes is no image


class CompressedBytes(Protocol):
    """The fields of a sensor_msgs/CompressedImage."""

    format: str
    data: Any


def stored_encoding(form: str) -> str:
    """The encoding of the pixels that were compressed, "" where it is not said.

    form: as image_transport writes it, "rgb8; jpeg compressed bgr8", of which the last is what was stored; it is left
    out where nothing was converted. Of other publishers "jpeg" or "png".
    """
    before, separator, after = form.partition(";")
    if not separator:
        return ""
    words = after.split()
    converted = len(words) > 1 and words[-1].lower() not in ("compressed", "compresseddepth")
    return words[-1] if converted else before.strip()


def is_mosaic(message: CompressedBytes) -> bool:
    """Whether its pixels are those of a Bayer pattern, going by `format`."""
    return stored_encoding(message.format).lower().startswith("bayer")


def check_compressed(message: CompressedBytes) -> None:
    """Raises ImageError when the data does not begin as a JPEG or PNG of a possible size, or is depth."""
    words = message.format.replace(";", " ").split()
    if any(word in DEPTH_ENCODINGS or word.lower() == "compresseddepth" for word in words[:8]):
        raise ImageError(f"compressed image marked {message.format[:40]!r} cannot be used: {DEPTH_ADVICE}")
    if not is_possible(np.frombuffer(message.data, dtype=np.uint8)):
        raise _undecodable(message)


def view_compressed(message: CompressedBytes) -> ImageView:
    """The decoded image, for the detector.

    Raises ImageError when the data is no JPEG or PNG, and where a single channel cannot tell the colors: depth, a
    Bayer pattern that is not known.
    """
    check_compressed(message)
    return unpack_compressed(message)


def unpack_compressed(message: CompressedBytes) -> ImageView:
    """The decoded image of a message that `check_compressed` has accepted. Raises ImageError as `view_compressed`."""
    data = np.frombuffer(message.data, dtype=np.uint8)
    encoding = stored_encoding(message.format)
    gray = is_gray(data)
    if gray and encoding.lower().startswith(_NO_GREY):
        raise _colorless(message)
    deep = is_deep(data)
    image = decode_image(data, cv2.IMREAD_COLOR | cv2.IMREAD_ANYDEPTH if deep else cv2.IMREAD_COLOR)
    if image is None:
        raise _undecodable(message)
    bits = None
    if deep:
        image, bits = upper_byte(image)
    mosaic = is_mosaic(message)
    if mosaic and (gray or _same_channels(image)):
        colored = demosaic(np.ascontiguousarray(image[..., 0]), encoding)
        if colored is None:
            raise _colorless(message)
        image = colored
    return ImageView(image, "bgr", bits, single_channel=gray and not mosaic)


def from_compressed(message: CompressedBytes) -> np.ndarray:
    """The decoded image, uint8 [height, width, 3] BGR. Raises as `view_compressed`."""
    return view_compressed(message).pixels


def _same_channels(image: np.ndarray) -> bool:
    return np.array_equal(image[..., 0], image[..., 1]) and np.array_equal(image[..., 1], image[..., 2])


def _colorless(message: CompressedBytes) -> ImageError:
    return ImageError(
        f"compressed image marked {message.format[:40]!r} cannot be used: expected a Bayer pattern of bayer_rggb8, "
        "bayer_bggr8, bayer_gbrg8, bayer_grbg8, or a color image, got one channel of another kind, whose colors "
        "nobody knows; let the camera driver publish bgr8"
    )


def _undecodable(message: CompressedBytes) -> ImageError:
    return ImageError(
        f"compressed image cannot be decoded: expected JPEG or PNG data of at most {MAX_PIXELS} pixels, "
        f"got {len(message.data)} bytes marked {message.format[:40]!r}; check the camera driver's compression, or use "
        "image_transport raw"
    )
