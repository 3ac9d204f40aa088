"""The classes and sizes of a data set as one image."""

from __future__ import annotations

import io
from pathlib import Path

from nanodet_kp_core.errors import DataError
from nanodet_kp_core.files import write_atomically
from nanodet_kp_core.labels.check import Report

_LIGHTS = {"B": "#3b7dd8", "R": "#d84a3b", "N": "#8a8a8a", "P": "#9b59b6"}
"""Color of a bar by the color of an armor class; other classes are green."""


def write_histograms(path: Path, report: Report, title: str) -> None:
    """Write plates by class and by box diagonal into a .png, .svg or .pdf.

    Raises DataError when the path ends otherwise or cannot be written.
    """
    # Here, and without pyplot: nobody else needs matplotlib, and a robot has no screen.
    from matplotlib.figure import Figure

    kind = path.suffix.lower().lstrip(".")
    if kind not in ("png", "svg", "pdf"):
        raise DataError(f"{path}: expected a name that ends in .png, .svg or .pdf, got {path.suffix or 'no ending'!r}")
    names = sorted(report.class_counts)
    plain = [name.replace("$", r"\$") for name in names]  # a dollar would begin a formula
    figure = Figure(figsize=(max(8.0, 3.5 + 0.25 * len(names)), 7.0), layout="constrained")
    figure.suptitle(title.replace("$", r"\$"))
    classes, sizes = figure.subplots(2)
    colors = [_LIGHTS.get(name.partition("_")[0], "#4a9e5c") for name in names]
    bars = classes.bar(plain, [report.class_counts[name] for name in names], color=colors)
    classes.bar_label(bars, fontsize=7)
    classes.tick_params("x", rotation=90)
    classes.set_ylabel("plates")
    sizes.hist(report.diagonals, bins=40, color="#4a9e5c")
    sizes.set_xlabel("diagonal of the box, pixels")
    sizes.set_ylabel("plates")
    buffer = io.BytesIO()
    figure.savefig(buffer, format=kind, dpi=110)
    try:
        write_atomically(path, buffer.getvalue())
    except OSError as error:
        raise DataError(f"{path}: expected a path that can be written, got: {error.strerror}") from None
