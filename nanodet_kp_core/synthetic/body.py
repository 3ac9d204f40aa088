"""The robot around its plates: chassis, wheels, frames, turret and barrel. Nothing here is labeled."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

import cv2
import numpy as np

from nanodet_kp_core.synthetic.canvas import BODY, Canvas, Code, paint, paint_line, surface
from nanodet_kp_core.synthetic.geometry import Camera, turned
from nanodet_kp_core.synthetic.lights import any_light, bar_quad, dot, health_bar, strength

Part = tuple[float, Callable[[], None]]
"""Depth of a part of a robot, and what paints it; the far ones are painted first."""

# Corners of a box as signs, and its faces seen from outside.
_SIGNS = np.array([[x, y, z] for x in (-1, 1) for y in (-1, 1) for z in (-1, 1)], float)
_FACES = np.array([[0, 2, 6, 4], [5, 7, 3, 1], [1, 3, 2, 0], [4, 6, 7, 5], [1, 0, 4, 5], [2, 3, 7, 6]])
_SHADES = (1.0, 0.8, 0.85, 0.9, 1.2, 0.6)
_RIM = np.linspace(0, 2 * np.pi, 17)[:-1]
_CIRCLE = np.stack([np.cos(_RIM), np.sin(_RIM)], axis=1)


@dataclass(frozen=True)
class Frame:
    """Where a robot stands: center [3] between its plates, their distance from it, yaw, and the height of the floor
    (y of the level frame, metres). albedo: range of its surfaces."""

    center: np.ndarray
    radius: float
    yaw: float
    floor: float
    albedo: tuple[float, float]

    def at(self, x: float, y: float, z: float) -> np.ndarray:
        """Point [3] given in the robot's own directions, metres; z towards the first plate is negative."""
        return self.center + turned(np.array([x, y, z]), self.yaw)


def draw_frame(rng: np.random.Generator, center: np.ndarray, radius: float, yaw: float) -> Frame:
    """Random looks of a robot at `center`."""
    u = rng.random()
    floor = float(center[1] + rng.uniform(0.05, 0.16))
    albedo = (0.3, 0.95) if u < 0.1 else (0.08, 0.7) if u < 0.3 else (0.006, 0.2)  # white covers, bare metal, black
    return Frame(center, radius, yaw, floor, albedo)


def paint_box(canvas: Canvas, camera: Camera, center: np.ndarray, half: np.ndarray, yaw: float, code: Code) -> None:
    """A box with faces of different brightness; half: [3] half its sides in metres, turned by `yaw`."""
    corners = camera.project(center + turned(_SIGNS * half, yaw))
    for face, shade in zip(_FACES, _SHADES):
        quad = corners[face]
        a, b = quad[2] - quad[0], quad[3] - quad[1]
        if a[0] * b[1] - a[1] * b[0] < 0:  # seen from outside
            lit = (min(255, int(code[0] * shade)), min(255, int(code[1] * shade)), min(255, int(code[2] * shade)))
            paint(canvas, quad, lit, BODY)


def _stroke(
    rng: np.random.Generator, canvas: Canvas, camera: Camera, start: np.ndarray, stop: np.ndarray, width: float,
    albedo: tuple[float, float],
) -> None:  # fmt: skip
    depth = float((camera.rotation @ start)[2])
    if depth < 0.1:
        return
    a, b = camera.project(np.stack([start, stop]))
    paint_line(canvas, a, b, surface(rng, *albedo), width * camera.focal / depth, BODY)


