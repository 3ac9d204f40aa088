"""Kinds of cameras: how each exposes, blurs and delivers. Every image is seen by one of them."""

from __future__ import annotations

from dataclasses import dataclass, replace

import numpy as np

from nanodet_kp_core.numerics import log_uniform
from nanodet_kp_core.synthetic.sensor import Exposure, Finish

Range = tuple[float, float]


@dataclass(frozen=True)
class CameraKind:
    """A kind of camera and how it is used. Ranges are (low, high).

    share: of the images. ambient: log-uniform, see Exposure; dark: share of images from `dark_ambient` instead.
    gamma: display gamma, 2.2 is sRGB's, 1 none. noise: choices. sharp: defocus in pixels; soft: share of images
    out of focus. moving: share of images with motion, blur: its mean length in pixels. near, near_share: bloom.
    """

    name: str
    share: float
    ambient: Range
    dark: float
    dark_ambient: Range
    gamma: Range
    noise: tuple[float, ...]
    sharp: Range
    soft: float
    moving: float
    blur: float
    near: Range
    near_share: Range
    finish: Finish


MIXED = CameraKind(
    "mixed", 0.35, (0.15, 2.4), 0.35, (0.002, 0.12), (1.4, 2.4), (0.0, 0.004, 0.01, 0.02, 0.035), (0.35, 0.8), 0.28,
    0.42, 4.5, (1.0, 2.5), (0.0, 0.3), Finish(),
)  # fmt: skip
KINDS = (
    MIXED,
    CameraKind(  # an industrial camera at about 2 ms: a dark scene, bars saturated, hardly any noise
        "machine-short", 0.17, (0.01, 0.08), 0.4, (0.001, 0.01), (1.0, 2.2), (0.0, 0.002, 0.005), (0.35, 0.9), 0.1,
        0.2, 2.0, (0.8, 2.0), (0.0, 0.15), Finish(bayer=0.85, sharpen=(0.1, 0.1, 0.4), jpeg=0.1, shrink=(0.0, 1.0, 1.0),
        overlay=0.0, smooth=0.1),
    ),
    CameraKind(  # the same at about 20 ms: bright enough to see the room, bars bloom
        "machine-long", 0.14, (0.12, 0.9), 0.1, (0.04, 0.12), (1.2, 2.2), (0.0, 0.003, 0.008, 0.015), (0.35, 1.0), 0.15,
        0.4, 4.0, (1.5, 3.5), (0.1, 0.6), Finish(bayer=0.85, sharpen=(0.15, 0.1, 0.5), jpeg=0.15,
        shrink=(0.0, 1.0, 1.0), overlay=0.0, smooth=0.1),
    ),
    CameraKind(  # a phone sharpens, lifts shadows and bends the tones
        "phone", 0.12, (0.3, 1.3), 0.1, (0.08, 0.3), (1.9, 2.4), (0.0, 0.003, 0.008), (0.4, 0.9), 0.12,
        0.25, 3.5, (1.0, 3.0), (0.0, 0.35), Finish(bayer=0.0, sharpen=(0.9, 0.4, 1.6), tone=(0.2, 0.8), jpeg=0.9,
        quality=(55, 96), shrink=(0.35, 0.4, 0.8), overlay=0.04, smooth=0.9),
    ),
    CameraKind(  # a broadcast, or a photograph of an event: bright hall, scaled, compressed hard, with banners
        "broadcast", 0.14, (0.25, 1.6), 0.15, (0.05, 0.25), (1.8, 2.4), (0.0, 0.004, 0.01), (0.45, 1.0), 0.15,
        0.3, 4.0, (1.2, 3.0), (0.0, 0.4), Finish(bayer=0.0, sharpen=(0.5, 0.2, 0.9), tone=(0.0, 0.5), jpeg=1.0,
        quality=(14, 70), shrink=(0.75, 0.35, 0.9), overlay=0.5, smooth=0.8),
    ),
    CameraKind(  # a webcam: soft, noisy, smoothed, compressed
        "webcam", 0.08, (0.15, 1.2), 0.15, (0.03, 0.15), (1.6, 2.4), (0.005, 0.015, 0.03), (0.6, 1.2), 0.25,
        0.45, 5.0, (1.2, 3.0), (0.05, 0.45), Finish(bayer=0.1, sharpen=(0.5, 0.2, 1.0), tone=(0.0, 0.3), jpeg=0.95,
        quality=(25, 80), shrink=(0.45, 0.4, 0.9), overlay=0.02, smooth=0.8),
    ),
)  # fmt: skip
_SHARES = np.cumsum([kind.share for kind in KINDS])

