"""The armor plate as a thing: how large it is, and which sticker is on which size."""

from __future__ import annotations

import numpy as np

BAR_LENGTH = 0.056
SMALL_WIDTH = 0.135
LARGE_WIDTH = 0.230
"""Distance between the center lines of the two bars, metres."""

LARGE_NUMBERS = ("1", "Bb")
"""Stickers of the large plate (hero and big base); all others are on the small one."""


def corner_points(width: float, length: float) -> np.ndarray:
    """Ends of the bars on the plate, metres [4, 2]: left-top, left-bottom, right-bottom, right-top."""
    x, y = width / 2, length / 2
    return np.array([[-x, -y], [-x, y], [x, y], [x, -y]])
