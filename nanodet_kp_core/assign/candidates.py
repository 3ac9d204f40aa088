"""Which priors the ground truths of a batch may choose (numpy)."""

from __future__ import annotations

from dataclasses import dataclass
from functools import lru_cache

import numpy as np
import torch
from torch import Tensor

from nanodet_kp_core.assign.targets import GroundTruths


@dataclass(frozen=True)
class Pairs:
    """S pairs that may match, in the order of G ground truths: gt [S], candidate [S]; count [G]: pairs of each."""

    gt: np.ndarray
    candidate: np.ndarray
    count: np.ndarray

    @staticmethod
    def of_counts(count: np.ndarray, candidate: np.ndarray) -> Pairs:
        """Pairs whose candidates [S] are listed ground truth by ground truth."""
        return Pairs(np.arange(len(count)).repeat(count), candidate, count)


@dataclass(frozen=True)
class Candidates:
    """Candidates of a batch: R priors of all images that any ground truth may choose.

    place [R]: image * num_priors + prior, ascending; index [R], the same on the device of the priors. priors [P, 4].
    bounds [N + 1]: the candidates of image n are those from bounds[n] to bounds[n + 1]; gt_bounds [N + 1]: its ground
    truths. own: the pairs of each ground truth with the candidates inside it, or None when it may choose from all of
    its image. forced [G]: no prior lies inside it.
    """

    place: np.ndarray
    index: Tensor
    priors: np.ndarray
    bounds: np.ndarray
    gt_bounds: np.ndarray
    own: Pairs | None
    forced: np.ndarray

    @property
    def prior(self) -> Tensor:
        """Which prior [R] of its image each candidate is."""
        return self.index % len(self.priors)

    def gather(self, values: Tensor) -> Tensor:
        """Rows [R, ...] of the candidates from values [N, num_priors, ...]."""
        return values.flatten(0, 1).index_select(0, self.index)

    def touching(self, boxes: np.ndarray, gt_boxes: np.ndarray, everything: np.ndarray | None = None) -> Pairs:
        """Pairs of ground truths [4, G] and those candidates of their image whose predicted boxes [4, R] overlap them.

        everything [N] bool: images of which all pairs are wanted.
        """
        column, is_candidate = _lines(self.bounds)
        row, is_gt = _lines(self.gt_bounds)
        x1, y1, x2, y2 = boxes.take(column, axis=1)[:, :, None]  # [N, 1, candidates]
        left, top, right, bottom = gt_boxes.take(row, axis=1)[..., None]  # [N, ground truths, 1]
        valid = is_gt[:, :, None] & is_candidate[:, None]
        chosen = x1 < right
        for small, large in ((left, x2), (y1, bottom), (top, y2)):
            chosen &= small < large
        if everything is not None:
            chosen[everything] = True
        chosen &= valid
        width = column.shape[1]
        count, place = _true_places(chosen.reshape(-1, width))
        # From the place in the padded lines to the candidate.
        first = np.arange(row.size) * width - self.bounds[:-1].repeat(row.shape[1])
        return Pairs.of_counts(count[is_gt.ravel()], place - first.repeat(count))


def _lines(bounds: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Lists between bounds [N + 1] as lines of equal length: which entry each place [N, L] is; whether it is valid."""
    last = bounds[1:, None]
    index = bounds[:-1, None] + np.arange((bounds[1:] - bounds[:-1]).max(initial=0))
    return np.minimum(index, bounds[-1] - 1), index < last


def _true_places(mask: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """How many of each row of a mask [A, B] are True [A], and where in the flattened mask."""
    place = np.flatnonzero(mask)
    bounds = place.searchsorted(np.arange(0, mask.size + 1, mask.shape[1]))
    return bounds[1:] - bounds[:-1], place


@lru_cache(maxsize=32)  # tensors are compared by identity; priors are shared and never modified
def _host_priors(priors: Tensor) -> np.ndarray:
    """Priors [P, 4] column by column in memory."""
    return np.asfortranarray(priors.cpu().numpy())


def find_candidates(priors: Tensor, gts: GroundTruths, inside_own_gt: bool) -> Candidates:
    """Candidates among priors [P, 4] of every image; gts on the CPU.

    inside_own_gt: the priors inside the ground truth, or the nearest one of the smallest stride; else those inside any
    ground truth of the image.
    """
    points, boxes, image = _host_priors(priors), gts.boxes.numpy(), gts.image.numpy()
    x, y, stride, _ = points.T
    left, top, right, bottom = boxes.T[..., None]
    inside = x > left
    for small, large in ((x, right), (top, y), (y, bottom)):
        inside &= small < large
    count, entry = _true_places(inside)
    forced = count == 0
    if inside_own_gt and forced.any():
        center = (boxes[forced, None, :2] + boxes[forced, None, 2:]) / 2
        away = np.square(points[:, :2] - center).sum(axis=2)
        away[:, stride > stride.min()] = np.inf
        inside[forced, away.argmin(axis=1)] = True
        count, entry = _true_places(inside)
    # From the mask's row of the ground truth to the row of its image.
    entry += ((image - np.arange(len(image))) * len(points)).repeat(count)
    is_candidate = np.zeros(gts.num_images * len(points), bool)
    is_candidate[entry] = True
    place = np.flatnonzero(is_candidate)
    own = None
    if inside_own_gt:
        rank = np.empty(len(is_candidate), np.int64)
        rank[place] = np.arange(len(place))
        own = Pairs.of_counts(count, rank[entry])
    index = torch.from_numpy(place).to(priors.device, non_blocking=True)
    images = np.arange(gts.num_images + 1)
    bounds, gt_bounds = place.searchsorted(images * len(points)), image.searchsorted(images)
    return Candidates(place, index, points, bounds, gt_bounds, own, forced)
