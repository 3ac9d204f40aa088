"""The two lit bars of a plate: a bright core, a rim of the team's color, and ends where the labels say they are.

Blur and bloom make a bright bar look longer than it is. People (and the corners that people label) go by what they see,
so a bar is painted a little shorter: with the camera's blur it ends for the eye at the plate's corners.
"""

from __future__ import annotations

import math
from dataclasses import dataclass, replace

import numpy as np

from nanodet_kp_core.numerics import log_uniform
from nanodet_kp_core.plate import BAR_LENGTH, corner_points
from nanodet_kp_core.synthetic.canvas import Canvas, Window, quad_window, shine
from nanodet_kp_core.synthetic.geometry import PlatePose

Spread = tuple[tuple[float, float], ...]
"""What becomes of a point of light: (share, standard deviation in pixels) of some Gaussians; the first is the sharp
image, the second the bloom next to it, the others are wide and faint."""

_END = 0.7
"""Gray level at the labeled end over that in the middle, before a dark background. Labels fitted to real images lie
half-way between bar and background, which is mostly not black."""

_LEAST, _MOST = -0.15, 0.3  # of a bar's length that blur can add at each end


@dataclass(frozen=True)
class BarLook:
    """How the bars of one robot are made; lengths in metres, angles in radians.

    splay: how far the faces look outward, the near bar of a turned plate shows more of itself than the far one.
    lean: how far the tops stand apart; depth: how far the light reaches around to the bar's outer side.
    core, rim: linear BGR [3] in the middle and at the edge; ramp: how far from the ends and from the sides the rim
    becomes the core, in parts of length and width; leds: number of bright spots, 0 for an even bar. round: how far the
    ends are rounded, 0 square, 1 half a circle. glow: radiance of the diffuser beside the bar, in parts of the rim's.
    """

    thickness: float
    length: float
    splay: float
    lean: float
    depth: float
    core: np.ndarray
    rim: np.ndarray
    ramp: tuple[float, float]
    leds: int
    round: float = 0.0
    glow: float = 0.0


def draw_bar_look(rng: np.random.Generator, light: np.ndarray, strength: float, length: float, exact: bool) -> BarLook:
    """Random bars of a robot; light: linear BGR [3], strength: radiance of the core, 1 just saturates.

    exact: upright, `BAR_LENGTH` long.
    """
    wide = rng.random() < 0.3
    rim = min(strength, log_uniform(rng, 0.35, 2.5))
    look = BarLook(
        thickness=float(rng.uniform(0.013, 0.022) if wide else rng.uniform(0.006, 0.014)),
        length=BAR_LENGTH if exact else length,
        splay=float(rng.uniform(0, 0.4)) if rng.random() < 0.6 else 0.0,
        lean=float(rng.normal(0, 0.05)) if rng.random() < 0.2 and not exact else 0.0,
        depth=float(rng.uniform(0.005, 0.024)),
        core=(light + np.float32(rng.uniform(0, 0.12))) * np.float32(strength),
        rim=light ** np.float32(rng.uniform(1.0, 1.6)) * np.float32(rim),
        ramp=(float(rng.uniform(0.04, 0.25)), float(rng.uniform(0.15, 0.5))),
        leds=int(rng.integers(5, 13)) if rng.random() < 0.15 else 0,
        round=float(rng.uniform(0.3, 1.0)) if rng.random() < 0.4 else 0.0,
    )
    kind, draws = rng.random(), rng.random(5)
    if kind < 0.09:
        return blown_out(look, light, draws)
    if kind < 0.17:
        return _diffuser(look, light, draws)
    if kind < 0.25:  # hardly any color
        pale = np.float32(0.35 + 0.5 * draws[0])
        return replace(look, core=look.core + pale * (look.core.max() - look.core),
                       rim=look.rim + np.float32(0.7) * pale * (look.rim.max() - look.rim))  # fmt: skip
    return look


def blown_out(look: BarLook, light: np.ndarray, draws: np.ndarray) -> BarLook:
    """The bar as a fat white oval of which only the rim has the color of `light` [3]; draws: [5] in 0..1."""
    rim = light * np.float32(0.5 + 1.5 * draws[0])
    white = light + np.float32(0.02 + 0.25 * draws[1] ** 2) * (1 - light)  # saturation makes it white
    return replace(
        look,
        thickness=BAR_LENGTH * float(0.26 + 0.3 * draws[2]),
        core=white * np.float32(np.exp(np.log(5) + np.log(12) * draws[3])),
        rim=np.asarray(rim, np.float32),
        ramp=(float(0.05 + 0.15 * draws[4]), float(0.12 + 0.2 * draws[4])),
        leds=0,
        round=1.0,
    )


