"""Images from a file, a folder, a video or a camera, one after another."""

from __future__ import annotations

import fnmatch
import math
import os
import re
import sys
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import cv2
import numpy as np

from nanodet_kp_core.errors import SourceError
from nanodet_kp_core.paths import FILE, FOLDER, brief, names_below, resolved, what_is
from nanodet_kp_core.runtime.images.capture import Capture
from nanodet_kp_core.runtime.images.image_bytes import dark_sentence, decode_file, is_deep, upper_byte

SAVED_EXTENSIONS = (".bmp", ".jpeg", ".jpg", ".png", ".tif", ".tiff", ".webp")
"""What every OpenCV writes in color, in lower case."""

IMAGE_EXTENSIONS = (
    *SAVED_EXTENSIONS, ".avif", ".dib", ".jfif", ".jp2", ".jpe", ".pam", ".pbm", ".pgm", ".pnm", ".ppm", ".ras", ".sr"
)  # fmt: skip
"""What counts as an image, in lower case. An OpenCV that cannot read one of them says so, image by image."""

_STREAM = re.compile(r"(?i)(rtsps?|rtmp|https?|udp|tcp|srt|rtp)://.")
_EIGHT_BITS = (b"\xff\xd8", b"\x89P", b"BM", b"RI")  # JPEG, PNG (see is_deep), BMP, WebP; all others may have 16
_RECORDINGS = (".db3", ".mcap", ".bag", ".zstd")


@dataclass(frozen=True)
class Frame:
    """One image of a source.

    name: file name (relative to the folder, with forward slashes) or "frame_000000" for videos and cameras.
    image: uint8 [height, width, 3], BGR.
    time_s: seconds since the start of a video; None for images, cameras and videos that do not say their
        rate.
    """

    name: str
    image: np.ndarray
    time_s: float | None = None


class ImageSource:
    """Images of a list of files; can be iterated again and again.

    Attributes:
        fps: None; live: False.
        unreadable: names skipped so far in the latest round, each with a warning on stderr.
    """

    fps: float | None = None
    live = False

    def __init__(self, root: Path, names: list[str]) -> None:
        self.root = root
        self.names = names
        self.unreadable: list[str] = []

    def __len__(self) -> int:
        return len(self.names)

    def __iter__(self) -> Iterator[Frame]:
        """Raises:
        SourceError: not one of the files could be read.
        """
        self.unreadable = []
        bits = 0
        for name in self.names:
            image, used = _read(self.root / name)
            if image is not None:
                bits = max(bits, used)
                yield Frame(name, image)
                continue
            self.unreadable.append(name)
            if len(self.names) > 1:
                print(f"warning: {self.root / name}: not a readable image, skipped", file=sys.stderr)
        dark = dark_sentence(bits) if bits else None
        if dark is not None:
            print(f"warning: {self.root}: {dark}", file=sys.stderr)
        if len(self.unreadable) == len(self.names):
            one = len(self.names) == 1
            what, got = (self.root / self.names[0], "a file") if one else (self.root, f"{len(self.names)} files")
            raise SourceError(
                f"source {what}: expected a readable image, got {got} that OpenCV cannot decode; "
                f"check that {'it is' if one else 'they are'} complete"
            )

    def close(self) -> None:
        """Nothing to release."""


class VideoSource:
    """Frames of a video file or a camera. A video starts again with every iteration; a camera goes on.

    Attributes:
        fps: frames per second, None when the video or camera does not say.
        live: True for a camera.
        unreadable: always empty.
    """

    def __init__(self, source: str | int) -> None:
        """Open it and read the first frame.

        Raises:
            SourceError: it cannot be opened or has no frame.
        """
        self.live = isinstance(source, int) or _STREAM.match(source) is not None
        self.unreadable: list[str] = []
        self._source = source
        self._name = f"camera {source}" if isinstance(source, int) else f"source {source}"
        self._capture, self._first = self._open()
        rate = self._capture.rate
        self.fps = rate if math.isfinite(rate) and 0 < rate <= 1000 else None

    def __iter__(self) -> Iterator[Frame]:
        """Raises:
        SourceError: the camera stopped to deliver, or the video cannot be opened again.
        """
        if self._first is None and not self.live:
            self._capture.release()
            self._capture, self._first = self._open()
        index = 0
        image, self._first = self._first, None
        while True:
            if image is None:
                image = self._capture.read()
            if image is None:
                break
            time_s = index / self.fps if self.fps and not self.live else None
            yield Frame(f"frame_{index:06d}", image, time_s)
            index, image = index + 1, None
        if self.live:
            raise SourceError(f"{self._name}: expected a next image, got none; check the cable and other users of it")

    def close(self) -> None:
        """Release the file or the camera."""
        self._capture.release()

    def _open(self) -> tuple[Capture, np.ndarray | None]:
        capture = Capture(self._source)
        image = capture.read()
        if image is not None:
            return capture, image
        capture.release()
        if self.live and isinstance(self._source, str):
            raise SourceError(
                f"{self._name}: expected a stream that OpenCV can open, got no image from it; check the address, and "
                "try it in a player of videos"
            )
        if self.live:
            raise SourceError(
                f"{self._name}: expected a camera with this index, got no image from it; "
                "check the index, the cable and the permissions of /dev/video*"
            )
        raise SourceError(
            f"{self._name}: expected an image ({' '.join(IMAGE_EXTENSIONS)}) or a video that OpenCV can "
            "decode, got a file without a single frame; convert it or check that it is complete"
        )


