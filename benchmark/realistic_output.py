"""What a trained network gives for a frame with many plates, for benchmark/latency.py."""

from __future__ import annotations

import numpy as np

from nanodet_kp_core.geometry import boxes_of_corners, make_priors
from nanodet_kp_core.layout import HeadLayout


def realistic_output(layout: HeadLayout, size: tuple[int, int], strides: tuple[int, ...], plates: int) -> np.ndarray:
    """A raw output [P, C] as a trained network gives for a frame with that many plates, float32.

    Around the center of a plate some ten priors of the fitting level have scores that fall off from 0.9, with a
    second class beside the right one; all other logits are background.
    """
    rng = np.random.default_rng(plates)
    priors = make_priors(size[1], size[0], strides, layout.prior_offset)
    output = rng.normal(0, 1, (len(priors), layout.num_channels)).astype(np.float32)
    output[:, : layout.num_scores] -= 7
    columns = int(np.ceil(np.sqrt(plates)))
    for plate in range(plates):
        cell = np.array([plate % columns + 0.5, plate // columns + 0.5]) / columns
        center, half = cell * size, min(size) / columns * rng.uniform(0.2, 0.4) * np.array([1, 0.5])
        corners = center + half * rng.uniform(0.9, 1.1, (4, 2)) * [[-1, -1], [-1, 1], [1, 1], [1, -1]]
        _write_plate(output, priors, corners, layout, rng)
    return output


def _write_plate(
    output: np.ndarray, priors: np.ndarray, corners: np.ndarray, layout: HeadLayout, rng: np.random.Generator
) -> None:
    box = boxes_of_corners(corners[None])[0]
    center = (box[:2] + box[2:]) / 2
    wanted = (box[2] - box[0]) / 4
    level = min(set(priors[:, 2].tolist()), key=lambda stride: abs(np.log(stride / wanted)))
    distance = np.linalg.norm(priors[:, :2] - center, axis=1) / level + 1e3 * (priors[:, 2] != level)
    color = int(rng.integers(layout.num_scores))
    for prior in np.argsort(distance)[:10]:
        x, y, stride = priors[prior, :3]
        score = 2.2 - 1.2 * distance[prior] + rng.normal(0, 0.3)
        output[prior, color] = score
        output[prior, (color + 1) % layout.num_scores] = score - 3
        if layout.num_numbers:
            output[prior, layout.num_scores + _plate_number(corners, layout)] = 5
        sides = np.array([x - box[0], y - box[1], box[2] - x, box[3] - y]) / stride
        reach = (corners - [x, y]).ravel() / stride * layout.corner_signs()
        output[prior, layout.box_slice] = _peaks(sides, layout.box_positions())
        output[prior, layout.corner_slice] = _peaks(reach, layout.corner_positions())


def _plate_number(corners: np.ndarray, layout: HeadLayout) -> int:
    """Any sticker, the same for all priors of a plate."""
    return int(abs(corners.sum())) % layout.num_numbers


def _peaks(values: np.ndarray, positions: np.ndarray) -> np.ndarray:
    """Logits of distributions around these values."""
    return (-2 * (values[:, None] - positions[None]) ** 2).ravel().astype(np.float32)
