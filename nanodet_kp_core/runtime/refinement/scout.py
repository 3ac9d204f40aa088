"""The light-bar scout: proposals for the second stage from lit bars alone, without a network.

The detector sees a reduced image, in which a far plate is a few pixels wide. A lit bar is bright and slim at any
distance, and the two bars of a plate are alike. A pair of such bars need not be a plate: the second stage decides. The
scout makes one pass over the image and works on all bars and all pairs at once.

In a color image it looks at brightness and at color. In brightness the white core of a bar that is blown out stands out
from the halo of its color. In color a dim bar stands out beside a bright one, and from what is white.
"""

from __future__ import annotations

from collections.abc import Sequence

import cv2
import numpy as np

from nanodet_kp_core.runtime.refinement.bar_pairs import NO_PAIRS, LitBars, Sight, likeliest_pairs, measured

MAX_PIXELS = 500_000
"""An image with more pixels is halved first, as often as needed."""

DENSE_PIXELS = 150_000
"""In an image with more pixels, the scout takes two rows together, the brighter pixel of both: bars stand upright, and
a thin light stays as bright as it is."""

SIDE = 15
"""Side in pixels of the square that counts as the surroundings of a pixel."""

CONTRAST = (12, 36)
"""Gray levels by which a lit pixel exceeds the mean of its surroundings: PEAK_SHARE of the highest contrast of the
image, but no less than the first and no more than the second. So a bar shows in a dim or a hazy image too, and noise
does not where something shines."""

PEAK_SHARE = 0.2

LENGTHS = (3.0, 45.0)
"""Lengths in pixels of the bars that are looked for. The network finds plates with longer ones; a look at half the size
for them finds no other plate."""

SLIM = 1.6
"""A light wider than this times its length is no bar."""

MAX_RUNS = 10_000
"""Upright runs of lit pixels in one light. A light with more, such as noise or a screen, is left out. This bounds the
number of outlines, and so the scout's time."""

MAX_BARS = 48
"""Bars of one light that are paired, the longest first."""

MAX_PAIRS = 8
"""Proposals of one image, the likeliest first."""

MAX_GAIN = 1.5
"""A camera's white balance is undone by up to this ratio of the first to the last channel: a lamp that the camera shows
blue is no blue bar. A dark hall full of blue bars is blue, too, and stays so."""