Source = ImageSource | VideoSource


def open_source(source: str) -> Source:
    """Open an image, a folder (with its sub-folders, names sorted), a video file or a camera.

    Args:
        source: a path, or a pattern of image names; a whole number or /dev/videoN is a camera index (write ./0 for a
            path that is a number), and rtsp://, http:// and the like a stream.

    Returns:
        An iterable of Frame with `fps`, `live`, `unreadable` and `close()`.

    Raises:
        SourceError: it does not exist, a folder holds no image, a video or camera gives no frame. A broken
            image shows only when it is read: see ImageSource.
    """
    device = re.fullmatch(r"(?:/dev/video)?([0-9]{1,9})", source)
    if device:
        return VideoSource(int(device[1]))
    if _STREAM.match(source):
        return VideoSource(source)
    path = resolved(source, SourceError)
    found = what_is(path) if source else "an empty text"  # Path("") would be the current folder
    if found == FOLDER:
        return ImageSource(path, _image_names(path))
    matching = [] if found == FILE else _matching(path)
    if matching:
        return ImageSource(path.parent, matching)
    if found != FILE and _is_pattern(path):
        raise SourceError(
            f"source {brief(source)!r}: expected images ({' '.join(IMAGE_EXTENSIONS)}) that fit this pattern, got "
            "none; videos are named one by one"
        )
    if found != FILE:
        raise SourceError(
            f"source {brief(source)!r}: expected an image, a folder, a video or a camera index, got {found}; "
            "check the path"
        )
    if path.name.lower().endswith(_RECORDINGS):
        raise SourceError(
            f"source {path}: expected images or a video, got a recording of ROS; the node player_node plays it, "
            "and `nanodet-kp bag` makes images of it"
        )
    if path.suffix.lower() in IMAGE_EXTENSIONS:
        return ImageSource(path.parent, [path.name])
    return VideoSource(str(path))


def _is_pattern(path: Path) -> bool:
    return re.search(r"%0?\d*d|[*?\[]", path.name) is not None and what_is(path.parent) == FOLDER


def _matching(path: Path) -> list[str]:
    """Names of the images that a pattern such as img_%04d.png or *.png stands for; none for a usual name."""
    if not _is_pattern(path):
        return []
    numbered = re.search(r"%(0?)(\d*)d", path.name)
    if numbered:
        digits = f"[0-9]{{{numbered[2]},}}" if numbered[2] else "[0-9]+"
        wanted = re.escape(path.name[: numbered.start()]) + digits + re.escape(path.name[numbered.end() :])
    else:
        wanted = fnmatch.translate(path.name)
    names = [entry.name for entry in os.scandir(path.parent) if entry.is_file()]
    return sorted(name for name in names if re.fullmatch(wanted, name) and name.lower().endswith(IMAGE_EXTENSIONS))


def _image_names(folder: Path) -> list[str]:
    found = names_below(folder, IMAGE_EXTENSIONS)
    if not found:
        raise SourceError(
            f"source {folder}: expected images ({' '.join(IMAGE_EXTENSIONS)}) in the folder or below, got "
            "none; check the path"
        )
    return sorted(found)


def _read(path: Path) -> tuple[np.ndarray | None, int]:
    """The image, None when it is none; and how many of its 16 bits it uses, 16 for a usual one of 8."""
    try:
        data = np.fromfile(path, np.uint8)  # not imread: it fails on paths that are no ASCII on some systems
    except OSError:
        return None, 0
    if is_deep(data) or data[:2].tobytes() not in _EIGHT_BITS:
        image = decode_file(data, cv2.IMREAD_COLOR | cv2.IMREAD_ANYDEPTH)
        if image is None or image.dtype in (np.uint8, np.uint16):
            return upper_byte(image) if image is not None and image.dtype == np.uint16 else (image, 16)
    return decode_file(data), 16
