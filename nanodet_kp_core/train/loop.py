"""The training loop: one flat pass over epochs and steps; everything it needs is made in `Run`."""

from __future__ import annotations

import csv
import json
import time
import uuid
from collections.abc import Iterable, Iterator
from dataclasses import asdict
from pathlib import Path
from typing import Any

import torch
import yaml
from torch.utils.data import DataLoader
from tqdm import tqdm

from nanodet_kp_core.config import TrainConfig
from nanodet_kp_core.data.dataset import Batch, PlateDataset, collate
from nanodet_kp_core.errors import DataError, TrainingError
from nanodet_kp_core.evaluate.metrics import Score
from nanodet_kp_core.evaluate.torch_detector import evaluate, torch_detector
from nanodet_kp_core.files import write_atomically
from nanodet_kp_core.model.build import build_criterion, build_detector
from nanodet_kp_core.train.checkpoint import load_checkpoint, save_checkpoint
from nanodet_kp_core.train.ema import WeightAverage
from nanodet_kp_core.train.schedule import build_optimizer, learning_rate

CHECKPOINT_STEPS = 500
"""Steps between checkpoints inside an epoch; a stopped run loses no more than that."""


class Run:
    """Model, data and state of one training; files go to config.save_dir."""

    def __init__(self, config: TrainConfig) -> None:
        self.config = config
        self.device = pick_device(config.device.accelerator)
        if config.device.threads:
            torch.set_num_threads(config.device.threads)
        torch.manual_seed(config.seed)
        self.data = PlateDataset(config.data.train, config.layout, config.seed)
        self.batch = min(config.device.batchsize_per_gpu, len(self.data))
        self.steps_per_epoch = len(self.data) // self.batch  # an incomplete last batch is left out
        arch = config.model.arch
        model = build_detector(arch, config.class_names).to(self.device)
        self.model = model.to(memory_format=torch.channels_last)  # type: ignore[call-overload]
        self.criterion = build_criterion(arch, config.class_names).to(self.device)
        self.average = WeightAverage(self.model, config.model.weight_averager.decay)
        self.optimizer = build_optimizer(self.model, config.schedule)
        mean, std = config.data.train.pipeline.normalize
        self.mean = torch.tensor(mean, device=self.device).reshape(1, 3, 1, 1)
        self.std = torch.tensor(std, device=self.device).reshape(1, 3, 1, 1)
        self.step = 0
        self.best = -1.0
        self.run_id = uuid.uuid4().hex[:12]
        self.folder = Path(config.save_dir)

    def state(self) -> dict[str, Any]:
        """Everything a resumed run needs, as tensors and plain values."""
        return {
            "model": self.model.state_dict(),
            "average": self.average.model.state_dict(),
            "average_updates": self.average.updates,
            "optimizer": self.optimizer.state_dict(),
            "step": self.step,
            "config": self.config.model_dump_json(),
            "torch_rng": torch.get_rng_state(),
            "best": self.best,
            "run_id": self.run_id,
        }

    def restore(self, path: Path) -> None:
        """Go on from a checkpoint. Raises TrainingError when it is of another architecture."""
        state = load_checkpoint(path)
        try:
            self.model.load_state_dict(state["model"])
            self.average.model.load_state_dict(state["average"])
            self.optimizer.load_state_dict(state["optimizer"])
        except (RuntimeError, ValueError) as error:
            raise TrainingError(
                f"{path}: expected a checkpoint of the configured model, got one of another: "
                f"{str(error).splitlines()[0]}; start without --resume or use its own configuration"
            ) from None
        self.average.updates = state["average_updates"]
        self.step, self.best, self.run_id = state["step"], state["best"], state["run_id"]
        torch.set_rng_state(state["torch_rng"])

    def loader(self, epoch: int, skip: int) -> DataLoader[Any]:
        """Batches of an epoch without its first `skip`; the order depends on seed and epoch only."""
        generator = torch.Generator().manual_seed(self.config.seed * 1_000_003 + epoch)
        order = torch.randperm(len(self.data), generator=generator).tolist()
        batches = [order[k * self.batch : (k + 1) * self.batch] for k in range(skip, self.steps_per_epoch)]
        self.data.epoch = epoch
        return DataLoader(
            self.data,
            batch_sampler=batches,
            num_workers=self.config.device.workers_per_gpu,
            collate_fn=collate,
            pin_memory=self.device.type == "cuda",
        )

    def train_step(self, batch: Batch) -> dict[str, float]:
        """One update. Raises TrainingError with the parts and the files when the loss is not finite."""
        rate = learning_rate(self.config.schedule, self.step, self.steps_per_epoch, self.batch)
        for group in self.optimizer.param_groups:
            group["lr"] = rate
        images = batch.images.to(self.device, non_blocking=True).float().sub_(self.mean).div_(self.std)
        images = images.contiguous(memory_format=torch.channels_last)
        raw, aux = self.model(images, return_aux=True)
        targets = [target.to(self.device) for target in batch.targets]
        total, parts = self.criterion(raw, self.model.priors(*images.shape[-2:]), targets, aux)
        values = {name: float(value) for name, value in parts.items()} | {"loss": float(total), "lr": rate}
        if not torch.isfinite(total):
            raise TrainingError(f"step {self.step}: the loss is not finite: {values}; files: {', '.join(batch.names)}")
        self.optimizer.zero_grad(set_to_none=True)
        total.backward()
        torch.nn.utils.clip_grad_norm_(self.model.parameters(), self.config.grad_clip)
        self.optimizer.step()
        self.average.update(self.model)
        self.step += 1
        return values

    def validate(self) -> Score:
        """Score of the averaged weights on data.val."""
        detector = torch_detector(self.average.model, self.config, self.config.data.val.input_size, self.device)
        return evaluate(detector, self.config.data.val, self.config.class_names)