_DISCS, _SMEARS, _OVALS = 0.03, 0.05, 0.06
"""Shares of images out of focus by a disc, smeared by motion, and with bars blown out into ovals."""


def draw_kind(rng: np.random.Generator) -> CameraKind:
    """A random kind of camera."""
    return KINDS[int(np.searchsorted(_SHARES, rng.random() * _SHARES[-1], side="right"))]


def draw_exposure(rng: np.random.Generator, scale: float = 1.0, kind: CameraKind | None = None) -> Exposure:
    """A random exposure of a kind of camera, None any; at times by a lens, a motion or a brightness beyond the usual.

    scale: width of the image over 256. Blur and bloom in pixels grow slower than the image: a wide image has
    finer pixels, but its lens is no worse than another's.
    """
    exposure = usual_exposure(rng, scale, kind or draw_kind(rng))
    u = rng.random()
    for share, change in ((_DISCS, defocused), (_SMEARS, smeared), (_OVALS, blown_out)):
        if u < share:
            return change(rng, exposure, _growth(scale))
        u -= share
    return exposure


def _growth(scale: float) -> float:
    return float(max(scale, 0.25) ** 0.35)


def usual_exposure(rng: np.random.Generator, scale: float, kind: CameraKind) -> Exposure:
    """What a kind of camera mostly does; scale as in draw_exposure."""
    grow, finish = _growth(scale), kind.finish
    ambient = kind.dark_ambient if rng.random() < kind.dark else kind.ambient
    sharp = kind.sharp
    if rng.random() < kind.soft:
        sharp = (1.8 * grow, 3.2 * grow) if rng.random() < 0.25 else (0.8, 1.8)
    flat = rng.random() < 0.5
    return Exposure(
        ambient=float(np.exp(rng.uniform(*np.log(ambient)))),
        gamma=float(1 / rng.uniform(*kind.gamma)),
        black=float(rng.uniform(0, 0.012)) if rng.random() < 0.4 and ambient[1] > 0.02 else 0.0,
        noise=kind.noise[int(rng.integers(len(kind.noise)))],
        blur=float(rng.exponential(kind.blur)) * grow if rng.random() < kind.moving else 0.0,
        angle=float(rng.uniform(0, np.pi) if flat else rng.normal(0, 0.2)),
        defocus=float(rng.uniform(*sharp)),
        near=float(rng.uniform(*kind.near)) * grow,
        near_share=float(rng.uniform(*kind.near_share)),
        wide_share=log_uniform(rng, 0.002, 0.1),
        broad_share=log_uniform(rng, 0.001, 0.04),
        halo=(float(rng.uniform(5, 12)) * grow, float(rng.uniform(15, 40)) * grow),
        shrink=float(rng.uniform(*finish.shrink[1:])) if rng.random() < finish.shrink[0] else 1.0,
        quality=int(rng.integers(*finish.quality)) if rng.random() < finish.jpeg else 0,
        finish=finish,
    )


def defocused(rng: np.random.Generator, exposure: Exposure, grow: float) -> Exposure:
    """The exposure with a lens so far out of focus that each light becomes a disc, or the shape of the aperture."""
    radius = log_uniform(rng, 2.0, 12.0) * grow
    blades = int(rng.integers(5, 9)) if rng.random() < 0.4 else 0
    return replace(exposure, disc=radius, blades=blades, blur=0.0)


def smeared(rng: np.random.Generator, exposure: Exposure, grow: float) -> Exposure:
    """The exposure with a motion as long as bars, so that these become squares or wide or long blobs."""
    length = log_uniform(rng, 6.0, 36.0) * grow
    angle = rng.normal(0, 0.25) + (np.pi / 2 if rng.random() < 0.35 else 0.0)
    return replace(exposure, blur=length, angle=float(angle))


def blown_out(rng: np.random.Generator, exposure: Exposure, grow: float) -> Exposure:
    """The exposure in a bright room where the light of bars spills far: white ovals with a colored rim."""
    near, share = float(rng.uniform(1.8, 5.0)) * grow, log_uniform(rng, 0.5, 3.0)
    ambient = log_uniform(rng, 0.2, 1.2)
    return replace(exposure, ambient=ambient, black=0.0, near=near, near_share=share)
