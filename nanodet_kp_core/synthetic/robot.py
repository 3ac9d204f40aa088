"""A robot: plates around a body, all of one color and one sticker, and what stands in front of what."""

from __future__ import annotations

import numpy as np

from nanodet_kp_core.classes import NUMBERS
from nanodet_kp_core.plate import LARGE_NUMBERS, LARGE_WIDTH, SMALL_WIDTH
from nanodet_kp_core.synthetic import geometry
from nanodet_kp_core.synthetic.body import (
    Frame,
    Part,
    draw_frame,
    paint_chassis,
    paint_top,
    paint_tower,
    wheel_parts,
)
from nanodet_kp_core.synthetic.canvas import Canvas
from nanodet_kp_core.synthetic.geometry import Camera
from nanodet_kp_core.synthetic.lights import lone_bar
from nanodet_kp_core.synthetic.plates import SEEN_FLAT, PlateView, draw_look, plate_part
from nanodet_kp_core.synthetic.sensor import Exposure

__all__ = ["SEEN_FLAT", "PlateView", "draw_color", "draw_robot"]

_SHARE_LARGE = {"1": 0.7, "2": 0.05, "3": 0.2, "4": 0.2, "5": 0.2, "Bb": 1.0}  # as teams build them
_NUMBER_WEIGHTS = np.cumsum([1, 1.3, 1, 1, 1, 1, 0.9, 0.5, 0.5])


def _pick(rng: np.random.Generator, cumulative: np.ndarray) -> int:
    return int(np.searchsorted(cumulative, rng.random() * cumulative[-1], side="right"))


def draw_color(rng: np.random.Generator) -> str:
    """Color of a robot's lights: "B", "R", "P", or "N" for lights off."""
    return "BRNP"[_pick(rng, np.array([0.43, 0.86, 0.92, 1.0]))]


def draw_robot(
    rng: np.random.Generator,
    canvas: Canvas,
    camera: Camera,
    at_pixel: np.ndarray,
    plate_px: float,
    first_owner: int,
    exposure: Exposure,
    turn: float = 0.0,
    exact: bool = False,
    color: str | None = None,
    yaw: float | None = None,
) -> list[PlateView]:
    """Paint a robot one of whose plates is about `plate_px` wide at `at_pixel`; returns its plates that face us.

    Its plates get the owners first_owner, first_owner + 1, .., four at most. turn: added to the yaw, radians; the looks
    of the robot do not depend on it (a clip turns one robot). exact: plates have exact sizes, see render_scene.
    color, yaw (radians, 0 faces the camera): None for a random one.
    """
    own, any_yaw = draw_color(rng), _draw_yaw(rng)
    color = own if color is None else color
    number = NUMBERS[_pick(rng, _NUMBER_WEIGHTS)]
    odd = rng.random() < _SHARE_LARGE.get(number, 0.0)
    large = number in LARGE_NUMBERS if exact else odd
    width = LARGE_WIDTH if large else SMALL_WIDTH
    depth = camera.focal * (width if rng.random() < 0.5 else SMALL_WIDTH) / plate_px
    yaw = (any_yaw if yaw is None else yaw) + turn
    radius = float(rng.uniform(0.13, 0.34))
    lean = -15 if number == "O" else 15  # an outpost's plates look down, a chassis' plates up
    tilt = float(np.radians(lean) if rng.random() < 0.6 else rng.normal(0, 0.12))
    center = camera.back_project(at_pixel, depth) - radius * np.array([np.sin(yaw), 0.0, -np.cos(yaw)])
    look = draw_look(rng, color, number, width, exposure, exact)
    frame = draw_frame(rng, center, radius, yaw)
    kind = _draw_kind(rng, number)
    ratio = float(rng.uniform(0.7, 1.3)) if kind != "tower" else 1.0  # front and side plates: different distances
    plates: list[PlateView] = []
    looks = rng.spawn(6)
    top_in_front = looks[5].random() < 0.2
    parts = _body_parts(looks, canvas, camera, frame, kind)
    count = {"tower": 3, "single": 1}.get(kind, 4)
    for k in range(count):
        angle = yaw + k * 2 * np.pi / max(count, 3)
        pose = geometry.plate_pose(center, angle, radius * (ratio if k % 2 else 1), tilt)
        owner = first_owner + k
        parts.append((float(pose.center[2]), plate_part(looks[k], canvas, camera, pose, look, owner, plates)))
    has_top = kind in ("chassis", "single")
    if has_top and not top_in_front:
        paint_top(looks[4], canvas, camera, frame, color)
    for _, paint_part in sorted(parts, key=lambda part: -part[0]):
        paint_part()
    if has_top and top_in_front:
        paint_top(looks[4], canvas, camera, frame, color)
    for plate in plates:
        if rng.random() < 0.2:
            lone_bar(rng, canvas, plate.corners, color)
    return plates


def _draw_kind(rng: np.random.Generator, number: str) -> str:
    """ "chassis" with four plates, "single" (a plate on a stand, the base), "tower" (an outpost: three plates around a
    cylinder) or "bare" (four plates around nothing)."""
    single, bodiless, tower = rng.random(3) < (0.5 if number in ("Bb", "Bs") else 0.1, 0.05, 0.65)
    if number == "O" and tower:
        return "tower"
    return "single" if single else "bare" if bodiless else "chassis"


def _body_parts(
    looks: list[np.random.Generator], canvas: Canvas, camera: Camera, frame: Frame, kind: str
) -> list[Part]:
    """Paint what stands behind all plates; returns what has to be sorted among them."""
    if kind == "tower":
        paint_tower(looks[4], canvas, camera, frame)
    if kind not in ("chassis", "single"):
        return []
    paint_chassis(looks[4], canvas, camera, frame)
    return [] if looks[5].random() < 0.2 else wheel_parts(looks[5], canvas, camera, frame)


def _draw_yaw(rng: np.random.Generator) -> float:
    kind = rng.random()
    if kind < 0.45:
        return float(rng.normal(0, 0.3))
    if kind < 0.82:  # two plates in view: the bar of one and the neighbor's bar make no plate
        return float(rng.uniform(0.45, 1.1)) * (1 if rng.random() < 0.5 else -1)
    return float(rng.uniform(-1.25, 1.25))
