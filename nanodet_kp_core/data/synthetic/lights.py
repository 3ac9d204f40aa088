"""Things that shine: the colours of the bars, lamps, strips and everything that looks like half a plate."""

from __future__ import annotations

import numpy as np

from nanodet_kp_core.data.synthetic.canvas import Canvas, shine


def team_light(rng: np.random.Generator, color: str) -> np.ndarray:
    """Linear BGR [3] of a team's LEDs, brightest channel 1: "B", "R" or "P"; "W" is any white lamp."""
    u = rng.uniform
    if color == "B":
        light = (1.0, u(0.1, 0.5), u(0.0, 0.12))
    elif color == "R":
        light = (u(0.02, 0.16), u(0.02, 0.17), 1.0)
    elif color == "P":
        light = (u(0.75, 1.0), u(0.08, 0.3), u(0.7, 1.0))
    else:
        light = (u(0.7, 1.0), u(0.75, 1.0), u(0.7, 1.0))
    return np.asarray(light, np.float32)


def bar_quad(centre: np.ndarray, length: float, width: float, angle: float) -> np.ndarray:
    """Rectangle [4, 2] of a bar in pixels; `angle` 0 is upright, radians."""
    along = np.array([np.sin(angle), np.cos(angle)]) * length / 2
    across = np.array([np.cos(angle), -np.sin(angle)]) * width / 2
    left, right = centre - across, centre + across
    return np.array([left - along, left + along, right + along, right - along])


def stray_lights(rng: np.random.Generator, canvas: Canvas) -> None:
    """Strips, lamps and windows anywhere behind the robots. What is drawn here is never labelled."""
    w, h = canvas.size
    for _ in range(rng.poisson(1.0)):
        _strip(rng, canvas, rng.uniform(0, 1, 2) * (w, h), float(np.exp(rng.uniform(np.log(4), np.log(0.4 * w)))))
    for _ in range(rng.poisson(0.4)):
        centre = rng.uniform(0, 1, 2) * (w, h * 0.6)
        size = np.exp(rng.uniform(np.log(2), np.log(0.25 * w), 2))
        shine(canvas, bar_quad(centre, size[0], size[1], rng.normal(0, 0.2)), team_light(rng, "W") * _strength(rng))
    if rng.random() < 0.2:
        _mismatched_pair(rng, canvas)


def lights_beside(rng: np.random.Generator, canvas: Canvas, quads: list[np.ndarray]) -> None:
    """Lights that robots carry close to a plate; `quads`: corners [4, 2] of the plates. Never labelled."""
    for quad in quads:
        centre, height = quad.mean(0), float(np.linalg.norm(quad[1] - quad[0]))
        side = quad[3] - quad[0]
        up = (quad[0] - quad[1]) / max(height, 1e-6)
        if rng.random() < 0.25:  # light bar above the plate, as on many robots
            length = float(np.linalg.norm(side)) * rng.uniform(0.4, 1.6)
            where = centre + up * height * rng.uniform(1.1, 3.5) + rng.normal(0, 0.1, 2) * height
            angle = np.arctan2(side[0], side[1]) + rng.normal(0, 0.1)
            color = team_light(rng, str(rng.choice(list("BRW"))))
            thickness = max(1.2, height * rng.uniform(0.08, 0.4))
            shine(canvas, bar_quad(where, length, thickness, angle), color * _strength(rng))
        if rng.random() < 0.2:  # a lone upright bar beside it
            where = centre + side * rng.choice([-1, 1]) * rng.uniform(0.9, 2.5) + up * height * rng.normal(0, 0.7)
            _strip(rng, canvas, where, height * rng.uniform(0.5, 1.5), float(rng.normal(0, 0.3)))


def _strength(rng: np.random.Generator) -> float:
    return float(np.exp(rng.uniform(np.log(0.4), np.log(6))))


def _strip(
    rng: np.random.Generator, canvas: Canvas, centre: np.ndarray, length: float, angle: float | None = None
) -> None:
    tilt = float(rng.uniform(0, np.pi)) if angle is None else angle
    thickness = max(1.0, length * float(np.exp(rng.uniform(np.log(0.03), np.log(0.4)))))
    color = team_light(rng, str(rng.choice(list("BBRRW"))))
    shine(canvas, bar_quad(centre, length, thickness, tilt), color * _strength(rng))


def _mismatched_pair(rng: np.random.Generator, canvas: Canvas) -> None:
    """Two bars that make no plate: too far apart, of different length or direction, or of different colours."""
    w, h = canvas.size
    length = float(np.exp(rng.uniform(np.log(5), np.log(60))))
    first = rng.uniform(0.1, 0.9, 2) * (w, h)
    fault = rng.integers(0, 4)
    gap = length * (rng.uniform(6, 10) if fault == 0 else rng.uniform(1.8, 4.2))
    second = first + (gap, length * (rng.uniform(1, 2) * rng.choice([-1, 1]) if fault == 1 else rng.normal(0, 0.1)))
    angles = (0.0, rng.uniform(0.6, 1.5) * rng.choice([-1, 1])) if fault == 2 else (0.0, 0.0)
    colors = ("B", "R") if fault == 3 else (str(rng.choice(["B", "R"])),) * 2
    for centre, angle, color in zip((first, second), angles, colors):
        quad = bar_quad(centre, length, max(1.0, length * rng.uniform(0.1, 0.3)), float(angle))
        shine(canvas, quad, team_light(rng, color) * _strength(rng))
