"""A robot: a dark, cluttered body, wheels, and up to four plates around it."""

from __future__ import annotations

from dataclasses import dataclass

import cv2
import numpy as np

from nanodet_kp_core.classes import NUMBERS
from nanodet_kp_core.data.synthetic import geometry
from nanodet_kp_core.data.synthetic.background import random_albedo
from nanodet_kp_core.data.synthetic.canvas import Canvas, paint, paint_texture, shine
from nanodet_kp_core.data.synthetic.geometry import Camera, PlatePose
from nanodet_kp_core.data.synthetic.lights import team_light
from nanodet_kp_core.data.synthetic.stickers import PANEL_HEIGHT, panel_texture


@dataclass
class PlateView:
    """A painted plate: corners [4, 2] in pixels, what it is, and what the sensor will make of it."""

    corners: np.ndarray
    panel: np.ndarray  # [4, 2] outline in pixels
    color: str
    number: str
    rings: bool
    owner: int
    facing: float  # cosine to the camera
    white: float  # albedo of the sticker
    black: float
    bars_lit: bool  # both bars shine; a plate with one dead bar is neither plate nor background


_LARGE = ("1", "Bb")


def _choose_color(rng: np.random.Generator) -> str:
    return str(rng.choice(list("BRNP"), p=[0.43, 0.43, 0.06, 0.08]))


def _choose_number(rng: np.random.Generator) -> str:
    weights = np.array([1, 1.3, 1, 1, 1, 1, 0.8, 0.5, 0.5])
    return str(rng.choice(list(NUMBERS), p=weights / weights.sum()))


def draw_robot(
    rng: np.random.Generator,
    canvas: Canvas,
    camera: Camera,
    at_pixel: np.ndarray,
    plate_px: float,
    owner: int,
    turn: float = 0.0,
) -> list[PlateView]:
    """Paint a robot one of whose plates is about `plate_px` wide at `at_pixel`; returns its plates that face us.

    turn: added to the random yaw, radians; the looks of the robot do not depend on it (a clip turns one robot).
    """
    color, number = _choose_color(rng), _choose_number(rng)
    large = number in _LARGE if rng.random() < 0.7 else bool(rng.random() < 0.5)
    width = geometry.LARGE_WIDTH if large else geometry.SMALL_WIDTH
    depth = camera.focal * (width if rng.random() < 0.5 else geometry.SMALL_WIDTH) / plate_px
    kind = rng.random()
    if kind < 0.4:
        yaw = float(rng.normal(0, 0.3))
    elif kind < 0.8:  # two plates in view: the bar of one and the neighbour's bar make no plate
        yaw = float(rng.choice([-1, 1]) * rng.uniform(0.45, 1.1))
    else:
        yaw = float(rng.uniform(-1.25, 1.25))
    yaw += turn
    radius = float(rng.uniform(0.13, 0.34))
    tilt = float(np.radians(15) if rng.random() < 0.6 else rng.normal(0, 0.12))
    outward = np.array([np.sin(yaw), 0.0, -np.cos(yaw)])
    robot = camera.back_project(at_pixel, depth) - radius * outward
    single = rng.random() < 0.12  # outpost, base, a plate on a stand
    if rng.random() < 0.93:
        _body(rng, canvas, camera, robot, radius, yaw, owner)
    yaws = [yaw] if single else [yaw + k * np.pi / 2 for k in range(4)]
    ratio = float(rng.uniform(0.7, 1.3))  # front and side plates sit at different distances
    plates = []
    light = team_light(rng, color)
    strength = float(np.exp(rng.uniform(np.log(0.5), np.log(9))))
    rings = bool(rng.random() < 0.14)
    size = (width, float(geometry.BAR_LENGTH * rng.uniform(0.93, 1.07)))
    looks = rng.spawn(len(yaws))
    for k, angle in sorted(enumerate(yaws), key=lambda item: np.cos(item[1])):  # far sides first
        pose = geometry.plate_pose(robot, float(angle), radius * (ratio if k % 2 else 1), tilt)
        if pose.facing() < 0.12:
            continue
        plates.append(_plate(looks[k], canvas, camera, pose, size, color, number, rings, light * strength, owner))
    return plates


def _plate(
    rng: np.random.Generator, canvas: Canvas, camera: Camera, pose: PlatePose, size: tuple[float, float],
    color: str, number: str, rings: bool, radiance: np.ndarray, owner: int,
) -> PlateView:
    width, length = size
    corners_m = geometry.corner_points(width, length)
    half = PANEL_HEIGHT / 2000
    panel_m = geometry.corner_points(width * 0.96, 2 * half)
    panel = camera.project(pose.points(panel_m))
    texture, white, black = panel_texture(rng, number, width * 1000, rings)
    if rng.random() < 0.9:
        paint_texture(canvas, texture, panel, owner)
    corners = camera.project(pose.points(corners_m))
    thickness = float(rng.uniform(0.007, 0.014) if rng.random() < 0.75 else rng.uniform(0.014, 0.024))
    dead = int(rng.integers(0, 2)) if rng.random() < 0.015 else -1
    weak = rng.uniform(0.3, 1.0, 2) if rng.random() < 0.15 else np.ones(2)
    for side, sign in enumerate((-1, 1)):
        bar_m = geometry.corner_points(thickness, length) + [sign * width / 2, 0]
        holder_m = geometry.corner_points(thickness + 0.008, length + 0.03) + [sign * width / 2, 0]
        paint(canvas, camera.project(pose.points(holder_m)), np.full(3, black, np.float32), owner)
        bar = camera.project(pose.points(bar_m))
        if color == "N" or side == dead:
            paint(canvas, bar, np.full(3, rng.uniform(0.25, 0.6), np.float32), owner)
        else:
            shine(canvas, bar, radiance * weak[side])
    return PlateView(corners, panel, color, number, rings, owner, pose.facing(), white, black, dead < 0)


