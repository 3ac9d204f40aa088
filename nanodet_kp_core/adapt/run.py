"""The steps of an adaptation, in order. Each is done once and kept; a stopped run goes on with the next."""

from __future__ import annotations

import logging
import shutil
from dataclasses import asdict, dataclass
from pathlib import Path
from zlib import crc32

from nanodet_kp_core.adapt.calibrate import calibrate_second_stage
from nanodet_kp_core.adapt.coverage import missing, warning
from nanodet_kp_core.adapt.crops import own_crops, replay_crops
from nanodet_kp_core.adapt.decide import Choice, Judged, choose, judge
from nanodet_kp_core.adapt.deliver import copy_start, deliver, write_candidate
from nanodet_kp_core.adapt.journal import Journal
from nanodet_kp_core.adapt.plan import Plan, check_own, fingerprint, read_own, split_own
from nanodet_kp_core.adapt.recipe import Recipe
from nanodet_kp_core.adapt.second_stage import SecondStageTraining, blended, seconds_a_step, train_second_stage
from nanodet_kp_core.adapt.sources import Split
from nanodet_kp_core.adapt.start import Start, load_start, rendered_size
from nanodet_kp_core.adapt.story import story
from nanodet_kp_core.classes import COLORS, UNLIT
from nanodet_kp_core.errors import TrainingError
from nanodet_kp_core.evaluate.changes import doubts
from nanodet_kp_core.evaluate.compare_page import write_comparison
from nanodet_kp_core.evaluate.points import Gain
from nanodet_kp_core.evaluate.standing import Standing, kept_predictions
from nanodet_kp_core.files import write_atomically
from nanodet_kp_core.labels import read_records
from nanodet_kp_core.labels.sample import Record
from nanodet_kp_core.synthetic.dataset import RenderOptions, render_dataset
from nanodet_kp_core.train.crop_training import load_crop_state

log = logging.getLogger(__name__)

RENDERED_SEED = 930_000_000
"""Of the rendered images that judge and calibrate; those of the replay are others."""

OWN, RENDERED = "own validation images", "rendered images"
"""Names of the two sets that every model is scored on."""


@dataclass(frozen=True)
class Outcome:
    """taken: the candidate, or "start". sentence: the end of the run in words. model: what the node takes."""

    taken: str
    sentence: str
    model: Path
    report: Path


class Adaptation:
    """What all steps share."""

    def __init__(self, plan: Plan, recipe: Recipe) -> None:
        self.plan, self.recipe = plan, recipe
        self.work = plan.out / "work"
        self.start: Start = load_start(plan.start)
        own, validation = read_own(plan, self.start.class_names)
        model = crc32(self.start.model.read_bytes() + self.start.refiner.read_bytes())
        begun_with = {
            "labels": [fingerprint(own), fingerprint(validation)],
            "start": f"{self.start.model.name} {model:08x}",
            "minutes": plan.minutes, "seed": plan.seed, "recipe": asdict(recipe),
        }  # fmt: skip
        if plan.out.exists() and not self.work.exists() and any(plan.out.iterdir()):
            raise TrainingError(f"{plan.out}: expected an empty or new folder, got one with files; change --out")
        self.journal = Journal(self.work / "journal.json", begun_with)
        for line in self.journal.once("checked", lambda: check_own(plan, self.start.class_names)):
            log.info("%s", line)
        self.split = self._split(own, validation)
        self.everything = [*own, *validation]
        self.judged, self.calibrated = self._rendered()

    def _split(self, own: list[Record], validation: list[Record]) -> Split:
        def make() -> dict[str, object]:
            made = split_own(own, validation)
            names = [record.name for record in made.train], [record.name for record in made.validation]
            return {"train": names[0], "validation": names[1], "source_of": made.source_of, "how": made.how}

        kept = self.journal.once("split", make)
        of_train = {record.name: record for record in own}
        of_validation = {record.name: record for record in validation} or of_train
        split = Split(
            [of_train[name] for name in kept["train"]], [of_validation[name] for name in kept["validation"]],
            kept["source_of"], kept["how"],
        )  # fmt: skip
        log.info("split: %d training and %d validation images: %s", len(split.train), len(split.validation), split.how)
        if lacking := warning(missing(split.train, self.start.class_names)):
            log.warning("warning: %s", lacking)
        return split

    def _rendered(self) -> tuple[list[Record], list[Record]]:
        """Rendered images to judge by, and to calibrate on."""
        scoring, folder = self.recipe.scoring, self.work / "rendered"
        size = rendered_size(self.start.input_size)
        options = RenderOptions(size, (10.0, 0.86 * size[0]))
        if not (folder / "labels.json").exists():
            log.info("rendering %d images to judge and calibrate by", scoring.judged + scoring.calibrated)
            for _ in render_dataset(
                folder, scoring.judged + scoring.calibrated, RENDERED_SEED, options, self.plan.workers
            ):
                pass
        records = read_records("CocoDataset", folder / "images", folder / "labels.json", self.start.class_names)
        return records[: scoring.judged], records[scoring.judged :]

    def standings(self, name: str, model: Path) -> tuple[Standing, Standing]:
        """Of a model on own validation and on rendered images."""
        made = []
        for kind, records in (("own", self.split.validation), ("rendered", self.judged)):
            found = kept_predictions(self.work / "scores" / f"{name}_{kind}.json", model, records)
            source_of = self.split.source_of if kind == "own" else {record.name: kind for record in records}
            made.append(Standing(records, found, self.start.class_names, source_of, self.recipe.scoring.precision))
        return made[0], made[1]