def _diffuser(look: BarLook, light: np.ndarray, draws: np.ndarray) -> BarLook:
    """A translucent cover over the LEDs: even, soft at its sides, with a glow beside it."""
    strength = np.float32(np.exp(np.log(0.5) + np.log(6) * draws[0]))
    return replace(
        look,
        thickness=float(0.012 + 0.012 * draws[1]),
        core=(light + np.float32(0.25 * draws[2]) * (1 - light)) * strength,
        rim=light * strength * np.float32(0.5),
        ramp=(look.ramp[0], 0.5),
        leds=0,
        round=float(draws[3]),
        glow=float(0.04 + 0.12 * draws[4]),
    )


def bar_points(
    pose: PlatePose, look: BarLook, width: float, sign: int, seen: tuple[float, float] = (0.0, 1.0)
) -> np.ndarray:
    """Corners [4, 3] of the face of one bar; sign: -1 the left one, 1 the right one.

    seen: what of its width the housing leaves free, from 0 (left) to 1 (right).
    """
    flat = corner_points(look.thickness, look.length)
    reach = look.thickness * (np.array([seen[0], seen[0], seen[1], seen[1]])[:, None] - 0.5)
    lean = np.sin(look.lean) * flat[:, 1:] * -sign
    across = pose.right * np.cos(look.splay) - pose.normal * (sign * np.sin(look.splay))
    return pose.center + (sign * width / 2 + lean) * pose.right + reach * across + flat[:, 1:] * pose.down


def bar_ends(left: np.ndarray, right: np.ndarray) -> np.ndarray:
    """Middles [4, n] of the short sides of two bars [4, n], the corners of the plate."""
    return np.array([left[0] + left[3], left[1] + left[2], right[1] + right[2], right[0] + right[3]]) / 2


def end_points(pose: PlatePose, look: BarLook, width: float) -> np.ndarray:
    """Middles of the short sides of both bars [4, 3], the corners of the plate."""
    return bar_ends(bar_points(pose, look, width, -1), bar_points(pose, look, width, 1))


def outer_side(pose: PlatePose, look: BarLook, width: float, sign: int) -> np.ndarray:
    """Corners [4, 3] of the side of a bar that looks away from the plate, seen when the plate is turned far away."""
    face = bar_points(pose, look, width, sign)
    edge = face[[0, 1]] if sign < 0 else face[[3, 2]]
    back = edge - look.depth * pose.normal
    return np.array([back[0], back[1], edge[1], edge[0]] if sign < 0 else [edge[0], edge[1], back[1], back[0]])


def _step(x: float, sigma: float) -> tuple[float, float]:
    """A step at 0 blurred by a Gaussian, at x; and its integral from far below up to x."""
    z = x / sigma
    below = 0.5 * (1 + math.erf(z / math.sqrt(2)))
    return below, sigma * (z * below + math.exp(-0.5 * z * z) / math.sqrt(2 * math.pi))


def _end(x: float, sigma: float, rim: float, core: float, ramp: float) -> float:
    """Light of a bar that begins at 0 with `rim` and rises to `core` within `ramp` pixels, blurred, at x."""
    edge, risen = _step(x, sigma)
    return rim * edge + (core - rim) / ramp * (risen - _step(x - ramp, sigma)[1])


def overshoot(length: float, width: float, look: BarLook, strength: float, spread: Spread, gamma: float) -> float:
    """Pixels that a bar of `length` x `width` pixels seems longer at each end than it is.

    It seems to end where its brightest channel has fallen to `_END` of its gray level in the middle, along its axis,
    after the blur `spread` and the display's `gamma`.
    """
    core, rim, ramp = float(look.core.max()) * strength, float(look.rim.max()) * strength, look.ramp[0] * length
    narrow = [(share * math.erf(width / (2.83 * sigma)), sigma) for share, sigma in spread]

    def seen(x: float) -> float:
        light = sum(
            share * (_end(x, sigma, rim, core, ramp) + _end(length - x, sigma, rim, core, ramp) - core)
            for share, sigma in narrow
        )
        return min(1.0, max(0.0, light))

    wanted = seen(length / 2) * _END ** (1 / gamma)
    # Halos beyond are too faint to look like bar, unless they saturate.
    reach = 3 * max([spread[1][1], *(sigma for share, sigma in narrow[1:] if share * core > 1)]) + 2
    low, high = -min(_MOST * length + 1, reach), min(length / 2, ramp + reach)  # seen(low) < wanted < seen(high)
    for _ in range(9):
        middle = (low + high) / 2
        low, high = (low, middle) if seen(middle) > wanted else (middle, high)
    return -(low + high) / 2


