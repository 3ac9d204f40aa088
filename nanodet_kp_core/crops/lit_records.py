"""Rendered images in other light, as records: what the scout is fitted to and the second stage learns from."""

from __future__ import annotations

from dataclasses import dataclass, replace

import numpy as np

from nanodet_kp_core.config import PipelineConfig
from nanodet_kp_core.data.photometric import change_light
from nanodet_kp_core.labels.sample import Sample
from nanodet_kp_core.synthetic.records import RenderedRecord, RenderedRecords

OTHER_LIGHT = PipelineConfig(
    gamma=(0.6, 1.7), brightness=0.12, contrast=(0.3, 2.0), saturation=(0.5, 1.4), hue=6.0, white_balance=(0.8, 1.25),
    motion_blur=0.15, noise=6.0, jpeg=0.2,
)  # fmt: skip
"""Dim, blown out, of another white balance, smeared: what cameras make of a scene that the generator exposes well."""


@dataclass(kw_only=True)
class LitRecord(RenderedRecord):
    """A rendered image in other light; its seed draws the light too."""

    def load(self) -> Sample:
        """Render the pixels and their labels, and change the pixels."""
        sample = super().load()
        return replace(sample, image=change_light(np.random.default_rng(self.seed), sample.image, OTHER_LIGHT))


def lit_records(count: int, first_seed: int, size: tuple[int, int], plate_px: tuple[float, float]) -> list[LitRecord]:
    """`count` records with the seeds first_seed, first_seed + 1, ..; size and plate_px as of RenderedRecords."""
    return [LitRecord(**vars(record)) for record in RenderedRecords(count, first_seed, size, plate_px)]
