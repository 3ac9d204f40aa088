"""Training images of several sources: own labels beside rendered images, so that a model learns and does not forget."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
import torch
from torch import Tensor
from torch.utils.data import Dataset

from nanodet_kp_core.config import DataConfig, SyntheticConfig, TrainConfig
from nanodet_kp_core.data.dataset import PlateDataset, require_corners, sample_targets
from nanodet_kp_core.labels.sample import Sample
from nanodet_kp_core.layout import HeadLayout
from nanodet_kp_core.loss.criterion import Targets

Source = DataConfig | SyntheticConfig


class MixedDataset(Dataset[tuple[Tensor, Targets, str]]):
    """Images of several sources in proportion to their weights; the key of an item is (epoch, index).

    An epoch shows every image of the first source once, and as many of the others as their weights ask for. A labeled
    source goes on where the last epoch ended, in a new order each time round; rendered images are always fresh.
    """

    def __init__(self, sources: Sequence[Source], layout: HeadLayout, seed: int = 0) -> None:
        first, *others = sources
        self.parts = [PlateDataset(first, layout, seed)]
        self.counts = [len(self.parts[0])]
        self.seed = seed
        for source in others:
            count = max(1, round(self.counts[0] * source.weight / first.weight))
            if isinstance(source, SyntheticConfig):
                source = source.model_copy(update={"pictures": count})
            self.parts.append(PlateDataset(source, layout, seed))
            self.counts.append(count)
        self.ends = np.cumsum(self.counts)

    def __len__(self) -> int:
        return int(self.ends[-1])

    def __getitem__(self, key: tuple[int, int]) -> tuple[Tensor, Targets, str]:
        sample = self.sample(*key)
        return torch.from_numpy(sample.image), sample_targets(sample), sample.name

    def sample(self, epoch: int, index: int) -> Sample:
        """The image of `index` in input pixels with its labels, as the network sees it in `epoch`."""
        which = int(np.searchsorted(self.ends, index, side="right"))
        part, inside = self.parts[which], index - int(self.ends[which] - self.counts[which])
        if isinstance(part.config, SyntheticConfig):
            return part.sample(epoch, inside)
        turn, place = divmod(epoch * self.counts[which] + inside, len(part))
        order = np.random.default_rng([self.seed, which, turn]).permutation(len(part))
        return part.sample(turn, int(order[place]))


def training_set(config: TrainConfig) -> PlateDataset | MixedDataset:
    """The training images of a configuration. Raises DataError for labels that are wrong or have no corners."""
    data, layout = config.data, config.layout
    made: PlateDataset | MixedDataset
    if data.others:
        made = MixedDataset([data.train, *data.others], layout, config.seed)
        parts = made.parts
    else:
        made = PlateDataset(data.train, layout, config.seed, total_epochs=config.schedule.total_epochs)
        parts = [made]
    for part in parts:
        if isinstance(part.config, DataConfig):
            require_corners(part.records, layout, part.config.ann_path)
    return made
