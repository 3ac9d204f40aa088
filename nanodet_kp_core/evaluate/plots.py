"""The report's plots as PNG bytes. Figures are made without pyplot: no window system, no global state."""

from __future__ import annotations

import io

import numpy as np
from matplotlib.axes import Axes
from matplotlib.figure import Figure

from nanodet_kp_core.evaluate.metrics import Hit
from nanodet_kp_core.evaluate.pose_error import PoseRow
from nanodet_kp_core.evaluate.reliability import Reliability
from nanodet_kp_core.evaluate.report import Report
from nanodet_kp_core.evaluate.tables import Confusion, CurvePoint, SizeRow, plate_widths
from nanodet_kp_core.geometry import CORNER_NAMES

_DPI = 110
_COLORS = ("#1b6ca8", "#d1495b", "#2e933c", "#8d6a9f")
_MOST_NUMBERS = 24  # a confusion matrix with more classes than this has colors without numbers


def plots(report: Report) -> list[tuple[str, bytes]]:
    """(caption, PNG) of every plot that the report has data for."""
    hits = report.matches.at(report.threshold).hits
    made = [("Precision, recall and F1 over the score threshold", curves(report.curve, report.threshold))]
    if any(np.isfinite(hit.err) for hit in hits):
        made.append(("Corner error against plate width", error_by_size(hits, report.sizes)))
        made.append(("Corner errors: share of hits below an error, and where predicted corners lie", corners(hits)))
    if report.numbers.plates:
        made.append(("Number scores against the share of right numbers", number_reliability(report.numbers)))
    if any(row.plates for row in report.pose_rows[:-1]):
        made.append(("Pose error against distance (PnP)", pose_by_distance(report.pose_rows)))
    captions = ("classes", "colors", "numbers")
    for caption, table in zip(captions, report.confusion):
        if table.counts.any():
            title = f"Confusion of {caption} at score {report.threshold:g} (rows: labels)"
            made.append((title, confusion_matrix(table)))
    return made


def curves(points: list[CurvePoint], threshold: float) -> bytes:
    """Precision over recall beside precision, recall and F1 over the threshold."""
    figure, (left, right) = _figure(2)
    x = [point.threshold for point in points]
    for prefix, name, color in (("", "plate found", _COLORS[0]), ("class_", "with the right class", _COLORS[1])):
        precision, recall, f1 = (
            [getattr(point, prefix + what) for point in points] for what in ("precision", "recall", "f1")
        )
        left.plot(recall, precision, color=color, label=name)
        right.plot(x, f1, color=color, label=f"F1, {name}")
        if not prefix:
            right.plot(x, precision, "--", color=color, label=f"precision, {name}")
            right.plot(x, recall, ":", color=color, label=f"recall, {name}")
            at = int(np.argmin(np.abs(np.subtract(x, threshold))))
            left.plot(recall[at], precision[at], "o", color=color, label=f"score {threshold:g}")
    right.axvline(threshold, color="#999999", linewidth=1)
    _label(left, "recall", "precision", (0, 1.02), (0, 1.02))
    _label(right, "score threshold", "", (0, 1), (0, 1.02))
    return _png(figure)


def error_by_size(hits: list[Hit], rows: list[SizeRow]) -> bytes:
    """Corner error of every hit over the width of its plate, in pixels and in diagonals, and recall by width."""
    figure, (left, middle, right) = _figure(3)
    widths = np.array([plate_widths(hit.record.corners[[hit.plate]])[0] for hit in hits])
    centers = [np.sqrt(max(row.low, 6.0) * min(row.high, 320.0)) for row in rows]
    for axes, name, unit in ((left, "err_px", "pixels"), (middle, "err", "plate diagonals")):
        values = np.array([getattr(hit, name) for hit in hits])
        axes.plot(widths, values, ".", color=_COLORS[0], alpha=0.35, markersize=4)
        axes.plot(centers, [getattr(row, name) for row in rows], "o-", color=_COLORS[1], label="mean of the bin")
        axes.set_yscale("log")
        _label(axes, "plate width, pixels", f"corner error, {unit}")
    right.plot(centers, [row.recall for row in rows], "o-", color=_COLORS[2])
    for x, row in zip(centers, rows):
        right.annotate(str(row.plates), (x, 0.02), ha="center", fontsize=7, color="#666666")
    _label(right, "plate width, pixels (number of plates below)", "recall", ylim=(0, 1.02), legend=False)
    for axes in (left, middle, right):
        axes.set_xscale("log")
        axes.set_xticks([8, 16, 32, 64, 128, 256], ["8", "16", "32", "64", "128", "256"])
        axes.minorticks_off()
    return _png(figure)


def number_reliability(numbers: Reliability) -> bytes:
    """Share of right numbers over their mean score, and what a threshold keeps against how much of it is right."""
    figure, (left, right) = _figure(2)
    rows = [row for row in numbers.rows if row.plates]
    left.plot([0, 1], [0, 1], color="#999999", linewidth=1, label="as it should be")
    said = f"numbers (mean distance {numbers.ece:.3f})"
    left.plot([row.score for row in rows], [row.right for row in rows], "o-", color=_COLORS[0], label=said)
    for row in rows:
        left.annotate(str(row.plates), (row.score, row.right), xytext=(4, -9), textcoords="offset points", fontsize=7)
    kept = [row for row in numbers.rows if row.kept > 0]
    right.plot([row.kept for row in kept], [row.kept_right for row in kept], "o-", color=_COLORS[1])
    for row in kept:
        at = (row.kept, row.kept_right)
        right.annotate(f"{row.low:g}", at, xytext=(4, 4), textcoords="offset points", fontsize=7)
    _label(left, "mean score, plates at each point", "share of right numbers", (0, 1.02), (0, 1.02))
    _label(right, "share of the numbers kept, threshold at each point", "right of the kept", (0, 1.06), legend=False)
    return _png(figure)


