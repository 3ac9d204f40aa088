"""What a camera does to an image without moving anything in it: blur, exposure, color, noise, compression."""

from __future__ import annotations

from typing import TYPE_CHECKING

import cv2
import numpy as np

from nanodet_kp_core.runtime.images.image_bytes import through_jpeg

if TYPE_CHECKING:
    from nanodet_kp_core.config import PipelineConfig

LUMA = np.array([0.114, 0.587, 0.299])
"""Weights of blue, green and red in the brightness that the eye sees (ITU-R BT.601)."""

BLUR_SHARE = 0.02
"""Longest motion blur, as a share of the image's longer side."""

JPEG_QUALITY = (35, 95)


def change_light(rng: np.random.Generator, image: np.ndarray, pipeline: PipelineConfig) -> np.ndarray:
    """The image uint8 [H, W, 3] BGR, changed in the order in which a camera would do it.

    motion_blur, jpeg: probabilities. The others are drawn uniformly from their range, each in half of the images (as in
    NanoDet's pipeline); white_balance once for blue and once for red.
    """
    if rng.random() < pipeline.motion_blur:
        longest = BLUR_SHARE * max(image.shape[:2])
        image = blur_along(image, rng.uniform(2, max(longest, 3)), rng.uniform(0, 180))
    gamma, brightness, contrast, saturation, hue, blue, red, sigma = (
        drawn if coin else neutral
        for drawn, neutral, coin in (
            (rng.uniform(*pipeline.gamma), 1.0, rng.random() < 0.5),
            (rng.uniform(-pipeline.brightness, pipeline.brightness), 0.0, rng.random() < 0.5),
            (rng.uniform(*pipeline.contrast), 1.0, rng.random() < 0.5),
            (rng.uniform(*pipeline.saturation), 1.0, rng.random() < 0.5),
            (rng.uniform(-pipeline.hue, pipeline.hue), 0.0, rng.random() < 0.5),
            (rng.uniform(*pipeline.white_balance), 1.0, rng.random() < 0.5),
            (rng.uniform(*pipeline.white_balance), 1.0, rng.random() < 0.5),
            (rng.uniform(0, pipeline.noise), 0.0, rng.random() < 0.5),
        )
    )
    if (gamma, brightness, contrast) != (1.0, 0.0, 1.0):
        image = cv2.LUT(image, tone_table(gamma, brightness, contrast))
    if (saturation, hue, blue, red) != (1.0, 0.0, 1.0, 1.0):
        image = cv2.transform(image, color_matrix(saturation, hue) @ np.diag([blue, 1.0, red]))
    if sigma > 0:
        image = add_noise(rng, image, sigma)
    if rng.random() < pipeline.jpeg:
        image = through_jpeg(image, int(rng.integers(JPEG_QUALITY[0], JPEG_QUALITY[1] + 1)))
    return image


def tone_table(gamma: float, brightness: float, contrast: float) -> np.ndarray:
    """Gray level to gray level, uint8 [256]: gamma (above 1 is darker), then an offset of full scale, then a factor."""
    level = np.linspace(0, 1, 256) ** gamma
    return np.clip(255 * contrast * (level + brightness) + 0.5, 0, 255).astype(np.uint8)


def color_matrix(saturation: float, hue: float) -> np.ndarray:
    """Matrix [3, 3] on BGR columns: mixes with the gray of the same luma, then turns the hue by `hue` degrees.

    The turn is a rotation about the gray axis, so that grays stay what they are.
    """
    mix = saturation * np.eye(3) + (1 - saturation) * np.tile(LUMA, (3, 1))
    axis = np.full(3, np.radians(hue) / np.sqrt(3))
    return cv2.Rodrigues(axis)[0] @ mix


def blur_along(image: np.ndarray, length: float, degrees: float) -> np.ndarray:
    """Motion blur of `length` pixels along a direction, either way alike: nothing moves on average."""
    side = 2 * int(np.ceil(length / 2)) + 1
    reach = np.array([np.cos(np.radians(degrees)), np.sin(np.radians(degrees))]) * length / 2
    kernel = np.zeros((side, side), np.float32)
    # Even points along the line, each shared among the four pixels around it.
    for x, y in side // 2 + np.linspace(-1, 1, 8 * side + 1)[1::2, None] * reach:
        column, row = int(x), int(y)
        right, down = x - column, y - row
        block = np.outer([1 - down, down], [1 - right, right])
        part = kernel[row : row + 2, column : column + 2]
        part += block[: part.shape[0], : part.shape[1]]
    return cv2.filter2D(image, -1, kernel / kernel.sum(), borderType=cv2.BORDER_REPLICATE)


def add_noise(rng: np.random.Generator, image: np.ndarray, sigma: float) -> np.ndarray:
    """Gaussian noise of `sigma` gray levels, each channel by itself."""
    grain = np.empty((image.shape[0], image.shape[1] * 3), np.int16)  # flat: a scalar sigma is the first channel's only
    cv2.setRNGSeed(int(rng.integers(2**31)))  # OpenCV's draws take a third of numpy's time
    cv2.randn(grain, np.zeros(1), np.full(1, sigma))
    return cv2.add(image, grain.reshape(image.shape), dtype=cv2.CV_8U)