class Scout:
    """Finds pairs of lit bars. It keeps its scratch memory between images of one size; one thread at a time."""

    def __init__(self) -> None:
        self._scratch: list[np.ndarray] = []
        self._brighter = np.empty(0, np.uint8)

    def __call__(self, image: np.ndarray, halved: np.ndarray | None = None) -> np.ndarray:
        """Pairs of lit bars of an image.

        Args:
            image: uint8 [height, width, 3], BGR or RGB, or [height, width].
            halved: the image at half its size, averaged, where it is there already.

        Returns:
            Corners float32 [K, 4, 2] in pixels of the image, the likeliest pair first, K at most MAX_PAIRS.
        """
        sight = self.look(image, halved)
        if sight is None:
            return NO_PAIRS.astype(np.float32)
        return ((likeliest_pairs(sight, MAX_PAIRS) + 0.5) * sight.shrunk - 0.5).astype(np.float32)

    def look(self, image: np.ndarray, halved: np.ndarray | None = None) -> Sight | None:
        """The lit bars of an image; None of one that is too small. Arguments as of a call."""
        image, shrunk = _reduced(image, halved)
        if min(image.shape[:2]) < SIDE:
            return None
        rows = 2 if image.shape[0] * image.shape[1] > DENSE_PIXELS else 1
        shape = (image.shape[0] // rows, *image.shape[1:])
        if shape != self._brighter.shape:
            self._scratch = [np.empty(shape[:2], np.uint8) for _ in range(9)]
            self._brighter = np.empty(shape, np.uint8)
        if rows == 2:
            image = _brighter_rows(image, self._brighter)
        if image.ndim == 2:
            return Sight(self._bars([(image, rows)]), image, None, None, 1.0, rows, shrunk)
        first, middle, last, outer, light, color = self._scratch[3:]
        cv2.split(image, [first, middle, last])
        cv2.max(first, last, outer)
        cv2.addWeighted(outer, 0.5, middle, 0.5, 0, dst=light)
        cv2.subtract(outer, middle, dst=color)
        if rows == 1:  # the color of each row by itself shows no more
            color = _brighter_rows(color, outer[: len(color) // 2])
        bars = self._bars([(light, rows), (color, 2)])
        return Sight(bars, light, first, last, _gain(first, last), rows, shrunk)

    def _bars(self, lights: Sequence[tuple[np.ndarray, int]]) -> LitBars:
        """The slim bars of all lights. A light: the plane, and of how many rows of the reduced image a row is made."""
        outlines: list[np.ndarray] = []
        counts = []
        for light, rows in lights:
            found = self._outlines(light, rows)
            outlines += found
            counts.append(len(found))
        bars, measurable = measured(outlines, np.repeat([rows for _, rows in lights], counts))
        of_light = np.repeat(np.arange(len(lights)), counts)[measurable]
        fits = (bars.lengths >= LENGTHS[0]) & (bars.lengths < LENGTHS[1]) & (bars.widths <= SLIM * bars.lengths)
        fits &= bars.axes.imag > 0.5  # within 60 degrees of upright
        chosen = []
        for k in range(len(lights)):
            kept = np.flatnonzero(fits & (of_light == k))
            if len(kept) > MAX_BARS:
                kept = kept[np.argpartition(-bars.lengths[kept], MAX_BARS)[:MAX_BARS]]
            chosen.append(kept)
        return bars.part(np.concatenate(chosen))

    def _outlines(self, light: np.ndarray, rows: int) -> Sequence[np.ndarray]:
        """Outlines of what is lit, int [P, 1, 2] each; a row of `light` is `rows` rows of the reduced image."""
        mask, contrast, top = (plane[: len(light)] for plane in self._scratch[:3])
        height = SIDE // rows | 1
        cv2.blur(light, (SIDE, height), dst=contrast)
        cv2.subtract(light, contrast, dst=contrast)
        cv2.dilate(contrast, np.ones((height, SIDE), np.uint8), dst=top)
        np.right_shift(top, 1, out=top)  # lit is what has more than half of the highest contrast around it: no halo
        lit = min(max(PEAK_SHARE * cv2.minMaxLoc(contrast)[1], CONTRAST[0]), CONTRAST[1])
        cv2.max(top, lit, dst=top)  # type: ignore[call-overload]  # np.maximum of a number takes 130 us
        cv2.compare(contrast, top, cv2.CMP_GT, dst=mask)
        starts = cv2.compare(mask[1:], mask[:-1], cv2.CMP_GT, dst=top[1:])
        if cv2.countNonZero(starts) > MAX_RUNS:
            return ()
        return cv2.findContours(mask, cv2.RETR_EXTERNAL, cv2.CHAIN_APPROX_NONE)[0]


def _brighter_rows(plane: np.ndarray, target: np.ndarray) -> np.ndarray:
    """The rows 2k and 2k + 1 taken together, in `target`: the brighter pixel of both. An odd last row is left out."""
    stop = 2 * len(target)
    return np.asarray(cv2.max(plane[:stop:2], plane[1:stop:2], dst=target))


def _gain(first: np.ndarray, last: np.ndarray) -> float:
    """Factor of the first channel and divisor of the last one that bring their means together."""
    ratio = (cv2.mean(last[::8])[0] + 8) / (cv2.mean(first[::8])[0] + 8)  # a black image has no balance
    return float(min(max(ratio, 1 / MAX_GAIN), MAX_GAIN) ** 0.5)


def _reduced(image: np.ndarray, halved: np.ndarray | None) -> tuple[np.ndarray, int]:
    """The image with at most MAX_PIXELS, and how many pixels of the image one of its pixels is wide."""
    shrunk = 1
    while image.shape[0] * image.shape[1] > MAX_PIXELS:
        height, width = image.shape[0] // 2, image.shape[1] // 2
        if shrunk == 1 and halved is not None:
            image = halved
        elif min(height, width) < 1:
            break
        else:
            image = cv2.resize(image[: 2 * height, : 2 * width], (width, height), interpolation=cv2.INTER_AREA)
        shrunk *= 2
    return image, shrunk
