"""The images of a data set: which files there are, and how large they are, without decoding them where that is cheap.

Pixels are those that cv2.imread gives, that is with the EXIF orientation applied; sizes are (width, height) of that.
"""

from __future__ import annotations

import os
import re
import struct
from dataclasses import dataclass
from pathlib import Path
from typing import BinaryIO

import cv2

from nanodet_kp_core.errors import DataError
from nanodet_kp_core.labels.labels import MAX_SIDE, Fault, LabeledImage, safe_name
from nanodet_kp_core.labels.pixels import read_pixels
from nanodet_kp_core.paths import FILE, FOLDER, names_below, what_is
from nanodet_kp_core.runtime.images.frame_sources import IMAGE_EXTENSIONS

DESERTED = "deserted"
"""PyLabelRoboMaster moves rejected images into a folder of this name."""

_START_OF_FRAME = {*range(0xC0, 0xD0)} - {0xC4, 0xC8, 0xCC}
_ORIENTATION = 0x0112


@dataclass(frozen=True)
class Header:
    """Size of an image as it is shown, and its EXIF orientation: 1 upright, 2..8 turned or mirrored when shown."""

    width: int
    height: int
    orientation: int = 1


def image_header(path: Path) -> Header:
    """Size and orientation of an image file; reads the head of a JPEG, PNG or BMP, decodes anything else.

    Raises DataError when the file is missing, no image, or larger than 65536 pixels a side.
    """
    try:
        with path.open("rb") as file:
            header = _cheap_header(file)
    except OSError as error:
        raise DataError(f"{path}: expected an image, got: {error.strerror}") from None
    header = header or _decoded_header(path)
    if not (1 <= header.width <= MAX_SIDE and 1 <= header.height <= MAX_SIDE):
        raise DataError(
            f"{path}: expected an image of 1 to {MAX_SIDE} pixels a side, got {header.width}x{header.height}"
        )
    return header


def _cheap_header(file: BinaryIO) -> Header | None:
    start = file.read(30)
    if start.startswith(b"\xff\xd8\xff"):
        return _jpeg_header(file)
    # A PNG whose second chunk is not the pixels may carry an orientation further on: that one is decoded.
    if start.startswith(b"\x89PNG\r\n\x1a\n") and start[12:16] == b"IHDR" and len(start) == 30:
        file.seek(37)
        return Header(*struct.unpack(">II", start[16:24])) if file.read(4) == b"IDAT" else None
    if start.startswith(b"BM") and len(start) == 30 and struct.unpack("<I", start[14:18])[0] >= 40:
        width, height = struct.unpack("<ii", start[18:26])
        return Header(width, abs(height))
    return None


def _jpeg_header(file: BinaryIO) -> Header | None:
    """Walk the segments of a JPEG up to its frame; None when it ends before."""
    orientation = 1
    file.seek(2)
    while True:
        mark = file.read(4)
        if len(mark) < 4 or mark[0] != 0xFF:
            return None
        if mark[1] == 0xFF:  # a fill byte
            file.seek(-3, os.SEEK_CUR)
            continue
        length = struct.unpack(">H", mark[2:])[0] - 2
        if length < 0:
            return None
        if mark[1] in _START_OF_FRAME:
            frame = file.read(5)
            if len(frame) < 5:
                return None
            height, width = struct.unpack(">HH", frame[1:])
            return Header(height, width, orientation) if orientation > 4 else Header(width, height, orientation)
        if mark[1] == 0xE1:
            orientation = _exif_orientation(file.read(length)) or orientation
        else:
            file.seek(length, os.SEEK_CUR)


def _exif_orientation(segment: bytes) -> int | None:
    """Orientation 1..8 out of an Exif segment, or None."""
    tiff = segment[6:]
    order = {b"II*\0": "<", b"MM\0*": ">"}.get(tiff[:4])
    if not segment.startswith(b"Exif\0\0") or order is None or len(tiff) < 10:
        return None
    first = struct.unpack(order + "I", tiff[4:8])[0]
    if first + 2 > len(tiff):
        return None
    entries = struct.unpack(order + "H", tiff[first : first + 2])[0]
    for position in range(first + 2, min(first + 2 + 12 * entries, len(tiff) - 11), 12):
        tag, _, _, value = struct.unpack(order + "HHIH", tiff[position : position + 10])
        if tag == _ORIENTATION:
            return value if 1 <= value <= 8 else None
    return None


def _decoded_header(path: Path) -> Header:
    image, raw = read_pixels(path), read_pixels(path, cv2.IMREAD_COLOR | cv2.IMREAD_IGNORE_ORIENTATION)
    # What turned it does not matter: an image that changes when its orientation is ignored is not upright.
    upright = image.shape == raw.shape and (image == raw).all()
    return Header(image.shape[1], image.shape[0], 1 if upright else 0)


def image_names(folder: Path) -> list[str]:
    """Names of the images in a folder and below, with forward slashes, sorted; hidden and deserted folders left out.

    Raises DataError when it is no folder.
    """
    return files_below(folder, IMAGE_EXTENSIONS)


def files_below(folder: Path, extensions: tuple[str, ...]) -> list[str]:
    """Names of the files with one of these extensions (lower case) in a folder and below, like image_names."""
    found = what_is(folder)
    if found != FOLDER:
        got = "nothing at that path" if found == "no such file" else found
        raise DataError(f"{folder}: expected a folder with {' '.join(extensions)} files, got {got}")
    return sorted(names_below(folder, extensions, lambda name: name.startswith(".") or name == DESERTED))


def existing(images: list[LabeledImage], faults: list[Fault]) -> list[LabeledImage]:
    """The images whose file is there; a fault for each other one and for each that is listed twice."""
    kept, seen = [], set()
    for image in images:
        if not image.path.is_file():
            faults.append(Fault(image.where, f"expected its image {image.path}, got no such file"))
        elif image.name in seen:
            faults.append(Fault(image.where, f"expected each image once, got {image.name!r} a second time"))
        else:
            kept.append(image)
        seen.add(image.name)
    return kept


def name_below(folder: Path, written: object) -> object:
    """The name of an image below the folder that a label file means by what it says, as far as the file is there.

    Label tools write backslashes (Windows), the folder's own name before, and absolute paths of another machine.
    Everything else is returned as it is.
    """
    if not isinstance(written, str) or not written.isprintable() or (safe_name(written) and _is_there(folder, written)):
        return written
    parts = [part for part in re.split(r"[\\/]+", written) if part not in ("", ".", "..")]
    absolute = written.startswith(("/", "\\")) or re.match(r"[A-Za-z]:[\\/]", written) is not None
    outside = ".." in re.split(r"[\\/]+", written)
    for first in range(len(parts)):
        name = "/".join(parts[first:])
        # What stands before may be left out when it is the folder itself, or cannot be right in any case.
        belongs = absolute or (parts[first - 1] == folder.name if first else not outside)
        if belongs and safe_name(name) and _is_there(folder, name):
            return name
    return written


def _is_there(folder: Path, name: str) -> bool:
    return what_is(folder / name) == FILE
