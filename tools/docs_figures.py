"""Figures of tools/draw_docs.py: white ground, dark ink, letters that a phone shows large enough."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

import numpy as np
from matplotlib.axes import Axes
from matplotlib.figure import Figure

from nanodet_kp_core.labels.sample import Record

WIDTH, DPI = 6.0, 120  # inches; 720 pixels, of which a phone shows every second

BEFORE, AFTER, TRUTH, INK = "#d1495b", "#1b6ca8", "#f5c518", "#222222"


def panels(
    height: float, places: list[list[str]], heights: tuple[float, ...] | None = None
) -> tuple[Figure, list[Axes]]:
    """A figure, `height` inches high, and its panels; names that repeat in `places` join, see subplot_mosaic."""
    figure = Figure(figsize=(WIDTH, height), dpi=DPI, layout="compressed", facecolor="white")
    return figure, list(figure.subplot_mosaic(places, height_ratios=heights).values())


def show(axes: Axes, image: np.ndarray, middle: np.ndarray, size: tuple[float, float]) -> None:
    """The part of an image uint8 [H, W, 3] BGR around `middle`, width and height in pixels, pixels as squares."""
    axes.imshow(image[..., ::-1], interpolation="nearest")
    axes.set_facecolor("#dddddd")  # beyond the image
    axes.set_xlim(middle[0] - size[0] / 2, middle[0] + size[0] / 2)
    axes.set_ylim(middle[1] + size[1] / 2, middle[1] - size[1] / 2)
    axes.set_xticks([])
    axes.set_yticks([])


def show_plate(axes: Axes, record: Record, corners: np.ndarray, title: str, reach: float = 2.2) -> None:
    """A square of a rendered image around a plate, `reach` times as large as it."""
    low, high = corners.min(axis=0), corners.max(axis=0)
    side = reach * float((high - low).max())
    show(axes, record.load().image, (low + high) / 2, (side, side))
    axes.set_title(title, fontsize=12)


def point(axes: Axes, at: np.ndarray, size: float) -> None:
    """A corner at `at` [2]."""
    axes.plot(*at, "o", color=TRUTH, markersize=size, markeredgecolor=INK, markeredgewidth=1.5)


def tag(axes: Axes, at: np.ndarray, text: str) -> None:
    """Words on a white ground, around `at` [2]."""
    ground = {"facecolor": "white", "edgecolor": "none", "pad": 2.5}
    axes.text(*at, text, ha="center", va="center", fontsize=13, color=INK, bbox=ground)


def save(figure: Figure, path: Path) -> str:
    """JPEG, for the noise of the images would make a large PNG."""
    figure.savefig(path, pil_kwargs={"quality": 88}, bbox_inches="tight", pad_inches=0.08)
    return str(path)


def reliability_curve(axes: Axes, rows: Sequence[tuple[float, float, int]], said: str, share: str) -> None:
    """Points (mean score, share of right ones, number), larger for more, and the line of scores that are shares."""
    axes.plot([0, 1], [0, 1], color="#999999", linewidth=1)
    axes.plot([row[0] for row in rows], [row[1] for row in rows], "-", color=AFTER)
    sizes = [20 + 8 * np.sqrt(row[2]) for row in rows]
    axes.scatter([row[0] for row in rows], [row[1] for row in rows], sizes, color=AFTER, zorder=3)
    axes.set_title(share, fontsize=13)
    axes.set_xlim(0, 1.04)
    axes.set_ylim(0, 1.06)
    scale(axes, said)


def scale(axes: Axes, x: str) -> None:
    """Name of the horizontal axis, grid, letters of the numbers."""
    axes.set_xlabel(x, fontsize=13)
    axes.tick_params(labelsize=12)
    axes.grid(alpha=0.25)
