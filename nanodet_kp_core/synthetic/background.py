"""Backgrounds: halls, rooms, arenas and clutter made of noise, planes and shapes."""

from __future__ import annotations

from functools import lru_cache

import cv2
import numpy as np

from nanodet_kp_core.synthetic.canvas import Canvas, surface
from nanodet_kp_core.synthetic.hall import fill, hall
from nanodet_kp_core.synthetic.stickers import letters

_TEXTURE = 512


def noise(rng: np.random.Generator, size: tuple[int, int], cells: int, channels: int = 1) -> np.ndarray:
    """Smooth noise float32 [H, W, channels] in -1..1 with about `cells` bumps over the width."""
    w, h = size
    small = rng.uniform(-1, 1, (max(2, cells * h // w + 1), max(2, cells), channels)).astype(np.float32)
    return cv2.resize(small, (w, h), interpolation=cv2.INTER_CUBIC).reshape(h, w, channels)


@lru_cache(maxsize=1)
def _textures() -> list[np.ndarray]:
    """Tileable textures uint8 [_TEXTURE, _TEXTURE, 3] around 128, from smooth like plaster to rough like carpet."""
    rng = np.random.default_rng(11)
    frequency = np.hypot(np.fft.fftfreq(_TEXTURE)[:, None], np.fft.rfftfreq(_TEXTURE)[None]) + 1 / _TEXTURE
    found = []
    for power in (0.4, 0.8, 1.1, 1.5):
        layers = []
        for _ in range(3):
            spectrum = np.fft.rfft2(rng.standard_normal((_TEXTURE, _TEXTURE))) * frequency**-power
            layer = np.fft.irfft2(spectrum)
            layers.append((layer - layer.mean()) / layer.std())
        gray = layers[0][..., None] + 0.15 * np.stack(layers, axis=-1)
        found.append(np.clip(128 + 32 * gray, 0, 255).astype(np.uint8))
    return found


def texture(rng: np.random.Generator, size: tuple[int, int]) -> np.ndarray:
    """A random piece of a texture, uint8 [H, W, 3] around 128."""
    w, h = size
    source = _textures()[int(rng.integers(len(_textures())))]
    zoom = float(np.exp(rng.uniform(-1.2, 1.0)))
    angle = rng.uniform(0, 6.28)
    flat = rng.uniform(1, 4) if rng.random() < 0.3 else 1.0  # a floor is seen flat
    c, s = np.cos(angle) * zoom, np.sin(angle) * zoom
    matrix = np.array([[c, -s * flat, rng.uniform(0, _TEXTURE)], [s, c * flat, rng.uniform(0, _TEXTURE)]])
    flags = cv2.INTER_LINEAR | cv2.WARP_INVERSE_MAP
    return np.asarray(cv2.warpAffine(source, matrix, (w, h), flags=flags, borderMode=cv2.BORDER_WRAP))


def roughen(rng: np.random.Generator, image: np.ndarray, strength: float) -> None:
    """Texture the codes of `picture` [H, W, 3] in place; strength 1 changes them by up to a half."""
    rough = texture(rng, (image.shape[1], image.shape[0]))
    mixed = cv2.addWeighted(rough, strength, np.full_like(rough, 128), 1 - strength, 0)
    cv2.multiply(image, mixed, image, 1 / 128)


def background(rng: np.random.Generator, size: tuple[int, int]) -> Canvas:
    """A canvas with a background and nothing that shines yet."""
    w, h = size
    image = np.empty((h, w, 3), np.uint8)
    kind = rng.random()
    rough = 1.0
    if kind < 0.3:
        rough = 0.35  # paint and concrete
        hall(rng, image)
    elif kind < 0.74:
        _room(rng, image)
    elif kind < 0.93:
        image[:] = surface(rng, 0.04)
        _clutter(rng, image, int(rng.integers(8, 50)))
    else:
        image[:] = surface(rng)
    if rng.random() < 0.8:
        roughen(rng, image, rough * float(rng.uniform(0.1, 1.0)))
    if rng.random() < 0.3:
        _text(rng, image)
    return Canvas(image, np.zeros((h, w, 3), np.float32), np.zeros((h, w), np.uint8))


def _room(rng: np.random.Generator, image: np.ndarray) -> None:
    """Wall above, floor below, doors, boxes, shelves, tiles and lines on the floor."""
    h, w = image.shape[:2]
    horizon = float(rng.uniform(-0.3, 0.8)) * h
    slope = float(rng.normal(0, 0.08)) * w
    image[:] = surface(rng, 0.04)
    fill(image, np.array([[0, horizon - slope], [w, horizon + slope], [w, h], [0, h]]), surface(rng, 0.04))
    if rng.random() < 0.25:
        _floor_lines(rng, image, horizon)
    for _ in range(rng.integers(0, 9)):
        x, bw, bh = rng.uniform(-0.2, 1) * w, rng.uniform(0.03, 0.5) * w, rng.uniform(0.05, 0.7) * h
        y = horizon + rng.uniform(-0.05, 0.35) * h
        fill(image, np.array([[x, y - bh], [x + bw, y - bh], [x + bw, y], [x, y]]), surface(rng))
    for _ in range(rng.integers(0, 7)):  # lines painted on the floor, posts, shelf edges
        a = rng.uniform(-0.2, 1.2, 2) * (w, h)
        b = a + rng.normal(0, 0.6, 2) * (w, h) if rng.random() < 0.5 else a + (0, rng.uniform(0.1, 0.9) * h)
        code, thick = surface(rng, 0.05, 0.95), int(rng.integers(1, 8))
        cv2.line(image, tuple(a.astype(int)), tuple(b.astype(int)), code, thick, cv2.LINE_AA)
    _clutter(rng, image, int(rng.integers(0, 14)))


def _floor_lines(rng: np.random.Generator, image: np.ndarray, horizon: float) -> None:
    """Tiles: lines that meet on the horizon, and lines across."""
    h, w = image.shape[:2]
    code, thick = surface(rng), int(rng.integers(1, 3))
    middle = (int(rng.uniform(0, w)), int(horizon))
    for x in np.linspace(-3 * w, 4 * w, int(rng.integers(8, 30))):
        cv2.line(image, middle, (int(x), h + 20), code, thick, cv2.LINE_AA)
    for k in range(1, 12):
        y = int(horizon + (h - horizon) * 1.2 / k)
        cv2.line(image, (0, y), (w, y), code, thick, cv2.LINE_AA)


def _clutter(rng: np.random.Generator, image: np.ndarray, count: int) -> None:
    h, w = image.shape[:2]
    for _ in range(count):
        center = rng.uniform(-0.1, 1.1, 2) * (w, h)
        reach = np.exp(rng.uniform(np.log(0.02), np.log(0.35))) * w
        if rng.random() < 0.25:
            axes = (int(reach * rng.uniform(0.2, 1)) + 1, int(reach * rng.uniform(0.2, 1)) + 1)
            thick = -1 if rng.random() < 0.5 else int(rng.integers(1, 4))
            angle = float(rng.uniform(0, 180))
            cv2.ellipse(image, tuple(center.astype(int)), axes, angle, 0, 360, surface(rng), thick, cv2.LINE_AA)
            continue
        angles = np.sort(rng.uniform(0, 2 * np.pi, int(rng.integers(3, 6))))
        radii = reach * rng.uniform(0.3, 1, len(angles))
        points = center + np.stack([np.cos(angles), np.sin(angles)], 1) * radii[:, None]
        fill(image, points, surface(rng))


def _text(rng: np.random.Generator, image: np.ndarray) -> None:
    """Writing in the scene: shapes like digits that are no plate."""
    h, w = image.shape[:2]
    for _ in range(rng.integers(1, 5)):
        text = letters(rng, "0123456789ABRGKMNE:", 1, 6)
        at = tuple((rng.uniform(0, 0.95, 2) * (w, h)).astype(int))
        font, zoom = int(rng.integers(0, 5)), float(rng.uniform(0.3, 2))
        cv2.putText(image, text, at, font, zoom, surface(rng, 0.05, 0.95), int(rng.integers(1, 5)), cv2.LINE_AA)
