"""From a camera image to the network's input, and the exact way back for points.

Pixel coordinates, everywhere in this package: the center of the left-top pixel is (0, 0), so a whole-number
coordinate is the center of a pixel (as in OpenCV's drawing and calibration functions). Resizing by a factor s
moves a point to x' = (x + 0.5) * s - 0.5, which is what cv2.resize does to pixel centers. A mapping without
the halves would shift every corner by up to (1 - s) / (2 s) source pixels: one pixel for 1280 -> 416.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from functools import cached_property

import cv2
import numpy as np

from nanodet_kp_core.errors import ConfigError, ImageError
from nanodet_kp_core.runtime.models.metadata import InputSpec

CHANNEL_ORDERS = ("bgr", "rgb", "mono")
"""Images that the preprocessing takes as they are."""


@dataclass(frozen=True)
class Letterbox:
    """How an image lies in the network's input. Also describes a stretch: then the pad is 0.

    scale:
        (x, y) factor from image pixels to input pixels. The two differ slightly in a letterbox as well,
        because the resized image has a whole number of pixels; with the true factors the way back is exact.
    pad:
        (x, y) whole input pixels left of and above the resized image.
    size:
        (width, height) of the resized image in input pixels.
    """

    scale: tuple[float, float]
    pad: tuple[int, int]
    size: tuple[int, int]

    def to_input(self, points: np.ndarray) -> np.ndarray:
        """Points [..., 2] in image pixels -> input pixels, same shape."""
        return (points + 0.5) * self._scale - 0.5 + self._pad

    def to_image(self, points: np.ndarray) -> np.ndarray:
        """Points [..., 2] in input pixels -> image pixels, float64, same shape. Nothing is clipped to the image."""
        return (points - self._pad + 0.5) / self._scale - 0.5

    @cached_property
    def _scale(self) -> np.ndarray:
        return np.asarray(self.scale, np.float64)

    @cached_property
    def _pad(self) -> np.ndarray:
        return np.asarray(self.pad, np.float64)


def check_image(image: object, channel_order: str = "bgr") -> np.ndarray:
    """Return the image when it is uint8 [height, width, 3], or [height, width] for "mono", with at least one pixel.

    Raises:
        ImageError: anything else.
    """
    depth = () if channel_order == "mono" else (3,)
    shape = "[height, width]" if channel_order == "mono" else "[height, width, 3]"
    expected = f"expected an image as uint8 {shape} ({channel_order.upper()}) with at least one pixel"
    if not isinstance(image, np.ndarray):
        unread = "; cv2.imread gives None for a file that it cannot read: check the path" if image is None else ""
        raise ImageError(f"{expected}, got {type(image).__name__}{unread}")
    if image.dtype != np.uint8 or image.ndim < 2 or image.shape[2:] != depth or image.size == 0:
        raise ImageError(f"{expected}, got {image.dtype} {list(image.shape)}; convert it first")
    return image


def fit(image_width: int, image_height: int, spec: InputSpec) -> Letterbox:
    """Where an image of this size comes to lie in the input: keep-ratio and centered, or stretched."""
    if spec.resize == "stretch":
        size = (spec.width, spec.height)
    else:
        ratio = min(spec.width / image_width, spec.height / image_height)
        # At least one pixel, so that an extreme panorama still has an image to resize to.
        width = min(spec.width, max(1, round(image_width * ratio)))
        size = (width, min(spec.height, max(1, round(image_height * ratio))))
    scale = (size[0] / image_width, size[1] / image_height)
    pad = ((spec.width - size[0]) // 2, (spec.height - size[1]) // 2)
    return Letterbox(scale, pad, size)


class Preprocessor:
    """Turns images into the network's input in memory that it keeps: resize into the letterbox, then split into planes.

    halved: the last image at half its size, averaged, where the way to the input led over it, until the next call.
    An instance serves one thread at a time, and every call writes into the same blob.
    """

    def __init__(self, spec: InputSpec) -> None:
        self.spec = spec
        self._placed: Letterbox | None = None
        self._shape: tuple[int, ...] = ()
        self._bytes = np.empty((spec.batch, 3, spec.height, spec.width), np.uint8)
        self._blob = self._bytes if spec.dtype == "uint8" else np.empty(self._bytes.shape, np.float32)
        self._canvas = np.empty((0, 0), np.uint8)
        self._rooms: dict[tuple[int, ...], np.ndarray] = {}
        self.halved: np.ndarray | None = None

    def __call__(self, image: np.ndarray, channel_order: str = "bgr") -> tuple[np.ndarray, Letterbox]:
        """Turn one image into the network's input.

        Args:
            image: uint8 [height, width, 3], or [height, width] for "mono"; rows may be padded (a strided view).
            channel_order: "bgr", "rgb" or "mono": what the image has. The blob has what the model wants.

        Returns:
            The blob [1, 3, spec.height, spec.width] in spec.dtype, valid until the next call, and how the image
            lies in it.

        Raises:
            ImageError: the image is empty or of another type or shape.
            ConfigError: an unknown channel order.
        """
        return self.batch([image], channel_order)

    def batch(self, images: Sequence[np.ndarray], channel_order: str = "bgr") -> tuple[np.ndarray, Letterbox]:
        """The same for 1..spec.batch images of one size; places without an image keep what was there."""
        if channel_order not in CHANNEL_ORDERS:
            raise ConfigError(f"channel_order: expected one of {CHANNEL_ORDERS}, got {channel_order!r}")
        shape, *others = (check_image(image, channel_order).shape for image in images)
        for other in others:
            if other != shape:
                raise ImageError(f"expected images of one size in a batch, got {list(shape)} and {list(other)}")
        if shape != self._shape or self._placed is None:
            self._placed = fit(shape[1], shape[0], self.spec)
            self._shape = shape
            self._rooms.clear()
            self._canvas = np.full((self.spec.height, self.spec.width, *shape[2:]), self.spec.pad_value, np.uint8)
        for image, planes in zip(images, self._bytes):
            self._fill(planes, image, self._placed, channel_order)
        if self._blob is not self._bytes:
            np.copyto(self._blob, self._bytes)
            if self.spec.mean is not None and self.spec.std is not None:
                self._blob -= np.asarray(self.spec.mean, np.float32).reshape(1, 3, 1, 1)
                self._blob /= np.asarray(self.spec.std, np.float32).reshape(1, 3, 1, 1)
        return self._blob, self._placed

    def _fill(self, planes: np.ndarray, image: np.ndarray, placed: Letterbox, channel_order: str) -> None:
        (left, top), (width, height) = placed.pad, placed.size
        self._resize(_as_rows(image), self._canvas[top : top + height, left : left + width])
        if channel_order == "mono":
            planes[:] = self._canvas
            return
        # Of the whole canvas: split is ten times slower into a part of a plane. Planes in the order that the model
        # wants: no conversion, no transposition.
        cv2.split(self._canvas, list(planes if channel_order == self.spec.channel_order else planes[::-1]))

    def _resize(self, image: np.ndarray, target: np.ndarray) -> None:
        """Resize into `target`, smoothing where it shrinks much.

        Plain bilinear reads two pixels of every three when it shrinks 1280 to 416: bars two pixels wide flicker and
        corners jump. INTER_AREA to the final size has no such gaps, but takes 4.7 ms for 1280x1024 where bilinear takes
        0.4 ms. Halving is its fast case (0.3 ms), so: halve by area while more than a half remains to go, then
        bilinear. Both steps keep the half-pixel mapping, but halving is exact only for even sides; others stay
        bilinear.
        """
        (height, width), (to_height, to_width) = image.shape[:2], target.shape[:2]
        self.halved = None
        while width > 2 * to_width and height > 2 * to_height and width % 2 == 0 and height % 2 == 0:
            width, height = width // 2, height // 2
            room = self._room((height, width, *image.shape[2:]))
            image = cv2.resize(image, (width, height), dst=room, interpolation=cv2.INTER_AREA)
            self.halved = image if self.halved is None else self.halved
        if (height, width) == (to_height, to_width):
            np.copyto(target, image)
            return
        # Bilinear to exactly a half is the mean of four pixels as well.
        cv2.resize(image, (to_width, to_height), dst=target, interpolation=cv2.INTER_LINEAR)

    def _room(self, shape: tuple[int, ...]) -> np.ndarray:
        if shape not in self._rooms:
            self._rooms[shape] = np.empty(shape, np.uint8)
        return self._rooms[shape]


def preprocess(image: np.ndarray, spec: InputSpec) -> tuple[np.ndarray, Letterbox]:
    """The network's input for one BGR image in new memory; see Preprocessor."""
    return Preprocessor(spec)(image)


def _as_rows(image: np.ndarray) -> np.ndarray:
    """The image itself when OpenCV can read it where it lies (rows may be padded), else a copy."""
    pixel = image.shape[2] if image.ndim == 3 else 1
    inner = (pixel, 1) if image.ndim == 3 else (1,)
    readable = image.strides[1:] == inner and image.strides[0] >= pixel * image.shape[1]
    if image.shape[:2] == (1, 1):  # which OpenCV 4.5 does not take for an image
        return np.repeat(image, 2, axis=1)
    return image if readable else np.ascontiguousarray(image)
