"""Four samples in one image: more plates, more backgrounds and more sizes in a step."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import replace
from typing import TYPE_CHECKING

import numpy as np

from nanodet_kp_core.data.augment import random_matrix, warp_sample
from nanodet_kp_core.data.geometric import translation_matrix
from nanodet_kp_core.labels.sample import PLATE_FIELDS, Sample

if TYPE_CHECKING:
    from nanodet_kp_core.config import PipelineConfig

CUT = (0.35, 0.65)
"""Where the tiles meet, as a share of the image's width and height."""


def mosaic(
    rng: np.random.Generator,
    samples: Sequence[Sample],
    target: tuple[int, int],
    pipeline: PipelineConfig,
    keep_ratio: bool,
) -> Sample:
    """Four samples, each through its own random matrix into a tile of an image of `target` (width, height).

    A sample is shown between whole (as large as its tile) and at its usual size (a part of it). A plate that its tile
    cuts off by more than a fifth is an ignore box up to the tile's border; corners beyond the border are not seen.
    """
    width, height = target
    column, row = (round(float(share) * side) for share, side in zip(rng.uniform(*CUT, 2), target))
    spans = [(0, 0, column, row), (column, 0, width, row), (0, row, column, height), (column, row, width, height)]
    image = np.empty((height, width, 3), np.uint8)
    tiles = []
    for sample, (left, top, right, bottom) in zip(samples, spans, strict=True):
        size = (right - left, bottom - top)
        tile = warp_sample(sample, _tile_matrix(rng, sample, size, target, pipeline, keep_ratio), size)
        image[top:bottom, left:right] = tile.image
        tiles.append(moved(tile, left, top))
    return merged(image, tiles)


def _tile_matrix(
    rng: np.random.Generator,
    sample: Sample,
    tile: tuple[int, int],
    target: tuple[int, int],
    pipeline: PipelineConfig,
    keep_ratio: bool,
) -> np.ndarray:
    """Matrix [3, 3] from the sample to its tile, which shows a random part of a frame of at most `target`."""
    smallest = max(tile[0] / target[0], tile[1] / target[1])
    frame = rng.uniform(smallest, 1.0) * np.array(target)
    shift = rng.uniform(0, 1, 2) * (frame - tile)
    source = (sample.image.shape[1], sample.image.shape[0])
    return translation_matrix(*-shift) @ random_matrix(rng, source, (frame[0], frame[1]), pipeline, keep_ratio)


def moved(sample: Sample, dx: float, dy: float) -> Sample:
    """The labels shifted by (dx, dy) pixels; the image stays as it is."""
    shift = np.array([dx, dy], np.float32)
    twice = np.tile(shift, 2)
    return replace(
        sample,
        corners=sample.corners + shift,
        boxes=sample.boxes + twice,
        ignore_boxes=sample.ignore_boxes + twice,
    )


def merged(image: np.ndarray, parts: Iterable[Sample]) -> Sample:
    """One sample of `image` with the labels of all parts, which are in its pixels; the names are joined by " + "."""
    parts = list(parts)
    names = (*PLATE_FIELDS, "ignore_boxes")
    return Sample(
        image=image,
        name=" + ".join(part.name for part in parts),
        **{name: np.concatenate([getattr(part, name) for part in parts]) for name in names},
    )