def pose_by_distance(rows: list[PoseRow]) -> bytes:
    """Median and 90th percentile of the distance and yaw errors over the distance."""
    figure, (left, right) = _figure(2)
    rows = [row for row in rows if row.plates and np.isfinite(row.high)]  # the last row has no end
    x = [(row.low + row.high) / 2 for row in rows]
    left.plot(x, [row.distance_median for row in rows], "o-", color=_COLORS[0], label="median")
    left.plot(x, [row.distance_p90 for row in rows], ":", color=_COLORS[0], label="90th percentile")
    right.plot(x, [row.yaw_median for row in rows], "o-", color=_COLORS[1], label="median, smaller reprojection error")
    right.plot(x, [row.yaw_nearest_median for row in rows], "o-", color=_COLORS[0], label="median, nearest solution")
    right.plot(x, [row.yaw_nearest_p90 for row in rows], ":", color=_COLORS[0], label="90th percentile of it")
    for k, row in enumerate(rows):
        left.annotate(
            str(row.plates), (x[k], row.distance_median), xytext=(0, 5), textcoords="offset points", fontsize=7
        )
    _label(left, "distance (m), plates at each point", "distance error (m)", (0, max(x) + 1))
    _label(right, "distance (m)", "yaw error (degrees)", (0, max(x) + 1))
    for axes in (left, right):
        axes.set_ylim(bottom=0)
    return _png(figure)


def corners(hits: list[Hit]) -> bytes:
    """Cumulative error of each corner in diagonals, and offsets of all corners in diagonals."""
    figure, (left, right) = _figure(2)
    offsets = np.array([hit.offsets / hit.diagonal for hit in hits])
    for k, (name, color) in enumerate(zip(CORNER_NAMES, _COLORS)):
        known = offsets[np.isfinite(offsets[:, k]).all(axis=1), k]
        distances = np.sort(np.linalg.norm(known, axis=1))
        left.plot(distances, np.arange(1, len(distances) + 1) / max(len(distances), 1), color=color, label=name)
        right.plot(*known.T, ".", color=color, alpha=0.3, markersize=3)
        right.plot(*known.mean(axis=0), "P", color=color, markersize=10, markeredgecolor="white", label=f"mean, {name}")
    reach = float(np.nanpercentile(np.abs(offsets), 98)) + 1e-6
    _label(left, "error, plate diagonals", "share of the hits", (0, 2 * reach), (0, 1.02))
    _label(right, "to the right, plate diagonals", "downwards, plate diagonals", (-reach, reach), (reach, -reach))
    right.axhline(0, color="#999999", linewidth=0.6)
    right.axvline(0, color="#999999", linewidth=0.6)
    right.set_aspect("equal")
    return _png(figure)


def confusion_matrix(table: Confusion) -> bytes:
    """Heat map of the classes that occur; a color is the share of its row."""
    used = np.flatnonzero(table.counts.any(axis=0) | table.counts.any(axis=1))
    counts = table.counts[np.ix_(used, used)]
    names = [table.names[k] for k in used]
    side = 1.6 + 0.28 * max(len(names), 5)
    figure = Figure(figsize=(side + 0.6, side), dpi=_DPI, layout="constrained")
    axes = figure.subplots()
    share = counts / np.maximum(counts.sum(axis=1, keepdims=True), 1)
    axes.imshow(share, cmap="Blues", vmin=0, vmax=1)
    axes.set_xticks(range(len(names)), names, rotation=90, fontsize=8)
    axes.set_yticks(range(len(names)), names, fontsize=8)
    axes.set_xlabel("predicted")
    axes.set_ylabel("labeled")
    for row, column in zip(*np.nonzero(counts)):
        dark = share[row, column] > 0.6
        size = 8 if len(names) <= _MOST_NUMBERS else 6
        axes.text(
            column, row, str(counts[row, column]), ha="center", va="center", fontsize=size,
            color="white" if dark else "#333333",
        )  # fmt: skip
    return _png(figure)


def _figure(columns: int) -> tuple[Figure, np.ndarray]:
    figure = Figure(figsize=(5.2 * columns if columns == 2 else 12.0, 4.2), dpi=_DPI, layout="constrained")
    return figure, figure.subplots(1, columns)


def _label(
    axes: Axes,
    x: str,
    y: str,
    xlim: tuple[float, float] | None = None,
    ylim: tuple[float, float] | None = None,
    legend: bool = True,
) -> None:
    axes.set_xlabel(x)
    axes.set_ylabel(y)
    if xlim is not None:
        axes.set_xlim(xlim)
    if ylim is not None:
        axes.set_ylim(ylim)
    axes.grid(alpha=0.25)
    if legend:
        axes.legend(fontsize=8)


def _png(figure: Figure) -> bytes:
    buffer = io.BytesIO()
    figure.savefig(buffer, format="png")
    return buffer.getvalue()
