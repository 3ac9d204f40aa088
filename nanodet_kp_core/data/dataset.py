"""Labeled images as training batches."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import cv2
import numpy as np
import torch
from torch import Tensor
from torch.utils.data import Dataset, Sampler, default_collate

from nanodet_kp_core.config import DataConfig, SyntheticConfig
from nanodet_kp_core.data.augment import random_matrix, warp_sample
from nanodet_kp_core.data.copy_paste import paste_plates
from nanodet_kp_core.data.geometric import resize_matrix
from nanodet_kp_core.data.mosaic import mosaic
from nanodet_kp_core.data.photometric import change_light
from nanodet_kp_core.errors import DataError
from nanodet_kp_core.labels import read_records
from nanodet_kp_core.labels.sample import Record, Sample
from nanodet_kp_core.layout import HeadLayout
from nanodet_kp_core.loss.criterion import Targets
from nanodet_kp_core.synthetic.records import RenderedRecords


def read_dataset(data: DataConfig, class_names: Sequence[str]) -> list[Record]:
    """read_records of the data set that a configuration names."""
    return read_records(data.name, data.img_path, data.ann_path, class_names)


@dataclass(frozen=True)
class Batch:
    """images: uint8 [N, 3, H, W] BGR in channels-last memory, not normalised; one Targets and one file name an image.

    Between processes the targets travel as one array a field: a tensor each would cost a file descriptor each.
    """

    images: Tensor
    targets: list[Targets]
    names: list[str]

    def pin_memory(self) -> Batch:
        """The images in page-locked memory, for transfers that do not block; the DataLoader calls it."""
        return Batch(self.images.pin_memory(), self.targets, self.names)

    def __reduce__(self) -> tuple[Callable[..., Batch], tuple[Any, ...]]:
        sizes, joined = _join(self.targets)
        arrays = {name: value.numpy() for name, value in joined.items()}
        return _unpacked, (self.images, sizes, arrays, self.names)


def _join(targets: list[Targets]) -> tuple[dict[str, list[int]], dict[str, Tensor]]:
    """Rows of each image and one tensor of all images, by the field of Targets."""
    columns = {name: [getattr(target, name) for target in targets] for name in Targets.__dataclass_fields__}
    sizes = {name: [len(value) for value in column] for name, column in columns.items()}
    return sizes, {name: torch.cat(column) for name, column in columns.items()}


def _split(sizes: dict[str, list[int]], joined: dict[str, Tensor]) -> list[Targets]:
    """The inverse of _join, as views."""
    columns = {name: value.split(sizes[name]) for name, value in joined.items()}
    return [Targets(**dict(zip(columns, row))) for row in zip(*columns.values())]


def _unpacked(images: Tensor, sizes: dict[str, list[int]], arrays: dict[str, np.ndarray], names: list[str]) -> Batch:
    return Batch(images, _split(sizes, {name: torch.from_numpy(value) for name, value in arrays.items()}), names)


class EpochBatches(Sampler[list[tuple[int, int]]]):
    """Batches of (epoch, index) for a DataLoader's `batch_sampler`.

    The epoch travels with the index, so that persistent workers draw the right augmentation. The order depends on
    (seed, epoch) only; step s is order[s * world * batch : (s + 1) * world * batch], of which process `rank` of `world`
    takes the rank-th contiguous part: the images of a step are the same whatever the number of processes, as long as
    world * batch is. An incomplete last batch is left out; it is drawn anew in the next epoch.

    length: images in the data set; batch: images of one process. Raises DataError when there are fewer images
    than a step takes.
    """

    def __init__(self, length: int, batch: int, seed: int, rank: int = 0, world: int = 1) -> None:
        if length < world * batch:
            raise DataError(
                f"training set: expected at least {world * batch} images, one step of {world} process(es) with "
                f"{batch} each, got {length}; lower device.batchsize_per_gpu"
            )
        self.length = length
        self.batch = batch
        self.seed = seed
        self.rank = rank
        self.world = world
        self.steps = length // (world * batch)
        """Steps of a whole epoch."""
        self.set_epoch(0)

    def set_epoch(self, epoch: int, skip: int = 0) -> None:
        """Choose the epoch of the next pass and leave out its first `skip` steps (a resumed run has done them)."""
        self.epoch = epoch
        self.skip = skip

    def __len__(self) -> int:
        return max(0, self.steps - self.skip)

    def __iter__(self) -> Iterator[list[tuple[int, int]]]:
        epoch, generator = self.epoch, torch.Generator()
        order = torch.randperm(self.length, generator=generator.manual_seed(self.seed * 1_000_003 + epoch)).tolist()
        for step in range(self.skip, self.steps):
            start = (step * self.world + self.rank) * self.batch
            yield [(epoch, index) for index in order[start : start + self.batch]]


def init_worker(_: int) -> None:
    """For DataLoader's `worker_init_fn`: the workers are the parallelism; OpenCV's own threads would fight over it."""
    cv2.setNumThreads(0)


class PlateDataset(Dataset[tuple[Tensor, Targets, str]]):
    """Records read, warped to the input size and turned into targets; the key of an item is (epoch, index).

    Augmentation is drawn from (seed, epoch, index) alone, so that a resumed run sees the same images. Mosaic and
    copy-paste end `mosaic_off_epochs` before `total_epochs` (never when that is None). `augment` False only resizes. In
    the joint class layout a plate whose sticker nobody can read becomes an ignore box: no class is right for it. Raises
    DataError for labels or images that are wrong (see read_dataset and Record.load).
    """

    def __init__(
        self,
        config: DataConfig | SyntheticConfig,
        layout: HeadLayout,
        seed: int = 0,
        augment: bool = True,
        total_epochs: int | None = None,
    ) -> None:
        self.records = _records(config, layout.class_names)
        self.config = config
        self.seed = seed
        self.augment = augment
        self.layout = layout
        self.composed_epochs = np.inf if total_epochs is None else total_epochs - config.pipeline.mosaic_off_epochs
        """Epochs with mosaic and copy-paste; none come after them."""
        self.donors = [index for index, record in enumerate(self.records) if len(record.labels)]

    def __len__(self) -> int:
        return len(self.records)

    def __getitem__(self, key: tuple[int, int]) -> tuple[Tensor, Targets, str]:
        sample = self.sample(*key)
        return torch.from_numpy(sample.image), sample_targets(sample), sample.name

    def sample(self, epoch: int, index: int) -> Sample:
        """The image of `index` in input pixels with its labels, as the network sees it in `epoch`."""
        sample = self._load(epoch, index)
        target, keep_ratio, pipeline = self.config.input_size, self.config.keep_ratio, self.config.pipeline
        source = (sample.image.shape[1], sample.image.shape[0])
        if not self.augment:
            return warp_sample(sample, resize_matrix(source, target, keep_ratio), target)
        rng = np.random.default_rng([self.seed, epoch, index])
        compose = epoch < self.composed_epochs
        if rng.random() < pipeline.mosaic and compose:
            others = [self._load(epoch, int(other)) for other in rng.integers(len(self), size=3)]
            sample = mosaic(rng, [sample, *others], target, pipeline, keep_ratio)
        else:
            sample = warp_sample(sample, random_matrix(rng, source, target, pipeline, keep_ratio), target)
        if rng.random() < pipeline.copy_paste and compose and self.donors:
            sample = paste_plates(rng, sample, self._load(epoch, int(rng.choice(self.donors))))
        return replace(sample, image=change_light(rng, sample.image, pipeline))

    def _load(self, epoch: int, index: int) -> Sample:
        records = self.records
        record = records.of_epoch(epoch, index) if isinstance(records, RenderedRecords) else records[index]
        sample = record.load()
        return sample if self.layout.num_numbers else ignore_unreadable(sample)


def _records(config: DataConfig | SyntheticConfig, class_names: Sequence[str]) -> Sequence[Record]:
    if isinstance(config, SyntheticConfig):
        return RenderedRecords(config.pictures, config.first_seed, config.size, config.plate_px)
    records = read_dataset(config, class_names)
    if not records:
        raise DataError(f"{config.ann_path}: expected at least one image, got none")
    return records


def require_corners(records: Sequence[Record], layout: HeadLayout, where: Path) -> None:
    """Raise DataError when a head with corners would train to its end, or be scored, without a single one.

    where: the label path, for the message. Rendered records have corners by their nature.
    """
    if not layout.has_corners or isinstance(records, RenderedRecords):
        return
    if any((record.visible > 0).any() for record in records):
        return
    plates = sum(len(record.labels) for record in records)
    raise DataError(
        f"{where}: expected plates with labeled corners, got {plates} plates and no corner; label four corners a "
        "plate (keypoints with visibility 1 or 2), or train boxes alone with corner_codec: none"
    )


def ignore_unreadable(sample: Sample) -> Sample:
    """The sample with every plate of unknown number turned into an ignore box."""
    known = sample.number_known
    if known.all():
        return sample
    ignore_boxes = np.concatenate([sample.ignore_boxes, sample.boxes[~known]])
    return replace(sample, **sample.fields_of_plates(known), ignore_boxes=ignore_boxes)


def sample_targets(sample: Sample) -> Targets:
    """Targets of a sample whose pixels are the network's input."""
    return Targets(
        boxes=torch.from_numpy(sample.boxes),
        labels=torch.from_numpy(sample.labels),
        corners=torch.from_numpy(sample.corners),
        corner_visible=torch.from_numpy(sample.visible > 0),
        number_known=torch.from_numpy(sample.number_known),
        ignore_boxes=torch.from_numpy(sample.ignore_boxes),
    )


def collate(items: list[tuple[Tensor, Targets, str]]) -> Batch:
    """One batch of equally large images [H, W, 3]; in a worker their stack is made in shared memory at once."""
    images, targets, names = zip(*items)
    return Batch(default_collate(list(images)).permute(0, 3, 1, 2), list(targets), list(names))
