"""Rendered images as records: training draws them while it runs, nothing touches the disk."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import overload

from nanodet_kp_core.labels.sample import Record, Sample
from nanodet_kp_core.synthetic.generator import PLATE_PX, SIZE, render


@dataclass(kw_only=True)
class RenderedRecord(Record):
    """An image that is rendered when it is loaded; its plates are known only then (here they are empty)."""

    seed: int
    plate_px: tuple[float, float]

    def load(self) -> Sample:
        """Render the pixels and their labels, see generator.render."""
        return render(self.seed, (self.width, self.height), self.plate_px)


class RenderedRecords(Sequence[RenderedRecord]):
    """`count` records with the seeds first_seed, first_seed + 1, ..; made when asked for.

    size: (width, height) of the images; plate_px: see generator.render.
    """

    def __init__(
        self,
        count: int,
        first_seed: int = 0,
        size: tuple[int, int] = SIZE,
        plate_px: tuple[float, float] = PLATE_PX,
    ) -> None:
        self._length = count
        self.first_seed = first_seed
        self.size = size
        self.plate_px = plate_px

    def __len__(self) -> int:
        return self._length

    @overload
    def __getitem__(self, index: int) -> RenderedRecord: ...
    @overload
    def __getitem__(self, index: slice) -> list[RenderedRecord]: ...
    def __getitem__(self, index: int | slice) -> RenderedRecord | list[RenderedRecord]:
        if isinstance(index, slice):
            return [self[k] for k in range(*index.indices(self._length))]
        if not -self._length <= index < self._length:
            raise IndexError(index)
        return self._record(self.first_seed + index % self._length)

    def of_epoch(self, epoch: int, index: int) -> RenderedRecord:
        """The record of `index` in an epoch that shows no image of an earlier one."""
        return self._record(self.first_seed + epoch * self._length + index)

    def _record(self, seed: int) -> RenderedRecord:
        width, height = self.size
        name = str(seed)
        return RenderedRecord(path=Path(name), name=name, width=width, height=height, seed=seed, plate_px=self.plate_px)
