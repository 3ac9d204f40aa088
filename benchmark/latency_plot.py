"""The plot of benchmark/latency.py: a bar per combination, a color per stage."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from matplotlib.figure import Figure

PARTS = {"preprocess": "#edae49", "network": "#1b6ca8", "decode": "#2e933c", "scout": "#3aa6a0", "refiner": "#8d6a9f"}
PARTS |= {"postprocess": "#d1495b"}
LABELS = {"decode": "decode + NMS", "scout": "light-bar scout", "refiner": "second stage"}
LABELS |= {"postprocess": "published post-processing"}


def plot(result: dict[str, Any], path: Path) -> None:
    """Write the plot of a result of benchmark/latency.py."""
    bars = [(f"{row['model']}\n{row['image']}, {row['threads']} thread(s)", row) for row in result["calls"]]
    if "published" in result:
        bars.append(("published, 416x416\n1 thread", result["published"]))
    figure = Figure(figsize=(8, 0.7 + 0.55 * len(bars)), layout="constrained")
    axes = figure.subplots()
    seen: set[str] = set()
    for place, (_, row) in enumerate(bars):
        left = 0.0
        for part, color in PARTS.items():
            if row.get(part, 0) < 0.005:
                continue
            label = None if part in seen else LABELS.get(part, part)
            seen.add(part)
            axes.barh(place, row[part], left=left, color=color, label=label)
            left += row[part]
        axes.text(left, place, f" {left:.1f} ms", va="center")
    axes.set_yticks(range(len(bars)), [name for name, _ in bars])
    axes.invert_yaxis()
    axes.margins(x=0.12)
    axes.set_xlabel("milliseconds, medians")
    figure.legend(loc="outside upper center", ncols=3, frameon=False, fontsize=11, columnspacing=1.2)
    figure.savefig(path, dpi=120)
