"""Lit bars and which two of them may be the bars of one plate."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, fields

import numpy as np

from nanodet_kp_core.geometry import boxes_of_corners
from nanodet_kp_core.runtime.nms import nms

NO_PAIRS = np.zeros((0, 4, 2), np.float32)

LEAST_OUTLINE = 4
"""Pixels of the outline of a bar of three pixels, which is one pixel wide."""

WEIGHTS = np.array([-1.95, -3.13, -3.90, -0.08, -2.31, 0.24, -1.50, 1.48])
"""Of `pair_features` in the logit that a pair is a plate: logistic regression on 24,213 pairs of 650 rendered pictures.
They only rank: eight features order the pairs as well as twice as many do."""

SAME_PAIR = 0.6
"""IoU above which two pairs are one pair, seen at two scales."""

# Gates: what no plate that faces the camera exceeds. Lengths are those of the bars.
MAX_LENGTH_RATIO = 2.4
MIN_GAP, MAX_GAP = 0.7, 5.8  # distance of the bars in lengths
MAX_TURN = 0.45  # sine of the angle between the bars


@dataclass(frozen=True)
class LitBars:
    """N lights with an axis.

    centers: float64 [N, 2], pixels. axes: float64 [N, 2], unit vectors along the light, pointing down. lengths, widths:
    float64 [N], pixels. tints: float64 [N], first minus last channel on the outline in grey levels; 0 in grey pictures.
    """

    centers: np.ndarray
    axes: np.ndarray
    lengths: np.ndarray
    widths: np.ndarray
    tints: np.ndarray

    def __len__(self) -> int:
        return len(self.lengths)

    @classmethod
    def none(cls) -> LitBars:
        """No bars."""
        flat, pairs = np.zeros(0), np.zeros((0, 2))
        return cls(pairs, pairs, flat, flat, flat)

    @classmethod
    def joined(cls, parts: Sequence[LitBars]) -> LitBars:
        """All bars of `parts`."""
        return cls(*(np.concatenate([getattr(part, field.name) for part in parts]) for field in fields(cls)))

    @classmethod
    def of_outlines(cls, outlines: Sequence[np.ndarray], tinted: Sequence[np.ndarray]) -> LitBars:
        """Bars from the outlines of lights.

        outlines: int [P, 1, 2] each, all pixels of the outline, as cv2.findContours gives them. tinted: first and last
        channel of the picture, uint8 [height, width]; empty for a grey one. Outlines of fewer than LEAST_OUTLINE
        pixels are left out.
        """
        sizes = np.fromiter(map(len, outlines), np.int64, len(outlines))
        kept = np.flatnonzero(sizes >= LEAST_OUTLINE)
        if not len(kept):
            return cls.none()
        pixels = np.concatenate([outlines[k] for k in kept.tolist()])[:, 0]
        counts = sizes[kept]
        starts = np.cumsum(counts) - counts
        first = pixels[starts]
        # From the first pixel of each outline on: the numbers stay small enough for float32.
        x, y = (pixels - np.repeat(first, counts, axis=0)).T.astype(np.float32)

        def mean(values: np.ndarray) -> np.ndarray:
            return np.asarray(np.add.reduceat(values, starts) / counts)

        mean_x, mean_y = mean(x), mean(y)
        spread = mean(x * x) - mean_x**2 - mean(y * y) + mean_y**2
        angles = 0.5 * np.arctan2(2 * (mean(x * y) - mean_x * mean_y), spread)
        axes = np.stack([np.cos(angles), np.sin(angles)], axis=1)
        axes[axes[:, 1] < 0] *= -1
        axis_x, axis_y = np.repeat(axes.astype(np.float32), counts, axis=0).T
        along, across = x * axis_x + y * axis_y, y * axis_x - x * axis_y
        low, high = np.minimum.reduceat(along, starts), np.maximum.reduceat(along, starts)
        left, right = np.minimum.reduceat(across, starts), np.maximum.reduceat(across, starts)
        normals = np.stack([-axes[:, 1], axes[:, 0]], axis=1)
        centers = first + axes * ((low + high) / 2)[:, None] + normals * ((left + right) / 2)[:, None]
        tints = np.zeros(len(counts))
        if tinted:
            blue, red = (plane[pixels[:, 1], pixels[:, 0]].astype(np.float32) for plane in tinted)
            tints = mean(blue - red)
        return cls(centers, axes, (high - low + 1.0).astype(np.float64), right - left + 1.0, tints)

    def part(self, chosen: np.ndarray) -> LitBars:
        """Those with the indices `chosen`."""
        return LitBars(*(getattr(self, field.name)[chosen] for field in fields(self)))

    def enlarged(self, factor: float) -> LitBars:
        """The same in a picture `factor` times as large."""
        centers = (self.centers + 0.5) * factor - 0.5
        return LitBars(centers, self.axes, self.lengths * factor, self.widths * factor, self.tints)


def likeliest_pairs(bars: LitBars, most: int) -> np.ndarray:
    """Corners float64 [K, 4, 2] of the pairs of bars that are likeliest to be plates, best first, K up to `most`."""
    left, right = candidate_pairs(bars)
    if not len(left):
        return NO_PAIRS
    scores = pair_features(bars, left, right) @ WEIGHTS
    best = np.argsort(-scores)[: 3 * most]
    corners = corners_of_pairs(bars, left[best], right[best])
    scores = scores[best] - scores[best].min()
    return corners[nms(boxes_of_corners(corners).astype(np.float32), scores.astype(np.float32), SAME_PAIR, most)]


def candidate_pairs(bars: LitBars) -> tuple[np.ndarray, np.ndarray]:
    """Indices of the left and of the right bar of all pairs inside the gates, int64 [K] each."""
    x, y = bars.centers.T
    across, down = x - x[:, None], y - y[:, None]  # [left, right]
    length = bars.lengths + bars.lengths[:, None]
    gap = across**2 + down**2
    fits = (across > 0.5 * np.abs(down)) & (gap > (MIN_GAP / 2 * length) ** 2) & (gap < (MAX_GAP / 2 * length) ** 2)
    left, right = np.nonzero(fits)
    ratio = bars.lengths[left] / bars.lengths[right]
    turn = np.abs(_cross(bars.axes[left], bars.axes[right]))
    alike = (ratio < MAX_LENGTH_RATIO) & (ratio > 1 / MAX_LENGTH_RATIO) & (turn < MAX_TURN)
    return left[alike], right[alike]


def pair_features(bars: LitBars, left: np.ndarray, right: np.ndarray) -> np.ndarray:
    """What WEIGHTS rates of pairs, float64 [K, 8]."""
    lengths = (bars.lengths[left] + bars.lengths[right]) / 2
    between = bars.centers[right] - bars.centers[left]
    gap = np.hypot(between[:, 0], between[:, 1])
    axis = bars.axes[left] + bars.axes[right]
    axis /= np.hypot(axis[:, 0], axis[:, 1])[:, None]
    apart = gap / lengths
    shapes = bars.widths / bars.lengths
    tints = np.tanh(bars.tints / 40)
    return np.stack(
        [
            np.abs(np.log(bars.lengths[left] / bars.lengths[right])),
            ((between * axis).sum(axis=1) / gap) ** 2,  # shifted against each other along the bars
            np.abs(_cross(bars.axes[left], bars.axes[right])),
            apart**2,
            np.maximum(0, 1.5 - apart),
            _bars_between(bars, left, between, gap, lengths),
            np.abs(shapes[left] - shapes[right]),
            tints[left] * tints[right],
        ],
        axis=1,
    )


def _bars_between(
    bars: LitBars, left: np.ndarray, between: np.ndarray, gap: np.ndarray, lengths: np.ndarray
) -> np.ndarray:
    """1 where a bar of about the same length stands between the two of a pair, else 0: float64 [K]."""
    unit = between / gap[:, None]
    x = bars.centers[:, 0] - bars.centers[left, :1]  # [K, N]
    y = bars.centers[:, 1] - bars.centers[left, 1:]
    along = x * unit[:, :1] + y * unit[:, 1:]
    aside = np.abs(x * unit[:, 1:] - y * unit[:, :1])
    length, own = lengths[:, None], bars.lengths[None]
    inside = (along > 0.12 * gap[:, None]) & (along < 0.88 * gap[:, None]) & (aside < 0.5 * length)
    return (inside & (own > 0.55 * length) & (own < 1.8 * length)).any(axis=1).astype(np.float64)


def corners_of_pairs(bars: LitBars, left: np.ndarray, right: np.ndarray) -> np.ndarray:
    """Corners float64 [K, 4, 2] of plates with these bars: the ends of the lights."""
    half = bars.axes * (bars.lengths[:, None] / 2)
    ends = np.stack([bars.centers - half, bars.centers + half], axis=1)
    return np.concatenate([ends[left], ends[right][:, ::-1]], axis=1)


def _cross(a: np.ndarray, b: np.ndarray) -> np.ndarray:
    return a[:, 0] * b[:, 1] - a[:, 1] * b[:, 0]
