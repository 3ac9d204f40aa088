"""From a camera image to the network's input, and the exact way back for points.

Pixel coordinates, everywhere in this package: the centre of the left-top pixel is (0, 0), so a whole-number
coordinate is the centre of a pixel (as in OpenCV's drawing and calibration functions). Resizing by a factor s
moves a point to x' = (x + 0.5) * s - 0.5, which is what cv2.resize does to pixel centres. A mapping without
the halves would shift every corner by up to (1 - s) / (2 s) source pixels: one pixel for 1280 -> 416.
"""

from __future__ import annotations

from dataclasses import dataclass

import cv2
import numpy as np

from nanodet_kp_core.errors import ImageError
from nanodet_kp_core.runtime.metadata import InputSpec


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
        return (points + 0.5) * self._scale() - 0.5 + self._pad()

    def to_image(self, points: np.ndarray) -> np.ndarray:
        """Points [..., 2] in input pixels -> image pixels, same shape. Nothing is clipped to the image."""
        return (points - self._pad() + 0.5) / self._scale() - 0.5

    def _scale(self) -> np.ndarray:
        return np.asarray(self.scale, np.float64)

    def _pad(self) -> np.ndarray:
        return np.asarray(self.pad, np.float64)


def check_image(image: object) -> np.ndarray:
    """Return the image when it is uint8 [height, width, 3] with at least one pixel.

    Raises:
        ImageError: anything else.
    """
    expected = "expected an image as uint8 [height, width, 3] (BGR) with at least one pixel"
    if not isinstance(image, np.ndarray):
        raise ImageError(f"{expected}, got {type(image).__name__}; was the image read at all?")
    if image.dtype != np.uint8 or image.ndim != 3 or image.shape[2] != 3 or image.size == 0:
        raise ImageError(f"{expected}, got {image.dtype} {list(image.shape)}; convert it first")
    return image


def fit(image_width: int, image_height: int, spec: InputSpec) -> Letterbox:
    """Where an image of this size comes to lie in the input: keep-ratio and centred, or stretched."""
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


def preprocess(image: np.ndarray, spec: InputSpec) -> tuple[np.ndarray, Letterbox]:
    """Turn a BGR image into the network's input.

    Args:
        image: uint8 [height, width, 3], BGR.
        spec: what the model wants.

    Returns:
        The blob, float32 [1, 3, spec.height, spec.width], and how the image lies in it.

    Raises:
        ImageError: the image is empty or of another type or shape.
    """
    check_image(image)
    placed = fit(image.shape[1], image.shape[0], spec)
    canvas = np.full((spec.height, spec.width, 3), spec.pad_value, np.uint8)
    (left, top), (width, height) = placed.pad, placed.size
    canvas[top : top + height, left : left + width] = _resize(np.ascontiguousarray(image), placed.size)
    return _blob(canvas, spec), placed


def _resize(image: np.ndarray, size: tuple[int, int]) -> np.ndarray:
    """Resize to (width, height), smoothing where it shrinks much.

    Plain bilinear reads two pixels of every three when it shrinks 1280 to 416: bars two pixels wide flicker
    and corners jump. INTER_AREA to the final size has no such gaps but took 2.6 ms for 1280x1024 (bilinear:
    0.3 ms, two cores). Halving is its fast case, so: halve by area while more than a half remains to go, then
    bilinear, 0.5 ms. Both steps keep the half-pixel mapping, but halving is exact only for even sides; others
    stay bilinear.
    """
    height, width = image.shape[:2]
    while width >= 2 * size[0] and height >= 2 * size[1] and width % 2 == 0 and height % 2 == 0:
        width, height = width // 2, height // 2
        image = cv2.resize(image, (width, height), interpolation=cv2.INTER_AREA)
    if (width, height) == size:
        return image
    return cv2.resize(image, size, interpolation=cv2.INTER_LINEAR)


def _blob(canvas: np.ndarray, spec: InputSpec) -> np.ndarray:
    """uint8 [H, W, 3] BGR -> float32 [1, 3, H, W] in the model's channel order, normalised where it asks."""
    planes = cv2.split(canvas)  # plane by plane is twice as fast as a transposed astype
    order = planes if spec.channel_order == "bgr" else planes[::-1]
    blob = np.empty((1, 3, *canvas.shape[:2]), np.float32)
    for channel, plane in enumerate(order):
        blob[0, channel] = plane
    if spec.mean is not None and spec.std is not None:
        blob -= np.asarray(spec.mean, np.float32).reshape(1, 3, 1, 1)
        blob /= np.asarray(spec.std, np.float32).reshape(1, 3, 1, 1)
    return blob
