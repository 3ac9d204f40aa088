"""The steps of an adaptation, in order. Each is done once and kept; a stopped run goes on with the next."""

from __future__ import annotations

import logging
import shutil
from dataclasses import asdict, dataclass
from pathlib import Path

from nanodet_kp_core.adapt.candidates import second_stages
from nanodet_kp_core.adapt.coverage import missing, warning
from nanodet_kp_core.adapt.decide import NOTHING, Choice, Judged, choose, judge
from nanodet_kp_core.adapt.deliver import copy_start, deliver
from nanodet_kp_core.adapt.detector_stage import detectors
from nanodet_kp_core.adapt.plan import Plan
from nanodet_kp_core.adapt.recipe import Recipe
from nanodet_kp_core.adapt.shared import Adaptation
from nanodet_kp_core.adapt.story import story
from nanodet_kp_core.evaluate.changes import doubts
from nanodet_kp_core.evaluate.compare_page import Pair, write_comparison
from nanodet_kp_core.evaluate.points import Gain
from nanodet_kp_core.evaluate.standing import Standing, kept_predictions
from nanodet_kp_core.files import write_atomically

log = logging.getLogger(__name__)

OWN, RENDERED = "own validation images", "rendered images"
"""Names of the two sets that every model is scored on."""


@dataclass(frozen=True)
class Outcome:
    """taken: the candidate, or "start". sentence: the end of the run in words. model: what the node takes."""

    taken: str
    sentence: str
    model: Path
    report: Path


def adapt(plan: Plan, recipe: Recipe | None = None) -> Outcome:
    """Make the start better on own images, or keep it. Files in plan.out: see docs/own_data.md.

    Raises DataError for labels that are wrong or too few, ModelError for a start that cannot be adapted, TrainingError
    where the folder holds another run.
    """
    run = Adaptation(plan, recipe or Recipe())
    before = run.standings("start", run.start.model)
    for which, standing in zip((OWN, RENDERED), before):
        log.info("start on %s: %s", which, standing.line())
    models = {"start": copy_start(run.work / "candidates" / "start", run.start)} | second_stages(run)
    standings = {"start": before} | _scored(run, models, before)
    second = _chosen(run, "choice of the second stage", standings)
    others = detectors(run, models[second.taken])
    standings |= _scored(run, others, before)
    choice = _chosen(run, "choice", standings) if others else second
    return finish(run, choice, models | others, standings)


def _scored(run: Adaptation, models: dict[str, Path], before: tuple[Standing, Standing]) -> dict[str, Pair]:
    """Standings of all but the start."""
    made = {name: run.standings(name, model) for name, model in models.items() if name != "start"}
    for name, pair in made.items():
        for which, (new, old) in zip((OWN, RENDERED), zip(pair, before)):
            log.info("%s on %s: %s\n  start: %s", name, which, new.line(), old.line())
    return made


def _chosen(run: Adaptation, step: str, standings: dict[str, Pair]) -> Choice:
    """The decision, kept: a later version of the rule does not change a finished run."""
    own, rendered = standings["start"]

    def make() -> dict[str, object]:
        judged = {
            name: judge(own, pair[0], rendered, pair[1], run.recipe.scoring, _crops(run, name))
            for name, pair in standings.items()
            if name != "start"
        }
        return asdict(choose(judged))

    kept = run.journal.once(step, make)
    judged = {
        name: Judged(Gain(**value["gain"]), value["fault"], Gain(**value["crops"]))
        for name, value in kept["judged"].items()
    }
    for name, result in judged.items():
        points, crops = result.gain.total, result.crops.total
        said = result.fault or f"good: {points:+.1f} points on own validation, loss on its crops lower by {crops:.4f}"
        log.info("%s: %s", name, said)
    return Choice(kept["taken"], judged)


def _crops(run: Adaptation, name: str) -> Gain:
    """Of a candidate with an own second stage, what its journal says; of any other nothing."""
    kept = run.journal.values.get(f"written {name}")
    return Gain(**kept["crops"]) if isinstance(kept, dict) else NOTHING


def finish(run: Adaptation, choice: Choice, models: dict[str, Path], standings: dict[str, Pair]) -> Outcome:
    """Deliver the model, write the page, say the end."""
    out, taken = run.plan.out, choice.taken
    before = standings["start"]
    # The page shows the best candidate even where the start is kept: one sees why.
    best = taken if taken != "start" else max(choice.judged, key=lambda name: choice.judged[name].gain.total)
    after = standings[best]

    model = Path(run.journal.once("delivered", lambda: str(deliver(models[taken], out))))
    sentence = story(choice, before[0], standings[taken][0], (before[1], standings[taken][1]), str(model))

    def write() -> str:
        found = kept_predictions(run.work / "scores" / "labels.json", model, run.own)
        source_of = {record.name: "" for record in run.own}
        labels = Standing(run.own, found, run.start.class_names, source_of)
        lines = [f"{doubt.weight:.2f} {doubt.record.name}: {doubt.note}" for doubt in doubts(labels)]
        write_atomically(out / "labels_to_look_at.txt", ("\n".join(lines) + "\n").encode())
        pairs = {OWN: (before[0], after[0]), RENDERED: (before[1], after[1])}
        said = [sentence, f"Split: {run.split.how}.", warning(missing(run.split.train, run.start.class_names))]
        title = f"{run.start.model.name} and the model trained on {run.plan.data.name}"
        write_comparison(out / "report.html", title, [s for s in said if s], pairs, ("start", best), labels)
        return str(out / "report.html")

    report = Path(run.journal.once("report", write))
    shutil.rmtree(run.work / "crops_replay", ignore_errors=True)  # the largest, and made again from its seeds
    return Outcome(taken, sentence, model, report)