def paint_chassis(rng: np.random.Generator, canvas: Canvas, camera: Camera, frame: Frame) -> None:
    """Everything that stands behind the plates."""
    low, high = frame.albedo
    radius, height = frame.radius, float(rng.uniform(0.02, 0.07))
    half = np.array([radius * rng.uniform(0.6, 0.95), height, radius * rng.uniform(0.6, 0.95)])
    paint_box(canvas, camera, frame.center, half, frame.yaw, surface(rng, low, high))
    upper = np.array([radius * rng.uniform(0.3, 0.9), rng.uniform(0.01, 0.06), radius * rng.uniform(0.3, 0.9)])
    paint_box(canvas, camera, frame.at(0, -height - 0.03, 0), upper, frame.yaw, surface(rng, low, high))
    for _ in range(rng.integers(2, 10)):  # boxes, covers, motors
        x, y, z = rng.normal(0, 0.5, 3) * (radius, height * 1.5, radius)
        size = np.exp(rng.uniform(np.log(0.008), np.log(0.07), 3))
        turn = frame.yaw + float(rng.normal(0, 0.4))
        paint_box(canvas, camera, frame.at(x, y - height * 0.5, z), size, turn, surface(rng, low, min(0.9, 2 * high)))
    for _ in range(rng.integers(0, 12)):  # cables, struts, shiny profiles
        a = frame.at(*(rng.normal(0, 0.7, 3) * (radius, height * 2.5, radius)))
        b = a + rng.normal(0, 0.12, 3)
        metal = (0.2, 0.95) if rng.random() < 0.4 else (0.005, 0.3)
        _stroke(rng, canvas, camera, a, b, float(rng.uniform(0.003, 0.02)), metal)
    for side in (-1, 1):  # bumper
        if rng.random() < 0.3:
            reach, y = radius * rng.uniform(0.9, 1.3), frame.floor - frame.center[1] - rng.uniform(0.01, 0.12)
            a, b = frame.at(-reach, y, side * reach), frame.at(reach, y, side * reach)
            _stroke(rng, canvas, camera, a, b, float(rng.uniform(0.006, 0.03)), (0.02, 0.9))


def paint_tower(rng: np.random.Generator, canvas: Canvas, camera: Camera, frame: Frame) -> None:
    """The cylinder that carries an outpost's plates, its top and its foot."""
    wide, up, down = frame.radius * rng.uniform(0.5, 0.95), rng.uniform(0.06, 0.4), rng.uniform(0.06, 0.6)
    for share, low, high in ((1.0, -up, down), (0.6, -up - 0.1, -up), (1.3, down, down + 0.08)):
        disc = wide * share * np.stack([_CIRCLE[:, 0], np.zeros(len(_CIRCLE)), _CIRCLE[:, 1]], axis=1)
        rings = camera.project(frame.center + np.concatenate([disc + [0, low, 0], disc + [0, high, 0]]))
        hull = cv2.convexHull(np.clip(rings, -1e5, 1e5).astype(np.float32))[:, 0]
        code = surface(rng, *frame.albedo)
        paint(canvas, hull.astype(float), code, BODY)
        lit = (min(255, int(code[0] * 1.2)), min(255, int(code[1] * 1.2)), min(255, int(code[2] * 1.2)))
        paint(canvas, rings[: len(disc)], lit, BODY)


def wheel_parts(rng: np.random.Generator, canvas: Canvas, camera: Camera, frame: Frame) -> list[Part]:
    """Four wheels at the corners; between two plates a wheel is what their inner bars enclose."""
    radius, away = float(rng.uniform(0.045, 0.085)), frame.radius * float(rng.uniform(0.6, 1.15))
    turn = (0.0, np.pi / 2, np.pi / 4)[int(rng.integers(3))]
    wide, looks = float(rng.uniform(0.015, 0.04)), rng.integers(1 << 30)
    parts: list[Part] = []
    for k, (x, z) in enumerate(((-1, -1), (1, -1), (1, 1), (-1, 1))):
        at = frame.at(x * away, 0.0, z * away)
        at[1] = frame.floor - radius
        yaw = frame.yaw + turn + (np.pi / 2 if turn == np.pi / 4 and k % 2 else 0.0)
        parts.append((float(at[2]), _wheel(looks, canvas, camera, at, (radius, wide), yaw)))
    return parts