def train(config: TrainConfig, resume: bool) -> Run:
    """Train to the end of the schedule; `last.pt` is written on the way, `best.pt` at the best validation.

    Raises TrainingError when the folder holds a run and `resume` is False, or when the loss is not finite.
    """
    run = Run(config)
    last = run.folder / "last.pt"
    if resume:
        run.restore(last)
    elif last.exists():
        raise TrainingError(f"{last}: expected an empty save_dir, got one with a run; pass --resume or change save_dir")
    resolved = yaml.safe_dump(json.loads(config.model_dump_json()), sort_keys=False)
    write_atomically(run.folder / "config.resolved.yaml", resolved.encode())
    results = _Results(run.folder / "results.csv")
    start_epoch = run.step // run.steps_per_epoch
    for epoch in range(start_epoch, config.schedule.total_epochs):
        run.model.train()
        run.model.set_epoch(epoch)
        skip = run.step - epoch * run.steps_per_epoch
        loader = run.loader(epoch, skip)
        bar = tqdm(loader, initial=skip, total=run.steps_per_epoch, desc=f"epoch {epoch}", mininterval=5)
        for batch in _plain_errors(bar):
            values = run.train_step(batch)
            if run.step % config.log.interval == 0:
                bar.set_postfix_str(" ".join(f"{k.removeprefix('loss_')} {v:.3g}" for k, v in values.items()))
                results.add({"step": run.step, "epoch": epoch, "time": round(time.time(), 1), **values})
            if run.step % CHECKPOINT_STEPS == 0:
                save_checkpoint(last, run.state())
        if (epoch + 1) % config.schedule.val_intervals == 0 or epoch + 1 == config.schedule.total_epochs:
            score = run.validate()
            tqdm.write(f"epoch {epoch}: {score.line()}")
            validation = {"step": run.step, "epoch": epoch, **{f"val_{k}": v for k, v in asdict(score).items()}}
            results.add(validation)
            if (f1 := _f1(score)) > run.best:
                run.best = f1
                save_checkpoint(run.folder / "best.pt", run.state())
        save_checkpoint(last, run.state())
    return run


def _plain_errors(batches: Iterable[Batch]) -> Iterator[Batch]:
    """The batches; a DataError of a loader process comes as its one sentence, without the traceback of that process."""
    try:
        yield from batches
    except DataError as error:
        raise DataError(str(error).strip().rpartition("DataError: ")[2]) from None


def _f1(score: Score) -> float:
    return 2 * score.precision * score.recall / max(score.precision + score.recall, 1e-9)


class _Results:
    """results.csv: one row for a logged step or a validation; a row leaves the columns of the other kind empty."""

    columns = (
        "step", "epoch", "time", "lr", "loss",
        "loss_qfl", "loss_bbox", "loss_dfl", "loss_number", "loss_corner", "num_pos",
        "aux_loss_qfl", "aux_loss_bbox", "aux_loss_dfl", "aux_loss_number", "aux_loss_corner",
        *(f"val_{name}" for name in Score.__dataclass_fields__),
    )  # fmt: skip

    def __init__(self, path: Path) -> None:
        self.path = path
        if not path.exists():
            self.add(dict(zip(self.columns, self.columns)))

    def add(self, row: dict[str, Any]) -> None:
        with self.path.open("a", newline="") as file:
            csv.DictWriter(file, self.columns).writerow(row)


def pick_device(accelerator: str) -> torch.device:
    """The device of device.accelerator. Raises TrainingError when CUDA is asked for and not there."""
    if accelerator == "cuda" and not torch.cuda.is_available():
        raise TrainingError("device.accelerator: expected a CUDA accelerator, got none that torch can use; use auto")
    use_cuda = accelerator == "cuda" or (accelerator == "auto" and torch.cuda.is_available())
    return torch.device("cuda" if use_cuda else "cpu")
