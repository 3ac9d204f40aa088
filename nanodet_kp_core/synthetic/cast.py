"""Finds robots fit to be shown: whose every plate has two lit bars, a sticker that can be read, and nothing before it.

The look of a robot follows from a seed, so robots are tried until one suits.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from nanodet_kp_core.synthetic.canvas import BODY, Canvas
from nanodet_kp_core.synthetic.geometry import Camera, rotation_xz
from nanodet_kp_core.synthetic.lights import LONE_HOUSING
from nanodet_kp_core.synthetic.robot import PlateView, draw_robot
from nanodet_kp_core.synthetic.sensor import Exposure

_SIZE, _PLATE_PX, _AT = (320, 240), 60.0, np.array([160.0, 140.0])
_TURNS = (0.0, 0.5, -0.5, 1.0, -1.0, 1.6, 2.4, 3.2, -2.4)  # radians; every plate of a robot is seen
_LOOKED_AT = 0.6  # cosine to the camera from which a plate must be free
_CHASSIS = ("1", "2", "3", "4", "5")  # outposts and bases do not drive
_BODY = 2.5 * _PLATE_PX**2  # pixels of body that a robot shows at least
_TRIES = 600


@dataclass(frozen=True)
class Actor:
    """A robot: the seed of its looks, the yaw that it has without a turn, its number."""

    looks: tuple[int, ...]
    yaw: float
    number: str


def find_actor(seed: tuple[int, ...], color: str, taken: set[str], exposure: Exposure) -> Actor:
    """A robot of the team `color` ("B", "R") whose number is not `taken`; the same arguments give the same robot."""
    found = None
    for k in range(_TRIES):
        actor, suits = _try((*seed, k), color, taken, exposure)
        found = found or actor
        if actor is not None and suits:
            return actor
    if found is None:
        raise RuntimeError(f"expected a robot with a plate among {_TRIES}, got none; try another seed")
    return found


def _try(looks: tuple[int, ...], color: str, taken: set[str], exposure: Exposure) -> tuple[Actor | None, bool]:
    """The robot of a seed, None where it shows no plate, and whether it suits."""
    actor = None
    for turn in _TURNS:
        w, h = _SIZE
        canvas = Canvas(np.full((h, w, 3), 60, np.uint8), np.zeros((h, w, 3), np.float32), np.zeros((h, w), np.uint8))
        camera = Camera(1.15 * w, (w / 2, 0.4 * h), rotation_xz(0.0, 0.0))
        rng = np.random.default_rng(looks)
        plates = draw_robot(rng, canvas, camera, _AT, _PLATE_PX, 1, exposure, turn, exact=True)
        if not plates:
            return actor, False
        if actor is None:
            actor = Actor(looks, _yaw(plates[0]), plates[0].number)
        if actor.number not in _CHASSIS or actor.number in taken or _has_lone_bar(canvas):
            return actor, False
        if (canvas.owner == BODY).sum() < _BODY:
            return actor, False
        if not all(_suits(canvas, plate, color) for plate in plates):
            return actor, False
    return actor, True


def _yaw(plate: PlateView) -> float:
    normal = plate.pose.normal
    return float(np.arctan2(normal[0], -normal[2])) - (plate.owner - 1) * np.pi / 2


def _has_lone_bar(canvas: Canvas) -> bool:
    held = (canvas.albedo == LONE_HOUSING).all(-1) & (canvas.owner == BODY)
    return bool(held.any())


def _suits(canvas: Canvas, plate: PlateView, color: str) -> bool:
    if plate.color != color or not plate.bars_lit or not plate.printed.readable or plate.printed.white < 0.3:
        return False
    if plate.facing < _LOOKED_AT:
        return True
    c = plate.corners
    share = np.linspace(0.15, 0.85, 5)[:, None]
    bars = np.concatenate([c[0] + share * (c[1] - c[0]), c[3] + share * (c[2] - c[3])])
    across = c[0] + share * (c[3] - c[0]), c[1] + share * (c[2] - c[1])
    at = np.round(np.concatenate([bars, *across])).astype(int)
    at = np.clip(at, 0, (_SIZE[0] - 1, _SIZE[1] - 1))
    free = canvas.owner[at[:, 1], at[:, 0]] == plate.owner
    light = canvas.emission[at[:10, 1], at[:10, 0]].max(-1).reshape(2, 5).mean(1)
    return bool(free.all() and light.min() > 1.2 and light.max() < 3 * light.min())
