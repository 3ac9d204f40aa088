"""Labelled images as training batches."""

from __future__ import annotations

from dataclasses import dataclass, replace

import numpy as np
import torch
from torch import Tensor
from torch.utils.data import Dataset

from nanodet_kp_core.config import DataConfig
from nanodet_kp_core.data.augment import change_light, random_matrix, warp_sample
from nanodet_kp_core.data.formats.coco import read_coco
from nanodet_kp_core.data.sample import Record, Sample
from nanodet_kp_core.data.warp import resize_matrix
from nanodet_kp_core.errors import DataError
from nanodet_kp_core.geometry import boxes_of_corners
from nanodet_kp_core.layout import HeadLayout
from nanodet_kp_core.loss.criterion import Targets


@dataclass(frozen=True)
class Batch:
    """images: uint8 [N, 3, H, W] BGR, not normalised; one Targets and one file name an image."""

    images: Tensor
    targets: list[Targets]
    names: list[str]


class PlateDataset(Dataset[tuple[Tensor, Targets, str]]):
    """Records read, warped to the input size and turned into targets.

    Augmentation is drawn from (seed, epoch, index), so that a resumed run sees the same pictures. `augment` False
    only resizes. In the joint class layout a plate whose sticker nobody can read becomes an ignore box: no class is
    right for it. Raises DataError for labels or images that are wrong (see read_coco and Record.load).
    """

    def __init__(self, config: DataConfig, layout: HeadLayout, seed: int = 0, augment: bool = True) -> None:
        self.records: list[Record] = read_coco(config.ann_path, config.img_path, layout.class_names)
        if not self.records:
            raise DataError(f"{config.ann_path}: expected at least one image, got none")
        self.config = config
        self.seed = seed
        self.augment = augment
        self.epoch = 0
        self.layout = layout

    def __len__(self) -> int:
        return len(self.records)

    def __getitem__(self, index: int) -> tuple[Tensor, Targets, str]:
        sample = self.records[index].load()
        if not self.layout.num_numbers:
            sample = ignore_unreadable(sample)
        source = (sample.image.shape[1], sample.image.shape[0])
        target, keep_ratio = self.config.input_size, self.config.keep_ratio
        if self.augment:
            rng = np.random.default_rng([self.seed, self.epoch, index])
            matrix = random_matrix(rng, source, target, self.config.pipeline, keep_ratio)
            sample = warp_sample(sample, matrix, target)
            sample.image = change_light(rng, sample.image, self.config.pipeline)
        else:
            sample = warp_sample(sample, resize_matrix(source, target, keep_ratio), target)
        image = torch.from_numpy(np.ascontiguousarray(sample.image.transpose(2, 0, 1)))
        return image, sample_targets(sample), sample.name


def ignore_unreadable(sample: Sample) -> Sample:
    """The sample with every plate of unknown number turned into an ignore box."""
    known = sample.number_known
    if known.all():
        return sample
    return replace(
        sample,
        **sample.fields_of_plates(known),
        ignore_boxes=np.concatenate([sample.ignore_boxes, boxes_of_corners(sample.corners[~known])]),
    )


def sample_targets(sample: Sample) -> Targets:
    """Targets of a sample whose pixels are the network's input."""
    corners = torch.from_numpy(sample.corners)
    return Targets(
        boxes=torch.from_numpy(boxes_of_corners(sample.corners)) if len(corners) else torch.zeros(0, 4),
        labels=torch.from_numpy(sample.labels),
        corners=corners,
        corner_visible=torch.ones(corners.shape[:2], dtype=torch.bool),
        number_known=torch.from_numpy(sample.number_known),
        ignore_boxes=torch.from_numpy(sample.ignore_boxes),
    )


def collate(items: list[tuple[Tensor, Targets, str]]) -> Batch:
    """One batch of equally sized pictures."""
    images, targets, names = zip(*items)
    return Batch(torch.stack(images), list(targets), list(names))
