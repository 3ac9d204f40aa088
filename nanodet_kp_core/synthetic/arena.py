"""What an arena has that shines in pairs, and what lies on its floor. Nothing here is ever labeled."""

from __future__ import annotations

import cv2
import numpy as np

from nanodet_kp_core.numerics import log_uniform
from nanodet_kp_core.synthetic.canvas import Canvas, paint, quad_window, shine, surface
from nanodet_kp_core.synthetic.lights import bar_quad, strength, team_light

_PIECE = 64.0  # pixels; long lines shine piece by piece, or their bounding box would be the whole image


def arena(rng: np.random.Generator, canvas: Canvas) -> None:
    """Strips in slanted pairs, lit edges of ramps, lines along borders, energy mechanisms."""
    if rng.random() < 0.25:
        for _ in range(1 + int(rng.random() < 0.3)):
            slanted_pair(rng, canvas)
    if rng.random() < 0.1:
        lit_ramp(rng, canvas)
    if rng.random() < 0.12:
        border_lines(rng, canvas)
    if rng.random() < 0.05:
        energy_mechanism(rng, canvas)


def arena_light(rng: np.random.Generator) -> np.ndarray:
    """Linear BGR [3] of an arena's strip: cyan to blue, orange to red, amber, white; brightest channel 1."""
    u = rng.uniform
    kind = rng.random()
    if kind < 0.4:
        light = (1.0, u(0.2, 0.95), u(0.0, 0.3))
    elif kind < 0.7:
        light = (u(0.0, 0.15), u(0.05, 0.4), 1.0)
    elif kind < 0.82:
        light = (u(0.05, 0.25), u(0.4, 0.7), 1.0)
    else:
        return team_light(rng, "W")
    return np.asarray(light, np.float32)


def taper(start: np.ndarray, stop: np.ndarray, first: float, last: float) -> np.ndarray:
    """Quad [4, 2] along a line from `start` [2] to `stop` [2], `first` and `last` pixels wide at its ends."""
    along = stop - start
    across = np.array([along[1], -along[0]]) / (2 * max(float(np.hypot(*along)), 1e-6))
    return np.array([start - across * first, stop - across * last, stop + across * last, start + across * first])


def shine_line(
    canvas: Canvas, start: np.ndarray, stop: np.ndarray, first: float, last: float, radiance: np.ndarray
) -> None:
    """Let a line [2] to [2] shine that is `first` pixels wide where it starts and `last` where it stops."""
    length = float(np.hypot(*(stop - start)))
    count = max(1, int(np.ceil(length / _PIECE)))
    overlap = 0.5 / max(length, 1.0)
    for k in range(count):
        low, high = max(0.0, k / count - overlap), min(1.0, (k + 1) / count + overlap)
        ends = [start + share * (stop - start) for share in (low, high)]
        widths = [first + share * (last - first) for share in (low, high)]
        shine(canvas, taper(ends[0], ends[1], widths[0], widths[1]), radiance)


def slanted_pair(rng: np.random.Generator, canvas: Canvas) -> None:
    """Two strips side by side, 1.1 to 3 times as long as they are apart, that lean together: no plate does that."""
    w, h = canvas.size
    length = log_uniform(rng, 8, 0.45 * w)
    tilt = rng.uniform(0.15, 0.9) * (1 if rng.random() < 0.5 else -1)
    along = np.array([np.sin(tilt), np.cos(tilt)]) * length
    gap = length / rng.uniform(1.1, 3.0)
    first = rng.uniform(0.02, 0.98, 2) * (w, h) - along / 2
    second = first + (gap, gap * rng.normal(0, 0.15))
    width = max(1.0, length * log_uniform(rng, 0.03, 0.14))
    far = float(rng.uniform(0.6, 1.0))  # perspective: the upper ends are farther
    light = arena_light(rng) * np.float32(strength(rng))
    if rng.random() < 0.5:  # the board that carries them
        reach = np.array([0.4 * gap + width, 0.0])
        board = np.array([first - reach, first + 1.1 * along - reach, second + 1.1 * along + reach, second + reach])
        paint(canvas, board, surface(rng, 0.004, 0.3), 0)
    for start, share in ((first, 1.0), (second, float(rng.uniform(0.8, 1.2)))):
        stop = start + along * share + (rng.normal(0, 0.03) * length, 0)
        shine_line(canvas, start, stop, width * far, width, light)


