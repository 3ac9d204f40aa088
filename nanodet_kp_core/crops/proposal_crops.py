"""What the refiner learns from: proposals of a detector and of the scout on labeled images, and plates with jittered
corners.

Proposals show the mistakes that detector and scout really make: which lights they take for plates, and how far off
their corners are. Jittered corners make sure that every labeled plate is there, found or not.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from nanodet_kp_core.crops.crop_files import joined
from nanodet_kp_core.geometry import boxes_of_corners, diagonals
from nanodet_kp_core.labels.sample import Record, Sample
from nanodet_kp_core.numerics import log_uniform
from nanodet_kp_core.runtime.detection.detector import Detector
from nanodet_kp_core.runtime.refinement.bar_rules import new_pairs
from nanodet_kp_core.runtime.refinement.crops import (
    CROP_CORNERS,
    CROP_SIZE,
    are_usable,
    cut,
    plate_transforms,
    to_crop,
)
from nanodet_kp_core.runtime.refinement.scout import Scout

PROPOSAL_SCORE = 0.12
"""Detections from this score on teach a refiner."""

LOOKED_AT = 0.18
"""Detections with at least this score go through a refiner that has learned from them. From 0.2 on there are a fifth
fewer crops than from PROPOSAL_SCORE on, for 0.005 less recall on rendered images."""

POSITIVE_DISTANCE, NEGATIVE_DISTANCE = 0.35, 0.45
"""Mean corner distance in diagonals. A proposal nearer than the first to a plate shows that plate, for the second look
puts it right; one farther than the second from all plates shows none. What lies between teaches nothing."""

BORROWED = 0.12
"""Distance in diagonals up to which the bar of a proposal is the one of a plate beside it."""

MOST_HITS, MOST_FALSE = 5, 6
"""Proposals taken of an image, of detector and scout each."""

AMOUNTS = (0.3, 1.0, 1.0, 2.0)
"""How far jittered corners are off: as after a first look, as usual, and as the worst that a detector proposes."""

SMALLEST = 12.0
"""Diagonal in pixels below which a plate is not jittered: nothing can be read in it."""


@dataclass
class Crops:
    """N crops and what is in them.

    images: uint8 [N, 40, 64, 3] BGR. plate: bool [N]. colors, numbers: int64 [N]; -1 unknown or no plate.
    offsets: float32 [N, 4, 2] labeled corners minus CROP_CORNERS, crop pixels; 0 without a plate.
    """

    images: np.ndarray
    plate: np.ndarray
    colors: np.ndarray
    numbers: np.ndarray
    offsets: np.ndarray

    def __len__(self) -> int:
        return len(self.plate)


def jittered(rng: np.random.Generator, corners: np.ndarray, amount: float) -> np.ndarray:
    """Corners [4, 2] as a detector might propose them: turned, stretched, shifted, and each a little for itself."""
    size, middle = float(diagonals(corners[None])[0]), corners.mean(axis=0)
    angle = rng.normal(0, 0.07 * amount)
    turn = np.array([[np.cos(angle), -np.sin(angle)], [np.sin(angle), np.cos(angle)]])
    stretched = (corners - middle) * np.exp(rng.normal(0, 0.09 * amount, 2)) @ turn.T + middle
    return stretched + size * amount * (rng.normal(0, 0.05, 2) + rng.normal(0, 0.035, (4, 2)))


def quads_of(
    sample: Sample, proposals: Sequence[np.ndarray], rng: np.random.Generator
) -> tuple[np.ndarray, np.ndarray]:
    """Quadrilaterals [K, 4, 2] to look at and the plate that each shows, -1 for none: int64 [K].

    proposals: float [P, 4, 2], best first, of each that proposes.
    """
    plates = sample.corners.astype(np.float64)
    size = diagonals(plates)
    quads: list[np.ndarray] = []
    owners: list[int] = []
    for proposed in proposals:
        for quad, owner in _judged(sample, proposed, size):
            quads.append(quad)
            owners.append(owner)
    for plate in np.flatnonzero(size >= SMALLEST):
        quads.append(jittered(rng, plates[plate], rng.choice(AMOUNTS)))
        owners.append(int(plate))
    half_seen = _pairs_with_half_seen(rng, plates, sample.ignore_boxes)
    for quad in [*_wrong_pairs(rng, plates), *half_seen, _anywhere(rng, sample.image.shape)]:
        off = np.linalg.norm(plates - quad, axis=2).mean(axis=1) / size
        if (off > NEGATIVE_DISTANCE).all() and _is_none(quad, sample):
            quads.append(quad)
            owners.append(-1)
    found = np.array(quads, np.float32).reshape(-1, 4, 2)
    usable = are_usable(found)
    return found[usable], np.array(owners, np.int64)[usable]


def _judged(sample: Sample, proposed: np.ndarray, size: np.ndarray) -> list[tuple[np.ndarray, int]]:
    """The proposals that teach something, each with the plate that it shows, -1 for none."""
    plates = sample.corners.astype(np.float64)
    hits: list[tuple[np.ndarray, int]] = []
    false: list[tuple[np.ndarray, int]] = []
    for quad in proposed:
        off = np.linalg.norm(plates - quad, axis=2).mean(axis=1) / size
        nearest = int(off.argmin()) if len(off) else -1
        if nearest >= 0 and off[nearest] < POSITIVE_DISTANCE:
            hits.append((quad, nearest))
        elif (nearest < 0 or off[nearest] > NEGATIVE_DISTANCE) and len(false) < MOST_FALSE and _is_none(quad, sample):
            false.append((quad, -1))
    return hits[:MOST_HITS] + false


def _wrong_pairs(rng: np.random.Generator, plates: np.ndarray) -> list[np.ndarray]:
    """Bars of two neighboring plates [G, 4, 2] that are taken for one: the mistake that is hardest to see."""
    if len(plates) < 2:
        return []
    middles = plates.mean(axis=1)
    pairs = []
    for one in rng.permutation(len(plates))[:2]:
        apart = np.linalg.norm(middles - middles[one], axis=1)
        other = int(np.argsort(apart)[1])
        left, right = (one, other) if middles[one, 0] < middles[other, 0] else (other, one)
        bars = ((3, 2, 1, 0), (0, 1, 1, 0), (3, 2, 2, 3))[int(rng.integers(3))]
        quad = np.stack([plates[left][list(bars[:2])], plates[right][list(bars[2:])]]).reshape(4, 2)
        pairs.append(jittered(rng, quad, 0.4))
    return pairs


def _pairs_with_half_seen(rng: np.random.Generator, plates: np.ndarray, ignore_boxes: np.ndarray) -> list[np.ndarray]:
    """The bar of a plate [G, 4, 2] and something inside an ignore box beside it, such as the one bar that is seen of
    the robot's next plate: in the dark, without a sticker, only their place tells that they are no plate."""
    pairs: list[np.ndarray] = []
    for plate in plates[rng.permutation(len(plates))]:
        height = float(np.linalg.norm(plate[[1, 2]] - plate[[0, 3]], axis=1).mean())
        for x_min, y_min, x_max, y_max in ignore_boxes[rng.permutation(len(ignore_boxes))]:
            x = float(rng.uniform(x_min, x_max))
            beside = x - plate[:, 0].mean()
            alike = 0.5 < (y_max - y_min) / height < 2 and abs((y_min + y_max) / 2 - plate[:, 1].mean()) < 2 * height
            if len(pairs) < 2 and alike and height < abs(beside) < 8 * height:
                bar = np.array([[x, y_min], [x, y_max]])
                own = plate[[3, 2]] if beside > 0 else plate[[0, 1]]
                left, right = (own, bar) if beside > 0 else (bar, own)
                pairs.append(jittered(rng, np.stack([left[0], left[1], right[1], right[0]]), 0.3))
    return pairs


