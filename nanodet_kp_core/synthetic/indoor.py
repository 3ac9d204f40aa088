"""What stands and hangs in rooms where robots drive: windows, lamps, screens, chairs, legs, boards. Never labeled."""

from __future__ import annotations

import cv2
import numpy as np

from nanodet_kp_core.synthetic.arena import shine_line, taper
from nanodet_kp_core.synthetic.boards import board
from nanodet_kp_core.synthetic.canvas import Canvas, paint, paint_line, quad_window, reach, surface, warped
from nanodet_kp_core.synthetic.lights import any_light, bar_quad, strength, team_light
from nanodet_kp_core.synthetic.stickers import letters


def indoor(rng: np.random.Generator, canvas: Canvas) -> None:
    """Some of it, each at its own rate."""
    things = (
        (windows, 0.08), (tube_rows, 0.1), (led_screen, 0.05), (monitor, 0.06), (chair, 0.06), (legs, 0.05),
        (cone, 0.04), (board, 0.06),
    )  # fmt: skip
    for draw, rate in things:
        if rng.random() < rate:
            draw(rng, canvas)


def shine_texture(canvas: Canvas, texture: np.ndarray, quad: np.ndarray) -> None:
    """Warp radiances float32 [h, w, 3] onto a quad [4, 2] (left-top, left-bottom, right-bottom, right-top)."""
    window = quad_window(quad, canvas.size)
    if window is None:
        return
    light = warped(texture, quad, window)
    cover = window.coverage()[..., None]
    canvas.emission[window.at] = canvas.emission[window.at] * (1 - cover) + light * cover


def _panel(rng: np.random.Generator, center: np.ndarray, width: float, height: float) -> np.ndarray:
    """A flat thing that hangs or stands, turned a little: quad [4, 2]."""
    quad = bar_quad(center, height, width, float(rng.normal(0, 0.06)))
    skew, near = rng.normal(0, 0.12) * width, float(rng.uniform(0.75, 1.0))
    quad[[0, 1], 1] += skew
    side = (0, 1) if rng.random() < 0.5 else (3, 2)
    middle = quad[list(side)].mean(0)
    quad[list(side)] = middle + near * (quad[list(side)] - middle)
    return quad


def windows(rng: np.random.Generator, canvas: Canvas) -> None:
    """A row of bright windows with mullions."""
    w, h = canvas.size
    width, first = reach(rng, canvas, 0.06, 0.4), rng.uniform((-0.1, 0.0), (0.9, 0.5)) * (w, h)
    height, light = width * float(rng.uniform(0.6, 2.0)), team_light(rng, "W") * np.float32(rng.uniform(0.4, 3.0))
    frame, bar = surface(rng, 0.01, 0.6), max(1.0, width * float(rng.uniform(0.02, 0.08)))
    for k in range(int(rng.integers(1, 5))):
        quad = bar_quad(first + (k * 1.15 * width, 0), height, width, 0.0)
        shine_texture(canvas, np.full((4, 4, 3), light, np.float32), quad)
        for share in np.linspace(0, 1, int(rng.integers(2, 5))):
            ends = [a + share * (b - a) for a, b in ((quad[0], quad[3]), (quad[1], quad[2]))]
            paint_line(canvas, ends[0], ends[1], frame, bar, 0)
        for share in np.linspace(0, 1, int(rng.integers(2, 5))):
            ends = [a + share * (b - a) for a, b in ((quad[0], quad[1]), (quad[3], quad[2]))]
            paint_line(canvas, ends[0], ends[1], frame, bar, 0)


def tube_rows(rng: np.random.Generator, canvas: Canvas) -> None:
    """Rows of tubes under a ceiling that run towards one point, often two side by side."""
    w, h = canvas.size
    vanish = rng.uniform((0.1, 0.15), (0.9, 0.6)) * (w, h)
    light = team_light(rng, "W") * np.float32(strength(rng) + 0.6)
    width = reach(rng, canvas, 0.01, 0.04)
    across = rng.random() < 0.4  # tubes that lie across the view
    for x in rng.uniform(-0.6, 1.6, int(rng.integers(1, 4))) * w:
        top = np.array([x, -0.15 * h])
        for near in np.linspace(0.1, 0.85, int(rng.integers(2, 6))):
            middle, size = top + near * (vanish - top), 1 - near
            along = np.array([0.12 * w * size, 0.0]) if across else (vanish - top) * 0.09 * size
            for shift in (0.0,) if rng.random() < 0.5 else (-1.2, 1.2):
                offset = np.array([0.0, shift] if across else [shift, 0.0]) * width * size
                ends = middle - along + offset, middle + along + offset
                shine_line(canvas, ends[0], ends[1], max(0.8, width * size), max(0.7, 0.8 * width * size), light)


def led_screen(rng: np.random.Generator, canvas: Canvas) -> None:
    """A matrix of LEDs that shows letters or noise, or a large screen."""
    rows, columns = int(rng.integers(7, 20)), int(rng.integers(16, 60))
    glyphs = np.zeros((rows, columns), np.uint8)
    if rng.random() < 0.6:
        cv2.putText(glyphs, letters(rng, "0123456789ABRM:", 1, 6), (1, rows - 2), 0, rows / 30, 255, 1)
    else:
        glyphs[:] = (rng.random((rows, columns)) < rng.uniform(0.1, 0.9)) * 255
    light = any_light(rng) * np.float32(strength(rng))
    dots = cv2.resize(glyphs, None, fx=4, fy=4, interpolation=cv2.INTER_NEAREST)
    if rng.random() < 0.7:
        dots *= np.tile(np.array([[0, 0, 0, 0], [0, 1, 1, 0], [0, 1, 1, 0], [0, 0, 0, 0]], np.uint8), (rows, columns))
    texture = (dots[..., None] / np.float32(255)) * light + np.float32(0.002)
    width = reach(rng, canvas, 0.08, 0.5)
    quad = _panel(rng, rng.uniform((0, 0), (1, 0.8)) * canvas.size, width, width * rows / columns)
    paint(canvas, quad, (18, 18, 18), 0)
    shine_texture(canvas, texture.astype(np.float32), quad)


