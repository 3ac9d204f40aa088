"""One plate of a robot: panel, housings, bars, and where its labeled corners are."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, replace

import numpy as np

from nanodet_kp_core.numerics import log_uniform
from nanodet_kp_core.plate import BAR_LENGTH, LARGE_WIDTH, corner_points
from nanodet_kp_core.synthetic import bars
from nanodet_kp_core.synthetic.bars import BarLook
from nanodet_kp_core.synthetic.canvas import Canvas, Code, encode, paint, paint_texture, shine, surface
from nanodet_kp_core.synthetic.covers import Cover, draw_cover, paint_before, paint_behind
from nanodet_kp_core.synthetic.geometry import Camera, PlatePose
from nanodet_kp_core.synthetic.lights import team_light
from nanodet_kp_core.synthetic.prints import Print, Style, draw_print, draw_style, panel_texture
from nanodet_kp_core.synthetic.sensor import Exposure
from nanodet_kp_core.synthetic.stickers import PANEL_HEIGHT

SEEN_FLAT = 0.12
"""Cosine to the camera below which only the bars' sides can be seen, as two lights that make no plate."""

_STEEP = 0.75
"""Cosine to the camera below which a housing often hides a part of the far bar."""

_WALLED, _HIDDEN = 0.7, 0.25
"""Cosine to the camera below which a housing with high walls hides the far bar, and how often it does."""


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
    hidden: int | None = None  # the bar that its housing hides: 0 the left one, 1 the right one


@dataclass(frozen=True)
class Look:
    """What the plates of one robot share."""

    color: str
    number: str
    width: float
    bars: BarLook
    style: Style
    holder: float  # metres that the bars' housing is wider than the bar
    housing: Code | None  # None: as dark as the print
    panel: bool  # False: bars without a panel between them
    cover: Cover
    exposure: Exposure
    exact: bool


@dataclass(frozen=True)
class _Lamps:
    """State of a plate's lights: strength of the left and the right bar (0 off), whether they are alike enough, and
    what the housing leaves free of the far bar (1: nothing is hidden, 0: all of it)."""

    color: str
    strengths: tuple[float, float]
    alike: bool
    free: float


def draw_look(rng: np.random.Generator, color: str, number: str, width: float, exposure: Exposure, exact: bool) -> Look:
    """Random looks of a robot's plates; exact: with exact sizes, see render_scene."""
    # Long exposures show bright scenes and bright bars; worn LEDs in daylight hardly saturate.
    dim = exposure.ambient > 0.3 and rng.random() < 0.2
    low, high = (0.5, 3.0) if dim else (1.2, 120.0)
    brightness = log_uniform(rng, low, high) * exposure.ambient**0.15
    length = BAR_LENGTH * float(rng.uniform(0.96, 1.04))
    look = bars.draw_bar_look(rng, team_light(rng, color if color != "N" else "W"), brightness, length, exact)
    housing = surface(rng, 0.15, 0.9)
    return Look(
        color=color,
        number=number,
        width=width,
        bars=look,
        style=draw_style(rng, number, exact),
        holder=float(rng.uniform(0.002, 0.02)),
        housing=housing if rng.random() < 0.15 else None,
        panel=bool(rng.random() < 0.95),
        cover=draw_cover(rng, color, number, width),
        exposure=exposure,
        exact=exact,
    )


def plate_part(
    rng: np.random.Generator, canvas: Canvas, camera: Camera, pose: PlatePose, look: Look, owner: int,
    plates: list[PlateView],
) -> Callable[[], None]:  # fmt: skip
    """What paints a plate, or what of it can be seen; a plate that faces us is added to `plates`."""

    def draw() -> None:
        if pose.center[2] < 0.15:
            return
        if pose.facing() >= SEEN_FLAT:
            plates.append(_plate(rng, canvas, camera, pose, look, owner))
        elif pose.facing() > -0.45 and look.color != "N":
            _sides(canvas, camera, pose, look)

    return draw


def _sides(canvas: Canvas, camera: Camera, pose: PlatePose, look: Look) -> None:
    """A plate seen from its edge or from behind: the outer sides of its bars shine past it."""
    for sign in (-1, 1):
        quad = camera.project(bars.outer_side(pose, look.bars, look.width, sign))
        shine(canvas, quad, look.bars.core * np.float32(0.5))


