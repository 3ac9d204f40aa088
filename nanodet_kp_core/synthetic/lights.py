"""Things that shine and are no plate: lamps, strips, indicators and everything that looks like half a plate."""

from __future__ import annotations

import cv2
import numpy as np

from nanodet_kp_core.numerics import log_uniform
from nanodet_kp_core.synthetic.canvas import BODY, Canvas, paint, shine

LONE_HOUSING = (12, 12, 12)
"""Code of what holds a bar that belongs to no plate."""

_AMBER = np.array([0.03, 0.45, 1.0], np.float32)


def team_light(rng: np.random.Generator, color: str) -> np.ndarray:
    """Linear BGR [3] of a team's LEDs, brightest channel 1: "B", "R" or "P"; "W" is any white lamp."""
    u = rng.uniform
    # Some cameras show blue as cyan and red as orange, and where these saturate, as yellow.
    if color == "B":
        light = (1.0, float(np.interp(u(0, 1), (0, 0.85, 1), (0.1, 0.55, 0.85))), u(0.01, 0.16))
    elif color == "R":
        light = (u(0.02, 0.2), float(np.interp(u(0, 1), (0, 0.8, 1), (0.02, 0.2, 0.55))), 1.0)
    elif color == "P":
        light = (u(0.75, 1.0), u(0.08, 0.3), u(0.7, 1.0))
    else:
        light = (u(0.7, 1.0), u(0.75, 1.0), u(0.7, 1.0))
    return np.asarray(light, np.float32)


def any_light(rng: np.random.Generator) -> np.ndarray:
    """Light of a strip or an indicator: the teams' colors and white, at times amber or green."""
    u = rng.random()
    if u < 0.08:
        return _AMBER
    if u < 0.11:
        return np.array([0.2, 1.0, 0.1], np.float32)
    return team_light(rng, "BBRRW"[int(rng.integers(5))])


def bar_quad(center: np.ndarray, length: float, width: float, angle: float) -> np.ndarray:
    """Rectangle [4, 2] of a bar in pixels; `angle` 0 is upright, radians."""
    along = np.array([np.sin(angle), np.cos(angle)]) * length / 2
    across = np.array([np.cos(angle), -np.sin(angle)]) * width / 2
    left, right = center - across, center + across
    return np.array([left - along, left + along, right + along, right - along])


def strength(rng: np.random.Generator) -> float:
    """Radiance of a light, 1 just saturates."""
    return log_uniform(rng, 0.4, 12)


def stray_lights(rng: np.random.Generator, canvas: Canvas) -> None:
    """Strips, lamps and windows anywhere behind the robots. What is drawn here is never labeled."""
    w, h = canvas.size
    for _ in range(rng.poisson(1.0)):
        strip(rng, canvas, rng.uniform(0, 1, 2) * (w, h), log_uniform(rng, 4, 0.6 * w))
    for _ in range(rng.poisson(0.4)):
        center = rng.uniform(0, 1, 2) * (w, h * 0.6)
        size = np.exp(rng.uniform(np.log(2), np.log(0.25 * w), 2))
        shine(canvas, bar_quad(center, size[0], size[1], rng.normal(0, 0.2)), team_light(rng, "W") * strength(rng))
    if rng.random() < 0.25:  # rows of ceiling lamps
        first, step = rng.uniform(-0.2, 1, 2) * (w, 0.5 * h), rng.normal(0, 0.25, 2) * (w, 0.2 * h)
        length, width = np.exp(rng.uniform(np.log(0.01), np.log(0.12), 2)) * w * (0.4, 1.0)
        light = team_light(rng, "W") * strength(rng)
        for k in range(int(rng.integers(1, 6))):
            shine(canvas, bar_quad(first + k * step, length, width, float(rng.normal(0, 0.05))), light)
    if rng.random() < 0.06:  # a rack of indicators
        at, step = rng.uniform(0, 1, 2) * (w, h), rng.normal(0, 8, 2)
        for k in range(int(rng.integers(3, 12))):
            dot(canvas, at + k * step, float(rng.uniform(1, 3)), any_light(rng) * strength(rng))
    if rng.random() < 0.12:
        _sign(rng, canvas)
    if rng.random() < 0.2:
        _mismatched_pair(rng, canvas)
    if rng.random() < 0.2:
        mirrored_bars(rng, canvas)


