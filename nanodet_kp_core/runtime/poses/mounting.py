"""How plates sit on robots, and how the camera is held: what else decides between the two poses of a plate."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from nanodet_kp_core.classes import NUMBERS, split_label
from nanodet_kp_core.errors import ConfigError, shown
from nanodet_kp_core.plate import LARGE_NUMBERS

USUAL_LARGE = " ".join(LARGE_NUMBERS)
USUAL_LEAN = 15.0
"""Degrees."""

_OF_CHASSIS = 1.0  # of the lean
_SHARES = {"O": -1.0, "Bs": 0.0, "Bb": 0.0}  # plates of the outpost look down, those of the base straight ahead


@dataclass(frozen=True)
class Mounting:
    """What is known of plates and camera before a plate is seen.

    large: stickers ("1") and classes ("hero") with a large plate. Where it names a class that is no COLOR_NUMBER, or
    nothing at all, every other class has a small one.
    lean: by how much the front of a plate on a chassis looks up, radians; that of the outpost down by as much.
    pitch: by how much the camera looks up, radians.
    """

    large: frozenset[str] = frozenset(LARGE_NUMBERS)
    lean: float = math.radians(USUAL_LEAN)
    pitch: float = 0.0

    def is_large(self, label: str) -> bool | None:
        """Whether plates of this class are large; None where nobody knows."""
        number = split_label(label)[1]
        if label in self.large or number in self.large:
            return True
        return False if number or self._names_classes else None

    def lean_error(self, normal: np.ndarray, label: str) -> float:
        """By how much more than usual a plate looks up, radians. normal: [3], out of its front, in the camera frame."""
        up = np.array([0.0, -math.cos(self.pitch), math.sin(self.pitch)])  # the camera's y points down
        lean = math.asin(max(-1.0, min(1.0, float(normal @ up))))
        return lean - self.lean * _SHARES.get(split_label(label)[1], _OF_CHASSIS)

    @property
    def _names_classes(self) -> bool:
        named = any(name not in NUMBERS and split_label(name)[0] is None for name in self.large)
        return named or not self.large


def make_mounting(
    large: str, lean: float, pitch: float, class_names: Sequence[str], where: str = "parameter large_plates"
) -> Mounting:
    """By what users write. large: names separated by spaces or commas. lean, pitch: degrees.

    Raises ConfigError, beginning with `where`, for a name that is neither a sticker nor a class of the model.
    """
    names = large.replace(",", " ").split()
    for name in names:
        if name not in NUMBERS and name not in class_names:
            known = " ".join(dict.fromkeys([*NUMBERS, *class_names]))
            raise ConfigError(f"{where}: expected stickers or classes out of {known}, got {shown(name)}")
    return Mounting(frozenset(names), math.radians(lean), math.radians(pitch))