def _plate(
    rng: np.random.Generator, canvas: Canvas, camera: Camera, pose: PlatePose, look: Look, owner: int
) -> PlateView:
    paint_behind(canvas, camera, pose, look.cover, look.width)
    printed = draw_print(rng, look.style)
    height = PANEL_HEIGHT / 1000
    panel = camera.project(pose.points(corner_points(look.width * 0.97, height)))
    if look.panel:
        height_px = float(np.linalg.norm(panel[1] - panel[0]))
        texture = panel_texture(printed, look.number, look.width * 1000, height_px)
        paint_texture(canvas, texture, panel, owner)
    else:  # nothing to read
        printed = replace(printed, style=replace(printed.style, kind="bare"))
    lamps = _lamps(rng, look.color, pose.facing())
    far = int(pose.right[2] * np.sign(pose.center[2]) > 0)
    free = 1.0 if look.exact else lamps.free
    hidden = far if free == 0 else None
    black = int(encode(printed.black))
    holder: Code = look.housing or (black, black, black)
    housing_xy = corner_points(look.bars.thickness + look.holder, look.bars.length * 1.4)
    plain = surface(rng, 0.3, 0.95) if rng.random() < 0.6 else surface(rng, 0.1, 0.5)
    faces = []
    for k, sign in enumerate((-1, 1)):
        housing = pose.points(housing_xy + [sign * look.width / 2, 0.0])
        paint(canvas, camera.project(housing), holder, owner)
        faces.append(bars.bar_points(pose, look.bars, look.width, sign, _seen(k, far, free)))
    quads = [camera.project(face) for face in faces]
    for k, (sign, strength) in enumerate(zip((-1, 1), lamps.strengths)):
        if k == hidden:
            continue
        if strength == 0:
            _unlit(canvas, quads[k], plain, owner)
            continue
        side = camera.project(bars.outer_side(pose, look.bars, look.width, sign))
        shine(canvas, side, look.bars.rim * np.float32(0.2 * strength))
        share = bars.cut_share(quads[k], look.bars, strength, look.exposure.spread(), look.exposure.gamma)
        bars.shine_bar(canvas, bars.shortened(quads[k], share), look.bars, strength)
    paint_before(rng, canvas, camera, pose, look.cover, look.width)
    corners = camera.project(bars.bar_ends(*faces))
    large = look.width == LARGE_WIDTH
    return PlateView(corners, pose, lamps.color, look.number, large, printed, owner, pose.facing(), lamps.alike, hidden)


def _unlit(canvas: Canvas, face: np.ndarray, code: Code, owner: int) -> None:
    """A bar without light: a strip of white or clear plastic, darker at its edge."""
    edge = (int(code[0] * 0.75), int(code[1] * 0.75), int(code[2] * 0.75))
    paint(canvas, face, edge, owner)
    if np.linalg.norm(face[3] - face[0]) > 3:
        middle = face.mean(0)
        paint(canvas, middle + (face - middle) * (0.9, 0.9) * 0.85, code, owner)


def _seen(bar: int, far: int, free: float) -> tuple[float, float]:
    """What can be seen of a bar's width: the far one loses its inner part. A hidden bar ends where all of it would."""
    if bar != far or free == 0:
        return 0.0, 1.0
    return (1 - free, 1.0) if bar else (0.0, free)


def _lamps(rng: np.random.Generator, color: str, facing: float) -> _Lamps:
    """Lights of one plate of a robot; facing: cosine to the camera."""
    u, side, amount, sliver, hidden = (float(v) for v in rng.random(5))
    free = 0.2 + 0.5 * sliver if hidden < (0.25 if facing < _STEEP else 0.02) else 1.0
    if facing < _WALLED and hidden > 1 - _HIDDEN:
        free = 0.0
    if color == "N":
        return _Lamps(color, (0.0, 0.0), True, 1.0)
    strength, alike = (1.0, 1.0), True
    if u < 0.015:
        strength, alike = (1.0, 0.0), False
    elif u < 0.035:  # hit: the lights of this plate go out for a moment
        return _Lamps("N", (0.0, 0.0), True, 1.0)
    elif u < 0.05:  # or flash
        strength = (2 + 4 * amount, 2 + 4 * amount)
    elif u < 0.14:  # one is weak: worn, dirty, or seen at an angle
        strength = (1.0, 0.3 + 0.7 * amount)
    elif u < 0.2:  # or three to ten times dimmer
        strength = (1.0, float(np.exp(np.log(0.1) + amount * np.log(3.3))))
    return _Lamps(color, strength if side < 0.5 else strength[::-1], alike, free)
