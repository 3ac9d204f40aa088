"""The pixels of an image file."""

from __future__ import annotations

from pathlib import Path

import cv2
import numpy as np

from nanodet_kp_core.errors import DataError
from nanodet_kp_core.runtime.images.image_bytes import decode_file, is_deep, refusal, upper_byte


def read_pixels(path: Path, flags: int = cv2.IMREAD_COLOR) -> np.ndarray:
    """The image as it is shown (EXIF orientation applied), uint8 [H, W, 3] BGR.

    Raises DataError when it is missing or broken, a JPEG or PNG whose end is missing too, and when a JPEG or PNG claims
    more than MAX_PIXELS: a few bytes can claim gigabytes.
    """
    try:
        data = np.fromfile(path, np.uint8)  # not imread: it grays out what a cut-off JPEG lacks
    except OSError:
        data = np.empty(0, np.uint8)
    image = decode_file(data, flags)
    if image is None:
        reason = refusal(data) or "expected a readable image, got a missing or broken file"
        raise DataError(f"{path}: {reason}")
    return image


def used_bits(path: Path) -> int | None:
    """How many bits the brightest value of a PNG of 16 bits has, at least 8; None for every other image."""
    if not is_deep(np.fromfile(path, np.uint8, count=32)):  # its head says so
        return None
    image = decode_file(np.fromfile(path, np.uint8), cv2.IMREAD_COLOR | cv2.IMREAD_ANYDEPTH)
    return None if image is None or image.dtype != np.uint16 else upper_byte(image)[1]
