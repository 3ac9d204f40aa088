"""Strips of LEDs on a robot's body, two side by side as teams mount them: they shine like bars and make no plate."""

from __future__ import annotations

import numpy as np

from nanodet_kp_core.synthetic.canvas import BODY, Canvas, shine
from nanodet_kp_core.synthetic.lights import any_light, bar_quad, strength, team_light
from nanodet_kp_core.synthetic.robot import PlateView

_SHARE = 0.12  # of robots


def chassis_strips(rng: np.random.Generator, canvas: Canvas, plates: list[PlateView]) -> None:
    """At times light a pair of strips on the body of the robot with these plates; nothing shines over a plate."""
    if not plates or rng.random() > _SHARE:
        return
    plate = plates[int(rng.integers(len(plates)))]
    height = float(np.linalg.norm(plate.corners[1] - plate.corners[0]))
    across = plate.corners[3] - plate.corners[0]
    length = height * float(rng.uniform(0.5, 1.6))
    gap = length * float(rng.uniform(0.3, 0.65))
    middle = plate.corners.mean(0) + across * rng.uniform(-0.8, 0.8) - (0, height * rng.uniform(0.9, 2.5))
    tilt = float(rng.uniform(0.3, 1.57)) * (1 if rng.random() < 0.5 else -1)
    light = team_light(rng, plate.color) if plate.color != "N" and rng.random() < 0.8 else any_light(rng)
    side = np.array([np.cos(tilt), -np.sin(tilt)]) * gap / 2
    width = max(1.0, length * float(rng.uniform(0.06, 0.2)))
    reach = int(length + gap) + 3
    low = np.maximum(middle.astype(int) - reach, 0)
    high = np.maximum(middle.astype(int) + reach, 0)
    window = (slice(low[1], high[1]), slice(low[0], high[0]))
    before = canvas.emission[window].copy()
    power = np.float32(strength(rng))
    for sign in (-1, 1):
        shine(canvas, bar_quad(middle + sign * side, length, width, tilt), light * power)
    covered = canvas.owner[window] != BODY
    canvas.emission[window][covered] = before[covered]
