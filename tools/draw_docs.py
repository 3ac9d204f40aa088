"""Pictures of the documentation, drawn from rendered plates and the bundled model, never from footage.

    python tools/draw_docs.py docs                                       # four of them, some minutes on one core
    python tools/draw_docs.py docs --only corners misses                 # these
    python tools/draw_docs.py docs --only pose --figures figures.json    # those of `nanodet-kp evaluate ... --json`

Prints the figures that stand in them.
"""

from __future__ import annotations

import argparse
import sys
from collections.abc import Callable
from itertools import pairwise
from pathlib import Path

import numpy as np

sys.path.insert(0, str(Path(__file__).resolve().parent.parent))

from docs_figures import AFTER, BEFORE, INK, TRUTH, panels, point, reliability_curve, save, scale, show, show_plate, tag
from docs_measured import FIRST_SEED, PLATE_PX, SIZE, Measured, is_read, look, miss_lines, nearest, share_rows, width

from nanodet_kp_core.classes import ARMOR_CLASSES
from nanodet_kp_core.command import open_door
from nanodet_kp_core.errors import DataError
from nanodet_kp_core.evaluate.metrics import Matches, label_parts, match
from nanodet_kp_core.evaluate.tables import right_class
from nanodet_kp_core.geometry import CORNER_NAMES
from nanodet_kp_core.paths import resolved
from nanodet_kp_core.runtime.detection.detector import Detector
from nanodet_kp_core.synthetic.cast import Actor, find_actor
from nanodet_kp_core.synthetic.geometry import Camera, rotation_xz
from nanodet_kp_core.synthetic.records import RenderedRecords
from nanodet_kp_core.synthetic.robot import PlateView, draw_robot
from nanodet_kp_core.synthetic.sensor import Exposure, Finish, expose
from nanodet_kp_core.synthetic.stage import HORIZON, stage

_LIGHT = Exposure(
    ambient=0.6, gamma=0.5, black=0.0, noise=0.004, blur=0.0, angle=0.0, defocus=0.7, near=2.2, near_share=0.2,
    wide_share=0.03, broad_share=0.004, halo=(8.0, 24.0), finish=Finish(bayer=0.0, sharpen=(0.0, 0.0, 0.0)),
)  # fmt: skip

SCORES = (0.05, 0.1, 0.2, 0.3, 0.4, 0.5, 0.6, 0.7, 0.8, 0.9, 0.95, 0.98, 1.0)
NUMBERS = (0.0, 0.5, 0.7, 0.9, 0.98, 1.0)
"""Edges between which plates share a point of a curve."""

PORTRAIT = (11, 2)
"""Seed of a robot whose bars stand alone."""


def draw_corner_order(path: Path, measured: Measured) -> str:
    """A plate with its four corners in order, the end of one of its bars enlarged, and the same plate far away."""
    actor = find_actor(PORTRAIT, "B", set(), _LIGHT)
    near, plate = _portrait(actor, 270.0)
    far, small = _portrait(actor, 26.0)
    figure, (top, end, distant) = panels(6.8, [["plate", "plate"], ["end", "far"]], heights=(1.3, 1))
    middle = plate.corners.mean(axis=0)
    show(top, near, middle, (520, 300))
    for start, stop in pairwise(plate.corners):
        line = {"arrowstyle": "-|>", "color": TRUTH, "lw": 2.5, "shrinkA": 9, "shrinkB": 9}
        top.annotate("", stop, start, arrowprops=line)
    for k, (name, corner) in enumerate(zip(CORNER_NAMES, plate.corners)):
        side, down = np.sign(corner - middle)
        point(top, corner, 13)
        tag(top, corner + (30 * side, 48 * down), f"{k + 1} {name}")
    top.set_title("the sides are the two lit bars", fontsize=13)
    bar = plate.corners[:2]
    show(end, near, bar[0] + (0, 12), (60, 48))
    end.plot(*bar.T, "--", color=TRUTH, linewidth=2)
    point(end, bar[0], 15)
    end.set_title("the middle of the end,\nnot the rim of the glow", fontsize=13)
    show(distant, far, small.corners.mean(axis=0), (60, 48))
    for corner in small.corners:
        point(distant, corner, 7)
    distant.set_title("the same on a far plate,\n26 pixels wide", fontsize=13)
    return save(figure, path)


def _portrait(actor: Actor, plate_px: float) -> tuple[np.ndarray, PlateView]:
    """A robot in the arena of the demo, and its plate that faces us most."""
    w, h = size = (720, 480)
    canvas, camera = stage(size), Camera(1.15 * w, (w / 2, HORIZON * h), rotation_xz(0.0, 0.0))
    at, turn = np.array([w / 2, h / 2]), 0.25 - actor.yaw
    rng = np.random.default_rng(actor.looks)
    plates = draw_robot(rng, canvas, camera, at, plate_px, 4, _LIGHT, turn, exact=True)
    return expose(np.random.default_rng(10), canvas, _LIGHT, None), max(plates, key=lambda plate: plate.facing)