def _box(centre: np.ndarray, half: np.ndarray, yaw: float) -> np.ndarray:
    """Eight corners [8, 3] of a box turned about the vertical."""
    signs = np.array([[x, y, z] for x in (-1, 1) for y in (-1, 1) for z in (-1, 1)], float)
    c, s = np.cos(yaw), np.sin(yaw)
    turn = np.array([[c, 0, -s], [0, 1, 0], [s, 0, c]])
    return centre + (signs * half) @ turn.T


def _paint_box(canvas: Canvas, camera: Camera, corners: np.ndarray, albedo: np.ndarray, owner: int) -> None:
    hull = cv2.convexHull(camera.project(corners).astype(np.float32))[:, 0]
    paint(canvas, hull.astype(float), albedo, owner)


def _body(
    rng: np.random.Generator, canvas: Canvas, camera: Camera, robot: np.ndarray, radius: float, yaw: float, owner: int
) -> None:
    bright = rng.random() < 0.2
    low, high = (0.1, 0.7) if bright else (0.008, 0.2)
    height = rng.uniform(0.05, 0.16)
    base = np.array([radius * 0.85, height, radius * 0.85])
    _paint_box(canvas, camera, _box(robot, base, yaw), random_albedo(rng, low, high), owner)
    for x in (-1, 1):  # wheels at the corners
        for z in (1, -1):
            at = robot + _turn(np.array([x * radius * 0.75, height * 0.8, z * radius * 0.75]), yaw)
            _wheel(rng, canvas, camera, at, yaw + rng.choice([0.0, np.pi / 4, -np.pi / 4, np.pi / 2]), owner)
    for _ in range(rng.integers(1, 9)):  # frames, boxes, covers
        at = robot + rng.normal(0, 1, 3) * (radius * 0.6, height, radius * 0.6) - (0, height * 0.5, 0)
        half = np.exp(rng.uniform(np.log(0.008), np.log(0.09), 3))
        _paint_box(canvas, camera, _box(at, half, yaw + rng.normal(0, 0.5)), random_albedo(rng, low, high), owner)
    if rng.random() < 0.7:  # turret and barrel
        at = robot - (0, height + rng.uniform(0.05, 0.2), 0)
        turret_yaw = rng.uniform(-1.5, 1.5)
        half = rng.uniform(0.04, 0.13, 3)
        _paint_box(canvas, camera, _box(at, half, turret_yaw), random_albedo(rng, low, high), owner)
        muzzle = at + _turn(np.array([0, 0, -rng.uniform(0.1, 0.3)]), turret_yaw)
        _line(rng, canvas, camera, at, muzzle, 0.02)
    for _ in range(rng.integers(0, 10)):  # cables, struts
        a = robot + rng.normal(0, 1, 3) * (radius, height * 1.5, radius)
        _line(rng, canvas, camera, a, a + rng.normal(0, 0.15, 3), 0.006)


def _wheel(
    rng: np.random.Generator, canvas: Canvas, camera: Camera, at: np.ndarray, yaw: float, owner: int
) -> None:
    """A disc with a rim, a hub and rollers or spokes; between two plates it is what their inner bars enclose."""
    radius = rng.uniform(0.045, 0.095)
    angles = np.linspace(0, 2 * np.pi, 15)[:-1] + rng.uniform(0, 0.4)
    circle = np.stack([np.cos(angles), np.sin(angles), np.zeros_like(angles)], axis=1)
    across = np.array([np.cos(yaw), 0, np.sin(yaw)])
    upright = np.array([0, 1.0, 0])
    for share in (1.0, rng.uniform(0.6, 0.85), rng.uniform(0.15, 0.4)):
        points = at + radius * share * (circle[:, :1] * across + circle[:, 1:2] * upright)
        paint(canvas, camera.project(points), random_albedo(rng, 0.02, 0.7), owner)
    for angle in angles[:: int(rng.integers(1, 4))]:
        rim = at + radius * (np.cos(angle) * across + np.sin(angle) * upright)
        _line(rng, canvas, camera, at + 0.4 * (rim - at), rim, 0.008)


def _turn(vector: np.ndarray, yaw: float) -> np.ndarray:
    c, s = np.cos(yaw), np.sin(yaw)
    return np.array([c * vector[0] - s * vector[2], vector[1], s * vector[0] + c * vector[2]])


def _line(
    rng: np.random.Generator, canvas: Canvas, camera: Camera, start: np.ndarray, stop: np.ndarray, width: float
) -> None:
    color = [float(c) for c in random_albedo(rng, 0.01, 0.6)]
    a, b = camera.project(np.stack([start, stop]))
    thick = max(1, round(width * camera.focal / max(float(start[2]), 0.1)))
    if thick > 40 or np.abs([a, b]).max() > 4000:
        return
    cv2.line(canvas.albedo, tuple(np.round(a).astype(int)), tuple(np.round(b).astype(int)), color, thick, cv2.LINE_8)
