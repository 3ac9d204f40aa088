"""A bag becomes a data set: some of its images, with what the model found on them as labels to correct."""

from __future__ import annotations

import shutil
import tempfile
from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import cv2
import numpy as np

from nanodet_kp_core.errors import ConfigError, DataError, ImageError, SourceError
from nanodet_kp_core.labels import write_labels
from nanodet_kp_core.labels.labels import LabeledImage
from nanodet_kp_core.labels.lossy_conversions import losses
from nanodet_kp_core.labels.prelabels import prelabeled
from nanodet_kp_core.runtime.detection.detector import Detector
from nanodet_kp_core.runtime.images.compressed_message import is_mosaic
from nanodet_kp_core.runtime.images.rosbag_reader import IMAGE_TYPES, Bag, Recorded

MAX_RATE = 1e4
_JPEG_QUALITY = 95
_JPEG = b"\xff\xd8\xff"


@dataclass(frozen=True)
class Choice:
    """Which images are taken: every n-th, and no more than per_second by the times of the recording (0: no bound).

    Raises ConfigError for a number out of range.
    """

    every: int = 1
    per_second: float = 0.0

    def __post_init__(self) -> None:
        if self.every < 1:
            raise ConfigError(f"every: expected a whole number of at least 1, got {self.every}")
        if not 0 <= self.per_second <= MAX_RATE:  # refuses NaN too
            raise ConfigError(f"per-second: expected a number of 0 to {MAX_RATE:g}, got {self.per_second}")


@dataclass(frozen=True)
class BagImages:
    """What came of it: the labeled images, and what was wrong with those that could not be read."""

    images: list[LabeledImage]
    broken: list[str]


def chosen(bag: Iterable[Recorded], topic: str, choice: Choice) -> Iterator[tuple[int, Recorded]]:
    """The images that are taken, each with its number among the images of the topic."""
    next_ns: float = 0
    images = (recorded for recorded in bag if recorded.topic == topic)
    for number, recorded in enumerate(images):
        if number % choice.every or (choice.per_second and recorded.time_ns < next_ns):
            continue
        next_ns = recorded.time_ns + (1e9 / choice.per_second if choice.per_second else 0)
        yield number, recorded


def label_bag(
    bag: Bag,
    out: Path,
    format_name: str,
    detector: Detector,
    decode: Callable[[Any, str], np.ndarray],
    choice: Choice,
    progress: Callable[[Iterable[tuple[int, Recorded]]], Iterable[tuple[int, Recorded]]] = lambda found: found,
) -> BagImages:
    """Write a data set in `format_name` (as in data.name) into `out`, a new or empty folder.

    decode: (message, type name) -> uint8 [height, width, 3] BGR, or ImageError. progress: wraps the iteration.
    Images are JPEG; those that came as JPEG are kept byte for byte, but for mosaics. Nothing is written into `out`
    before all is there. Raises DataError when `out` holds something, cannot be written, or the format cannot hold the
    labels; SourceError when the bag breaks off or holds no image that can be read.
    """
    if out.exists() and (not out.is_dir() or any(out.iterdir())):
        raise DataError(f"{out}: expected a new or empty folder to write into, got one with files in it")
    try:
        out.parent.mkdir(parents=True, exist_ok=True)
        stage = Path(tempfile.mkdtemp(prefix=f".{out.name}.", dir=out.parent))
    except OSError as error:
        raise DataError(f"{out}: expected to write here, got: {error.strerror}") from None
    try:
        found = BagImages([], [])
        for number, recorded in progress(chosen(bag, bag.topic, choice)):
            name = f"{bag.path.stem}_{number:06d}.jpg"
            try:
                found.images.append(_labeled(bag, recorded, stage, name, detector, decode))
            except ImageError as error:
                found.broken.append(f"image {number} at {recorded.time_ns} ns: {error}")
        if not found.images:
            raise SourceError(f"bag {bag.path}: expected images on {bag.topic}, got none that can be read")
        lost = losses(format_name, found.images, False)
        if lost:
            raise DataError(f"{out}: expected a format that holds all labels, got {', '.join(lost)}; choose another")
        write_labels(format_name, out, found.images, detector.metadata.class_names, "move")
        return found
    finally:
        shutil.rmtree(stage, ignore_errors=True)


def _labeled(
    bag: Bag, recorded: Recorded, stage: Path, name: str, detector: Detector,
    decode: Callable[[Any, str], np.ndarray],
) -> LabeledImage:  # fmt: skip
    try:
        message = bag.message(recorded)
    except SourceError as error:
        raise ImageError(str(error)) from None
    image = decode(message, recorded.type_name)
    path = stage / name
    try:
        path.write_bytes(_jpeg(message, recorded.type_name, image))
    except OSError as error:
        raise DataError(f"{path.parent}: expected to write here, got: {error.strerror}") from None
    height, width = image.shape[:2]
    return prelabeled(name, path, (width, height), detector(image))


def _jpeg(message: Any, type_name: str, image: np.ndarray) -> bytes:
    """The image as JPEG: as it came, unless label tools would turn it by what its EXIF says."""
    if type_name == IMAGE_TYPES[1]:
        data = bytes(message.data)
        if data.startswith(_JPEG) and not is_mosaic(message) and b"Exif\0\0" not in data[:4096]:
            return data
    return cv2.imencode(".jpg", image, [cv2.IMWRITE_JPEG_QUALITY, _JPEG_QUALITY])[1].tobytes()
