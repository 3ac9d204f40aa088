"""What the published Python code does after the network, for benchmark/latency.py: our own lines, its steps.

Every prior is decoded, whatever its score. Each pair of a prior and a class above a low threshold becomes a candidate:
boxes and points are expanded to all classes and selected by a mask, then suppressed within their class. At the end they
are turned into pixels of the image and into lists. The published code is torch; so is this, but for the suppression,
which is our own vectorised NMS instead of a compiled one (its share is below a tenth).
"""

from __future__ import annotations

import numpy as np
import torch
from torch import Tensor

from nanodet_kp_core.geometry import make_priors
from nanodet_kp_core.layout import HeadLayout
from nanodet_kp_core.runtime.nms import nms

SCORE, IOU, MOST = 0.05, 0.6, 100
"""Threshold, overlap and number of detections of the published configuration."""


@torch.inference_mode()
def published_postprocess(
    output: np.ndarray, layout: HeadLayout, size: tuple[int, int], strides: tuple[int, ...], to_image: np.ndarray
) -> dict[int, list[list[float]]]:
    """Raw output [P, C] -> rows of box, score and points by class id, in image pixels.

    size: (width, height) of the input; to_image: 3x3 matrix from input to image pixels.
    """
    raw = torch.from_numpy(output)
    # The published code builds its priors for every image.
    priors = torch.from_numpy(make_priors(size[1], size[0], strides))
    scores = raw[:, : layout.num_scores].sigmoid()
    sides = _integral(raw[:, layout.box_slice], torch.from_numpy(layout.box_positions())) * priors[:, 2:3]
    boxes = torch.cat((priors[:, :2] - sides[:, :2], priors[:, :2] + sides[:, 2:]), dim=1)
    reach = _integral(raw[:, layout.corner_slice], torch.from_numpy(layout.corner_positions())) * priors[:, 2:3]
    points = priors[:, :2].repeat(1, 4) + reach * torch.from_numpy(layout.corner_signs())
    limit = torch.tensor(size, dtype=torch.float32)
    boxes = torch.minimum(boxes.clamp(min=0), limit.repeat(2))
    points = torch.minimum(points.clamp(min=0), limit.repeat(4))
    boxes, points, scores, labels = _multiclass(boxes, points, scores)
    return _rows(boxes, points, scores, labels, to_image)


def _integral(logits: Tensor, positions: Tensor) -> Tensor:
    return logits.reshape(len(logits), -1, len(positions)).softmax(dim=-1) @ positions


def _multiclass(boxes: Tensor, points: Tensor, scores: Tensor) -> tuple[np.ndarray, np.ndarray, np.ndarray, np.ndarray]:
    classes = scores.shape[1]
    mask = scores > SCORE
    every_box = boxes[:, None].expand(-1, classes, 4)
    every_point = points[:, None].expand(-1, classes, 8)
    boxes = torch.masked_select(every_box, torch.stack((mask,) * 4, dim=-1)).reshape(-1, 4)
    points = torch.masked_select(every_point, torch.stack((mask,) * 8, dim=-1)).reshape(-1, 8)
    scores = torch.masked_select(scores, mask)
    labels = mask.nonzero()[:, 1]
    # Classes moved apart so far that none overlaps another: one suppression for all of them.
    apart = boxes + (labels * (boxes.max() + 1))[:, None] if len(boxes) else boxes
    kept = nms(apart.numpy(), scores.numpy(), IOU, MOST)
    return boxes.numpy()[kept], points.numpy()[kept], scores.numpy()[kept], labels.numpy()[kept]


def _rows(
    boxes: np.ndarray, points: np.ndarray, scores: np.ndarray, labels: np.ndarray, to_image: np.ndarray
) -> dict[int, list[list[float]]]:
    all_points = np.concatenate([boxes, points], axis=1).reshape(-1, 2)
    homogeneous = np.concatenate([all_points, np.ones((len(all_points), 1), np.float32)], axis=1) @ to_image.T
    moved = (homogeneous[:, :2] / homogeneous[:, 2:]).reshape(len(boxes), 12)
    table = np.concatenate([moved[:, :4], scores[:, None], moved[:, 4:]], axis=1)
    return {int(label): table[labels == label].astype(np.float32).tolist() for label in np.unique(labels)}
