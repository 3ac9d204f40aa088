"""From radiance to the picture a cheap camera delivers: glow, exposure, blur, noise, Bayer, colour faults, JPEG."""

from __future__ import annotations

from dataclasses import dataclass
from functools import lru_cache

import cv2
import numpy as np

from nanodet_kp_core.data.synthetic.background import noise
from nanodet_kp_core.data.synthetic.bars import Spread
from nanodet_kp_core.data.synthetic.canvas import Canvas

_BANK = 1 << 21
_GREY = np.array([0.114, 0.587, 0.299], np.float32)


@dataclass(frozen=True)
class Exposure:
    """Drawn once per picture; bars and labels need it too (an unreadable sticker gets no number).

    ambient: light that the scene reflects, 1 exposes white fully. black: what the camera cuts off in the dark, linear.
    noise: standard deviation in the dark, of full scale. blur: length of the motion blur in pixels, in direction
    `angle` (radians). defocus and near: standard deviations in pixels of the lens and of the bloom around lights, with
    the bloom's share; wide, broad: shares of its halos of `halo` pixels.
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

    def level(self, albedo: float) -> float:
        """Grey level 0..255 of a surface without any light of its own."""
        return 255 * min(1.0, max(0.0, albedo * self.ambient - self.black)) ** self.gamma

    def spread(self) -> Spread:
        """What becomes of a point of light; motion apart, which moves no end of a bar in the mean."""
        glow = [(self.near_share, self.near), (self.wide_share, self.halo[0]), (self.broad_share, self.halo[1])]
        return ((1.0, self.defocus), *((share, float(np.hypot(sigma, self.defocus))) for share, sigma in glow))


def draw_exposure(rng: np.random.Generator, scale: float = 1.0) -> Exposure:
    """A random exposure; scale: width of the picture over 256, blur and bloom grow with its square root."""
    dark = rng.random() < 0.35
    ambient = np.exp(rng.uniform(np.log(0.002), np.log(0.12)) if dark else rng.uniform(np.log(0.15), np.log(2.4)))
    grow = float(np.sqrt(max(scale, 0.25)))
    u = rng.random()
    low, high = (0.35, 0.8) if u < 0.72 else (0.8, 1.8) if u < 0.93 else (1.8 * grow, 3.2 * grow)
    flat = rng.random() < 0.5
    return Exposure(
        ambient=float(ambient),
        gamma=float(1 / rng.uniform(1.4, 2.4)),
        black=float(rng.uniform(0, 0.012)) if rng.random() < 0.4 else 0.0,
        noise=(0.0, 0.004, 0.01, 0.02, 0.035)[int(rng.integers(5))],
        blur=float(rng.exponential(4.5)) * grow if rng.random() < 0.42 else 0.0,
        angle=float(rng.uniform(0, np.pi) if flat else rng.normal(0, 0.2)),
        defocus=float(rng.uniform(low, high)),
        near=float(rng.uniform(1.0, 2.5)) * grow,
        near_share=float(rng.uniform(0.0, 0.3)),
        wide_share=float(np.exp(rng.uniform(np.log(0.002), np.log(0.1)))),
        broad_share=float(np.exp(rng.uniform(np.log(0.001), np.log(0.04)))),
        halo=(float(rng.uniform(5, 12)) * grow, float(rng.uniform(15, 40)) * grow),
    )


def _shrunk(picture: np.ndarray, step: int) -> np.ndarray:
    h, w = picture.shape[:2]
    return cv2.resize(picture, (max(2, w // step), max(2, h // step)), interpolation=cv2.INTER_AREA)


def _motion(picture: np.ndarray, length: float, angle: float) -> np.ndarray:
    size = int(np.ceil(length)) | 1
    if size < 3:
        return picture
    kernel = np.zeros((size, size), np.uint8)
    reach = np.array([np.cos(angle), np.sin(angle)]) * (length - 1) / 2
    ends = np.round((np.array([-reach, reach]) + size // 2) * 16).astype(int)
    cv2.line(kernel, tuple(map(int, ends[0])), tuple(map(int, ends[1])), 255, 1, cv2.LINE_AA, 4)
    weights = kernel.astype(np.float32)
    weights += weights[::-1, ::-1].copy()  # centred, or the labels would shift
    return cv2.filter2D(picture, -1, weights / weights.sum(), borderType=cv2.BORDER_REPLICATE)


def expose(rng: np.random.Generator, canvas: Canvas, exposure: Exposure, underglow: np.ndarray | None) -> np.ndarray:
    """Picture uint8 [H, W, 3]. `underglow`: coloured light [H / 4, W / 4, 3] on the scene, None for none."""
    radiance = _radiance(rng, canvas, exposure, underglow)
    radiance = _motion(radiance, exposure.blur, exposure.angle) - np.float32(exposure.black)
    raw = rng.random() < 0.4
    radiance = np.clip(radiance, 0, 1)
    if raw:
        radiance = _bayer(rng, radiance, exposure.noise)
    picture = cv2.pow(radiance, exposure.gamma)
    if exposure.noise > 0 and not raw:
        picture = cv2.scaleAdd(_grain(rng, picture.shape, rng.random() < 0.5), exposure.noise, picture)
    picture = cv2.transform(picture, _colours(rng))
    if rng.random() < 0.2:  # cameras sharpen
        share = float(rng.uniform(0.2, 0.9))
        picture = cv2.addWeighted(picture, 1 + share, cv2.GaussianBlur(picture, (0, 0), 1.0), -share, 0)
    return cv2.convertScaleAbs(np.clip(picture, 0, 1, out=picture), alpha=255)


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
    return np.asarray(cv2.add(radiance, cv2.resize(veil.astype(np.float32), (w, h))))


@lru_cache(maxsize=1)
def _noise_bank() -> np.ndarray:
    return np.random.default_rng(7).standard_normal(_BANK, np.float32)


def _grain(rng: np.random.Generator, shape: tuple[int, ...], smooth: bool) -> np.ndarray:
    """Standard normal noise; a bank of it is cut at random, since drawing it costs as much as all of the scene."""
    count = int(np.prod(shape))
    if count > _BANK // 2:
        grain: np.ndarray = rng.standard_normal(shape, np.float32)
    else:
        start = int(rng.integers(_BANK - count))
        grain = _noise_bank()[start : start + count].reshape(shape)
    return cv2.GaussianBlur(grain, (0, 0), 0.7) * 2 if smooth else grain


def _bayer(rng: np.random.Generator, radiance: np.ndarray, sigma: float) -> np.ndarray:
    """What a colour filter array and its interpolation make of the picture; noise falls on the raw pixels."""
    h, w = radiance.shape[:2]
    raw = np.empty((h, w), np.float32)
    for row, column, channel in ((0, 0, 0), (0, 1, 1), (1, 0, 1), (1, 1, 2)):
        raw[row::2, column::2] = radiance[row::2, column::2, channel]
    if sigma > 0:
        shot = cv2.sqrt(raw + np.float32(0.02))
        raw += _grain(rng, raw.shape, False) * shot * np.float32(1.5 * sigma)
    counts = (np.clip(raw, 0, 1) * 65535).astype(np.uint16)
    edge_aware = rng.random() < 0.5
    colour = cv2.cvtColor(counts, cv2.COLOR_BayerBGGR2BGR_EA if edge_aware else cv2.COLOR_BayerBGGR2BGR)
    return colour.astype(np.float32) / np.float32(65535)


def _colours(rng: np.random.Generator) -> np.ndarray:
    """Colour matrix [3, 3] of the camera: saturation, and channels that leak into each other."""
    saturation = np.float32(rng.uniform(0.7, 1.3))
    matrix: np.ndarray = saturation * np.eye(3, dtype=np.float32) + (1 - saturation) * _GREY
    leak = rng.normal(0, 0.03, (3, 3)).astype(np.float32)
    return matrix + leak - leak.mean(axis=1, keepdims=True)


def compress(rng: np.random.Generator, picture: np.ndarray) -> np.ndarray:
    """What streams do to a picture: at times scaled down and up again, JPEG of a random quality, or nothing."""
    kind = rng.random()
    if kind < 0.4:
        return picture
    if kind > 0.92:
        h, w = picture.shape[:2]
        share = rng.uniform(0.45, 0.9)
        small = cv2.resize(picture, (max(2, int(w * share)), max(2, int(h * share))), interpolation=cv2.INTER_AREA)
        picture = cv2.resize(small, (w, h), interpolation=cv2.INTER_LINEAR)
    ok, data = cv2.imencode(".jpg", picture, [cv2.IMWRITE_JPEG_QUALITY, int(rng.integers(25, 96))])
    return np.asarray(cv2.imdecode(data, cv2.IMREAD_COLOR)) if ok else picture
