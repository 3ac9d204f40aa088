"""From radiance to the picture a cheap camera delivers: glow, exposure, blur, noise, colour faults, JPEG."""

from __future__ import annotations

from dataclasses import dataclass

import cv2
import numpy as np

from nanodet_kp_core.data.synthetic.background import noise
from nanodet_kp_core.data.synthetic.canvas import Canvas


@dataclass(frozen=True)
class Exposure:
    """Drawn once per picture; the labels need it too (an unreadable sticker gets no number)."""

    ambient: float  # light that the scene reflects, 1 exposes white fully
    gamma: float
    noise: float  # standard deviation in the dark, of full scale
    blur: float  # length of the motion blur, pixels
    defocus: float  # standard deviation, pixels

    def level(self, albedo: float) -> float:
        """Grey level 0..255 of a surface without any light of its own."""
        return 255 * min(1.0, albedo * self.ambient) ** self.gamma


def draw_exposure(rng: np.random.Generator) -> Exposure:
    dark = rng.random() < 0.35
    ambient = np.exp(rng.uniform(np.log(0.004), np.log(0.12)) if dark else rng.uniform(np.log(0.1), np.log(1.8)))
    return Exposure(
        ambient=float(ambient),
        gamma=float(1 / rng.uniform(1.4, 2.4)),
        noise=float(rng.choice([0.0, 0.004, 0.01, 0.02, 0.035])),
        blur=float(rng.exponential(3.0)) if rng.random() < 0.3 else 0.0,
        defocus=float(rng.uniform(0.3, 0.8) if rng.random() < 0.75 else rng.uniform(0.8, 1.8)),
    )


def _glow(emission: np.ndarray, sigma: float, step: int) -> np.ndarray:
    """Gaussian blur at a `step` times smaller size: the wide halos need no detail."""
    h, w = emission.shape[:2]
    small = cv2.resize(emission, (max(2, w // step), max(2, h // step)), interpolation=cv2.INTER_AREA)
    small = cv2.GaussianBlur(small, (0, 0), max(0.6, sigma / step))
    return cv2.resize(small, (w, h), interpolation=cv2.INTER_LINEAR)


def _motion(rng: np.random.Generator, picture: np.ndarray, length: float) -> np.ndarray:
    size = int(np.ceil(length)) | 1
    if size < 3:
        return picture
    kernel = np.zeros((size, size), np.uint8)
    angle = rng.uniform(0, np.pi) if rng.random() < 0.5 else rng.normal(0, 0.2)
    reach = np.array([np.cos(angle), np.sin(angle)]) * (length - 1) / 2
    ends = np.round((np.array([-reach, reach]) + size // 2) * 16).astype(int)
    cv2.line(kernel, tuple(map(int, ends[0])), tuple(map(int, ends[1])), 255, 1, cv2.LINE_AA, 4)
    weights = kernel.astype(np.float32)
    weights += weights[::-1, ::-1].copy()  # centred, or the labels would shift
    return cv2.filter2D(picture, -1, weights / weights.sum(), borderType=cv2.BORDER_REPLICATE)


def expose(rng: np.random.Generator, canvas: Canvas, exposure: Exposure, underglow: np.ndarray | None) -> np.ndarray:
    """Picture uint8 [H, W, 3]. `underglow`: coloured light [H, W, 3] that falls on the scene, None for none."""
    size = canvas.size
    emission = canvas.emission
    near = _glow(emission, float(rng.uniform(1.0, 3.0)), 1)
    wide = _glow(emission, float(rng.uniform(5, 14)), 4)
    broad = _glow(emission, float(rng.uniform(15, 50)), 8)
    white_balance = np.exp(rng.normal(0, 0.12, 3)).astype(np.float32)
    light = exposure.ambient * white_balance * (1 + 0.5 * noise(rng, size, 3) * rng.uniform(0, 1))
    spill = (broad * rng.uniform(0, 6) + wide * rng.uniform(0, 2.0)) * float(rng.random() < 0.7)
    if underglow is not None:
        spill = spill + underglow
    radiance = canvas.albedo * (light + spill) + emission
    radiance += near * rng.uniform(0.05, 0.6) + wide * rng.uniform(0.0, 0.12) + broad * rng.uniform(0.0, 0.06)
    radiance = _motion(rng, radiance, exposure.blur)
    radiance = cv2.GaussianBlur(radiance, (0, 0), exposure.defocus)
    if rng.random() < 0.25:  # veil, flare
        radiance = radiance + np.float32(rng.uniform(0, 0.04))
    picture = np.clip(radiance, 0, 1) ** np.float32(exposure.gamma)
    if exposure.noise > 0:
        grain = rng.standard_normal(picture.shape, np.float32)
        if rng.random() < 0.5:  # cameras smooth their noise
            grain = cv2.GaussianBlur(grain, (0, 0), 0.7) * 2
        picture += grain * exposure.noise
    saturation = float(rng.uniform(0.7, 1.25))
    grey = picture @ np.array([0.114, 0.587, 0.299], np.float32)
    picture = grey[..., None] + (picture - grey[..., None]) * saturation
    return (np.clip(picture, 0, 1) * 255 + 0.5).astype(np.uint8)


def jpeg(rng: np.random.Generator, picture: np.ndarray) -> np.ndarray:
    """The artefacts of a random JPEG quality; half of the pictures stay as they are."""
    if rng.random() < 0.5:
        return picture
    ok, data = cv2.imencode(".jpg", picture, [cv2.IMWRITE_JPEG_QUALITY, int(rng.integers(35, 96))])
    return np.asarray(cv2.imdecode(data, cv2.IMREAD_COLOR)) if ok else picture
