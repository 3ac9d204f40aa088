"""JPEG and PNG bytes become arrays; their size is looked up first, because a few bytes may claim gigabytes."""

from __future__ import annotations

import struct
from contextlib import suppress

import cv2
import numpy as np

try:
    import simplejpeg
except ImportError:  # OpenCV serves as well, a tenth slower
    simplejpeg = None

MAX_PIXELS = 2**26
"""8192 x 8192: above every camera, and 200 MB when decoded."""

MAX_CHUNKS = 2**16
"""Of a PNG; the usual writers make one of 8 KiB or more, so that this is 500 MB."""

_DARK_BITS = 14  # what cameras of 10, 12 or 14 bits leave dark when nobody shifts their values

_PNG = b"\x89PNG\r\n\x1a\n"
_JPEG, _JPEG_END = b"\xff\xd8", b"\xff\xd9"
# Start-of-frame segments; C4, C8 and CC among them are tables.
_JPEG_FRAMES = frozenset(range(0xC0, 0xD0)) - {0xC4, 0xC8, 0xCC}
_JPEG_BARE = frozenset(range(0xD0, 0xD9)) | {0x01}  # markers without a length


def decode_image(data: np.ndarray, flags: int = cv2.IMREAD_COLOR) -> np.ndarray | None:
    """JPEG or PNG, uint8 [N] -> uint8 [height, width, 3] BGR; None for all else and for images above MAX_PIXELS.

    flags: IMREAD_GRAYSCALE gives [height, width]; with IMREAD_ANYDEPTH 16 bits stay uint16.
    """
    if not is_possible(data):
        return None
    # A camera's EXIF orientation must not turn the image: corners are given in the pixels of the sent image.
    if simplejpeg is not None and flags == cv2.IMREAD_COLOR and _is_whole_jpeg(data):
        with suppress(ValueError):  # too much damage, or four channels: as OpenCV has it
            return np.asarray(simplejpeg.decode_jpeg(data, "BGR", strict=False))
    return _decoded(data, flags | cv2.IMREAD_IGNORE_ORIENTATION)


def decode_file(data: np.ndarray, flags: int = cv2.IMREAD_COLOR) -> np.ndarray | None:
    """The bytes of an image file, uint8 [N], as decode_image, but of every kind that OpenCV reads, and turned as EXIF
    says; None for what is no image, and for a JPEG or PNG with a `refusal`."""
    return None if not data.size or refusal(data) is not None else _decoded(data, flags)


def through_jpeg(image: np.ndarray, quality: int) -> np.ndarray:
    """An image, uint8 [height, width, 3], as it comes back from a JPEG of this quality, 0 to 100."""
    return np.asarray(_decoded(cv2.imencode(".jpg", image, [cv2.IMWRITE_JPEG_QUALITY, quality])[1], cv2.IMREAD_COLOR))


def _decoded(data: np.ndarray, flags: int) -> np.ndarray | None:
    try:
        return cv2.imdecode(data, flags)
    except cv2.error:  # most damage gives None, some gives this; so do more than 2^30 pixels
        return None


def upper_byte(image: np.ndarray) -> tuple[np.ndarray, int]:
    """An image of 16 bits, uint16 -> uint8 of its shape, and how many bits its brightest value has, at least 8."""
    return (image >> 8).astype(np.uint8), max(8, int(image.max()).bit_length())


def dark_sentence(bits: int) -> str | None:
    """What to say about images of 16 bits that never use more than so many; None where all is well."""
    if bits > _DARK_BITS:
        return None
    return (
        f"images of 16 bits, of which only {bits} are used so far: expected values up to 65535, of which the upper "
        "byte is taken; let the driver shift them to the upper bits, or use 8 bits"
    )


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
    place = _jpeg_frame(data) if head.startswith(_JPEG) else None
    if place is None:
        return None
    height, width = struct.unpack(">HH", data[place + 5 : place + 9].tobytes())
    return width, height


def is_gray(data: np.ndarray) -> bool:
    """Whether a JPEG or PNG, uint8 [N], that is_possible has a single channel, apart from transparency."""
    if data[: len(_PNG)].tobytes() == _PNG:
        return int(data[25]) in (0, 4)
    place = _jpeg_frame(data)
    return place is not None and place + 9 < len(data) and int(data[place + 9]) == 1


def is_deep(data: np.ndarray) -> bool:
    """Whether it is a PNG of 16 bits a channel."""
    return len(data) > 25 and data[: len(_PNG)].tobytes() == _PNG and int(data[24]) == 16


def _is_whole_jpeg(data: np.ndarray) -> bool:
    """Whether the bytes are a JPEG up to its last marker; some cameras fill up with zeros behind it."""
    return data[: len(_JPEG)].tobytes() == _JPEG and data[-64:].tobytes().rstrip(b"\0").endswith(_JPEG_END)


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


def _jpeg_frame(data: np.ndarray) -> int | None:
    """Where the segment begins that says the size; None when there is none."""
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
            return place
        else:
            place += 2 + max(2, int(data[place + 2]) << 8 | int(data[place + 3]))
    return None
