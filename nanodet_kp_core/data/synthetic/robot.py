"""A robot: plates around a body, all of one colour and one sticker, and what stands in front of what."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

import numpy as np

from nanodet_kp_core.classes import NUMBERS
from nanodet_kp_core.data.synthetic import bars, geometry
from nanodet_kp_core.data.synthetic.bars import BarLook
from nanodet_kp_core.data.synthetic.body import Part, draw_frame, paint_chassis, paint_top, wheel_parts
from nanodet_kp_core.data.synthetic.canvas import Canvas, encode, paint, paint_texture, shine, surface
from nanodet_kp_core.data.synthetic.geometry import Camera, PlatePose
from nanodet_kp_core.data.synthetic.lights import lone_bar, team_light
from nanodet_kp_core.data.synthetic.sensor import Exposure
from nanodet_kp_core.data.synthetic.stickers import PANEL_HEIGHT, Print, draw_print, panel_texture
from nanodet_kp_core.plate import BAR_LENGTH, LARGE_NUMBERS, LARGE_WIDTH, SMALL_WIDTH, corner_points

SEEN_FLAT = 0.12
"""Cosine to the camera below which only the bars' sides can be seen, as two lights that make no plate."""

_SHARE_LARGE = {"1": 0.7, "2": 0.05, "3": 0.2, "4": 0.2, "5": 0.2, "Bb": 1.0}  # as teams build them
_NUMBER_WEIGHTS = np.cumsum([1, 1.3, 1, 1, 1, 1, 0.9, 0.5, 0.5])


@dataclass
class PlateView:
    """A painted plate: corners [4, 2] in pixels, what it is, and what the sensor will make of it."""

    corners: np.ndarray
    pose: PlatePose
    color: str
    number: str
    large: bool
    printed: Print
    owner: int
    facing: float  # cosine to the camera
    bars_lit: bool  # both bars shine or both are off; with one dead bar it is neither plate nor background


@dataclass(frozen=True)
class _Look:
    """What the plates of one robot share."""

    color: str
    number: str
    width: float
    bars: BarLook
    rings: bool
    holder: float  # metres that the bars' housing is wider than the bar
    panel: bool  # False: bars without a panel between them
    exposure: Exposure


def _pick(rng: np.random.Generator, cumulative: np.ndarray) -> int:
    return int(np.searchsorted(cumulative, rng.random() * cumulative[-1], side="right"))


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
) -> list[PlateView]:
    """Paint a robot one of whose plates is about `plate_px` wide at `at_pixel`; returns its plates that face us.

    Its plates get the owners first_owner, first_owner + 1, .. turn: added to the random yaw, radians; the looks of the
    robot do not depend on it (a clip turns one robot). exact: plates are built to the letter, see render_scene.
    """
    color = "BRNP"[_pick(rng, np.array([0.43, 0.86, 0.92, 1.0]))]
    number = NUMBERS[_pick(rng, _NUMBER_WEIGHTS)]
    odd = rng.random() < _SHARE_LARGE.get(number, 0.0)
    large = number in LARGE_NUMBERS if exact else odd
    width = LARGE_WIDTH if large else SMALL_WIDTH
    depth = camera.focal * (width if rng.random() < 0.5 else SMALL_WIDTH) / plate_px
    yaw = _draw_yaw(rng) + turn
    radius = float(rng.uniform(0.13, 0.34))
    lean = -15 if number == "O" else 15  # an outpost's plates look down, a chassis' plates up
    tilt = float(np.radians(lean) if rng.random() < 0.6 else rng.normal(0, 0.12))
    centre = camera.back_project(at_pixel, depth) - radius * np.array([np.sin(yaw), 0.0, -np.cos(yaw)])
    look = _draw_look(rng, color, number, width, exposure, exact)
    frame = draw_frame(rng, centre, radius, yaw)
    single = rng.random() < 0.12  # outpost, base, a plate on a stand
    bodiless = rng.random() < 0.05
    ratio = float(rng.uniform(0.7, 1.3))  # front and side plates sit at different distances
    plates: list[PlateView] = []
    parts: list[Part] = []
    looks = rng.spawn(6)
    top_in_front = looks[5].random() < 0.2
    if not bodiless:
        paint_chassis(looks[4], canvas, camera, frame)
        parts += [] if looks[5].random() < 0.2 else wheel_parts(looks[5], canvas, camera, frame)
    for k in range(1 if single else 4):
        pose = geometry.plate_pose(centre, yaw + k * np.pi / 2, radius * (ratio if k % 2 else 1), tilt)
        owner = first_owner + k
        parts.append((float(pose.centre[2]), _part(looks[k], canvas, camera, pose, look, owner, plates)))
    if not bodiless and not top_in_front:
        paint_top(looks[4], canvas, camera, frame, color)
    for _, paint_part in sorted(parts, key=lambda part: -part[0]):
        paint_part()
    if not bodiless and top_in_front:
        paint_top(looks[4], canvas, camera, frame, color)
    for plate in plates:
        if rng.random() < 0.2:
            lone_bar(rng, canvas, plate.corners, color)
    return plates