def lit_ramp(rng: np.random.Generator, canvas: Canvas) -> None:
    """A ramp or a wall that runs away from us; one or two of its edges are lit and converge."""
    w, h = canvas.size
    vanish = rng.uniform((-0.5, -0.1), (1.5, 0.5)) * (w, h)
    near = rng.uniform((-0.2, 0.5), (1.2, 1.2)) * (w, h)
    side = np.array([rng.uniform(0.04, 0.5) * w, rng.normal(0, 0.05) * h])
    share = float(rng.uniform(0.25, 0.85))
    left, right = near - side / 2, near + side / 2
    ends = [point + share * (vanish - point) for point in (left, right)]
    paint(canvas, np.array([ends[0], left, right, ends[1]]), surface(rng, 0.03, 0.5), 0)
    width = w * log_uniform(rng, 0.006, 0.03)
    light = arena_light(rng) * np.float32(strength(rng))
    both = rng.random() < 0.7
    for point, end in zip((left, right), ends) if both else [(left, ends[0])]:
        shine_line(canvas, end, point, max(0.8, width * (1 - share)), width, light)


def border_lines(rng: np.random.Generator, canvas: Canvas) -> None:
    """One to three long lines of light along the border of a field, far ends thinner."""
    w, h = canvas.size
    start = np.array([rng.uniform(-0.3, 0.6) * w, rng.uniform(0.1, 1.1) * h])
    step = np.array([rng.uniform(0.4, 1.5) * w, rng.normal(0, 0.25) * h])
    width = w * log_uniform(rng, 0.004, 0.025)
    light = arena_light(rng) * np.float32(strength(rng))
    for _ in range(int(rng.integers(1, 4))):
        shine_line(canvas, start, start + step, max(0.8, width * rng.uniform(0.2, 1)), width, light)
        start = start + (rng.normal(0, 0.03) * w, rng.uniform(0.03, 0.2) * h)
        step = step * rng.uniform(0.8, 1.1) + (0, rng.normal(0, 0.03) * h)


def energy_mechanism(rng: np.random.Generator, canvas: Canvas) -> None:
    """A wheel of five arms with lit, square or ringed ends in one team's color; parts of it may be outside."""
    w, h = canvas.size
    center = rng.uniform(-0.1, 1.1, 2) * (w, 0.9 * h)
    reach = log_uniform(rng, 0.12, 0.9) * w
    light = (team_light(rng, "BR"[int(rng.integers(2))]) + np.float32(0.1)) * np.float32(strength(rng))
    squeeze, start = float(rng.uniform(0.6, 1.0)), float(rng.uniform(0, 6.28))
    size, ringed = reach * float(rng.uniform(0.14, 0.24)), rng.random() < 0.5
    for k in range(5):
        angle = start + k * 2 * np.pi / 5
        out = np.array([np.cos(angle) * squeeze, np.sin(angle)])
        side = np.array([-np.sin(angle) * squeeze, np.cos(angle)])
        middle = center + out * reach * 0.82
        state = rng.random()  # an arm is off, shows its end, or its end and its arm
        if state < 0.2:
            continue
        if ringed:
            _rings(canvas, middle, size, squeeze, light, int(rng.integers(1, 4)))
        else:
            _frame(canvas, middle, out * size, side * size, light, size * float(rng.uniform(0.1, 0.3)))
        if state > 0.6:
            lines = (-0.4, 0.4) if rng.random() < 0.6 else (0.0,)
            for place in lines:
                offset = side * size * place
                ends = center + out * reach * 0.25 + offset, center + out * reach * 0.6 + offset
                shine_line(canvas, ends[0], ends[1], size * 0.15, size * 0.2, light)
    if rng.random() < 0.6:
        _frame(canvas, center, np.array([0.0, size * 0.35]), np.array([size * 0.3, 0.0]), light, size * 0.15)


