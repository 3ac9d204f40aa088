"""results.png: the curves of a results.csv."""

from __future__ import annotations

import io
import math
from collections.abc import Mapping
from pathlib import Path

from nanodet_kp_core.files import write_atomically
from nanodet_kp_core.train.results import curve, read_results

SHOWN = (
    "loss", "loss_qfl", "loss_bbox", "loss_dfl", "loss_number", "loss_corner", "lr", "num_pos",
    "val_precision", "val_recall", "val_f1", "val_mAP", "val_oks_mAP", "val_err_px", "val_color", "val_number",
)  # fmt: skip
WIDTH = 4


def plot_results(csv_file: Path, target: Path, start: Mapping[str, float]) -> None:
    """Draw a panel for each shown column that has values; nothing where there are none. start: what the weights before
    the first step scored, by column, as a dashed line."""
    from matplotlib.figure import Figure  # not pyplot, which keeps figures and looks for a window system

    _, rows = read_results(csv_file)
    curves = {name: curve(rows, name) for name in SHOWN}
    curves = {name: xy for name, xy in curves.items() if xy[0]}
    if not curves:
        return
    height = -(-len(curves) // WIDTH)
    figure = Figure(figsize=(4 * WIDTH, 2.6 * height), layout="constrained")
    panels = figure.subplots(height, WIDTH, squeeze=False).ravel()
    for panel, (name, (steps, values)) in zip(panels, curves.items()):
        validation = name.startswith("val_")
        panel.plot(steps, values, marker="o" if validation else None, markersize=3, linewidth=1)
        panel.set_title(name.removeprefix("val_") + (" (validation)" if validation else ""), fontsize=10)
        if math.isfinite(start.get(name, math.nan)):
            panel.axhline(start[name], linestyle="--", linewidth=1, color="gray", label="start")
            panel.legend(fontsize=8)
        panel.grid(alpha=0.3)
        if name.startswith("loss") and min(values) > 0:
            panel.set_yscale("log")
    for panel in panels[len(curves) :]:
        panel.set_axis_off()
    for panel in panels[max(0, len(curves) - WIDTH) : len(curves)]:
        panel.set_xlabel("step")
    buffer = io.BytesIO()
    figure.savefig(buffer, format="png", dpi=90)
    write_atomically(target, buffer.getvalue())
