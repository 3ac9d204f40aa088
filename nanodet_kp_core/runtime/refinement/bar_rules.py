"""Rules that follow from how an armor plate is built: which quadrilaterals can be plates, and which pairs are new."""

from __future__ import annotations

import numpy as np

from nanodet_kp_core.geometry import box_iou, boxes_of_corners

LEAST_GAP = 0.6
"""Smallest distance between the bars of a plate, in lengths of a bar. The bars of a small plate are 2.4 lengths apart;
at a yaw of 75 degrees they look 0.6 lengths apart. None of some 580 labeled plates lies below 0.94."""

SHARED = 0.3
"""Two bars are one bar where the mean distance of their ends is below this, in lengths of the shorter one."""

SHARED_ROUGHLY = 0.4
"""The same where the corners are those of the network, before the second stage has corrected them."""

KNOWN = 0.6
"""A pair of the scout is no new proposal where its IoU with a proposal of the network is above this."""

CLAIM_SCORE = 0.5
"""Score from which a proposal of the network claims its light bars: the scout's pairs with one of them are dropped."""

MIRRORED = 0.1
"""Mean corner distance, in diagonals, up to which a plate is the mirror image of another one. In rendered clips it is
0.02 to 0.04."""

DEEPEST = 8.0
"""How far below its plate a mirror image is at most, in lengths of a bar: a plate's middle is 2 to 4 lengths above the
floor."""


def possible_plates(corners: np.ndarray, size: tuple[int, int]) -> np.ndarray:
    """Indices int64 [M] of the plates that the rules allow, in the order of `corners`.

    The center of a plate lies in the image: of another one most corners are a guess. The bars of a plate are at least
    LEAST_GAP apart. A bar belongs to one plate: of two plates with the same bar the first stays.

    Args:
        corners: float [K, 4, 2], the best plate first, in pixels of an image of `size` (width, height).
    """
    ends = _ends(corners)
    left, right = ends[:, 0].sum(axis=1) / 2, ends[:, 1].sum(axis=1) / 2
    centers = (left + right) / 2 + (0.5 + 0.5j)
    inside = (centers.real >= 0) & (centers.real <= size[0]) & (centers.imag >= 0) & (centers.imag <= size[1])
    gaps = np.abs(right - left)
    kept = np.flatnonzero(inside & (gaps >= LEAST_GAP * _lengths(ends).mean(axis=1)))
    if len(kept) < 2:
        return kept
    shares = _share(ends[kept], ends[kept], SHARED)
    stays = np.ones(len(kept), bool)
    for k in range(1, len(kept)):
        stays[k] = not (shares[k, :k] & stays[:k]).any()
    return kept[stays]


def are_reflections(corners: np.ndarray, nameless: np.ndarray, colors: np.ndarray) -> np.ndarray:
    """Which plates are others that the floor mirrors: bool [K].

    A floor mirrors the lights and not the sticker. So a reflection has no number and the color of a better plate, is
    upside down, and lies straight below that plate.

    Args:
        corners: float [K, 4, 2], the best plate first. nameless: bool [K], whose number cannot be read. colors: [K].
    """
    ends = _ends(corners)
    heights, lengths = ends.imag.mean(axis=(1, 2)), _lengths(ends).mean(axis=1)
    below = heights[:, None] - heights
    floors = 1j * (heights[:, None] + heights)  # twice the height of a floor halfway between two plates
    mirrored = ends[:, :, ::-1].conj() + floors[..., None, None]
    apart = np.abs(ends[:, None] - mirrored).mean(axis=(2, 3))
    diagonals = np.abs(ends[:, 0] - ends[:, 1, ::-1]).mean(axis=1)
    mirrors = (below > lengths) & (below < DEEPEST * lengths) & (apart < MIRRORED * diagonals)
    better = np.tri(len(corners), k=-1, dtype=bool)
    return np.asarray(nameless & (mirrors & better & (colors[:, None] == colors)).any(axis=1))


def share_a_bar(first: np.ndarray, second: np.ndarray, tolerance: float) -> np.ndarray:
    """Which plates of first [K, 4, 2] and second [M, 4, 2] have a bar in common: bool [K, M].

    tolerance: mean distance of the ends of one bar, in the length of the shorter one.
    """
    return _share(_ends(first), _ends(second), tolerance)


def new_pairs(pairs: np.ndarray, corners: np.ndarray, scores: np.ndarray) -> np.ndarray:
    """Those of the scout's pairs of bars [K, 4, 2] that the network has not proposed.

    Left out are pairs that overlap a proposal by more than KNOWN, and pairs with a bar of a proposal that scores
    CLAIM_SCORE or more.

    Args:
        corners: float [M, 4, 2], scores: float [M] of the network's proposals.
    """
    if not len(pairs) or not len(corners):
        return pairs
    known = (box_iou(boxes_of_corners(pairs), boxes_of_corners(corners)) > KNOWN).any(axis=1)
    owned = share_a_bar(pairs, corners[scores >= CLAIM_SCORE], SHARED_ROUGHLY).any(axis=1)
    return pairs[~(known | owned)]


def _ends(corners: np.ndarray) -> np.ndarray:
    """Ends of the bars of plates [K, 4, 2], complex [K, left and right, upper and lower]: x + iy. The distance of two
    points is then one operation, and a few plates take the time of the number of operations."""
    points = corners[:, [0, 1, 3, 2]].astype(np.float64)
    return (points[..., 0] + 1j * points[..., 1]).reshape(-1, 2, 2)


def _share(first: np.ndarray, second: np.ndarray, tolerance: float) -> np.ndarray:
    """The same of `_ends` [K, 2, 2] and [M, 2, 2]."""
    ones, others = first.reshape(-1, 2), second.reshape(-1, 2)
    apart = np.abs(ones[:, None] - others).sum(axis=2)
    shorter = np.minimum(_lengths(ones)[:, None], _lengths(others))
    same = apart < 2 * tolerance * shorter
    return np.asarray(same.reshape(len(first), 2, len(second), 2).any(axis=(1, 3)))


def _lengths(ends: np.ndarray) -> np.ndarray:
    """Of bars [..., 2]: upper and lower end."""
    return np.asarray(np.abs(ends[..., 1] - ends[..., 0]))
