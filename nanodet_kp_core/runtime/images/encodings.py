"""How the bytes of an image are laid out, by the names that ROS has for it, and the pixels that they become."""

from __future__ import annotations

from dataclasses import dataclass

import cv2
import numpy as np


@dataclass(frozen=True)
class ImageView:
    """Pixels as the detector takes them: uint8 [height, width, 3] in `order` "bgr" or "rgb", [height, width] in "mono".

    For bgr8, rgb8 and mono8 they are a view of the message's bytes, with gaps where its rows have padding.
    bits: that the brightest value of an image of 16 bits has, 8 to 16; None for one of 8 bits.
    single_channel: whether the three channels of `pixels` were one when the image was compressed.
    """

    pixels: np.ndarray
    order: str
    bits: int | None = None
    single_channel: bool = False

    @property
    def is_gray(self) -> bool:
        """Whether the image has no colors by its kind."""
        return self.single_channel or self.order == "mono"

    @property
    def bgr(self) -> np.ndarray:
        """uint8 [height, width, 3], blue-green-red."""
        if self.order == "bgr":
            return self.pixels
        return cv2.cvtColor(self.pixels, cv2.COLOR_RGB2BGR if self.order == "rgb" else cv2.COLOR_GRAY2BGR)


# Encoding -> bytes per pixel, and what is to be done: an order to be taken as it is, or OpenCV's conversion to BGR.
# OpenCV names a Bayer pattern after the second row and column of the tile, ROS after the first, hence the letters.
EIGHT_BITS: dict[str, tuple[int, str | int]] = {
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
# Encoding -> OpenCV's conversion of planes: brightness of every pixel, and below it the colors of two by two.
PLANES = {
    "nv12": cv2.COLOR_YUV2BGR_NV12,
    "nv21": cv2.COLOR_YUV2BGR_NV21,
    "yuv420": cv2.COLOR_YUV2BGR_I420,
    "i420": cv2.COLOR_YUV2BGR_I420,
    "yv12": cv2.COLOR_YUV2BGR_YV12,
}
_TWO_COLOR_PLANES = ("yuv420", "i420", "yv12")
# Encoding -> pixels along a row that share their color, and which of U and V comes first in the plane of colors.
# OpenCV has no conversion of these.
FULL_PLANES = {"nv24": (1, "UV"), "nv42": (1, "VU"), "nv16": (2, "UV"), "nv61": (2, "VU")}
# Two neighbors share their color.
IN_PAIRS = frozenset(name for name, (channels, _) in EIGHT_BITS.items() if channels == 2)
# Intensities of 16 bits are taken by their upper byte, then as the encoding of 8 bits. 16UC1 is depth in most drivers.
SIXTEEN_BITS = {
    name.replace("8", "16"): name
    for name in ("mono8", "bgr8", "rgb8", "bgra8", "rgba8", *(name for name in EIGHT_BITS if name.startswith("bayer_")))
}
ENCODINGS = frozenset((*EIGHT_BITS, *SIXTEEN_BITS, *PLANES, *FULL_PLANES))
"""What is converted here."""

DEPTH_ENCODINGS = ("16UC1", "32FC1")
"""What is refused everywhere: it would become a gray image."""

DEPTH_ADVICE = "that is depth, not color: remap image_raw to the camera's color image"


def demosaic(mosaic: np.ndarray, encoding: str) -> np.ndarray | None:
    """Colors, uint8 [height, width, 3] BGR, of a mosaic, uint8 [height, width]; None for an encoding that is none."""
    name = SIXTEEN_BITS.get(encoding, encoding)
    return cv2.cvtColor(mosaic, int(EIGHT_BITS[name][1])) if name.startswith("bayer_") and name in EIGHT_BITS else None


def pixel_bytes(encoding: str) -> int:
    """Bytes of a pixel; 0 of an encoding that is not known here."""
    if encoding in SIXTEEN_BITS:
        return 2 * EIGHT_BITS[SIXTEEN_BITS[encoding]][0]
    if encoding in PLANES or encoding in FULL_PLANES:
        return 1  # of brightness
    return EIGHT_BITS[encoding][0] if encoding in EIGHT_BITS else 0


def rows_of(encoding: str, height: int) -> int:
    """Rows of `step` bytes that an image of this height has."""
    if encoding in FULL_PLANES:
        return height + 2 * height // FULL_PLANES[encoding][0]
    return height * 3 // 2 if encoding in PLANES else height


def is_even_enough(encoding: str, width: int, height: int, step: int) -> bool:
    """Whether the pixels that share their color are complete: some encodings need an even width, height or step."""
    if encoding in PLANES:
        return not (width % 2 or height % 2 or step % 2)
    paired = encoding in IN_PAIRS or FULL_PLANES.get(encoding, (1, ""))[0] == 2
    return not (paired and width % 2)


def from_full_planes(rows: np.ndarray, encoding: str, width: int, height: int) -> np.ndarray:
    """Colors, uint8 [height, width, 3] BGR, of a plane of brightness and below it one of colors with as many rows.

    rows: uint8 [rows_of(encoding, height), step].
    """
    shared, order = FULL_PLANES[encoding]
    colors = rows[height:].reshape(height, -1)[:, : 2 * width // shared].reshape(height, -1, 2)
    # As yuyv, where two neighbors share their color: pixels that do not are written twice, and every second is taken.
    bright = rows[:height, :width].reshape(height, -1, shared)
    u, v = (colors[..., order.index(letter)] for letter in "UV")
    packed = cv2.merge([np.ascontiguousarray(plane) for plane in (bright[..., 0], u, bright[..., -1], v)])
    image = cv2.cvtColor(packed.reshape(height, -1, 2), cv2.COLOR_YUV2BGR_YUY2)
    return image if shared == 2 else cv2.resize(image, (width, height), interpolation=cv2.INTER_NEAREST)


def from_planes(rows: np.ndarray, encoding: str, width: int, height: int) -> np.ndarray:
    """Colors, uint8 [height, width, 3] BGR, of planes, uint8 [height * 3 / 2, step]; width and height are even."""
    step = rows.shape[1]
    if encoding in _TWO_COLOR_PLANES and step > width:  # their rows are half as long, padding and all
        colors = rows[height:].reshape(height, -1)[:, : width // 2].reshape(height // 2, width)
        planes = np.concatenate([rows[:height, :width], colors])
    else:
        planes = np.ascontiguousarray(rows[:, :width])
    return cv2.cvtColor(planes, PLANES[encoding])
