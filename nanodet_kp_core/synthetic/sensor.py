"""From radiance to the image a cheap camera delivers: glow, exposure, blur, noise, Bayer, color faults, JPEG."""

from __future__ import annotations

from dataclasses import dataclass
from functools import lru_cache

import cv2
import numpy as np

from nanodet_kp_core.runtime.images.image_bytes import through_jpeg
from nanodet_kp_core.synthetic.background import noise
from nanodet_kp_core.synthetic.bars import Spread
from nanodet_kp_core.synthetic.canvas import Canvas

_BANK = 1 << 21
_GREY = np.array([0.114, 0.587, 0.299], np.float32)


@dataclass(frozen=True)
class Finish:
    """What a kind of camera does to its images after the sensor.

    bayer: share of images from a color filter array. smooth: share of the others whose noise is smoothed. sharpen:
    share of images, least and most. tone: least and most of a phone's tone curve, 0 none. jpeg: share of images,
    quality: of JPEG, least and most. shrink: share of images scaled down and up again, least and most. overlay: share
    with banners.
    """

    bayer: float = 0.4
    smooth: float = 0.5
    sharpen: tuple[float, float, float] = (0.2, 0.2, 0.9)
    tone: tuple[float, float] = (0.0, 0.0)
    jpeg: float = 0.6
    quality: tuple[int, int] = (25, 96)
    shrink: tuple[float, float, float] = (0.08, 0.45, 0.9)
    overlay: float = 0.18


@dataclass(frozen=True)
class Exposure:
    """Drawn once per image; bars and labels need it too (an unreadable sticker gets no number).

    ambient: light that the scene reflects, 1 exposes white fully. black: what the camera cuts off in the dark, linear.
    noise: standard deviation in the dark, of full scale. blur: length of the motion blur in pixels, in direction
    `angle` (radians). defocus and near: standard deviations in pixels of the lens and of the bloom around lights, with
    the bloom's share; wide, broad: shares of its halos of `halo` pixels. disc: radius in pixels of the disc that a
    lens far out of focus makes of a point, by an aperture of `blades` sides (0: round). shrink: the image is scaled
    by it and back, 1 not. quality: of JPEG, 0 none.
    """

    ambient: float
    gamma: float
    black: float
    noise: float
    blur: float
    angle: float
    defocus: float
    near: float
    near_share: float
    wide_share: float
    broad_share: float
    halo: tuple[float, float]
    disc: float = 0.0
    blades: int = 0
    shrink: float = 1.0
    quality: int = 0
    finish: Finish = Finish()

    def level(self, albedo: float) -> float:
        """Gray level 0..255 of a surface without any light of its own."""
        return 255 * min(1.0, max(0.0, albedo * self.ambient - self.black)) ** self.gamma

    def spread(self) -> Spread:
        """What becomes of a point of light; motion apart, which moves no end of a bar in the mean."""
        glow = [(self.near_share, self.near), (self.wide_share, self.halo[0]), (self.broad_share, self.halo[1])]
        return ((1.0, self.sigma()), *((share, float(np.hypot(sigma, self.sigma()))) for share, sigma in glow))

    def sigma(self) -> float:
        """Standard deviation in pixels of the lens, its disc included."""
        return float(np.hypot(self.defocus, self.disc / 2))


