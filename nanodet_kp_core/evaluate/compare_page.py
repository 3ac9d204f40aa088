"""Two models side by side as one HTML file: figures, groups, what got better and worse, labels to look at."""

from __future__ import annotations

from collections.abc import Sequence
from html import escape
from pathlib import Path

from nanodet_kp_core.evaluate.changes import changes, doubts
from nanodet_kp_core.evaluate.gallery import GalleryImage, Shown, make_gallery
from nanodet_kp_core.evaluate.groups import KINDS
from nanodet_kp_core.evaluate.html_report import document, number, pictures, report_parts, table
from nanodet_kp_core.evaluate.report import build_report
from nanodet_kp_core.evaluate.standing import LOWEST, MEAN_RECALL, Standing
from nanodet_kp_core.files import write_atomically

Pair = tuple[Standing, Standing]
"""Of the two models, on the same records."""


def write_comparison(
    path: Path,
    title: str,
    said: Sequence[str],
    pairs: dict[str, Pair],
    names: tuple[str, str],
    labels: Standing | None = None,
    most: int = 24,
) -> None:
    """Write the page. said: paragraphs below the title. pairs: by name of the set of images; of the first one the page
    shows groups, images and the whole report of the second model. labels: a model on all labeled images, to rank them
    by how little it agrees.

    Raises DataError when an image of the gallery cannot be read.
    """
    (first, (before, after)), *_ = pairs.items()
    report = build_report(
        after.records, after.predictions, after.class_names, lowest=LOWEST, model=names[1], data=first
    )
    gallery = make_gallery(report.matches, report.threshold, report.class_names, most)
    worse, better = change_pictures(before, after, most)
    parts = [
        f"<h1>{escape(title)}</h1>",
        *(f"<p>{escape(text)}</p>" for text in said),
        *(_figures(name, pair, names) for name, pair in pairs.items()),
        *(_groups(name, pair, names) for name, pair in pairs.items()),
        f"<h2>What changed on {escape(first)}</h2>",
        '<p class="note">Labels are green, what the new model says is orange.</p>',
        pictures("Worse", worse),
        pictures("Better", better),
        _doubts(labels, most),
        f"<h1>{escape(names[1])} on {escape(first)}</h1>",
        *report_parts(report, gallery),
    ]
    write_atomically(path, document(title, parts).encode())


def change_pictures(before: Standing, after: Standing, most: int) -> tuple[list[GalleryImage], list[GalleryImage]]:
    """Crops of what got worse and of what got better, at most so many of each."""
    shown, all_changes = Shown(after.matches), changes(before, after)
    return (
        [shown.picture(c.record, c.corners, c.note) for c in all_changes if not c.better][:most],
        [shown.picture(c.record, c.corners, c.note) for c in all_changes if c.better][:most],
    )


def _figures(name: str, pair: Pair, names: tuple[str, str]) -> str:
    rows = []
    for standing, model in zip(pair, names):
        s = standing.score
        rows.append([
            model, *map(number, (s.precision, s.recall, standing.mean_recall, s.err, s.number, s.color)),
            str(s.hits), str(s.false_alarms), str(standing.wrong),
        ])  # fmt: skip
    heads = [
        "model", "precision", "recall", MEAN_RECALL, "corner error (diagonals)",
        "number", "color", "found", "false alarms", "wrong number or color",
    ]  # fmt: skip
    count = f"{pair[0].score.images} images, {pair[0].score.plates} plates, score 0.5."
    return f"<h2>{escape(name)}</h2><p>{count}</p>" + table(heads, rows)


def _groups(name: str, pair: Pair, names: tuple[str, str]) -> str:
    before, after = ({(row.kind, row.name): row for row in standing.rows} for standing in pair)
    parts = []
    for kind in KINDS:
        rows = []
        for key in dict.fromkeys([*before, *after]):
            if key[0] != kind:
                continue
            one, two = before.get(key), after.get(key)
            plates = max(row.plates for row in (one, two) if row is not None)
            cells = [key[1], str(plates)]
            for figure in ("found", "wrong", "false_alarms", "err"):
                cells += [number(getattr(row, figure)) if row else "0" for row in (one, two)]
            rows.append(cells)
        heads = [kind, "plates"]
        for figure in ("found", "wrong", "false alarms", "corner error"):
            heads += [f"{figure}, {model}" for model in names]
        parts.append(table(heads, rows))
    return f"<h2>{escape(name)}: by size, number and source</h2>" + "".join(parts)


def _doubts(standing: Standing | None, most: int) -> str:
    if standing is None:
        return ""
    shown = Shown(standing.matches)
    return pictures(
        "Labels to look at: where the model agrees least",
        [shown.picture(doubt.record, doubt.corners, doubt.note) for doubt in doubts(standing)[:most]],
    )
