"""What is likely a mistake in a training that can run: said once, before the first step."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import TYPE_CHECKING
from zlib import crc32

from nanodet_kp_core.data.dataset import PlateDataset
from nanodet_kp_core.data.mixture import MixedDataset
from nanodet_kp_core.labels.sample import Record
from nanodet_kp_core.synthetic.records import RenderedRecords

if TYPE_CHECKING:
    from nanodet_kp_core.train.run import Run


def run_warnings(run: Run, validation: Sequence[Record]) -> Iterator[str]:
    """A sentence each. validation: records of data.val."""
    config = run.config
    same = same_files(labeled_paths(run.data), [record.path for record in validation])
    if same:
        yield (
            f"{len(same)} of {len(validation)} validation images are training images as well, such as {same[0]}: every "
            "score flatters; name other images as data.val"
        )
    wanted = config.device.batchsize_per_gpu
    if wanted > run.sampler.batch:
        yield (
            f"device.batchsize_per_gpu is {wanted}, but there are {len(run.data)} training images: a batch has "
            f"{run.sampler.batch}"
        )
    if config.schedule.warmup.steps >= run.total_steps:
        yield (
            f"schedule.warmup.steps is {config.schedule.warmup.steps}, but the whole run has {run.total_steps} steps: "
            "the rate never reaches optimizer.lr; lower warmup.steps or raise total_epochs"
        )


def labeled_paths(data: PlateDataset | MixedDataset) -> list[Path]:
    """Image files of the labeled sources."""
    parts = data.parts if isinstance(data, MixedDataset) else [data]
    labeled = [part.records for part in parts if not isinstance(part.records, RenderedRecords)]
    return [record.path for records in labeled for record in records]


def same_files(first: Sequence[Path], second: Sequence[Path]) -> list[Path]:
    """Those of `second` that are among `first`, by place or by content. Files that are gone are left out."""
    by_size: dict[int, list[Path]] = defaultdict(list)
    for path in first:
        if path.is_file():
            by_size[path.stat().st_size].append(path)
    found = []
    for path in second:
        alike = by_size.get(path.stat().st_size, []) if path.is_file() else []
        if alike and any(path.samefile(other) or _sum(path) == _sum(other) for other in alike):
            found.append(path)
    return found


def _sum(path: Path) -> int:
    return crc32(path.read_bytes())