def _shrunk(image: np.ndarray, step: int) -> np.ndarray:
    h, w = image.shape[:2]
    return cv2.resize(image, (max(2, w // step), max(2, h // step)), interpolation=cv2.INTER_AREA)


def _motion(image: np.ndarray, length: float, angle: float) -> np.ndarray:
    size = int(np.ceil(length)) | 1
    if size < 3:
        return image
    kernel = np.zeros((size, size), np.uint8)
    reach = np.array([np.cos(angle), np.sin(angle)]) * (length - 1) / 2
    ends = np.round((np.array([-reach, reach]) + size // 2) * 16).astype(int)
    cv2.line(kernel, tuple(map(int, ends[0])), tuple(map(int, ends[1])), 255, 1, cv2.LINE_AA, 4)
    weights = kernel.astype(np.float32)
    weights += weights[::-1, ::-1].copy()  # centered, or the labels would shift
    return cv2.filter2D(image, -1, weights / weights.sum(), borderType=cv2.BORDER_REPLICATE)


def _aperture(radius: float, blades: int, turn: float) -> np.ndarray:
    """Kernel of a disc of `radius` pixels, or of a polygon with `blades` corners on it; centered, sum 1."""
    reach = int(np.ceil(radius)) + 1
    x = np.arange(-reach, reach + 1, dtype=np.float32)
    edge = radius - np.hypot(x, x[:, None])
    for k in range(blades):
        angle = turn + 2 * np.pi * k / blades
        edge = np.minimum(edge, radius * np.cos(np.pi / blades) - x * np.cos(angle) - x[:, None] * np.sin(angle))
    kernel: np.ndarray = np.clip(edge + 0.5, 0, 1).astype(np.float32)
    return kernel / kernel.sum()


def _toned(image: np.ndarray, strength: float) -> np.ndarray:
    """A phone's tones: shadows lifted where the surroundings are dark, and a curve with more contrast."""
    small = _shrunk(image, 8)
    around = cv2.GaussianBlur(cv2.transform(small, _GREY[None]), (0, 0), 3.0)
    gain = 1 + np.float32(0.5 * strength) * np.square(1 - np.clip(around, 0, 1))
    lifted = image * cv2.resize(gain, image.shape[1::-1])[..., None]
    lifted = np.clip(lifted, 0, 1)
    curve = lifted * lifted * (3 - 2 * lifted)
    return cv2.addWeighted(lifted, 1 - 0.6 * strength, curve, 0.6 * strength, 0)


def expose(rng: np.random.Generator, canvas: Canvas, exposure: Exposure, underglow: np.ndarray | None) -> np.ndarray:
    """Image uint8 [H, W, 3]. `underglow`: colored light [H / 4, W / 4, 3] on the scene, None for none."""
    radiance = _radiance(rng, canvas, exposure, underglow)
    radiance = _motion(radiance, exposure.blur, exposure.angle) - np.float32(exposure.black)
    finish = exposure.finish
    raw = rng.random() < finish.bayer
    radiance = np.clip(radiance, 0, 1)
    if raw:
        radiance = _bayer(rng, radiance, exposure.noise)
    image = cv2.pow(radiance, exposure.gamma)
    if exposure.noise > 0 and not raw:
        image = cv2.scaleAdd(_grain(rng, image.shape, rng.random() < finish.smooth), exposure.noise, image)
    image = cv2.transform(image, _colors(rng))
    if finish.tone[1] > 0:
        image = _toned(image, float(rng.uniform(*finish.tone)))
    if rng.random() < finish.sharpen[0]:
        share = float(rng.uniform(*finish.sharpen[1:]))
        image = cv2.addWeighted(image, 1 + share, cv2.GaussianBlur(image, (0, 0), 1.0), -share, 0)
    return cv2.convertScaleAbs(np.clip(image, 0, 1, out=image), alpha=255)


def _radiance(rng: np.random.Generator, canvas: Canvas, exposure: Exposure, underglow: np.ndarray | None) -> np.ndarray:
    """Light that reaches the sensor while nothing moves, float32 [H, W, 3]."""
    w, h = canvas.size
    emission = canvas.emission
    if rng.random() < 0.04:  # the LEDs are switched, the shutter rolls: dark bands
        period, phase = rng.uniform(4, 40), rng.uniform(0, 6.28)
        bands = 1 + rng.uniform(0.2, 0.6) * np.sin(np.arange(h) * (2 * np.pi / period) + phase)
        emission *= bands.astype(np.float32)[:, None, None]
    quarter = _shrunk(emission, 4)
    eighth = _shrunk(quarter, 2)
    wide = cv2.GaussianBlur(quarter, (0, 0), exposure.halo[0] / 4)
    broad = cv2.resize(cv2.GaussianBlur(eighth, (0, 0), exposure.halo[1] / 8), wide.shape[1::-1])
    white_balance = np.exp(rng.normal((0, 0.06, 0), 0.1)).astype(np.float32)  # lamps are a little green
    patches = noise(rng, wide.shape[1::-1], 3) * np.float32(rng.uniform(0, 0.5))
    light: np.ndarray = exposure.ambient * white_balance * (1 + patches)
    if rng.random() < 0.7:
        light = light + broad * rng.uniform(0, 4) + wide * rng.uniform(0, 1.5)
    if underglow is not None:
        light = light + underglow
    if rng.random() < 0.15:  # the exposure drifts over the rows, or the lens darkens its edge
        light = light * np.exp(rng.normal(0, 0.8) * np.linspace(-1, 1, light.shape[0]))[:, None, None]
    light = cv2.resize(light.astype(np.float32), (w, h), interpolation=cv2.INTER_LINEAR)
    veil: np.ndarray = exposure.wide_share * wide + exposure.broad_share * broad
    if rng.random() < 0.25:  # flare
        veil = veil + np.float32(rng.uniform(0, 0.03))
    radiance = cv2.multiply(canvas.reflected(), light)
    radiance = cv2.add(radiance, emission)
    if exposure.near_share > 0.01:
        near = cv2.GaussianBlur(emission, (0, 0), exposure.near)
        radiance = cv2.scaleAdd(near, exposure.near_share, radiance)
    radiance = cv2.GaussianBlur(radiance, (0, 0), exposure.defocus)
    if exposure.disc > 1:
        kernel = _aperture(exposure.disc, exposure.blades, rng.uniform(0, 6.28))
        radiance = cv2.filter2D(radiance, -1, kernel, borderType=cv2.BORDER_REPLICATE)
    return np.asarray(cv2.add(radiance, cv2.resize(veil.astype(np.float32), (w, h))))


@lru_cache(maxsize=1)
def _noise_bank() -> np.ndarray:
    return np.random.default_rng(7).standard_normal(_BANK, np.float32)


def _grain(rng: np.random.Generator, shape: tuple[int, ...], smooth: bool) -> np.ndarray:
    """Standard normal noise; a bank of it is cut at random, since drawing it costs as much as all of the scene."""
    count = int(np.prod(shape))
    pieces = []
    while count > 0:
        take = min(count, _BANK // 2)
        start = int(rng.integers(_BANK - take))
        pieces.append(_noise_bank()[start : start + take])
        count -= take
    grain = (pieces[0] if len(pieces) == 1 else np.concatenate(pieces)).reshape(shape)
    return cv2.GaussianBlur(grain, (0, 0), 0.7) * 2 if smooth else grain


def _bayer(rng: np.random.Generator, radiance: np.ndarray, sigma: float) -> np.ndarray:
    """What a color filter array and its interpolation make of the image; noise falls on the raw pixels."""
    h, w = radiance.shape[:2]
    raw = np.empty((h, w), np.float32)
    for row, column, channel in ((0, 0, 0), (0, 1, 1), (1, 0, 1), (1, 1, 2)):
        raw[row::2, column::2] = radiance[row::2, column::2, channel]
    if sigma > 0:
        shot = cv2.sqrt(raw + np.float32(0.02))
        raw += _grain(rng, raw.shape, False) * shot * np.float32(1.5 * sigma)
    counts = (np.clip(raw, 0, 1) * 65535).astype(np.uint16)
    edge_aware = rng.random() < 0.5
    color = cv2.cvtColor(counts, cv2.COLOR_BayerBGGR2BGR_EA if edge_aware else cv2.COLOR_BayerBGGR2BGR)
    return color.astype(np.float32) / np.float32(65535)


def _colors(rng: np.random.Generator) -> np.ndarray:
    """Color matrix [3, 3] of the camera: saturation, and channels that leak into each other."""
    saturation = np.float32(rng.uniform(0.7, 1.3))
    matrix: np.ndarray = saturation * np.eye(3, dtype=np.float32) + (1 - saturation) * _GREY
    leak = rng.normal(0, 0.03, (3, 3)).astype(np.float32)
    return matrix + leak - leak.mean(axis=1, keepdims=True)


def compress(image: np.ndarray, exposure: Exposure) -> np.ndarray:
    """What streams do to an image: at times scaled down and up again, JPEG, or nothing."""
    if exposure.shrink < 1:
        h, w = image.shape[:2]
        size = (max(2, int(w * exposure.shrink)), max(2, int(h * exposure.shrink)))
        small = cv2.resize(image, size, interpolation=cv2.INTER_AREA)
        image = cv2.resize(small, (w, h), interpolation=cv2.INTER_LINEAR)
    if exposure.quality == 0:
        return image
    return through_jpeg(image, exposure.quality)