def adapt(plan: Plan, recipe: Recipe | None = None) -> Outcome:
    """Make the start better on own images, or keep it. Files in plan.out: see docs/own_data.md.

    Raises DataError for labels that are wrong or too few, ModelError for a start that cannot be adapted, TrainingError
    where the folder holds another run.
    """
    run = Adaptation(plan, recipe or Recipe())
    before = run.standings("start", run.start.model)
    log.info("start on own validation: %s", before[0].line())
    log.info("start on rendered images: %s", before[1].line())
    candidates = second_stages(run)
    standings = {"start": before}
    for name, model in candidates.items():
        standings[name] = run.standings(name, model)
        log.info("%s on own validation: %s (start %.3f)", name, standings[name][0].line(), before[0].recall_fixed)
        log.info("%s on rendered images: %s (start %.3f)", name, standings[name][1].line(), before[1].recall_fixed)
    choice = _chosen(run, standings)
    return finish(run, choice, candidates, standings)


def second_stages(run: Adaptation) -> dict[str, Path]:
    """Candidates with the detector of the start, by name."""
    stage, names = run.recipe.second, [f"second stage {share:g}" for share in run.recipe.second.blends]
    models = {name: run.work / "candidates" / name.replace(" ", "_") / "model.onnx" for name in names}
    if "candidates" in run.journal.values:
        return models
    training = _trained(run)
    start_weights = load_crop_state(run.start.refiner_weights, training.kind)["average"]
    precision = run.journal.once("precision", lambda: _precision(run))
    for (name, model), share in zip(models.items(), stage.blends):
        weights = blended(start_weights, training.average.model.state_dict(), share)

        def make(model: Path = model, weights: dict = weights, share: float = share) -> float:
            run_id = f"{run.start.refiner_metadata.run_id}, {training.step} steps on own crops, {share:g} of the way"
            crops = training.images[:64].numpy()
            write_candidate(model.parent, run.start, run.start.model, weights, run_id, crops)
            return calibrate_second_stage(model, [*run.calibrated, *run.split.validation], precision)

        log.info("%s: scores shifted by %+.2f", name, run.journal.once(f"calibrated {name}", make))
    run.journal.once("candidates", lambda: names)
    return models


