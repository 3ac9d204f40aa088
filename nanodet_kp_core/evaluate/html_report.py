"""The report as one HTML file that needs nothing else: images are inside, no network is asked."""

from __future__ import annotations

import base64
import math
from collections.abc import Sequence
from dataclasses import asdict
from html import escape
from pathlib import Path

from nanodet_kp_core.evaluate.coco import OKS_SIGMA
from nanodet_kp_core.evaluate.gallery import Gallery, GalleryImage, make_gallery
from nanodet_kp_core.evaluate.plots import plots
from nanodet_kp_core.evaluate.report import Report
from nanodet_kp_core.files import write_atomically

_STYLE = """
body { font: 15px/1.45 system-ui, sans-serif; margin: 2em auto; max-width: 1250px; padding: 0 1em; color: #222; }
h1 { font-size: 1.5em; } h2 { font-size: 1.2em; margin-top: 2em; border-bottom: 1px solid #ccc; }
table { border-collapse: collapse; margin: .6em 0; }
th, td { padding: .25em .7em; border-bottom: 1px solid #e2e2e2; text-align: right; font-variant-numeric: tabular-nums; }
th:first-child, td:first-child { text-align: left; } th { background: #f4f4f4; }
p.note { color: #555; max-width: 60em; } img.plot { max-width: 100%; }
div.gallery { display: flex; flex-wrap: wrap; gap: 12px; }
figure { margin: 0; width: 256px; } figure.wide { width: auto; margin: 1em 0; }
figcaption { font-size: .8em; color: #444; overflow-wrap: anywhere; }
"""


def write_report(report: Report, folder: Path, most: int = 24) -> Path:
    """Write `index.html` into the folder, with at most so many images of each kind; returns its path.

    Raises DataError when an image of the gallery cannot be read, OSError when the file cannot be written.
    """
    gallery = make_gallery(report.matches, report.threshold, report.class_names, most)
    path = Path(folder) / "index.html"
    write_atomically(path, page(report, gallery).encode())
    return path


def page(report: Report, gallery: Gallery) -> str:
    """The document: well-formed XML as well, so that it can be checked."""
    title = f"{report.model} on {report.data}"
    return document(title, [f"<h1>{escape(title)}</h1>", *report_parts(report, gallery)])


def report_parts(report: Report, gallery: Gallery) -> list[str]:
    """What the page says below its title."""
    return [
        _scores(report),
        _average_precision(report),
        _corners(report),
        _sizes(report),
        _numbers(report),
        _pose(report),
        "<h2>Plots</h2>",
        *(_plot(caption, data) for caption, data in plots(report)),
        "<h2>Gallery</h2>",
        '<p class="note">Labels are green, predictions orange, ignore boxes gray; a dot marks the first corner '
        "(left-top). All labels and predictions of the image are drawn.</p>",
        pictures("Misses, widest plate first", gallery.misses),
        pictures("False alarms, best score first", gallery.false_alarms),
        pictures("Worst corners, in plate diagonals", gallery.worst_corners),
        pictures("Wrong class, best score first", gallery.wrong_classes),
    ]


def document(title: str, parts: Sequence[str]) -> str:
    """An HTML document of these parts that needs nothing else."""
    head = f'<head><meta charset="utf-8"/><title>{escape(title)}</title><style>{_STYLE}</style></head>'
    return f'<!DOCTYPE html>\n<html lang="en">{head}<body>\n' + "\n".join(parts) + "\n</body></html>\n"


def _scores(report: Report) -> str:
    names = ("precision", "recall", "f1", "err", "err_p95", "err_px", "color", "number", "false_alarms", "missed")
    first = next(iter(report.scores.values()))
    rows = [[f"{t:g}", *(number(getattr(s, name)) for name in names)] for t, s in report.scores.items()]
    return (
        f"<h2>Found plates</h2><p>{first.images} images, {first.plates} plates.</p>"
        + table(["score", *(name.replace("_", " ") for name in names)], rows)
        + '<p class="note">A prediction hits the plate whose corner box it overlaps with IoU 0.5 or more, whatever the '
        "class. err is the mean distance of the four corners in diagonals of the plate, err px the same in pixels of "
        "the image; color and number are right for this share of the hits.</p>"
    )


def _average_precision(report: Report) -> str:
    c = report.coco
    rows = [
        ["box, mean of the classes", *map(number, (c.mAP, c.AP_50, c.AP_75, c.AP_small, c.AP_medium, c.AP_large))],
        [f"corners (OKS, sigma {OKS_SIGMA}), mean of the classes", *map(number, (c.oks_mAP, c.oks_AP_50, c.oks_AP_75))],
        ["box, all classes as one", *map(number, (c.plate_AP, c.plate_AP_50))],
        [f"corners (OKS, sigma {OKS_SIGMA}), all classes as one", number(c.plate_oks_AP)],
    ]
    heads = ["average precision", "mAP", "AP 50", "AP 75", "small", "medium", "large"]
    return "<h2>Average precision (COCO)</h2>" + table(heads, [row + [""] * (7 - len(row)) for row in rows])


