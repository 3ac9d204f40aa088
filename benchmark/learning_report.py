"""Tables and plots of benchmark/learning.py, from the results that it left."""

from __future__ import annotations

import itertools
import json
from pathlib import Path
from typing import Any

import numpy as np
from matplotlib.figure import Figure

from nanodet_kp_core.errors import DataError

TILT_EDGES = (0, 5, 10, 15, 20, 25, 30, 35, 40, 45)
COLORS = {"unsigned_published": "#d1495b", "unsigned_corrected": "#edae49", "signed_published": "#8d6a9f"}
COLORS |= {"signed_corrected": "#1b6ca8", "signed_corrected_direct": "#2e933c"}
COLORS |= {"published": "#d1495b", "default": "#1b6ca8", "armor_s": "#2e933c"}


def write_report(folder: Path, out: Path) -> int:
    """Prints the table and writes learning_WHAT.png to `out`, for each comparison that has results in `folder`."""
    written = 0
    for what, write in (("systems", _systems), ("codec", _codec)):
        found = sorted(folder.glob(f"{what}_*.json"))
        results = {path.stem.removeprefix(f"{what}_"): json.loads(path.read_text()) for path in found}
        if results:
            ordered = {name: results[name] for name in COLORS if name in results}
            print(write(ordered, out / f"learning_{what}.png"))
            print(out / f"learning_{what}.png")
            written += 1
    if not written:
        raise DataError(f"{folder}: expected results of benchmark/learning.py systems or codec, got none")
    return 0


def _systems(results: dict[str, Any], plot: Path) -> str:
    figure, axes = _figure(3)
    for name, result in results.items():
        rows = result["rows"]
        minutes = [row["seconds"] / 60 for row in rows]
        steps = [row["step"] for row in rows]
        axes[0].plot(steps, [row["f1"] for row in rows], "o-", color=COLORS[name], label=name)
        axes[1].plot(minutes, [row["f1"] for row in rows], "o-", color=COLORS[name], label=name)
        axes[2].plot(steps, [100 * row["err"] for row in rows], "o-", color=COLORS[name], label=name)
    _label(axes[0], "optimizer steps", "best F1 (plates found)")
    _label(axes[1], "minutes of processor time", "best F1 (plates found)")
    _label(axes[2], "optimizer steps", "corner error, % of the diagonal")
    figure.savefig(plot, dpi=90)
    columns = ("precision", "recall", "f1", "err", "err_px", "color", "number")
    lines = [f"| | steps | minutes | {' | '.join(columns)} |", "|---|" + "---|" * (2 + len(columns))]
    for name, result in results.items():
        row = result["rows"][-1]
        figures = " | ".join(f"{row[column]:.4f}" for column in columns)
        lines.append(f"| {name} | {row['step']} | {row['seconds'] / 60:.0f} | {figures} |")
    return "\n".join(lines) + "\n"


def _codec(results: dict[str, Any], plot: Path) -> str:
    """Corner errors on the plates that every arm finds, by tilt: an arm that misses hard plates gains nothing by it."""
    last = {name: result["rows"][-1] for name, result in results.items()}
    common = sorted(set.intersection(*(set(row["hits"]) for row in last.values())))
    figure, axes = _figure(2)
    centers = np.add(TILT_EDGES[:-1], TILT_EDGES[1:]) / 2
    header = "".join(f" {low}-{high}° |" for low, high in zip(TILT_EDGES[::3], TILT_EDGES[3::3]))
    lines = [f"| | F1 | recall |{header} all | p95 |", "|---|---|---|" + "---|" * (len(TILT_EDGES) // 3 + 2)]
    for name, row in last.items():
        tilt, err, _ = np.array([row["hits"][key] for key in common]).T
        fine = [_mean(err, tilt, low, high) for low, high in itertools.pairwise(TILT_EDGES)]
        coarse = [_mean(err, tilt, low, high) for low, high in zip(TILT_EDGES[::3], TILT_EDGES[3::3])]
        axes[0].plot(centers, fine, "o-", color=COLORS[name], label=name)
        rows = results[name]["rows"]
        axes[1].plot([r["step"] for r in rows], [100 * r["err"] for r in rows], "o-", color=COLORS[name], label=name)
        cells = "".join(f" {value:.2f} |" for value in [*coarse, 100 * err.mean(), 100 * np.percentile(err, 95)])
        lines.append(f"| {name} | {row['f1']:.3f} | {row['recall']:.3f} |{cells}")
    _label(axes[0], "tilt of the plate, degrees", "corner error, % of the diagonal")
    _label(axes[1], "optimizer steps", "corner error at the best F1, % of the diagonal")
    figure.savefig(plot, dpi=90)
    return (
        "\n".join(lines)
        + f"\n\nCorner errors in % of the diagonal, over the {len(common)} plates that all arms find.\n"
    )


def _mean(err: np.ndarray, tilt: np.ndarray, low: float, high: float) -> float:
    inside = (tilt >= low) & (tilt < high)
    return float(100 * err[inside].mean()) if inside.any() else float("nan")


def _figure(columns: int) -> tuple[Figure, Any]:
    figure = Figure(figsize=(4.6 * columns, 3.6), layout="constrained")
    return figure, figure.subplots(1, columns)


def _label(axes: Any, x: str, y: str) -> None:
    axes.set_xlabel(x)
    axes.set_ylabel(y)
    axes.grid(alpha=0.3)
    axes.legend(fontsize=8)