def strip(
    rng: np.random.Generator, canvas: Canvas, center: np.ndarray, length: float, angle: float | None = None
) -> None:
    """A light strip of `length` pixels; `angle` 0 is upright, None any."""
    tilt = float(rng.uniform(0, np.pi)) if angle is None else angle
    thickness = max(1.0, length * log_uniform(rng, 0.02, 0.35))
    shine(canvas, bar_quad(center, length, thickness, tilt), any_light(rng) * strength(rng))


def dot(canvas: Canvas, center: np.ndarray, radius: float, radiance: np.ndarray) -> None:
    """A round light of `radius` pixels around `center` [2]."""
    w, h = canvas.size
    low = np.maximum(np.floor(center - radius - 1), 0).astype(int)
    high = np.minimum(np.ceil(center + radius + 2), (w, h)).astype(int)
    if (high <= low).any():
        return
    x, y = np.arange(low[0], high[0]) - center[0], np.arange(low[1], high[1]) - center[1]
    cover = np.clip(radius + 0.5 - np.hypot(x, y[:, None]), 0, 1).astype(np.float32)
    window = canvas.emission[low[1] : high[1], low[0] : high[0]]
    np.maximum(window, cover[..., None] * np.asarray(radiance, np.float32), out=window)


def health_bar(rng: np.random.Generator, canvas: Canvas, quad: np.ndarray, color: str) -> None:
    """The long light bar on top of a robot: one color, partly lit, at times with ends in another; quad [4, 2]."""
    light = team_light(rng, color if color in "BR" and rng.random() < 0.7 else "W") * np.float32(strength(rng))
    if rng.random() < 0.1:
        light = _AMBER * np.float32(strength(rng))
    lit = float(rng.uniform(0.3, 1)) if rng.random() < 0.25 else 1.0
    shine(canvas, _part(quad, 0, lit), light)
    if rng.random() < 0.35:
        cap = _AMBER if rng.random() < 0.6 else team_light(rng, "BR"[int(rng.integers(2))])
        share, raised = rng.uniform(0.06, 0.2), (quad[0] - quad[1]) * rng.uniform(0, 0.6)
        for low, high in ((0.0, share), (1 - share, 1.0)):
            shine(canvas, _part(quad, low, high) + raised, cap * strength(rng))


def _part(quad: np.ndarray, low: float, high: float) -> np.ndarray:
    """The quad's part between two shares of its width."""
    top, bottom = quad[3] - quad[0], quad[2] - quad[1]
    return np.array([quad[0] + low * top, quad[1] + low * bottom, quad[1] + high * bottom, quad[0] + high * top])


def lone_bar(rng: np.random.Generator, canvas: Canvas, quad: np.ndarray, color: str) -> None:
    """An upright bar beside the plate whose corners [4, 2] are given, mostly in its color: the half of no plate."""
    height, side = float(np.linalg.norm(quad[1] - quad[0])), quad[3] - quad[0]
    up = (quad[0] - quad[1]) / max(height, 1e-6)
    sign = 1 if rng.random() < 0.5 else -1
    where = quad.mean(0) + side * sign * rng.uniform(0.8, 2.2) + up * height * rng.normal(0.2, 0.5)
    length, angle = height * float(rng.uniform(0.5, 1.4)), float(rng.normal(0, 0.3))
    thickness = length * float(rng.uniform(0.08, 0.35))
    light = team_light(rng, color) if color != "N" and rng.random() < 0.75 else any_light(rng)
    paint(canvas, bar_quad(where, length * 1.1, thickness * 1.6, angle), LONE_HOUSING, BODY)
    shine(canvas, bar_quad(where, length, max(1.0, thickness), angle), light * strength(rng))