def _anywhere(rng: np.random.Generator, shape: tuple[int, ...]) -> np.ndarray:
    """A quadrilateral of a plate's proportions somewhere in the image: what all the rest looks like."""
    height = log_uniform(rng, 6, 60)
    box = np.array([[-1, -1], [-1, 1], [1, 1], [1, -1]]) / 2 * (height * rng.uniform(2.0, 4.3), height)
    return jittered(rng, box + rng.uniform(0, 1, 2) * (shape[1], shape[0]), 1.0)


def _is_none(quad: np.ndarray, sample: Sample) -> bool:
    """Whether a quadrilateral that is far from all plates is surely none: outside of the ignore boxes, or made of a
    bar that belongs to a plate on its other side."""
    plates = sample.corners
    outer = np.linalg.norm(plates[:, [3, 2]] - quad[[0, 1]], axis=2).mean(axis=1)
    inner = np.linalg.norm(plates[:, [0, 1]] - quad[[3, 2]], axis=2).mean(axis=1)
    if (np.minimum(outer, inner) < BORROWED * diagonals(plates)).any():
        return True
    return not _ignored(quad, sample.ignore_boxes)


def _ignored(quad: np.ndarray, ignore_boxes: np.ndarray) -> bool:
    box = boxes_of_corners(quad[None])[0]
    low, high = np.maximum(box[:2], ignore_boxes[:, :2]), np.minimum(box[2:], ignore_boxes[:, 2:])
    shared = np.clip(high - low, 0, None).prod(axis=1)
    return bool((shared > 0.15 * np.prod(box[2:] - box[:2])).any())


def crops_of(sample: Sample, proposals: Sequence[np.ndarray], numbers: int, rng: np.random.Generator) -> Crops:
    """Crops of one image; class id = color * numbers + number."""
    quads, owners = quads_of(sample, proposals, rng)
    transforms = plate_transforms(quads)
    images = cut(sample.image, transforms, CROP_SIZE)
    plate = owners >= 0
    labels = sample.labels[owners[plate]]
    offsets = np.zeros((len(quads), 4, 2), np.float32)
    offsets[plate] = to_crop(sample.corners[owners[plate]].astype(np.float64), transforms[plate]) - CROP_CORNERS
    colors, read = np.full(len(quads), -1), np.full(len(quads), -1)
    colors[plate] = labels // numbers
    read[plate] = np.where(sample.number_known[owners[plate]], labels % numbers, -1)
    return Crops(images, plate, colors, read, offsets)


def crops_of_records(
    detector: Path, numbers: int, records: Sequence[Record], rng: np.random.Generator, light_bars: bool = True
) -> Crops:
    """The same for some images with the proposals of a detector and, with light_bars, of the scout, for
    crop_files.collect."""
    propose = Detector(detector, threads=1, score_threshold=PROPOSAL_SCORE, nms_threshold=0.6, second_stage=False)
    scout = Scout() if light_bars else None
    parts = []
    for record in records:
        sample = record.load()
        found = propose(sample.image)
        proposals = [found.corners]
        if scout is not None:
            proposals.append(new_pairs(scout(sample.image), found.corners, found.scores))
        parts.append(crops_of(sample, proposals, numbers, rng))
    return joined(parts)