def cut_share(quad: np.ndarray, look: BarLook, strength: float, spread: Spread, gamma: float) -> float:
    """Part of the bar `quad` [4, 2] to leave out at each end, so that it seems to end where `quad` does."""
    length = float(np.linalg.norm(quad[1] + quad[2] - quad[0] - quad[3])) / 2
    width = float(np.linalg.norm(quad[3] + quad[2] - quad[0] - quad[1])) / 2
    if length < 2:
        return 0.0
    cut = 0.0
    for _ in range(2):  # a shorter bar overshoots a little less
        cut += overshoot(length - 2 * cut, width, look, strength, spread, gamma) - cut
        cut = min(max(cut, _LEAST * length), _MOST * length)
        if abs(cut) < 0.02 * length:
            break
    return cut / length


def shortened(quad: np.ndarray, share: float) -> np.ndarray:
    """The quad [4, 2] without a part of its length at each end."""
    down = share * (quad[[1, 2]] - quad[[0, 3]])
    return np.array([quad[0] + down[0], quad[1] - down[0], quad[2] - down[1], quad[3] + down[1]])


def shine_bar(canvas: Canvas, quad: np.ndarray, look: BarLook, strength: float) -> None:
    """Let a bar shine: `quad` [4, 2] in pixels (left-top, left-bottom, right-bottom, right-top)."""
    window = quad_window(quad, canvas.size)
    if window is None:
        return
    if look.glow:
        halo = quad + (quad - quad.mean(0)) * 0.1
        halo += (quad - quad[[3, 2, 1, 0]]) * 0.6
        shine(canvas, halo, look.rim * np.float32(look.glow * strength))
    width = float(np.linalg.norm(quad[3] - quad[0]))
    if look.round and width > 2:
        cover, inside = _rounded(window, look.round)
    else:
        cover, inside = window.coverage(), np.minimum(window.inside[0], window.inside[2])
    depth = _depth(window, look, inside)
    light = look.rim + depth[..., None] * (look.core - look.rim)
    if look.leds:
        light = light * _spots(window, look.leds)[..., None]
    light *= cover[..., None] * np.float32(strength)
    canvas.emission[window.at] = canvas.emission[window.at] * (1 - cover[..., None]) + light


def _rounded(window: Window, share: float) -> tuple[np.ndarray, np.ndarray]:
    """Share [h, w] of each pixel that a bar with rounded ends covers, and its distance [h, w] to the sides there."""
    left, bottom, right, top = window.inside
    half, tall = (left + right) / 2, (top + bottom) / 2
    radius = share * np.minimum(half, tall)
    x = np.abs(left - right) / 2
    y = np.maximum(np.abs(top - bottom) / 2 - tall + radius, 0)
    cover = radius - np.hypot(np.maximum(x - half + radius, 0), y) + 0.5
    chord = half - radius + np.sqrt(np.maximum(radius**2 - y**2, 0))
    return np.minimum(np.clip(cover, 0, 1), window.coverage()), chord - x


def _depth(window: Window, look: BarLook, inside: np.ndarray) -> np.ndarray:
    """0 at the edge of the bar, 1 where its core is full; inside: distance [h, w] to the sides."""
    left, bottom, right, top = window.inside
    length, width = np.maximum(top + bottom, 1e-3), np.maximum(left + right, 1e-3)
    along = np.minimum(top, bottom) / (look.ramp[0] * length)
    across = (inside + 0.25) / (look.ramp[1] * width)
    return np.asarray(np.clip(along, 0, 1) * np.clip(across, 0, 1))


def _spots(window: Window, leds: int) -> np.ndarray:
    _, bottom, _, top = window.inside
    place = np.clip(top / np.maximum(top + bottom, 1e-3), 0, 1)
    return np.asarray(0.65 + 0.35 * np.cos(2 * np.pi * leds * place))
