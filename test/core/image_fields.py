"""Image messages without ROS: their fields, as a bag's refiner gives them, and broken PNG and JPEG bytes."""

from __future__ import annotations

import array
import os
import struct
import zlib
from dataclasses import dataclass, field

import cv2
import numpy as np

FUZZ_EXAMPLES = int(os.environ.get("FUZZ_EXAMPLES", "300"))
"""Inputs of each fuzz test; some hundred thousand were run with FUZZ_EXAMPLES=200000."""


@dataclass
class Image:
    """sensor_msgs/Image."""

    width: int = 0
    height: int = 0
    encoding: str = ""
    step: int = 0
    is_bigendian: int = 0
    data: array.array = field(default_factory=lambda: array.array("B"))


@dataclass
class CompressedImage:
    """sensor_msgs/CompressedImage."""

    format: str
    data: array.array


def picture(height=30, width=50):
    y, x = np.mgrid[0:height, 0:width]
    return np.stack([4 * x, 5 * y, 200 - 3 * x], axis=2).astype(np.uint8)


def encoded(extension, image=None, *options):
    return cv2.imencode(extension, picture() if image is None else image, list(options))[1].tobytes()


def png_of_size(width, height):
    """A whole PNG of a hundred kilobytes of pixels that claims to be as large as this."""

    def chunk(name, body):
        return struct.pack(">I", len(body)) + name + body + struct.pack(">I", zlib.crc32(name + body))

    header = struct.pack(">IIBBBBB", width, height, 8, 2, 0, 0, 0)
    body = chunk(b"IHDR", header) + chunk(b"IDAT", zlib.compress(bytes(100_000))) + chunk(b"IEND", b"")
    return b"\x89PNG\r\n\x1a\n" + body


def jpeg_of_size(width, height):
    data = bytearray(encoded(".jpg"))
    place = data.index(b"\xff\xc0")
    data[place + 5 : place + 9] = struct.pack(">HH", height, width)
    return bytes(data)