def monitor(rng: np.random.Generator, canvas: Canvas) -> None:
    """The bright screen of a monitor or a laptop in its dark frame."""
    width = reach(rng, canvas, 0.1, 0.7)
    quad = _panel(rng, rng.uniform(-0.1, 1.1, 2) * canvas.size, width, width * float(rng.uniform(0.5, 0.75)))
    middle = quad.mean(0)
    foot = middle + 1.6 * (quad[[1, 2]].mean(0) - middle)
    paint(canvas, taper(middle, foot, 0.12 * width, 0.3 * width), surface(rng, 0.004, 0.1), 0)
    paint(canvas, middle + (quad - middle) * float(rng.uniform(1.05, 1.15)), surface(rng, 0.004, 0.05), 0)
    level, bright = np.float32(rng.uniform(0.15, 1.6)), rng.random() < 0.5
    screen = np.full((36, 64, 3), 0.9 if bright else 0.04, np.float32)
    for _ in range(int(rng.integers(2, 10))):  # windows and lines of text
        low = rng.integers(0, (60, 32))
        high = low + rng.integers(2, (40, 14)) if rng.random() < 0.5 else low + (int(rng.integers(6, 30)), 1)
        tone = rng.random(3) if rng.random() < 0.5 else np.full(3, rng.random())
        screen[low[1] : high[1], low[0] : high[0]] = tone
    shine_texture(canvas, screen * level, quad)


def chair(rng: np.random.Generator, canvas: Canvas) -> None:
    """An office chair: back, seat, post and a star with castors, dark before the room."""
    w, h = canvas.size
    size, at = reach(rng, canvas, 0.08, 0.4), rng.uniform((0, 0.2), (1, 0.9)) * (w, h)
    code, metal = surface(rng, 0.004, 0.06), surface(rng, 0.01, 0.5)
    back = bar_quad(at - (0, 0.75 * size), size, 0.75 * size, float(rng.normal(0, 0.1)))
    paint(canvas, back, code, 0)
    if rng.random() < 0.5:  # a net that lets the room through, between two dark posts
        paint(canvas, back.mean(0) + 0.75 * (back - back.mean(0)), surface(rng, 0.02, 0.3), 0)
    seat = at + np.array([[-0.45, -0.1], [-0.5, 0.12], [0.5, 0.12], [0.45, -0.1]]) * size
    paint(canvas, seat, code, 0)
    hub = at + (0, 0.65 * size)
    paint_line(canvas, at, hub, metal, 0.07 * size, 0)
    turn = rng.uniform(0, 6.28)
    for k in range(5):
        angle = turn + k * 2 * np.pi / 5
        tip = hub + np.array([np.cos(angle), 0.35 * np.sin(angle) + 0.12]) * 0.5 * size
        paint_line(canvas, hub, tip, metal, 0.06 * size, 0)
        paint(canvas, bar_quad(tip + (0, 0.05 * size), 0.1 * size, 0.08 * size, 0.0), code, 0)


def legs(rng: np.random.Generator, canvas: Canvas) -> None:
    """Somebody's legs and shoes."""
    w, h = canvas.size
    size, foot = reach(rng, canvas, 0.2, 0.9), rng.uniform((0, 0.5), (1, 1.1)) * (w, h)
    trousers, shoes = surface(rng, 0.004, 0.25), surface(rng, 0.004, 0.7)
    for k in (-1, 1):
        at = foot + (k * size * rng.uniform(0.06, 0.16), rng.normal(0, 0.04) * size)
        hip = at + (rng.normal(-0.3 * k * 0.1, 0.1) * size, -size)
        paint(canvas, taper(hip, at, 0.2 * size, 0.12 * size), trousers, 0)
        toe = at + (rng.normal(0, 0.12) * size, 0.04 * size)
        paint_line(canvas, at - (0.03 * size, 0), toe, shoes, 0.08 * size, 0)


def cone(rng: np.random.Generator, canvas: Canvas) -> None:
    """A traffic cone with a pale band, at times mirrored in the floor."""
    w, h = canvas.size
    size, foot = reach(rng, canvas, 0.05, 0.25), rng.uniform((0, 0.35), (1, 1)) * (w, h)
    orange, pale = (25, 110, 225), (215, 220, 225)
    shades = ((-1.0, 1.0), (1.0, 0.45)) if rng.random() < 0.5 else ((-1.0, 1.0),)
    for up, shade in shades:
        for low, high, code in ((0.0, 1.0, orange), (0.35, 0.6, pale)):
            dim = (int(code[0] * shade), int(code[1] * shade), int(code[2] * shade))
            widths = [0.7 * size * (1 - 0.85 * share) for share in (low, high)]
            ends = [foot + (0, up * share * size) for share in (low, high)]
            paint(canvas, taper(ends[0], ends[1], widths[0], widths[1]), dim, 0)
