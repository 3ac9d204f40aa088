"""The end of a run in one sentence: what was gained, what was lost, and what to do."""

from __future__ import annotations

from nanodet_kp_core.adapt.decide import LEAST, Choice
from nanodet_kp_core.evaluate.groups import KINDS, GroupRow
from nanodet_kp_core.evaluate.standing import Standing

FEW_PLATES = 3
"""Plates of a group below which nothing is said about it."""


def story(choice: Choice, start: Standing, new: Standing, rendered: tuple[Standing, Standing], model: str) -> str:
    """One sentence. start, new: on own validation; rendered: both on rendered images; model: what to deploy."""
    advice = what_to_label(new)
    if choice.taken == "start":
        reasons = "; ".join(f"{name}: {judged.fault}" for name, judged in choice.judged.items())
        return f"The start is kept, for no candidate is better ({reasons}): {model} is the start unchanged; {advice}."
    before, after = start.score, new.score
    own = (
        f"of {after.plates} own validation plates it finds {after.hits} (start {before.hits}) with "
        f"{after.false_alarms} false alarms ({before.false_alarms}), {new.wrong} wrong numbers or colors "
        f"({start.wrong}) and a corner error of {after.err:.4f} diagonals ({before.err:.4f})"
    )
    old, now = (standing.score for standing in rendered)
    alarms = f"{now.false_alarms} false alarms ({old.false_alarms})"
    same = f"of {now.plates} rendered plates it finds {now.hits} ({old.hits}) with {alarms}"
    gained, lost = by_group(start, new)
    return (
        f"The new model ({choice.taken}) is better ({_why(choice)}): {own}; {same}; "
        f"gained: {gained or 'nothing by group'}; lost: {lost or 'nothing'}; deploy {model}; {advice}."
    )


def by_group(start: Standing, new: Standing) -> tuple[str, str]:
    """The groups in which more plates are right than before, and those in which fewer are."""
    before = {(row.kind, row.name): _right(row) for row in start.rows}
    kinds = _kinds(new)
    gained: list[str] = []
    lost: list[str] = []
    for row in new.rows:
        change = _right(row) - before.get((row.kind, row.name), 0)
        if change and row.plates and row.kind in kinds:
            (gained if change > 0 else lost).append(f"{row.kind} {row.name} {change:+d} of {row.plates}")
    return ", ".join(gained), ", ".join(lost)


def what_to_label(standing: Standing) -> str:
    """The advice: which plates to label next."""
    weak = []
    for kind in _kinds(standing):
        rows = [row for row in standing.rows if row.kind == kind and row.plates >= FEW_PLATES]
        worst = min(rows, key=lambda row: _right(row) / row.plates, default=None)
        if worst is not None and _right(worst) < worst.plates:
            weak.append(f"{kind} {worst.name} ({_right(worst)} of {worst.plates} right)")
    if not weak:
        return "label images of other matches and cameras, for on these validation images nothing is left to gain"
    return f"label more plates of {', '.join(weak)}"


def _why(choice: Choice) -> str:
    """What spoke for the model that was taken."""
    points = choice.judged[choice.taken].gain.total
    surer = "" if points >= LEAST else ", and surer in crops of the images"
    return f"{points:+.1f} points{surer}"


def _kinds(standing: Standing) -> list[str]:
    """The kinds that divide the plates: a single source is all of them, and its name says nothing."""
    sources = {row.name for row in standing.rows if row.kind == "source"}
    return [kind for kind in KINDS if kind != "source" or len(sources) > 1]


def _right(row: GroupRow) -> int:
    return row.found - row.wrong