def _corners(report: Report) -> str:
    heads = ["corner", "mean px", "p95 px", "mean diagonals", "p95 diagonals", "bias right px", "bias down px"]
    rows = [
        [row.name, *(number(v) for v in (row.mean_px, row.p95_px, row.mean_diagonal, row.p95_diagonal)),
         *(number(v, signed=True) for v in (row.bias_x, row.bias_y))]
        for row in report.corners
    ]  # fmt: skip
    return f"<h2>Corner error of the hits at score {report.threshold:g}</h2>" + table(heads, rows)


def _sizes(report: Report) -> str:
    heads = ["plate width, px", "plates", "recall", "mean px", "p95 px", "mean diagonals"]
    rows = [
        [f"{row.low:g} to {row.high:g}" if math.isfinite(row.high) else f"above {row.low:g}", str(row.plates),
         *(number(v) for v in (row.recall, row.err_px, row.err_px_p95, row.err))]
        for row in report.sizes
    ]  # fmt: skip
    return "<h2>By plate size</h2>" + table(heads, rows)


def _numbers(report: Report) -> str:
    numbers = report.numbers
    if not numbers.plates:
        return ""
    heads = ["number score", "plates", "mean score", "right", "kept from here on", "right of the kept"]
    rows = [
        [f"{row.low:g} to {row.high:g}", str(row.plates),
         *(number(v) for v in (row.score, row.right, row.kept, row.kept_right))]
        for row in numbers.rows
    ]  # fmt: skip
    return (
        "<h2>How sure it is of the number</h2>"
        + table(heads, rows)
        + f'<p class="note">{numbers.plates} hits whose number can be read. The mean score of a row should be its '
        f"share of right numbers; it is off by {number(numbers.ece)} (expected calibration error). The last two "
        "columns help to choose number_threshold: what it keeps of the numbers, and how many of those are right.</p>"
    )


def _pose(report: Report) -> str:
    if report.pose is None:
        return '<h2>Pose</h2><p class="note">No camera is known for these images.</p>'
    units = {"distance": " (m)", "relative": " (share of the distance)", "yaw": " (degrees)", "reprojection": " (px)"}
    rows = [
        [key.replace("_", " ") + units.get(key.partition("_")[0], ""), number(value)]
        for key, value in asdict(report.pose).items()
    ]
    heads = ["metres", "plates", "distance (m)", "p90", "yaw (degrees)", "yaw nearest", "p90"]
    by_distance = [
        [f"{row.low:g} to {row.high:g}" if math.isfinite(row.high) else f"{row.low:g} and more",
         str(row.plates), *(number(v) for v in (row.distance_median, row.distance_p90, row.yaw_median,
                                                row.yaw_nearest_median, row.yaw_nearest_p90))]
        for row in report.pose_rows
    ]  # fmt: skip
    return (
        "<h2>Pose (PnP with the camera matrix)</h2>"
        + table(["figure", "error"], rows)
        + table(heads, by_distance)
        + '<p class="note">Difference from the pose of the labeled corners. A far plate turned left looks nearly like '
        "one turned right: of the two solutions the one with the smaller reprojection error counts, and flipped says "
        "how often the other one was nearer (yaw nearest: its error).</p>"
    )


def _plot(caption: str, data: bytes) -> str:
    text = escape(caption)
    return f'<figure class="wide"><img class="plot" alt="{text}" src="{_inline("png", data)}"/>' + (
        f"<figcaption>{text}</figcaption></figure>"
    )


def pictures(title: str, shown: Sequence[GalleryImage]) -> str:
    """A gallery under its title."""
    figures = "".join(
        f'<figure><img alt="{escape(p.name)}" src="{_inline("jpeg", p.jpeg)}"/>'
        f"<figcaption>{escape(p.note)}<br/>{escape(p.name)}</figcaption></figure>"
        for p in shown
    )
    return f"<h3>{escape(title)}</h3>" + (f'<div class="gallery">{figures}</div>' if shown else "<p>None.</p>")


def _inline(kind: str, data: bytes) -> str:
    return f"data:image/{kind};base64,{base64.b64encode(data).decode()}"


def table(heads: Sequence[str], rows: Sequence[Sequence[str]]) -> str:
    """An HTML table of texts, escaped."""
    head = "".join(f"<th>{escape(text)}</th>" for text in heads)
    body = "".join("<tr>" + "".join(f"<td>{escape(text)}</td>" for text in row) + "</tr>" for row in rows)
    return f"<table><tr>{head}</tr>{body}</table>"


def number(value: float, signed: bool = False) -> str:
    """A figure as text: whole numbers as they are, others with three or four digits that count, "-" for nan."""
    if isinstance(value, int):
        return str(value)
    if not math.isfinite(value):
        return "-"
    if value == 0:
        return "0"
    digits = 2 if abs(value) >= 10 else 3 if abs(value) >= 0.1 else 4
    return f"{value:+.{digits}f}" if signed else f"{value:.{digits}f}"
