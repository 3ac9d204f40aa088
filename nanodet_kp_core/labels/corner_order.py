"""Whether four labeled corners are a quadrilateral in the order left-top, left-bottom, right-bottom, right-top."""

from __future__ import annotations

from collections.abc import Iterable

import numpy as np

from nanodet_kp_core.geometry import CORNER_NAMES
from nanodet_kp_core.labels.labels import Fault, LabeledImage

MIN_AREA = 0.5
"""Square pixels. Less is no plate but a line or a point."""

TURN_MARGIN = 35.0
"""Degrees by which another first corner must bring the bars nearer to upright for the order to count as turned. A plate
seen from the front and rolled by 40 degrees stays in order, and so does a sheared one."""

ORDER = ", ".join(CORNER_NAMES)


def signed_area(corners: np.ndarray) -> np.ndarray:
    """Area [K] of quadrilaterals [K, 4, 2], positive in our order, negative in the mirrored one."""
    following = np.roll(corners, -1, axis=1)
    return (following[..., 0] * corners[..., 1] - corners[..., 0] * following[..., 1]).sum(axis=1) / 2


def crossed(corners: np.ndarray) -> np.ndarray:
    """Whether two sides of quadrilaterals [K, 4, 2] cross, [K]."""
    a, b, c, d = (corners[:, k] for k in range(4))
    return _cross(a, b, c, d) | _cross(b, c, d, a)


def _cross(a: np.ndarray, b: np.ndarray, c: np.ndarray, d: np.ndarray) -> np.ndarray:
    def side(p: np.ndarray, q: np.ndarray, r: np.ndarray) -> np.ndarray:
        return (q[:, 0] - p[:, 0]) * (r[:, 1] - p[:, 1]) - (q[:, 1] - p[:, 1]) * (r[:, 0] - p[:, 0])

    return (side(a, b, c) * side(a, b, d) < 0) & (side(c, d, a) * side(c, d, b) < 0)


def tilt(corners: np.ndarray) -> np.ndarray:
    """Angle [K] in degrees, -180..180, from straight down to the direction of the bars of [K, 4, 2]."""
    down = corners[:, 1] + corners[:, 2] - corners[:, 0] - corners[:, 3]
    return np.degrees(np.arctan2(-down[:, 0], down[:, 1]))


def tilts(corners: np.ndarray) -> np.ndarray:
    """Degrees [K, 4] between the bars of [K, 4, 2] and upright, 0..180, if corner 0, 1, 2 or 3 were the first one."""
    return np.stack([np.abs(tilt(np.roll(corners, -first, axis=1))) for first in range(4)], axis=1)


def corner_faults(images: Iterable[LabeledImage], turned: bool = True) -> list[Fault]:
    """A fault for each plate with all corners labeled whose corners are no plate or out of order.

    turned: also tell an order that starts at the wrong corner; it cannot be told from a robot that lies on its side.
    """
    plates = [p for image in images for p in image.plates if not p.ignore and all(p.visible)]
    corners = np.array([plate.corners for plate in plates], np.float64).reshape(-1, 4, 2)
    cross, area, angles = crossed(corners), signed_area(corners), tilts(corners)
    wrong = cross | (area < MIN_AREA) | (turned & (angles[:, 0] - angles.min(axis=1) > TURN_MARGIN))
    return [
        Fault(plates[k].where, _sentence(bool(cross[k]), float(area[k]), angles[k].tolist()))
        for k in np.flatnonzero(wrong).tolist()
    ]


def _sentence(cross: bool, area: float, angles: list[float]) -> str:
    if cross:
        return f"expected corners in the order {ORDER}, got sides that cross; two neighbors are swapped"
    if abs(area) < MIN_AREA:
        return f"expected four corners that span a plate, got an area of {abs(area):.2g} square pixels"
    if area < 0:
        return f"expected corners in the order {ORDER}, got the mirrored order (clockwise)"
    first = CORNER_NAMES[-angles.index(min(angles)) % 4]
    return (
        f"expected corners in the order {ORDER}, got bars at {angles[0]:.0f} degrees from upright, as if the first "
        f"corner were the {first} one"
    )
