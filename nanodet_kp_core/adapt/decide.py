"""Which candidate is taken: better on own validation by more than chance, and not worse on rendered plates."""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import dataclass

from nanodet_kp_core.adapt.recipe import Scoring
from nanodet_kp_core.evaluate.points import Gain, gain
from nanodet_kp_core.evaluate.standing import Standing

LEAST = 0.5
"""Points that a candidate must be better by on own validation: half a plate."""

SURE = 2.0
"""Standard errors by which the loss on own validation crops must fall to be a gain of its own: crops of one image are
alike, so that they are fewer than they seem."""

STILL = 0.1
"""Points by which a candidate may fall where crops speak for it: the corners of every plate move a little. A false
alarm costs ten times as much."""

NOTHING = Gain(0.0, 0.0)


@dataclass(frozen=True)
class Judged:
    """A candidate beside the start. gain: in points on own validation. fault: why it is not taken, "" where it may be.
    crops: fall of the loss on own validation crops; 0 where the second stage is that of another candidate."""

    gain: Gain
    fault: str
    crops: Gain = NOTHING


@dataclass(frozen=True)
class Choice:
    """taken: name of the candidate, "start" where none is better. judged: by name of the candidate."""

    taken: str
    judged: dict[str, Judged]


def judge(
    own_start: Standing,
    own_new: Standing,
    rendered_start: Standing,
    rendered_new: Standing,
    scoring: Scoring,
    crops: Gain = NOTHING,
) -> Judged:
    """A candidate against the start.

    On own validation it must gain more points (evaluate.points) than LEAST and than one standard error of the gain,
    which is taken from the images: on few images a plate more or less is chance. Or the loss on own validation crops
    falls by SURE standard errors, and the points fall by no more than STILL. On rendered images it may lose a share
    `tolerance` of the plates in each figure.
    """
    gained = gain(own_start.points, own_new.points)
    fault = _rendered_fault(rendered_start, rendered_new, scoring)
    if not fault and crops.total > SURE * crops.noise and gained.total >= -STILL:
        return Judged(gained, "", crops)
    if not fault and gained.total < LEAST:
        fault = f"it is not better on own validation ({gained.total:+.1f} points)"
    elif not fault and gained.total < gained.noise:
        size = f"{gained.total:+.1f} points, give or take {gained.noise:.1f}"
        fault = f"its gain on own validation may be chance ({size})"
    return Judged(gained, fault, crops)


def choose(judged: Mapping[str, Judged]) -> Choice:
    """The candidate with the largest gain of those without a fault; the start where there is none.

    judged: those that change less come first. Where no gain reaches LEAST, and only crops speak for a change, none but
    the first may be taken: what is not proved on whole images may cost something on others.
    """
    good = [name for name, result in judged.items() if not result.fault]
    if not any(judged[name].gain.total >= LEAST for name in good):
        first = next(iter(judged), "start")
        return Choice(first if first in good else "start", dict(judged))
    best = max(good, key=lambda name: (judged[name].gain.total // LEAST, judged[name].crops.total))
    return Choice(best, dict(judged))


def _rendered_fault(start: Standing, new: Standing, scoring: Scoring) -> str:
    plates = start.score.plates
    lost = {
        "finds fewer plates at the same precision": (start.mean_recall - new.mean_recall) * plates,
        "finds fewer plates or has more false alarms at score 0.5": _net(start) - _net(new),
        "has more wrong numbers and colors": new.wrong - start.wrong,
    }
    for what, count in lost.items():
        if count > round(scoring.tolerance * plates) + 1e-6:
            return f"it {what} among rendered images (by {count:.3g} of {plates} plates)"
    before, after = _corner_errors(start, new)
    if after > scoring.corner_tolerance * before:
        return f"its corners are worse among rendered images ({before:.4f} to {after:.4f} diagonals)"
    return ""


def _net(standing: Standing) -> int:
    """Hits less false alarms: a threshold that moves changes both."""
    return standing.score.hits - standing.score.false_alarms


def _corner_errors(start: Standing, new: Standing) -> tuple[float, float]:
    """Mean corner errors in diagonals on the plates that both find; 0 where these are none. A plate that only one finds
    is a hard one, and would make its mean worse."""
    before, after = (
        {(hit.record.name, hit.plate): hit.err for hit in standing.matches.hits if not math.isnan(hit.err)}
        for standing in (start, new)
    )
    both = before.keys() & after.keys()
    if not both:
        return 0.0, 0.0
    return sum(before[plate] for plate in both) / len(both), sum(after[plate] for plate in both) / len(both)
