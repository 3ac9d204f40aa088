"""Lit bars and which two of them may be the bars of one plate."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, fields

import numpy as np

from nanodet_kp_core.geometry import boxes_of_corners
from nanodet_kp_core.runtime.nms import nms

NO_PAIRS = np.zeros((0, 4, 2), np.float32)

WEIGHTS = np.array([-0.55, -2.39, -3.15, -0.10, -2.27, -0.91, 0.84, -1.31, 1.05, -1.79])
"""Of `pair_features` in the logit that a pair is a plate: logistic regression on 60,931 pairs of rendered images, by
`nanodet-kp fit-scout --images 800 --size 960x720`. They only rank."""

LONGEST_OUTLINE = 160
"""Pixels of an outline; longer ones are those of lamps and strips, or of bars near enough for the network."""

SAME_PAIR = 0.6
"""IoU above which two pairs are one pair, seen in two lights."""

BESIDE = np.array([[0.25, 0.75, 0.25, 0.75], [-0.7, -0.7, 0.7, 0.7]])[..., None]
"""Points of the panel above and below the sticker: share of the way from the left to the right bar, then lengths of a
bar along it, [2, 4, 1]."""

SIDES = np.array([[-0.3, -0.3, 0, 0, 0.3, 0.3], [-1, 1, -1, 1, -1, 1]])[..., None]
"""Points of the sides of a bar: along it in lengths, across it in half widths, [2, 6, 1]."""

# Gates: what no plate that faces the camera exceeds. Lengths are those of the bars.
MAX_LENGTH_RATIO = 2.4
MIN_GAP, MAX_GAP = 0.7, 5.8  # distance of the bars in lengths
MAX_TURN = 0.45  # sine of the angle between the bars


@dataclass(frozen=True)
class LitBars:
    """N lights with an axis. Points and directions are complex numbers x + iy: a distance or a turn is one operation.

    centers: complex128 [N], pixels. axes: complex128 [N], unit vectors along the light, pointing down. lengths, widths:
    float64 [N], pixels.
    """

    centers: np.ndarray
    axes: np.ndarray
    lengths: np.ndarray
    widths: np.ndarray

    def __len__(self) -> int:
        return len(self.lengths)

    def part(self, chosen: np.ndarray) -> LitBars:
        """Those with the indices `chosen`."""
        return LitBars(*(getattr(self, field.name)[chosen] for field in fields(self)))


@dataclass(frozen=True)
class Sight:
    """What the scout sees of an image.

    bars: in pixels of the reduced image. light: uint8 [height, width]; each of its rows is `rows` rows of the reduced
    image taken together. first, last: the same of its first and last channel; None of a gray image. gain: factor of
    the first channel and divisor of the last one that make gray what the camera sees on average. shrunk: how many
    pixels of the image one of the reduced image is wide.
    """

    bars: LitBars
    light: np.ndarray
    first: np.ndarray | None
    last: np.ndarray | None
    gain: float
    rows: int
    shrunk: int

    def pixels(self, points: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
        """Rows and columns, int64 [...] each, of the planes' pixels at points, complex [...]; beyond the border those
        of the border."""
        height, width = self.light.shape
        x = np.minimum(np.maximum(points.real + 0.5, 0), width - 1)  # numpy's clip takes twice the time
        y = np.minimum(np.maximum((points.imag + 0.5) / self.rows, 0), height - 1)
        return y.astype(np.intp), x.astype(np.intp)

    def tints(self) -> np.ndarray:
        """Of each bar, float64 [N]: first minus last channel along its sides in gray levels, after the white balance; 0
        in a gray image. The core of a bar may be blown out to white; its sides keep the color."""
        bars = self.bars
        if self.first is None or self.last is None:
            return np.zeros(len(bars))
        points = bars.centers + bars.axes * (SIDES[0] * bars.lengths + SIDES[1] * (0.5j * bars.widths))
        pixels = self.pixels(points)
        return (self.gain * self.first[pixels] - self.last[pixels] / self.gain).mean(axis=0)


def measured(outlines: Sequence[np.ndarray], rows: np.ndarray) -> tuple[LitBars, np.ndarray]:
    """Lights with an axis from their outlines, in pixels of the reduced image, and which outline each is of, int64 [N].

    Args:
        outlines: int32 [P, 1, 2] each, as cv2.findContours gives them. Those of one or two pixels
            are left out, and those of LONGEST_OUTLINE and more.
        rows: int64 [outlines]: how many rows of the reduced image are one row of the outline.
    """
    sizes = np.fromiter(map(len, outlines), np.int64, len(outlines))
    kept = np.flatnonzero((sizes > 2) & (sizes < LONGEST_OUTLINE))
    if not len(kept):
        return LitBars(np.zeros(0, complex), np.zeros(0, complex), np.zeros(0), np.zeros(0)), kept
    counts, rows = sizes[kept], rows[kept]
    points = np.concatenate([outlines[k] for k in kept.tolist()]).astype(np.float32).view(np.complex64).ravel()
    points.imag *= np.repeat(rows, counts)
    starts = np.cumsum(counts) - counts
    # From the first pixel of each outline on: the numbers stay small enough for float32.
    first = points[starts]
    points -= np.repeat(first, counts)
    means = np.add.reduceat(points, starts) / counts
    # The variance of complex numbers points along twice the angle of their axis. A disc stands upright.
    axes = np.sqrt(np.add.reduceat(points * points, starts) / counts - means**2 - 1e-3)
    axes /= np.abs(axes)
    axes[axes.imag < 0] *= -1
    points *= np.repeat(axes.conj().astype(np.complex64), counts)
    sides = np.stack([points.real, points.imag])  # along and across
    low, high = np.minimum.reduceat(sides, starts, axis=1), np.maximum.reduceat(sides, starts, axis=1)
    along, across = (low + high) / 2
    lengths, widths = (high - low + 1).astype(np.float64)
    lengths += (rows - 1) * axes.imag
    origin = first + 0.5j * (rows - 1)  # the middle of the rows that an outline's first row is made of
    return LitBars(origin + axes * (along + 1j * across), axes, lengths, widths), kept


def likeliest_pairs(sight: Sight, most: int) -> np.ndarray:
    """Corners float64 [K, 4, 2] of the pairs of bars that are likeliest to be plates, best first, K up to `most`."""
    left, right = candidate_pairs(sight.bars)
    if not len(left):
        return NO_PAIRS
    scores = pair_features(sight, left, right) @ WEIGHTS
    best = np.argsort(-scores)[: 4 * most]
    corners = corners_of_pairs(sight.bars, left[best], right[best])
    scores = scores[best] - scores[best].min()
    return corners[nms(boxes_of_corners(corners).astype(np.float32), scores.astype(np.float32), SAME_PAIR, most)]


def candidate_pairs(bars: LitBars) -> tuple[np.ndarray, np.ndarray]:
    """Indices of the left and of the right bar of all pairs inside the gates, int64 [K] each."""
    x, y, half = (side.astype(np.float32) for side in (bars.centers.real, bars.centers.imag, bars.lengths / 2))
    across, down = x - x[:, None], y - y[:, None]  # [left, right]
    gap, square = across**2 + down**2, (half + half[:, None]) ** 2
    fits = (across > 0.5 * np.abs(down)) & (gap > MIN_GAP**2 * square) & (gap < MAX_GAP**2 * square)
    left, right = np.divmod(np.flatnonzero(fits), max(len(bars), 1))
    ratio = bars.lengths[left] / bars.lengths[right]
    turn = np.abs((bars.axes[left].conj() * bars.axes[right]).imag)
    alike = (ratio < MAX_LENGTH_RATIO) & (ratio > 1 / MAX_LENGTH_RATIO) & (turn < MAX_TURN)
    return left[alike], right[alike]


def pair_features(sight: Sight, left: np.ndarray, right: np.ndarray) -> np.ndarray:
    """What WEIGHTS rates of pairs, float64 [K, 10]."""
    bars = sight.bars
    lengths = (bars.lengths[left] + bars.lengths[right]) / 2
    between = bars.centers[right] - bars.centers[left]
    gap = np.abs(between)
    axis = bars.axes[left] + bars.axes[right]
    axis /= np.abs(axis)
    apart = gap / lengths
    shapes = bars.widths / bars.lengths
    tints = np.tanh(sight.tints() / 40)
    cores = sight.light[sight.pixels(bars.centers)].astype(np.float64)
    first, second = cores[left], cores[right]
    points = bars.centers[left] + between * BESIDE[0] + axis * lengths * BESIDE[1]
    around = sight.light[sight.pixels(points)].mean(axis=0)
    return np.array(
        [
            np.abs(np.log(bars.lengths[left] / bars.lengths[right])),
            ((between * axis.conj()).real / gap) ** 2,  # shifted against each other along the bars
            np.abs((bars.axes[left].conj() * bars.axes[right]).imag),
            apart**2,
            np.maximum(0, 1.5 - apart),
            np.abs(shapes[left] - shapes[right]),
            tints[left] * tints[right],
            np.abs(between.imag) / gap,
            (first + second) / 510,  # what is lit is bright
            around / np.maximum(np.minimum(first, second), 20),  # the panel is darker, above and below the sticker
        ]
    ).T


def corners_of_pairs(bars: LitBars, left: np.ndarray, right: np.ndarray) -> np.ndarray:
    """Corners float64 [K, 4, 2] of plates with these bars: the ends of the lights."""
    half = bars.axes * (bars.lengths / 2)
    upper, lower = bars.centers - half, bars.centers + half
    corners = np.stack([upper[left], lower[left], lower[right], upper[right]], axis=1)
    return corners.view(np.float64).reshape(-1, 4, 2)