def _wheel(
    looks: np.integer, canvas: Canvas, camera: Camera, at: np.ndarray, size: tuple[float, float], yaw: float
) -> Callable[[], None]:
    def draw() -> None:
        rng = np.random.default_rng(int(looks))  # the four wheels of a robot are alike
        radius, wide = size
        across, axle = turned(np.array([1.0, 0, 0]), yaw), turned(np.array([0, 0, 1.0]), yaw)
        if axle @ at > 0:
            axle = -axle  # towards the camera
        ring = at + radius * (_CIRCLE[:, :1] * across + _CIRCLE[:, 1:] * np.array([0, 1.0, 0]))
        tyre = surface(rng, 0.005, 0.3)
        paint(canvas, camera.project(ring - wide * axle), tyre, BODY)
        front, center = camera.project(ring + wide * axle), camera.project(at + wide * axle)
        paint(canvas, front, surface(rng, 0.01, 0.6), BODY)
        for share in (rng.uniform(0.6, 0.9), rng.uniform(0.15, 0.5)):
            paint(canvas, center + share * (front - center), surface(rng, 0.01, 0.9), BODY)
        rollers, inner = surface(rng, 0.01, 0.95), float(rng.uniform(0.3, 0.8))
        thick = radius * rng.uniform(0.08, 0.25) * camera.focal / max(float(at[2]), 0.1)
        for rim in front[:: int(rng.integers(1, 4))]:
            paint_line(canvas, center + inner * (rim - center), rim, rollers, thick, BODY)

    return draw


def paint_top(rng: np.random.Generator, canvas: Canvas, camera: Camera, frame: Frame, color: str) -> None:
    """Turret, barrel, indicators, strips and the light bar on top."""
    low, high = frame.albedo
    if rng.random() < 0.75:
        up, turret_yaw = -float(rng.uniform(0.1, 0.28)), float(rng.uniform(-1.5, 1.5))
        at = frame.at(0, up, 0)
        paint_box(canvas, camera, at, rng.uniform(0.03, 0.11, 3), turret_yaw, surface(rng, low, high))
        for _ in range(rng.integers(0, 4)):
            size = rng.uniform(0.01, 0.05, 3)
            paint_box(canvas, camera, at + rng.normal(0, 0.06, 3), size, turret_yaw, surface(rng, low, high))
        muzzle = at + turned(np.array([0, 0, -rng.uniform(0.1, 0.35)]), turret_yaw)
        _stroke(rng, canvas, camera, at, muzzle, float(rng.uniform(0.012, 0.035)), frame.albedo)
    if rng.random() < 0.45:
        _health_bar(rng, canvas, camera, frame, color)
    for _ in range(rng.poisson(0.5)):  # indicators
        x, y, z = rng.normal(0, 0.6, 3) * (frame.radius, 0.12, frame.radius)
        point = frame.at(x, y - 0.1, z)
        scale = camera.focal / max(float(point[2]), 0.1)
        dot(canvas, camera.project(point), float(rng.uniform(0.003, 0.015)) * scale, any_light(rng) * strength(rng))
    for _ in range(rng.poisson(0.25)):  # strips along the chassis
        a = frame.at(*(rng.normal(0, 0.6, 3) * (frame.radius, 0.1, frame.radius)))
        center = camera.project(a)
        length = float(rng.uniform(0.03, 0.25)) * camera.focal / max(float(a[2]), 0.1)
        quad = bar_quad(center, length, max(1.0, length * rng.uniform(0.04, 0.3)), float(rng.normal(0, 0.4)))
        paint(canvas, quad + (quad - quad.mean(0)) * 0.2, (8, 8, 8), BODY)
        health_bar(rng, canvas, quad, color)


def _health_bar(rng: np.random.Generator, canvas: Canvas, camera: Camera, frame: Frame, color: str) -> None:
    half, thick = float(rng.uniform(0.06, 0.2)), float(rng.uniform(0.008, 0.03))
    middle = frame.at(0, -float(rng.uniform(0.07, 0.4)), -frame.radius * float(rng.uniform(-0.2, 1.0)))
    yaw = frame.yaw + (float(rng.normal(0, 0.6)) if rng.random() < 0.3 else 0.0)
    flat = np.array([[-half, -thick, 0], [-half, thick, 0], [half, thick, 0], [half, -thick, 0]])
    quad = camera.project(middle + turned(flat, yaw))
    if quad[3, 0] < quad[0, 0]:
        quad = quad[[3, 2, 1, 0]]
    paint(canvas, quad + (quad - quad.mean(0)) * 0.1, surface(rng, *frame.albedo), BODY)
    health_bar(rng, canvas, quad, color)