def mirrored_bars(rng: np.random.Generator, canvas: Canvas) -> None:
    """Bars of a robot outside the image, mirrored in the floor: dim, soft, smeared downward."""
    w, h = canvas.size
    length = log_uniform(rng, 6, 0.3 * h)
    first, gap = rng.uniform(0, 1, 2) * (w, h), length * rng.uniform(0.8, 4)
    light = team_light(rng, "BR"[int(rng.integers(2))]) * np.float32(log_uniform(rng, 0.03, 0.8))
    soft: np.ndarray = np.zeros((h // 2 + 1, w // 2 + 1, 3), np.float32)
    for k in range(int(rng.integers(2, 5))):
        center = first + (k * gap + rng.normal(0, 0.1) * gap, rng.normal(0, 0.1) * length)
        quad = bar_quad(center, length, max(1.5, length * rng.uniform(0.1, 0.35)), float(rng.normal(0, 0.05)))
        cv2.fillConvexPoly(soft, np.round(quad / 2).astype(np.int32), [float(v) for v in light * rng.uniform(0.5, 1)])
    smear = max(1.0, length * float(rng.uniform(0.05, 0.3)))
    soft = cv2.GaussianBlur(soft, (0, 0), max(0.5, smear * 0.15), sigmaY=smear / 2)
    light_map = np.ascontiguousarray(cv2.resize(soft, (2 * soft.shape[1], 2 * soft.shape[0]))[:h, :w])
    cv2.add(canvas.emission, light_map, canvas.emission)


def _sign(rng: np.random.Generator, canvas: Canvas) -> None:
    """A lit sign on a dark box, of a few thick strokes: an exit sign, a mark, a switch. Mostly green or white."""
    w, h = canvas.size
    size = log_uniform(rng, 5, 60)
    middle = rng.uniform(0.05, 0.95, 2) * (w, h)
    turn = float(rng.normal(0, 0.1))
    height, width = rng.uniform(1.1, 1.8) * size, rng.uniform(1.1, 2.2) * size
    paint(canvas, bar_quad(middle, height, width, turn), (14, 14, 14), BODY)
    u = rng.random()
    light = np.array([rng.uniform(0.1, 0.6), 1.0, rng.uniform(0.05, 0.5)], np.float32) if u < 0.5 else any_light(rng)
    light = team_light(rng, "W") if 0.5 <= u < 0.7 else light
    light = light * np.float32(strength(rng))
    thick = size * float(rng.uniform(0.12, 0.4))
    if rng.random() < 0.5:  # a cross
        for angle in (turn, turn + np.pi / 2):
            shine(canvas, bar_quad(middle, size, thick, angle), light)
        return
    for _ in range(int(rng.integers(2, 6))):
        place = middle + rng.uniform(-0.35, 0.35, 2) * size
        angle = turn + float(rng.choice([0.0, np.pi / 2, rng.uniform(0, np.pi)]))
        shine(canvas, bar_quad(place, size * float(rng.uniform(0.3, 0.8)), thick, angle), light)


def _mismatched_pair(rng: np.random.Generator, canvas: Canvas) -> None:
    """Two bars that make no plate: too far apart or too close, of different length, direction or color, or leaning
    together."""
    w, h = canvas.size
    length = log_uniform(rng, 5, 0.25 * w)
    first = rng.uniform(0.1, 0.9, 2) * (w, h)
    fault = ("far", "close", "shifted", "turned", "colors", "slanted")[int(rng.integers(6))]
    low, high = {"far": (5.8, 10.0), "close": (0.25, 0.6)}.get(fault, (1.5, 4.2))
    gap = length * rng.uniform(low, high)
    sign = 1 if rng.random() < 0.5 else -1
    second = first + (gap, length * (rng.uniform(1, 2) * sign if fault == "shifted" else rng.normal(0, 0.1)))
    lean = float(rng.normal(0, 0.1)) if fault != "slanted" else float(rng.uniform(0.7, 1.2)) * sign
    angles = (lean, lean + (rng.uniform(0.6, 1.5) * sign if fault == "turned" else 0.0))
    colors = ("B", "R") if fault == "colors" else ("BRW"[int(rng.integers(3))],) * 2
    power, thickness = strength(rng), max(1.0, length * rng.uniform(0.1, 0.3))
    for center, angle, color in zip((first, second), angles, colors):
        quad = bar_quad(center, length * rng.uniform(0.9, 1.1), thickness, float(angle))
        shine(canvas, quad, team_light(rng, color) * np.float32(power))
