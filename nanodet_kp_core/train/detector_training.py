"""Training of the detector: what happens around its steps. They are made in `Run`; what the first process shows and
writes, in `RunLog`.
"""

from __future__ import annotations

import json
import logging
import math
import time
from collections.abc import Mapping
from dataclasses import asdict
from functools import partial
from pathlib import Path
from typing import Any

import torch
import yaml
from tqdm import tqdm

from nanodet_kp_core.checkpoint import load_checkpoint, save_checkpoint
from nanodet_kp_core.config import TrainConfig
from nanodet_kp_core.data.dataset import read_dataset, require_corners
from nanodet_kp_core.errors import ConfigError, ModelError, TrainingError
from nanodet_kp_core.evaluate.calibrate import calibrate
from nanodet_kp_core.evaluate.metrics import SCORE_NAMES
from nanodet_kp_core.export.onnx_file import export_onnx, load_model
from nanodet_kp_core.export.second_stage import second_stage
from nanodet_kp_core.files import write_atomically
from nanodet_kp_core.train.curves import plot_results
from nanodet_kp_core.train.distributed import Process, join
from nanodet_kp_core.train.loop import run_steps
from nanodet_kp_core.train.provenance import write_run
from nanodet_kp_core.train.results import Results
from nanodet_kp_core.train.run import Run
from nanodet_kp_core.train.tensorboard import SHOWN_SCORE, Board
from nanodet_kp_core.train.warnings import run_warnings

CHECKPOINT_SECONDS = 300.0
"""Between checkpoints inside an epoch; a killed run loses no more than that."""

COMPARED = 8
"""Validation images on which torch and onnxruntime are compared at the end."""

log = logging.getLogger(__name__)


def train(config: TrainConfig, resume: bool | Path | None = None) -> Run:
    """Train to the end of the schedule, in every process that torchrun started or in this one.

    `resume` (default: schedule.resume): True goes on from save_dir/last.pt, a path from that checkpoint. Files in
    save_dir: see docs/training.md. Raises TrainingError when the folder holds a run that is not resumed, or when the
    loss is not finite.
    """
    folder = Path(config.save_dir)
    wanted = config.schedule.resume if resume is None else resume
    source = folder / "last.pt" if wanted is True else Path(wanted) if wanted else None
    last = folder / "last.pt"
    if last.exists() and (source is None or source.parent.resolve() != folder.resolve()):
        raise TrainingError(f"{last}: expected an empty save_dir, got one with a run; pass --resume or change save_dir")
    with join(config.device) as process:
        run = Run(config, process)
        if source:
            run.restore(source)
            _tell_changes(config, source, process)
            if not last.exists():  # a run elsewhere: its best.pt is not here
                run.best, run.validations_since_best = -1.0, 0
        run_log = RunLog(run) if process.main else None
        if not run.out_of_patience:  # a run that has stopped early stays stopped
            run_steps(run, partial(_after_step, run, run_log))
        if run_log:
            run_log.finish()
    return run


def _after_step(run: Run, run_log: RunLog | None, values: Mapping[str, float]) -> bool:
    """Logs the step; at the end of an epoch validates, where it is time, and saves. True: stop early."""
    if run_log:
        run_log.stepped(values)
    if run.step % run.steps_per_epoch:
        return False
    run.precision.check_scale()
    stop, schedule = False, run.config.schedule
    if run.epoch % schedule.val_intervals == 0 or run.epoch == schedule.total_epochs:
        if run_log:
            run_log.validate()
        stop = run.process.agree(run.out_of_patience)
    if run_log:
        save_checkpoint(run.folder / "last.pt", run.state())
    return stop