def draw_scores(path: Path, measured: Measured) -> str:
    """Hits from sure to doubtful by either score, and how often each score is right."""
    hits, alarms = measured.whole.hits, measured.whole.false_alarms
    known = [hit for hit in hits if hit.record.number_known[hit.plate] and hit.prediction.score >= 0.5]
    places = [[f"{what}{k}" for k in range(4)] for what in "sn"]
    figure, axes = panels(7.6, [*places, ["score"] * 2 + ["number"] * 2], heights=(1, 1, 1.9))
    taken: set[int] = set()
    for here, wanted in zip(axes[:4], (0.99, 0.8, 0.5, 0.2)):
        hit = nearest(hits, wanted, lambda hit: hit.prediction.score, taken)
        show_plate(here, hit.record, hit.record.corners[hit.plate], f"score\n{hit.prediction.score:.2f}")
    for here, wanted in zip(axes[4:8], (0.99, 0.9, 0.7, 0.5)):
        hit = nearest(known, wanted, lambda hit: hit.prediction.number_score, taken)
        said = label_parts(hit.prediction.label)[1] + ("" if is_read(hit) else ", wrong")
        title = f"number_score\n{hit.prediction.number_score:.2f}: {said}"
        show_plate(here, hit.record, hit.record.corners[hit.plate], title)
    scores = [hit.prediction.score for hit in hits] + [found.score for _, found in alarms]
    of_score = share_rows(scores, [True] * len(hits) + [False] * len(alarms), SCORES)
    of_number = share_rows([hit.prediction.number_score for hit in known], [is_read(hit) for hit in known], NUMBERS)
    reliability_curve(axes[8], of_score, "score", "share that are plates")
    axes[8].axvline(0.5, color=BEFORE, linewidth=1.5)
    axes[8].text(0.52, 0.02, "reported\nfrom here", color=BEFORE, fontsize=12)
    reliability_curve(axes[9], of_number, "number_score", "share of right numbers")
    reported = measured.whole.at(0.5)
    lines = [f"reported: {len(reported.hits)} of {len(reported.hits) + len(reported.false_alarms)} are plates"]
    lines += [f"score {score:.2f}: {share:.2f} of {count} are plates" for score, share, count in of_score]
    lines += [f"number_score {score:.2f}: {share:.2f} of {count} are right" for score, share, count in of_number]
    return "\n".join([*lines, save(figure, path)])


def draw_refinement(path: Path, measured: Measured) -> str:
    """Corners of the detector alone and of both stages, on the plate of each width whose errors are nearest to the
    medians."""
    before = {(hit.record.name, hit.plate): hit for hit in measured.alone.hits}
    pairs = [
        (before[key], hit) for hit in measured.whole.at(0.5).hits if (key := (hit.record.name, hit.plate)) in before
    ]
    figure, axes = panels(5.2, [["b0", "b1", "b2"], ["a0", "a1", "a2"]])
    lines = []
    for column, (low, high) in enumerate(((16, 32), (32, 64), (64, 128))):
        of_width = [pair for pair in pairs if low <= width(pair[1].record, pair[1].plate) < high]
        if not of_width:
            raise DataError(f"expected plates of {low} to {high} pixels, got none; draw with a larger --count")
        errors = np.array([[hit.err_px for hit in pair] for pair in of_width])
        medians = np.median(errors, axis=0)
        chosen = of_width[int(np.abs(np.log(np.maximum(errors, 1e-3) / medians)).sum(axis=1).argmin())]
        for row, (hit, color) in enumerate(zip(chosen, (BEFORE, AFTER))):
            here = axes[3 * row + column]
            true = hit.record.corners[hit.plate]
            show_plate(here, hit.record, true, f"{hit.err_px:.2f} px off", 1.7)
            here.plot(*true.T, "+", color=TRUTH, markersize=13, markeredgewidth=2.5)
            here.plot(*hit.prediction.corners[[0, 1, 2, 3, 0]].T, "-", color=color, linewidth=2)
        axes[3 + column].set_xlabel(f"{width(chosen[1].record, chosen[1].plate):.0f} px wide", fontsize=13)
        lines.append(
            f"{low} to {high} px, {len(of_width)} plates: median error {medians[0]:.2f} px, then {medians[1]:.2f}"
        )
    figure.suptitle("yellow: the true corners", fontsize=13, color=INK)
    axes[0].set_ylabel("detector", fontsize=14, color=BEFORE)
    axes[3].set_ylabel("second stage", fontsize=14, color=AFTER)
    return "\n".join([*lines, save(figure, path)])