def _draw_yaw(rng: np.random.Generator) -> float:
    kind = rng.random()
    if kind < 0.45:
        return float(rng.normal(0, 0.3))
    if kind < 0.82:  # two plates in view: the bar of one and the neighbour's bar make no plate
        return float(rng.uniform(0.45, 1.1)) * (1 if rng.random() < 0.5 else -1)
    return float(rng.uniform(-1.25, 1.25))


def _draw_look(
    rng: np.random.Generator, color: str, number: str, width: float, exposure: Exposure, exact: bool
) -> _Look:
    # Long exposures show bright scenes and bright bars; worn LEDs in daylight hardly saturate.
    dim = exposure.ambient > 0.3 and rng.random() < 0.2
    low, high = (0.5, 3.0) if dim else (1.2, 120.0)
    brightness = float(np.exp(rng.uniform(np.log(low), np.log(high)))) * exposure.ambient**0.15
    length = BAR_LENGTH * float(rng.uniform(0.96, 1.04))
    look = bars.draw_bar_look(rng, team_light(rng, color if color != "N" else "W"), brightness, length, exact)
    return _Look(
        color=color,
        number=number,
        width=width,
        bars=look,
        rings=bool(rng.random() < 0.11) and not exact,
        holder=float(rng.uniform(0.002, 0.02)),
        panel=bool(rng.random() < 0.95),
        exposure=exposure,
    )


def _part(
    rng: np.random.Generator, canvas: Canvas, camera: Camera, pose: PlatePose, look: _Look, owner: int,
    plates: list[PlateView],
) -> Callable[[], None]:  # fmt: skip
    """What paints a plate, or what of it can be seen; a plate that faces us is added to `plates`."""

    def draw() -> None:
        if pose.centre[2] < 0.15:
            return
        if pose.facing() >= SEEN_FLAT:
            plates.append(_plate(rng, canvas, camera, pose, look, owner))
        elif pose.facing() > -0.45 and look.color != "N":
            _sides(canvas, camera, pose, look)

    return draw


def _sides(canvas: Canvas, camera: Camera, pose: PlatePose, look: _Look) -> None:
    """A plate seen from its edge or from behind: the outer sides of its bars shine past it."""
    for sign in (-1, 1):
        quad = camera.project(bars.outer_side(pose, look.bars, look.width, sign))
        shine(canvas, quad, look.bars.core * np.float32(0.5))


def _plate(
    rng: np.random.Generator, canvas: Canvas, camera: Camera, pose: PlatePose, look: _Look, owner: int
) -> PlateView:
    printed = draw_print(rng, look.rings)
    height = PANEL_HEIGHT / 1000
    panel = camera.project(pose.points(corner_points(look.width * 0.97, height)))
    if look.panel:
        height_px = float(np.linalg.norm(panel[1] - panel[0]))
        texture = panel_texture(printed, look.number, look.width * 1000, height_px)
        paint_texture(canvas, texture, panel, owner)
    color, strengths, lit = _light_state(rng, look.color)
    dark = surface(rng, 0.15, 0.6)
    spread, gamma = look.exposure.spread(), look.exposure.gamma
    share = None
    housing_xy = corner_points(look.bars.thickness + look.holder, look.bars.length * 1.4)
    for sign, strength in zip((-1, 1), strengths):
        face = bars.bar_points(pose, look.bars, look.width, sign)
        housing = pose.points(housing_xy + [sign * look.width / 2, 0.0])
        black = int(encode(printed.black))
        paint(canvas, camera.project(housing), (black, black, black), owner)
        quad = camera.project(face)
        if strength == 0:
            paint(canvas, quad, dark, owner)
            continue
        side = camera.project(bars.outer_side(pose, look.bars, look.width, sign))
        shine(canvas, side, look.bars.rim * np.float32(0.2 * strength))
        if share is None or strengths[0] != strengths[1]:
            share = bars.cut_share(quad, look.bars, strength, spread, gamma)
        bars.shine_bar(canvas, bars.shortened(quad, share), look.bars, strength)
    corners = camera.project(bars.end_points(pose, look.bars, look.width))
    large = look.width == LARGE_WIDTH
    return PlateView(corners, pose, color, look.number, large, printed, owner, pose.facing(), lit)


def _light_state(rng: np.random.Generator, color: str) -> tuple[str, tuple[float, float], bool]:
    """Colour of this plate, strength of its left and right bar (0 off), and whether both are alike enough."""
    if color == "N":
        return color, (0.0, 0.0), True
    u = rng.random()
    if u < 0.015:
        return color, ((0.0, 1.0) if rng.random() < 0.5 else (1.0, 0.0)), False
    if u < 0.035:  # hit: the lights of this plate go out for a moment
        return "N", (0.0, 0.0), True
    if u < 0.05:  # or flash
        flash = float(rng.uniform(2, 6))
        return color, (flash, flash), True
    if u < 0.2:  # one is weak: worn, dirty, or seen at an angle
        weak = float(rng.uniform(0.15, 1.0))
        return color, ((weak, 1.0) if rng.random() < 0.5 else (1.0, weak)), True
    return color, (1.0, 1.0), True