class RunLog:
    """What the first process shows and writes: progress, results.csv, TensorBoard, checkpoints, run.json."""

    def __init__(self, run: Run) -> None:
        self.run = run
        folder, config = run.folder, run.config
        # Before the first step: after an epoch it would be late to learn that the labels cannot be scored.
        self.records = read_dataset(config.data.val, config.class_names)
        require_corners(self.records, config.layout, config.data.val.ann_path)
        try:
            run.detector()
        except ModelError as error:
            raise ConfigError(f"evaluator.refiner: {error}") from None
        folder.mkdir(parents=True, exist_ok=True)
        for unfinished in folder.glob(".*.partial"):  # of a write that was killed
            unfinished.unlink()
        resolved = yaml.safe_dump(json.loads(config.model_dump_json()), sort_keys=False)
        write_atomically(folder / "config.resolved.yaml", resolved.encode())
        values = {
            "step": run.step, "device": device_name(run.device), "processes": run.process.world, "batch": run.batch,
            "precision": config.device.precision,
        }  # fmt: skip
        write_run(folder / "run.json", run.run_id, run.revision, values)
        self.results = Results(folder / "results.csv", run.step, [f"val_{name}" for name in SCORE_NAMES])
        self.board = Board(folder / "tensorboard", run.step, config.log.tensorboard)
        self.bar = tqdm(total=run.total_steps, initial=run.step, unit="step", mininterval=5, smoothing=0.02)
        self.saved = time.monotonic()
        for text in run_warnings(run, self.records):
            log.warning("warning: %s", text)
        if config.schedule.load_model and run.step == 0:
            self._score_start()

    def _score_start(self) -> None:
        """The weights that the run starts from stand beside every later score, and may be the best."""
        run = self.run
        score = run.validate()
        run.start = {name: float(value) for name, value in asdict(score).items()}
        run.metrics = dict(run.start)
        run.best = score.key(run.config.evaluator.save_key)
        save_checkpoint(run.folder / "best.pt", run.state())
        self.bar.write(f"start: {score.line()}")
        self.board.add({"step": 0, **_columns(run.start)})
        self._show_images()

    def stepped(self, values: Mapping[str, float]) -> None:
        """After a step: progress, a row at the log interval, a checkpoint when it is time."""
        run, epoch = self.run, self._epoch
        self.bar.update()
        if run.step % run.config.log.interval == 0 or not self.results.columns:
            shown = {k.removeprefix("loss_"): v for k, v in values.items() if not k.startswith("aux_")}
            self.bar.set_description_str(f"epoch {epoch}", refresh=False)
            self.bar.set_postfix_str(" ".join(f"{k} {v:.3g}" for k, v in shown.items()), refresh=False)
            self._add({"step": run.step, "epoch": epoch, "time": round(time.time(), 1), **values})
        # The end of an epoch has its own checkpoint, after the validation that belongs to it.
        if run.step % run.steps_per_epoch and time.monotonic() - self.saved >= CHECKPOINT_SECONDS:
            save_checkpoint(run.folder / "last.pt", run.state())
            self.saved = time.monotonic()

    @property
    def _epoch(self) -> int:
        """That of the last step."""
        return (self.run.step - 1) // self.run.steps_per_epoch

    def validate(self) -> None:
        """Score the averaged weights; the best ones by evaluator.save_key become best.pt."""
        run, config, epoch = self.run, self.run.config, self._epoch
        score = run.validate()
        self.bar.write(f"epoch {epoch}: {score.line()}{_beside(run)}")
        run.metrics = {name: float(value) for name, value in asdict(score).items()}
        self._add({"step": run.step, "epoch": epoch, **_columns(run.metrics)})
        run.validations_since_best += 1
        if (value := score.key(config.evaluator.save_key)) > run.best:
            run.best, run.validations_since_best = value, 0
            save_checkpoint(run.folder / "best.pt", run.state())
        self._show_images()
        plot_results(self.results.path, run.folder / "results.png", _columns(run.start))

    def _show_images(self) -> None:
        run, count = self.run, self.run.config.log.images
        if self.board.writer is not None and count:
            self.board.show(run.step, run.detector(SHOWN_SCORE), self.records, count)

    def finish(self) -> None:
        """The best weights as an ONNX file that the node takes as it is."""
        run = self.run
        if run.out_of_patience:
            self.bar.clear()  # or the words would stand behind it
            log.info("stopped early: no better validation for %d", run.validations_since_best)
        self.bar.close()
        self.board.close()
        best = run.folder / "best.pt"
        if not best.exists():
            log.info("%s: no step was left to train", run.folder)
            return
        metrics = {f"val_{k}": v for k, v in load_checkpoint(best)["metrics"].items() if v == v}
        images = [record.load().image for record in self.records[:COMPARED]]
        offset, calibrated = _calibration(best, run.config)
        size, refiner = run.config.data.val.input_size, run.config.evaluator.refiner
        name, files = ("", {}) if refiner is None else (refiner.name, second_stage(refiner)[1])
        figures = {**metrics, **calibrated}
        export_onnx(
            best, run.folder / "model.onnx", size, images, figures, offset, bool(name), refiner=name, files=files
        )

    def _add(self, row: Mapping[str, Any]) -> None:
        self.results.add(row)
        self.board.add(row)


def _columns(scores: Mapping[str, float]) -> dict[str, float]:
    """Figures of a validation under the names that they have in results.csv."""
    return {f"val_{name}": value for name, value in scores.items()}


def _calibration(best: Path, config: TrainConfig) -> tuple[float, dict[str, float]]:
    """Offset of the scores and the figures there; none where it is not wanted, or nothing is found yet."""
    precision = config.evaluator.calibrate
    if precision is None:
        return 0.0, {}
    model, _, _ = load_model(best)
    try:
        return calibrate(model, config, precision)
    except TrainingError as error:
        log.warning("model.onnx: scores are left as they are: %s", error)
        return 0.0, {}


def _beside(run: Run) -> str:
    """What the start scored, for the end of a line; empty without one."""
    names = dict.fromkeys(("precision", "recall", "err", "number", run.config.evaluator.save_key))
    if not run.start:
        return ""
    # A start that an older version has scored lacks a figure.
    return " (start: " + " ".join(f"{name} {run.start.get(name, math.nan):.3f}" for name in names) + ")"


def device_name(device: torch.device) -> str:
    """The accelerator's name, or cpu."""
    return torch.cuda.get_device_name(device) if device.type == "cuda" else "cpu"


def _tell_changes(config: TrainConfig, source: Path, process: Process) -> None:
    """Name the keys that differ from the resumed run: the losses will then not be those of an uninterrupted one."""
    then, now = _flat(json.loads(load_checkpoint(source)["config"])), _flat(json.loads(config.model_dump_json()))
    told = ("save_dir", "schedule.resume", "log.", "device.")
    changed = [k for k in now if now[k] != then.get(k) and not k.startswith(told)]
    if changed and process.main:
        log.info("%s: the configuration has changed since: %s", source, ", ".join(changed))


def _flat(values: Any, prefix: str = "") -> dict[str, Any]:
    """Nested mappings as one with dotted keys."""
    if not isinstance(values, dict):
        return {prefix.removesuffix("."): values}
    return {key: value for name, part in values.items() for key, value in _flat(part, f"{prefix}{name}.").items()}
