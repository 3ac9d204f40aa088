"""Crops that the second stage learns from: own images, each looked at several times, and rendered ones as replay."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, fields, replace
from functools import partial
from pathlib import Path
from zlib import crc32

import numpy as np

from nanodet_kp_core.adapt.start import Start, rendered_size
from nanodet_kp_core.config import PipelineConfig
from nanodet_kp_core.crops.crop_files import collect, joined
from nanodet_kp_core.crops.proposal_crops import Crops, crops_of_records
from nanodet_kp_core.data.augment import random_matrix, warp_sample
from nanodet_kp_core.data.photometric import change_light
from nanodet_kp_core.labels.sample import Record, Sample
from nanodet_kp_core.synthetic.generator import VERSION
from nanodet_kp_core.synthetic.records import RenderedRecords

LOOKS = PipelineConfig(
    scale=(0.6, 1.3), stretch=((0.9, 1.1), (0.9, 1.1)), rotation=8.0, shear=3.0, translate=0.05,
    brightness=0.08, contrast=(0.75, 1.25), saturation=(0.8, 1.2), hue=3.0, gamma=(0.7, 1.5),
    motion_blur=0.15, noise=8.0, jpeg=0.3,
)  # fmt: skip
"""How an own image differs from look to look."""

REPLAY_SEED = 940_000_000


@dataclass(kw_only=True)
class VariedRecord(Record):
    """A record that loads as it is (variant 0), or under a warp and a light drawn from (name, variant).

    Plates of which not all corners are labeled become ignore boxes: a crop needs all four.
    """

    variant: int = 0

    def load(self) -> Sample:
        """See Record.load."""
        sample = whole_plates(super().load())
        if self.variant == 0:
            return sample
        rng = np.random.default_rng([crc32(self.name.encode()), self.variant])
        size = (self.width, self.height)
        sample = warp_sample(sample, random_matrix(rng, size, size, LOOKS, True), size)
        return replace(sample, image=change_light(rng, sample.image, LOOKS))


def whole_plates(sample: Sample) -> Sample:
    """The sample with every plate that has a corner without a label turned into an ignore box."""
    whole = np.all(sample.visible > 0, axis=1)
    if whole.all():
        return sample
    ignore_boxes = np.concatenate([sample.ignore_boxes, sample.boxes[~whole]])
    return replace(sample, **sample.fields_of_plates(whole), ignore_boxes=ignore_boxes)


def varied(records: Sequence[Record], variants: int) -> list[VariedRecord]:
    """Each record so many times, all of them once before any a second time."""
    values = [{f.name: getattr(record, f.name) for f in fields(Record)} for record in records]
    return [VariedRecord(**value, variant=k) for k in range(variants) for value in values]


def own_crops(folder: Path, start: Start, records: Sequence[Record], variants: int, seed: int, workers: int) -> Crops:
    """Crops of labeled images, kept in `folder`. A stopped collection goes on."""
    return _collected(folder, start, varied(records, variants), f"{variants} variants", seed, workers)


def replay_crops(folder: Path, start: Start, images: int, seed: int, workers: int) -> Crops:
    """Crops of rendered images: what the start has learned, shown again."""
    size = rendered_size(start.input_size)
    records = RenderedRecords(images, REPLAY_SEED, size, (10.0, 0.86 * size[0]))
    return _collected(folder, start, records, f"generator {VERSION} {size[0]}x{size[1]}", seed, workers)


def part_of(crops: Crops, rows: slice | np.ndarray) -> Crops:
    """Those of the rows: a slice, or bool [N]."""
    return Crops(*(getattr(crops, f.name)[rows] for f in fields(Crops)))


def _collected(folder: Path, start: Start, records: Sequence[Record], wanted: str, seed: int, workers: int) -> Crops:
    make = partial(crops_of_records, start.model, start.numbers)
    wanted = f"{wanted} {start.model.name} {crc32(start.model.read_bytes()):08x}"
    return joined(list(collect(folder, records, make, Crops, wanted, seed, workers)))