def _frame(
    canvas: Canvas, center: np.ndarray, out: np.ndarray, side: np.ndarray, light: np.ndarray, width: float
) -> None:
    """A lit outline around `center` that reaches `out` [2] and `side` [2] to each of its sides."""
    corners = [center + out + side, center + out - side, center - out - side, center - out + side]
    for a, b in zip(corners, corners[1:] + corners[:1]):
        shine_line(canvas, a, b, max(1.0, width), max(1.0, width), light)


def _rings(canvas: Canvas, center: np.ndarray, radius: float, squeeze: float, light: np.ndarray, count: int) -> None:
    """Rings of light around `center`, as on a target."""
    quad = bar_quad(center, 2.4 * radius, 2.4 * radius, 0.0)
    window = quad_window(quad, canvas.size)
    if window is None:
        return
    rows, columns = window.at
    x = (np.arange(columns.start, columns.stop, dtype=np.float32) - center[0]) / max(squeeze, 0.1)
    y = np.arange(rows.start, rows.stop, dtype=np.float32) - center[1]
    away = np.hypot(x, y[:, None]) / radius
    cover = np.zeros_like(away)
    for k in range(count):
        edge = np.abs(away - (k + 1) / count) * radius
        np.maximum(cover, np.clip(0.06 * radius + 0.8 - edge, 0, 1), out=cover)
    canvas.emission[window.at] = np.maximum(canvas.emission[window.at], cover[..., None] * light.astype(np.float32))


def floor_markings(rng: np.random.Generator, canvas: Canvas) -> None:
    """Tape, zone circles, crosses and colored areas on the floor; they only reflect."""
    w, h = canvas.size
    for _ in range(int(rng.integers(1, 4))):
        code = surface(rng, 0.3, 0.95) if rng.random() < 0.6 else _paint_code(rng)
        center = rng.uniform((0, 0.35), (1, 1.05)) * (w, h)
        reach, flat = w * log_uniform(rng, 0.06, 0.6), float(rng.uniform(0.15, 0.7))
        thick = max(1, int(reach * rng.uniform(0.02, 0.12)))
        kind = rng.random()
        if kind < 0.35:  # tape, at times doubled
            turn = rng.uniform(0, np.pi)
            along = np.array([np.cos(turn), np.sin(turn) * flat]) * reach
            for offset in (0.0, 3.0 * thick)[: int(rng.integers(1, 3))]:
                ends = [center + sign * along + (0, offset) for sign in (-1, 1)]
                paint(canvas, taper(ends[0], ends[1], thick, thick * rng.uniform(0.7, 1.4)), code, 0)
        elif kind < 0.7:  # a zone
            middle, axes = (int(center[0]), int(center[1])), (int(reach) + 1, int(reach * flat) + 1)
            fill = -1 if rng.random() < 0.35 else thick
            cv2.ellipse(canvas.albedo, middle, axes, 0, 0, 360, code, fill, cv2.LINE_AA)
        else:  # a colored area, seen flat
            skew = rng.normal(0, 0.4) * reach
            depth = reach * flat
            points = [(-reach + skew, -depth), (-reach * 1.3, depth), (reach * 1.3, depth), (reach + skew, -depth)]
            paint(canvas, center + np.array(points), code, 0)


def _paint_code(rng: np.random.Generator) -> tuple[int, int, int]:
    """Blue, red or yellow floor paint."""
    blue, red, yellow = (190, 110, 40), (50, 45, 190), (40, 190, 215)
    base = (blue, red, yellow)[int(rng.integers(3))]
    shade = float(rng.uniform(0.5, 1.15))
    return (min(255, int(base[0] * shade)), min(255, int(base[1] * shade)), min(255, int(base[2] * shade)))
