"""Candidates with another detector: that of the start trained on own images beside rendered ones, at a low rate."""

from __future__ import annotations

import json
import logging
import shutil
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np

from nanodet_kp_core.adapt.deliver import MODEL, SECOND
from nanodet_kp_core.adapt.second_stage import blended
from nanodet_kp_core.adapt.shared import Adaptation
from nanodet_kp_core.adapt.start import rendered_size
from nanodet_kp_core.checkpoint import load_checkpoint, save_checkpoint
from nanodet_kp_core.config import TrainConfig
from nanodet_kp_core.evaluate.metrics import match
from nanodet_kp_core.evaluate.standing import LOWEST
from nanodet_kp_core.evaluate.torch_detector import predict
from nanodet_kp_core.export.onnx_file import export_onnx
from nanodet_kp_core.files import write_atomically
from nanodet_kp_core.labels import write_dataset, written_paths
from nanodet_kp_core.labels.sample import Record
from nanodet_kp_core.runtime.detection.detector import Detector
from nanodet_kp_core.runtime.models.session import load_session
from nanodet_kp_core.train.detector_training import train
from nanodet_kp_core.train.loop import seconds_a_step
from nanodet_kp_core.train.run import Run

log = logging.getLogger(__name__)

FRESH_SEED = 960_000_000
"""Of the first rendered image of this training."""

OWN_PIPELINE = {
    "perspective": 0.0002, "scale": (0.6, 1.4), "rotation": 8.0, "translate": 0.15, "brightness": 0.08,
    "contrast": (0.75, 1.25), "saturation": (0.8, 1.2), "hue": 3.0, "gamma": (0.7, 1.5), "motion_blur": 0.1,
    "noise": 8.0, "jpeg": 0.2,
}  # fmt: skip
"""What happens to own images; the keys of data.train.pipeline."""

COMPARED = 8
"""Images on which torch and onnxruntime are compared, and ..."""

SHIFTED = 60
"""... rendered ones that the scores are fitted on."""


def detectors(run: Adaptation, second: Path) -> dict[str, Path]:
    """Candidates by name, each with the second stage of the model `second`; none where there is no time for it."""
    stage = run.recipe.detector
    names = {f"detector {share:g}": share for share in stage.blends}
    if run.start.detector_weights is None:
        log.info("detector: left as it is, for its weights do not lie beside %s", run.start.model)
        return {}
    epochs = run.journal.once("detector epochs", lambda: _affordable(run))
    if not epochs:
        log.info("detector: left as it is, for there is no time for it; --minutes gives more")
        return {}
    models = {name: run.work / "candidates" / name.replace(" ", "_") / MODEL for name in names}
    if "detectors" in run.journal.values:
        return models
    config = configuration(run, epochs)
    log.info("detector: %d epochs on %d own images and as many rendered ones as %g for each", epochs,
             len(run.split.train), stage.rendered)  # fmt: skip
    folder = Path(config.save_dir)
    if not (folder / "model.onnx").exists():
        train(config, resume=True if (folder / "last.pt").exists() else None)
    for name, share in names.items():
        shift = run.journal.once(f"written {name}", partial(_write, run, models[name], second, share))
        log.info("%s: scores of the first stage shifted by %+.2f", name, shift)
    run.journal.once("detectors", lambda: list(names))
    return models


