"""What stands around the plates of a robot: skirts, guards, clear covers, wires, the long bar above a plate."""

from __future__ import annotations

from dataclasses import dataclass
from itertools import pairwise

import numpy as np

from nanodet_kp_core.numerics import log_uniform
from nanodet_kp_core.plate import corner_points
from nanodet_kp_core.synthetic.canvas import (
    BODY,
    Canvas,
    Code,
    encode,
    paint,
    paint_line,
    quad_window,
    shine,
    surface,
)
from nanodet_kp_core.synthetic.geometry import Camera, PlatePose
from nanodet_kp_core.synthetic.lights import team_light
from nanodet_kp_core.synthetic.stickers import PANEL_HEIGHT

_HALF = PANEL_HEIGHT / 2000  # metres


@dataclass(frozen=True)
class LongBar:
    """A light bar above the plates, as a sentry has it: length and thickness in metres, gap above the panel in metres,
    radiance BGR [3]."""

    length: float
    thickness: float
    gap: float
    light: np.ndarray


@dataclass(frozen=True)
class Cover:
    """What the plates of one robot have around them; None or 0 for nothing.

    skirt: surface, and how much larger than the panel [2]. guard: surface, thickness and distance from the panel in
    metres, and which of its four sides there are. clear: share of white that a transparent cover adds. wires: number.
    """

    skirt: tuple[Code, np.ndarray] | None
    guard: tuple[Code, float, float, np.ndarray] | None
    clear: float
    wires: int
    long_bar: LongBar | None


def draw_cover(rng: np.random.Generator, color: str, number: str, width: float) -> Cover:
    """Random surroundings of a robot's plates; width: between the bars, metres."""
    has = rng.random(5) < (0.14, 0.1, 0.05, 0.07, 0.2 if number == "G" else 0.03)
    bright = surface(rng, 0.3, 0.95) if rng.random() < 0.6 else surface(rng, 0.01, 0.5)
    growth = np.array([rng.uniform(1.12, 2.0), rng.uniform(1.05, 1.8)])
    rail = surface(rng, 0.2, 0.95) if rng.random() < 0.6 else surface(rng, 0.005, 0.3)
    thick, away, sides = float(rng.uniform(0.004, 0.02)), float(rng.uniform(0.006, 0.04)), rng.random(4) < 0.75
    light = team_light(rng, color if color in "BRP" and rng.random() < 0.6 else "W")
    white = light + np.float32(rng.uniform(0, 0.7)) * (1 - light)
    long_bar = LongBar(
        length=width * float(rng.uniform(1.0, 3.0) if width > 0.2 else rng.uniform(1.5, 4.0)),
        thickness=float(rng.uniform(0.008, 0.035)),
        gap=float(rng.uniform(0.005, 0.07)),
        light=white * np.float32(log_uniform(rng, 1.0, 60)),
    )
    return Cover(
        skirt=(bright, growth) if has[0] else None,
        guard=(rail, thick, away, sides) if has[1] else None,
        clear=float(rng.uniform(0.05, 0.3)) if has[2] else 0.0,
        wires=int(rng.integers(1, 4)) if has[3] else 0,
        long_bar=long_bar if has[4] else None,
    )


def paint_behind(canvas: Canvas, camera: Camera, pose: PlatePose, cover: Cover, width: float) -> None:
    """The body's skin around a plate."""
    if cover.skirt is None:
        return
    code, growth = cover.skirt
    flat = corner_points(width + 0.02, 2 * _HALF) * growth
    back = camera.project(pose.points(flat) - 0.012 * pose.normal)
    paint(canvas, back, code, BODY)
    shade = (int(code[0] * 0.7), int(code[1] * 0.7), int(code[2] * 0.7))
    paint(canvas, back[[1, 1, 2, 2]] + 0.12 * (back[[0, 1, 2, 3]] - back[[1, 1, 2, 2]]), shade, BODY)


def paint_before(
    rng: np.random.Generator, canvas: Canvas, camera: Camera, pose: PlatePose, cover: Cover, width: float
) -> None:
    """Guards, clear covers, wires and the long bar; none of them hides a bar of the plate seen from the front."""
    if cover.clear:
        _clear(canvas, camera.project(pose.points(corner_points(width * 0.9, 2 * _HALF * 1.05))), cover.clear)
    scale = camera.focal / max(float((camera.rotation @ pose.center)[2]), 0.1)
    for _ in range(cover.wires):
        _wire(rng, canvas, camera, pose, width, scale)
    if cover.guard is not None:
        code, thick, away, sides = cover.guard
        ring = corner_points(width + 0.03 + 2 * away, 2 * _HALF + thick + away)
        points = camera.project(pose.points(ring) + 0.005 * pose.normal)
        for k in np.flatnonzero(sides):
            paint_line(canvas, points[k], points[(k + 1) % 4], code, thick * scale, BODY)
    if cover.long_bar is not None:
        _long(canvas, camera, pose, cover.long_bar)


def _long(canvas: Canvas, camera: Camera, pose: PlatePose, bar: LongBar) -> None:
    flat = corner_points(bar.length, bar.thickness) - [0.0, _HALF + bar.gap + bar.thickness / 2]
    quad = camera.project(pose.points(flat))
    paint(canvas, camera.project(pose.points(flat * 1.0 + corner_points(0.01, 0.012))), (12, 12, 12), BODY)
    shine(canvas, quad, bar.light)


def _wire(
    rng: np.random.Generator, canvas: Canvas, camera: Camera, pose: PlatePose, width: float, scale: float
) -> None:
    """A cable that hangs over the panel between the bars."""
    ends = rng.uniform(-0.38, 0.38, (3, 1)) * width
    path = np.c_[ends, [-_HALF * 1.3, rng.uniform(-0.5, 0.5) * _HALF, _HALF * rng.uniform(0.2, 1.3)]]
    points = camera.project(pose.points(path) + 0.008 * pose.normal)
    code, thick = surface(rng, 0.005, 0.9), float(rng.uniform(0.002, 0.005)) * scale
    for start, stop in pairwise(points):
        paint_line(canvas, start, stop, code, thick, BODY)


def _clear(canvas: Canvas, quad: np.ndarray, share: float) -> None:
    """Acrylic in front: it adds some of the room's light and a streak of gloss."""
    window = quad_window(quad, canvas.size)
    if window is None:
        return
    left, _, right, top = window.inside
    streak = np.abs(left - 0.6 * top - 0.4 * right) < 0.1 * (left + right)
    weight = (share * window.coverage() * (1 + streak))[..., None].astype(np.float32)
    below = canvas.albedo[window.at]
    canvas.albedo[window.at] = (below + weight * (np.float32(encode(0.7)) - below)).astype(np.uint8)