def draw_misses(path: Path, measured: Measured) -> str:
    """What the model misses and confuses at score 0.5, six examples of WEAK."""
    detector = Detector(score_threshold=0.5)
    figure, axes = panels(5.4, [["0", "1", "2"], ["3", "4", "5"]])
    for here, (seed, plate, kind, why) in zip(axes, WEAK):
        record = RenderedRecords(1, FIRST_SEED + seed, SIZE, PLATE_PX)[0]
        known, (found,) = look(record, [detector])
        matches = match([known], {known.name: found}, 0.5)
        corners = _weak_corners(matches, plate, kind)
        show_plate(here, known, corners, f"{kind}:\n{why}", 3.0)
        low, high = corners.min(axis=0), corners.max(axis=0)
        margin = 0.25 * (high - low).max()
        outline = np.array([low, (low[0], high[1]), high, (high[0], low[1]), low])
        outline += margin * np.array([[-1, -1], [-1, 1], [1, 1], [1, -1], [-1, -1]])
        here.plot(*outline.T, color=TRUTH, linewidth=1.5)
    return "\n".join([*miss_lines(measured.whole.at(0.5)), save(figure, path)])


WEAK = (
    (25, 0, "missed", "far, 12 px wide"),
    (163, 0, "missed", "one bar hardly lit"),
    (99, 0, "missed", "no panel to be seen"),
    (101, 0, "missed", "smeared by motion"),
    (447, 0, "false alarm", "lone bar and wheel"),
    (375, 0, "wrong color", "purple, said red"),
)
"""Seed from FIRST_SEED on, the number of the plate or of the false alarm in it, what is wrong there, and why."""


def _weak_corners(matches: Matches, number: int, kind: str) -> np.ndarray:
    """Corners [4, 2] of the plate or of the false alarm. Raises DataError when that is no longer wrong."""
    record = matches.records[0]
    if kind == "false alarm" and number < len(matches.false_alarms):
        return matches.false_alarms[number][1].corners
    missed = any(plate == number for _, plate in matches.misses)
    confused = any(hit.plate == number and not right_class(hit, ARMOR_CLASSES) for hit in matches.hits)
    if not {"missed": missed, "wrong color": confused}.get(kind, False):
        raise DataError(f"image {record.name}: expected a {kind} as in WEAK, got none; choose other examples")
    return record.corners[number]


def draw_pose(path: Path, measured: Measured) -> str:
    """Corner error over the width of the plate, error of the distance by PnP over the distance."""
    figure, (corner, far) = panels(6.8, [["corner"], ["far"]])
    sizes = [row for row in measured.figures["sizes"] if row["plates"] * row["recall"] >= FEW]
    x = [np.sqrt(max(row["low"], 6) * (row["high"] or 320)) for row in sizes]
    corner.plot(x, [row["err_px"] for row in sizes], "o-", color=AFTER, linewidth=2, label="mean")
    corner.plot(x, [row["err_px_p95"] for row in sizes], ":", color=AFTER, linewidth=2, label="95 of 100 are below")
    corner.set_xscale("log")
    corner.set_xticks([16, 32, 64, 128, 256], ["16", "32", "64", "128", "256"])
    corner.minorticks_off()
    corner.set_title("corner error, pixels", fontsize=13)
    scale(corner, "width of the plate, pixels")
    rows = [row for row in measured.figures["pose_by_distance"] if row["plates"] >= FEW and row["high"]]
    x = [(row["low"] + row["high"]) / 2 for row in rows]
    far.plot(x, [100 * row["distance_median"] for row in rows], "o-", color=BEFORE, linewidth=2, label="median")
    far.plot(
        x, [100 * row["distance_p90"] for row in rows], ":", color=BEFORE, linewidth=2, label="90 of 100 are below"
    )
    far.set_title("error of the distance, centimetres", fontsize=13)
    scale(far, "distance, metres")
    for axes in (corner, far):
        axes.set_ylim(bottom=0)
        axes.legend(fontsize=12)
    return save(figure, path)


FEW = 10
"""Plates that a point of a curve has at least."""

PICTURES: dict[str, tuple[str, Callable[[Path, Measured], str]]] = {
    "corners": ("corner_order.jpg", draw_corner_order),
    "scores": ("scores.jpg", draw_scores),
    "refinement": ("refinement.jpg", draw_refinement),
    "misses": ("weaknesses.jpg", draw_misses),
    "pose": ("armor_pose.png", draw_pose),
}


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("out", type=resolved, help="folder of the pictures")
    parser.add_argument("--only", nargs="+", choices=PICTURES, help="these (default: all; pose only with --figures)")
    parser.add_argument("--count", type=int, default=2000, help="images to measure on (default: %(default)s)")
    parser.add_argument("--figures", type=resolved, metavar="JSON", help="of nanodet-kp evaluate, for pose")
    args = parser.parse_args()
    args.out.mkdir(parents=True, exist_ok=True)
    measured = Measured(args.count, args.figures)
    for name in args.only or [name for name in PICTURES if name != "pose" or args.figures]:
        file, draw = PICTURES[name]
        print(draw(args.out / file, measured), flush=True)
    return 0


if __name__ == "__main__":
    open_door(main)