def configuration(run: Adaptation, epochs: int) -> TrainConfig:
    """Of the training: the model as the start's checkpoint says, everything else as the recipe does."""
    assert run.start.detector_weights is not None
    stage, size = run.recipe.detector, run.start.input_size
    known = json.loads(load_checkpoint(run.start.detector_weights)["config"])
    normalize = known["data"]["train"]["pipeline"]["normalize"]
    images, labels = _own(run, "train", run.split.train)
    own = {
        "img_path": images, "ann_path": labels, "input_size": size,
        "pipeline": {**OWN_PIPELINE, "normalize": normalize},
    }  # fmt: skip
    rendered_images = rendered_size(size)
    rendered: dict[str, Any] = {
        "name": "SyntheticDataset", "pictures": 1, "first_seed": FRESH_SEED, "size": rendered_images,
        "plate_px": (10.0, 0.86 * rendered_images[0]), "input_size": size, "weight": stage.rendered,
        "pipeline": {"normalize": normalize},
    }  # fmt: skip
    images, labels = _own(run, "validation", run.split.validation)
    values = {
        "save_dir": run.work / "detector" / "run",
        "seed": run.plan.seed,
        "model": {**known["model"], "weight_averager": {"decay": stage.decay}},
        "class_names": known["class_names"],
        "data": {"train": [own, rendered], "val": {"img_path": images, "ann_path": labels, "input_size": size}},
        "device": {"accelerator": "auto", "workers_per_gpu": 1, "batchsize_per_gpu": stage.batch, "threads": 1},
        "schedule": {
            "load_model": run.start.detector_weights, "freeze_norm": True,
            "optimizer": {"lr": stage.rate, "reference_batch": stage.batch}, "warmup": {"steps": 10, "ratio": 0.1},
            "total_epochs": epochs, "lr_schedule": {"eta_min": stage.rate / 50}, "val_intervals": epochs,
        },
        "log": {"interval": 10, "tensorboard": False},
    }  # fmt: skip
    return TrainConfig.model_validate(values)


def _own(run: Adaptation, part: str, records: list[Record]) -> tuple[Path, Path]:
    """Image folder and labels of a part of the own images, as links."""
    folder = run.work / "detector" / part
    images, labels = written_paths("CocoDataset", folder)
    if not labels.exists():
        shutil.rmtree(folder, ignore_errors=True)  # of a write that was killed
        write_dataset("CocoDataset", folder, records, run.start.class_names, "link")
    return images, labels


def _affordable(run: Adaptation) -> int:
    """Epochs for the minutes that are left; 0 where they are too few."""
    stage = run.recipe.detector
    left = 60 * (run.plan.minutes - stage.reserve) - run.journal.seconds
    if left < 60 * stage.least:
        return 0
    trial = Run(configuration(run, 1))
    return max(1, min(stage.epochs, int(left / (seconds_a_step(trial, 3) * trial.steps_per_epoch))))


def _write(run: Adaptation, model: Path, second: Path, share: float) -> float:
    """A candidate: detector weights `share` of the way, the second stage of `second`. Returns its shift."""
    start = run.start
    assert start.detector_weights is not None
    state = load_checkpoint(run.work / "detector" / "run" / "last.pt")
    weights = blended(load_checkpoint(start.detector_weights)["average"], state["average"], share)
    known = load_session(start.model, 1).metadata
    run_id = f"{known.run_id}, {state['step']} steps on own images, {share:g} of the way"
    checkpoint = model.with_suffix(".pt")
    save_checkpoint(checkpoint, {"average": weights, "config": state["config"], "run_id": run_id[:200]})
    for path in second.parent.iterdir():
        if path.stem != model.stem and not path.name.startswith("."):
            write_atomically(model.parent / path.name, path.read_bytes())
    images = [record.load().image for record in run.split.validation[:COMPARED]]
    decoded = known.output.is_decoded

    def export(offset: float) -> None:
        export_onnx(checkpoint, model, start.input_size, images, {}, offset, decoded, refiner=SECOND)

    export(0.0)
    shift = score_shift(start.model, model, run.judged[:SHIFTED])
    export(shift)
    return shift


def score_shift(before: Path, after: Path, records: list[Record]) -> float:
    """What to add to the score logits of one detector so that plates which both find have the scores of the other one:
    the median. 0 where they find none in common."""
    logits = []
    for model in (before, after):
        found = predict(Detector(model, score_threshold=LOWEST, second_stage=False), records)
        hits = match(records, found).hits
        logits.append({(hit.record.name, hit.plate): _logit(hit.prediction.score) for hit in hits})
    both = [logits[0][plate] - logits[1][plate] for plate in logits[0].keys() & logits[1].keys()]
    return float(np.median(both)) if both else 0.0


def _logit(score: float) -> float:
    inside = min(max(score, 1e-6), 1 - 1e-6)
    return float(np.log(inside / (1 - inside)))
