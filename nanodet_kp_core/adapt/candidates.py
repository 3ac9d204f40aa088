"""The candidates of an adaptation that keep the detector of the start and change its second stage."""

from __future__ import annotations

import logging
from dataclasses import asdict, replace
from pathlib import Path

import numpy as np

from nanodet_kp_core.adapt.calibrate import crop_gain, shifts
from nanodet_kp_core.adapt.crops import own_crops, part_of, replay_crops
from nanodet_kp_core.adapt.deliver import write_candidate
from nanodet_kp_core.adapt.second_stage import SecondStageTraining, blended
from nanodet_kp_core.adapt.shared import Adaptation
from nanodet_kp_core.classes import COLORS, UNLIT
from nanodet_kp_core.crops.proposal_crops import Crops
from nanodet_kp_core.train.crop_training import load_crop_state, train_crops
from nanodet_kp_core.train.loop import seconds_a_step

log = logging.getLogger(__name__)


def second_stages(run: Adaptation) -> dict[str, Path]:
    """Candidates with the detector of the start, by name."""
    stage, names = run.recipe.second, [f"second stage {share:g}" for share in run.recipe.second.blends]
    models = {name: run.work / "candidates" / name.replace(" ", "_") / "model.onnx" for name in names}
    if "candidates" in run.journal.values:
        return models
    training, calibration, held = _trained(run)
    start_weights = load_crop_state(run.start.refiner_weights, training.kind)["average"]
    for (name, model), share in zip(models.items(), stage.blends):
        weights = blended(start_weights, training.average.model.state_dict(), share)

        def make(model: Path = model, weights: dict = weights, share: float = share) -> dict[str, object]:
            known = run.start.refiner_metadata
            offset, factor = shifts(start_weights, weights, calibration)
            metadata = replace(
                known, offset=round(known.offset + offset, 4),
                number_temperature=round(float(np.clip(known.number_temperature * factor, 0.05, 20.0)), 4),
                run_id=f"{known.run_id}, {training.step} steps on own crops, {share:g} of the way",
            )  # fmt: skip
            write_candidate(model.parent, run.start, run.start.model, weights, metadata, calibration.images[:64])
            return {"offset": offset, "crops": asdict(crop_gain(start_weights, weights, offset, held))}

        log.info("%s: scores shifted by %+.2f", name, run.journal.once(f"written {name}", make)["offset"])
    run.journal.once("candidates", lambda: names)
    return models


def _trained(run: Adaptation) -> tuple[SecondStageTraining, Crops, Crops]:
    """The training at its end, and the crops that it has not learned from: rendered ones, and those of validation."""
    plan, stage, work = run.plan, run.recipe.second, run.work
    log.info("cutting crops out of %d own images, each %d times", len(run.split.train), stage.variants)
    own = own_crops(work / "crops_own", run.start, run.split.train, stage.variants, plan.seed, plan.workers)
    held = own_crops(work / "crops_validation", run.start, run.split.validation, 1, plan.seed, plan.workers)
    images = run.recipe.replay(plan.minutes)
    log.info("rendering %d images to train beside yours, so that nothing is forgotten; this may take minutes", images)
    rendered = replay_crops(work / "crops_replay", run.start, images, plan.seed, plan.workers)
    last = max(1, round(stage.calibrated * len(rendered)))
    replay, calibration = part_of(rendered, slice(None, -last)), part_of(rendered, slice(-last, None))
    state = load_crop_state(run.start.refiner_weights, SecondStageTraining.kind)

    def make(steps: int, replayed: Crops) -> SecondStageTraining:
        sizes = run.start.colors, run.start.numbers
        return SecondStageTraining(replayed, own, held, state, stage, steps, *sizes, COLORS.index(UNLIT))

    def affordable() -> int:
        # A training asks the start about all of its replay, which takes a while: a part is enough to time a step.
        trial = make(stage.steps, part_of(replay, slice(1000)))
        return min(stage.steps, max(10, int(60 * plan.minutes * stage.time / seconds_a_step(trial, 5))))

    steps = run.journal.once("steps", affordable)
    log.info("second stage: %d own and %d rendered crops, %d steps", len(own), len(replay), steps)
    training = make(steps, replay)
    train_crops(training, work / "refiner.pt", stage.save_every)
    return training, calibration, held
