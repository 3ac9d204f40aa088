"""What the last look learns from: single bars of labeled plates, cut out as a refiner would have left them."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from nanodet_kp_core.crops.crop_files import joined
from nanodet_kp_core.crops.proposal_crops import jittered
from nanodet_kp_core.labels.sample import Record, Sample
from nanodet_kp_core.runtime.refinement.crops import BAR_ENDS, BAR_SIZE, bar_transforms, cut, ends_of, to_crop

LOOKS = 3
"""Times that each plate is cut out, every time from other corners."""

AMOUNTS = (0.15, 0.3, 0.5, 0.8)
"""How far the corners are off, see proposal_crops.jittered: from a refiner's error on a clear plate to its worst."""

SHORTEST = 4.0
"""Pixels; what is shorter tells nothing that the refiner did not see."""

_FARTHEST = 11.0  # crop pixels: an end beyond lies outside of the crop or nearly so


@dataclass
class BarCrops:
    """N bars. images: uint8 [N, 56, 24, 3] BGR. offsets: float32 [N, 2, 2] labeled ends minus BAR_ENDS, crop pixels.
    pixels: float32 [N] image pixels of a crop pixel."""

    images: np.ndarray
    offsets: np.ndarray
    pixels: np.ndarray

    def __len__(self) -> int:
        return len(self.pixels)


def bars_of(sample: Sample, rng: np.random.Generator) -> BarCrops:
    """The bars of an image's plates whose corners are all labeled, then their mirror images: there a left bar is a
    right one."""
    plates = sample.corners[(sample.visible > 0).all(axis=1)].astype(np.float64)
    lengths = np.linalg.norm(np.diff(ends_of(plates), axis=1), axis=2).reshape(-1, 2)
    plates = plates[(lengths >= SHORTEST).all(axis=1)]
    looks = np.array([jittered(rng, plate, rng.choice(AMOUNTS)) for plate in plates for _ in range(LOOKS)])
    transforms = bar_transforms(ends_of(looks.reshape(-1, 4, 2)))
    ends = ends_of(np.repeat(plates, LOOKS, axis=0))
    offsets = to_crop(ends, transforms) - BAR_ENDS
    near = np.abs(offsets).max(axis=(1, 2), initial=0) < _FARTHEST
    images = cut(sample.image, transforms[near], BAR_SIZE)
    pixels = np.linalg.norm(transforms[near, :, 1], axis=1)
    bars = BarCrops(images, offsets[near].astype(np.float32), pixels.astype(np.float32))
    return joined([bars, BarCrops(images[:, :, ::-1], bars.offsets * np.array([-1, 1], np.float32), bars.pixels)])


def bars_of_records(records: Sequence[Record], rng: np.random.Generator) -> BarCrops:
    """The same for some images, for crop_files.collect."""
    return joined([bars_of(record.load(), rng) for record in records])