def _trained(run: Adaptation) -> SecondStageTraining:
    plan, stage, work = run.plan, run.recipe.second, run.work
    log.info("cutting crops out of %d own images, each %d times", len(run.split.train), stage.variants)
    own = own_crops(work / "crops_own", run.start, run.split.train, stage.variants, plan.seed, plan.workers)
    held = own_crops(work / "crops_validation", run.start, run.split.validation, 1, plan.seed, plan.workers)
    images = run.recipe.replay(plan.minutes)
    log.info("rendering %d images as replay", images)
    replay = replay_crops(work / "crops_replay", run.start, images, plan.seed, plan.workers)
    state = load_crop_state(run.start.refiner_weights, SecondStageTraining.kind)

    def make(steps: int) -> SecondStageTraining:
        sizes = run.start.colors, run.start.numbers
        return SecondStageTraining(replay, own, held, state, stage, steps, *sizes, COLORS.index(UNLIT))

    def affordable() -> int:
        seconds = 60 * plan.minutes * stage.time
        return max(10, min(stage.steps, int(seconds / seconds_a_step(make(stage.steps)))))

    steps = run.journal.once("steps", affordable)
    log.info("second stage: %d own and %d rendered crops, %d steps", len(own), len(replay), steps)
    training = make(steps)
    train_second_stage(training, work / "refiner.pt", stage.save_every)
    return training


def _precision(run: Adaptation) -> float:
    """That the start has at 0.5 on the images of the calibration: what a candidate's 0.5 is to mean too."""
    found = kept_predictions(run.work / "scores" / "start_calibrated.json", run.start.model, run.calibrated)
    own = kept_predictions(run.work / "scores" / "start_own.json", run.start.model, run.split.validation)
    records = [*run.calibrated, *run.split.validation]
    source_of = {record.name: "" for record in records}
    return Standing(records, {**found, **own}, run.start.class_names, source_of).score.precision


def _chosen(run: Adaptation, standings: dict[str, tuple[Standing, Standing]]) -> Choice:
    """The decision, kept: a later version of the rule does not change a finished run."""
    own, rendered = standings["start"]

    def make() -> dict[str, object]:
        judged = {
            name: judge(own, pair[0], rendered, pair[1], run.recipe.scoring)
            for name, pair in standings.items()
            if name != "start"
        }
        return asdict(choose(judged))

    kept = run.journal.once("choice", make)
    judged = {name: Judged(Gain(**value["gain"]), value["fault"]) for name, value in kept["judged"].items()}
    for name, result in judged.items():
        said = result.fault or f"it gains {result.gain.total:.1f} points on own validation"
        log.info("%s: %s", name, said)
    return Choice(kept["taken"], judged)


def finish(
    run: Adaptation, choice: Choice, candidates: dict[str, Path], standings: dict[str, tuple[Standing, Standing]]
) -> Outcome:
    """Deliver the model, write the page, say the end."""
    out, taken = run.plan.out, choice.taken
    before = standings["start"]
    # The page shows the best candidate even where the start is kept: one sees why.
    best = taken if taken != "start" else max(choice.judged, key=lambda name: choice.judged[name].gain.total)
    after = standings[best]

    def hand_over() -> str:
        source = copy_start(run.work / "candidates" / "start", run.start)
        return str(deliver(source if taken == "start" else candidates[taken], out))

    model = Path(run.journal.once("delivered", hand_over))
    sentence = story(choice, before[0], standings[taken][0], (before[1], standings[taken][1]), str(model))

    def write() -> str:
        found = kept_predictions(run.work / "scores" / "labels.json", model, run.everything)
        source_of = {record.name: "" for record in run.everything}
        labels = Standing(run.everything, found, run.start.class_names, source_of)
        lines = [f"{doubt.weight:.2f} {doubt.record.name}: {doubt.note}" for doubt in doubts(labels)]
        write_atomically(out / "labels_to_look_at.txt", ("\n".join(lines) + "\n").encode())
        pairs = {OWN: (before[0], after[0]), RENDERED: (before[1], after[1])}
        said = [sentence, f"Split: {run.split.how}.", warning(missing(run.split.train, run.start.class_names))]
        title = f"{run.start.model.name} on {run.plan.data.name}"
        write_comparison(out / "report.html", title, [s for s in said if s], pairs, ("start", best), labels)
        return str(out / "report.html")

    report = Path(run.journal.once("report", write))
    shutil.rmtree(run.work / "crops_replay", ignore_errors=True)  # the largest, and made again from its seeds
    return Outcome(taken, sentence, model, report)
