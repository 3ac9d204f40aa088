"""JPEG and PNG bytes become arrays; their size is looked up first, because a few bytes may claim gigabytes."""

from __future__ import annotations

import struct

import cv2
import numpy as np

MAX_PIXELS = 2**26
"""8192 x 8192: above every camera, and 200 MB when decoded."""

MAX_CHUNKS = 2**16
"""Of a PNG; the usual writers make one of 8 KiB or more, so that this is 500 MB."""

_PNG = b"\x89PNG\r\n\x1a\n"
_JPEG = b"\xff\xd8"
# Start-of-frame segments; C4, C8 and CC among them are tables.
_JPEG_FRAMES = frozenset(range(0xC0, 0xD0)) - {0xC4, 0xC8, 0xCC}
_JPEG_BARE = frozenset(range(0xD0, 0xD9)) | {0x01}  # markers without a length


def decode_image(data: np.ndarray) -> np.ndarray | None:
    """JPEG or PNG, uint8 [N] -> uint8 [height, width, 3] BGR; None for all else and for images above MAX_PIXELS."""
    if not is_possible(data):
        return None
    try:
        # A camera's EXIF orientation must not turn the picture: corners are given in the pixels of the sent image.
        return cv2.imdecode(data, cv2.IMREAD_COLOR | cv2.IMREAD_IGNORE_ORIENTATION)
    except cv2.error:  # most damage gives None, some gives this
        return None


def is_possible(data: np.ndarray) -> bool:
    """Whether the bytes begin as those of an image of 1 to MAX_PIXELS pixels."""
    size = image_size(data)
    return size is not None and 0 < size[0] * size[1] <= MAX_PIXELS


def refusal(data: np.ndarray) -> str | None:
    """Why a JPEG or PNG, uint8 [N], must not be decoded: what was expected and what came; None when it may be.

    None for all other bytes: OpenCV reads more kinds of files, and what they claim is bounded by OpenCV alone.
    """
    head = data[: len(_PNG)].tobytes()
    kind = "PNG" if head == _PNG else "JPEG" if head.startswith(_JPEG) else None
    if kind is None:
        return None
    size = image_size(data)
    if size is not None and 0 < size[0] * size[1] <= MAX_PIXELS:
        return None
    if size is None:
        return f"expected a readable image, got a {kind} that is cut off or damaged, of {len(data)} bytes"
    return f"expected a readable image of 1 to {MAX_PIXELS} pixels, got a {kind} that claims {size[0]}x{size[1]}"


def image_size(data: np.ndarray) -> tuple[int, int] | None:
    """(width, height) that a JPEG or PNG, uint8 [N], claims; None when it is neither, or a PNG cut off.
    ITU T.81 B, PNG 11.2.2."""
    head = data[:24].tobytes()
    if head.startswith(_PNG) and len(head) == 24 and head[12:16] == b"IHDR":
        width, height = struct.unpack(">II", head[16:24])
        return (width, height) if _png_is_whole(data) else None
    return _jpeg_size(data) if head.startswith(_JPEG) else None


def _png_is_whole(data: np.ndarray) -> bool:
    """Whether every chunk ends inside the data, the last with IEND: OpenCV takes the memory that a chunk claims, up to
    4 GB, before it looks whether so much came. PNG 5.3."""
    place = len(_PNG)
    for _ in range(MAX_CHUNKS):
        if place + 12 > len(data):
            return False
        length, kind = struct.unpack(">I4s", data[place : place + 8].tobytes())
        place += 12 + length
        if kind == b"IEND":
            return place <= len(data)
    return False


def _jpeg_size(data: np.ndarray) -> tuple[int, int] | None:
    place = 2
    while place + 9 <= len(data):
        if data[place] != 0xFF:
            return None
        marker = int(data[place + 1])
        if marker == 0xFF:  # filling
            place += 1
        elif marker in _JPEG_BARE:
            place += 2
        elif marker in _JPEG_FRAMES:
            height, width = struct.unpack(">HH", data[place + 5 : place + 9].tobytes())
            return width, height
        else:
            place += 2 + max(2, int(data[place + 2]) << 8 | int(data[place + 3]))
    return None
