"""Model, data and state of one training, and its step."""

from __future__ import annotations

import logging
import signal
import uuid
from collections.abc import Iterator, Sequence
from contextlib import AbstractContextManager, nullcontext
from pathlib import Path
from typing import Any

import torch
from torch import Tensor, nn
from torch.nn.parallel import DistributedDataParallel
from torch.utils.data import DataLoader

from nanodet_kp_core.checkpoint import load_checkpoint, load_weights
from nanodet_kp_core.config import TrainConfig
from nanodet_kp_core.data.dataset import Batch, EpochBatches, collate, init_worker
from nanodet_kp_core.data.mixture import training_set
from nanodet_kp_core.errors import DataError, TrainingError
from nanodet_kp_core.evaluate.metrics import Score
from nanodet_kp_core.evaluate.torch_detector import evaluate, torch_detector
from nanodet_kp_core.loss.build import build_criterion
from nanodet_kp_core.loss.criterion import Targets
from nanodet_kp_core.loss.reduction import mean_over_ranks
from nanodet_kp_core.model.build import build_detector
from nanodet_kp_core.runtime.detection.detector import Detector
from nanodet_kp_core.train.distributed import Process, choose_device
from nanodet_kp_core.train.ema import WeightAverage
from nanodet_kp_core.train.frozen_norm import freeze_norm, untracked_norm
from nanodet_kp_core.train.precision import Precision
from nanodet_kp_core.train.provenance import git_revision
from nanodet_kp_core.train.schedule import build_optimizer, learning_rate, set_rate
from nanodet_kp_core.train.teacher import Teacher

log = logging.getLogger(__name__)


class Run:
    """One process's part of a training; `process` says whose (default: the only one)."""

    def __init__(self, config: TrainConfig, process: Process | None = None) -> None:
        self.config = config
        self.process = process or Process(choose_device(config.device))
        self.device = self.process.device
        self.precision = Precision(config.device.precision, self.device)
        if config.device.threads:
            torch.set_num_threads(config.device.threads)
        torch.manual_seed(config.seed)
        arch = config.model.arch
        self.data = training_set(config)
        batch = max(1, min(config.device.batchsize_per_gpu, len(self.data) // self.process.world))
        self.sampler = EpochBatches(len(self.data), batch, config.seed, self.process.rank, self.process.world)
        self.accumulate = min(config.schedule.accumulate, self.sampler.steps)
        self.batch = batch * self.process.world * self.accumulate
        """Images of an optimizer step, over all processes."""
        self.steps_per_epoch = self.sampler.steps // self.accumulate
        self.loader = self._make_loader()
        self._coming: Iterator[Batch] | None = None
        """What is left of the epoch; None: that of `step` has not begun here."""
        model = build_detector(arch, config.class_names).to(self.device)
        self.model = model.to(memory_format=torch.channels_last)  # type: ignore[call-overload]
        if config.schedule.load_model:
            sentence = load_weights(self.model, Path(config.schedule.load_model))
            if sentence and self.process.rank == 0:
                log.info(sentence)
        self.criterion = build_criterion(arch, config.class_names).to(self.device)
        teacher = config.schedule.teacher
        self.teacher = None if teacher is None else Teacher(Path(teacher), config, self.device)
        self.average = WeightAverage(self.model, config.model.weight_averager.decay)
        self.optimizer = build_optimizer(self.model, config.schedule)
        if config.schedule.freeze_norm:
            freeze_norm(self.model)
        self.network = self.process.wrap(self.model)
        mean, std = config.data.train.pipeline.normalize
        self.mean = torch.tensor(mean, device=self.device).reshape(1, 3, 1, 1)
        self.std = torch.tensor(std, device=self.device).reshape(1, 3, 1, 1)
        self.step = 0
        self.best = -1.0
        self.validations_since_best = 0
        self.metrics: dict[str, float] = {}
        """Figures of the last validation."""
        self.start: dict[str, float] = {}
        """Figures of the weights that the run started from; empty where it started from none."""
        self.run_id = uuid.uuid4().hex[:12]
        self.revision = git_revision()
        self.folder = Path(config.save_dir)

    @property
    def epoch(self) -> int:
        """The epoch that the next step belongs to."""
        return self.step // self.steps_per_epoch

    @property
    def total_steps(self) -> int:
        """Steps of all epochs."""
        return self.config.schedule.total_epochs * self.steps_per_epoch

    @property
    def out_of_patience(self) -> bool:
        """Whether schedule.early_stop ends the training here. Only the first process validates, and knows."""
        patience = self.config.schedule.early_stop
        return bool(patience and self.validations_since_best >= patience)

    def state(self) -> dict[str, Any]:
        """Everything a resumed run needs, as tensors and plain values (checkpoint.KEYS and RESUME_KEYS)."""
        return {
            "model": self.model.state_dict(),
            "average": self.average.model.state_dict(),
            "average_updates": self.average.updates,
            "optimizer": self.optimizer.state_dict(),
            "scaler": self.precision.scaler.state_dict(),
            "step": self.step,
            "steps_per_epoch": self.steps_per_epoch,
            "config": self.config.model_dump_json(),
            "torch_rng": torch.get_rng_state(),
            "best": self.best,
            "stale": self.validations_since_best,  # the key in files of today
            "metrics": self.metrics,
            "start": self.start,
            "run_id": self.run_id,
            "revision": str(self.revision),
        }

    def restore(self, path: Path) -> None:
        """Go on from a checkpoint. Raises TrainingError when it is of another architecture or another step size."""
        state = load_checkpoint(path, resume=True)
        if state["steps_per_epoch"] != self.steps_per_epoch:
            raise TrainingError(
                f"{path}: expected a run with {self.steps_per_epoch} steps an epoch, as configured now, got one with "
                f"{state['steps_per_epoch']}; resume with the same images and the same product of batchsize_per_gpu, "
                "accumulate and processes, or start anew with schedule.load_model"
            )
        try:
            self.model.load_state_dict(state["model"])
            self.average.model.load_state_dict(state["average"])
            self.optimizer.load_state_dict(state["optimizer"])
        except (RuntimeError, ValueError) as error:
            raise TrainingError(
                f"{path}: expected a checkpoint of the configured model, got one of another: "
                f"{' '.join(str(error).split())[:300]}; start without --resume or use its own configuration"
            ) from None
        if self.precision.skips and state["scaler"]:
            self.precision.scaler.load_state_dict(state["scaler"])
        self.average.updates = state["average_updates"]
        self.step, self.metrics, self.run_id = state["step"], state["metrics"], state["run_id"]
        self.best, self.validations_since_best = state["best"], state["stale"]
        self.start = state.get("start", {})  # a checkpoint from before it was kept has none
        torch.set_rng_state(state["torch_rng"])
        self._coming = None

    def _make_loader(self) -> DataLoader[Any]:
        workers = self.config.device.workers_per_gpu
        return DataLoader(
            self.data,
            batch_sampler=self.sampler,
            num_workers=workers,
            collate_fn=collate,
            pin_memory=self.device.type == "cuda",
            persistent_workers=workers > 0,
            prefetch_factor=4 if workers else None,
            worker_init_fn=_start_worker,
            generator=torch.Generator(),  # its own: the loader must not draw from the generator that is saved
        )

    def next_batches(self) -> list[Batch]:
        """The `accumulate` batches of the next step; they begin an epoch where the step does."""
        epoch, done = divmod(self.step, self.steps_per_epoch)
        if self._coming is None or done == 0:
            self.sampler.set_epoch(epoch, done * self.accumulate)
            self.model.set_epoch(epoch)
            self._coming = _plain_errors(iter(self.loader))
        return [next(self._coming) for _ in range(self.accumulate)]

    def train_step(self) -> dict[str, float]:
        """One step, on the next batches; see `update`."""
        return self.update(self.next_batches())

    def update(self, batches: Sequence[Batch]) -> dict[str, float]:
        """One update from `accumulate` batches: the loss is that of all their images together.

        Returns the parts of the loss (means over the processes), the gradient's norm and the rate. Raises TrainingError
        with the parts and the files when the loss or, without a scaler, the gradient is not finite.
        """
        rate = learning_rate(self.config.schedule, self.step, self.steps_per_epoch, self.batch)
        set_rate(self.optimizer, rate)
        self.optimizer.zero_grad(set_to_none=True)
        images = [self._network_input(batch) for batch in batches]
        targets = [target for batch in batches for target in batch.targets]  # the criterion joins and moves them
        total, parts = self._backward(images, targets)
        scaler = self.precision.scaler
        scaler.unscale_(self.optimizer)
        norm = nn.utils.clip_grad_norm_(self.model.parameters(), self.config.grad_clip)
        values = mean_over_ranks(torch.stack((total.detach(), norm, *parts.values()))).tolist()
        named = {"loss": values[0], **dict(zip(parts, values[2:])), "grad_norm": values[1], "lr": rate}
        named["num_pos"] *= self.process.world  # a count, not a mean
        self._check_finite(named, total, batches)
        scaler.step(self.optimizer)
        scaler.update()
        self.average.update(self.model)
        self.step += 1
        return named

    def _network_input(self, batch: Batch) -> Tensor:
        """Normalised images [N, 3, H, W] on the device."""
        images = batch.images.to(self.device, non_blocking=True).float().sub_(self.mean).div_(self.std)
        return images.contiguous(memory_format=torch.channels_last)

    def _backward(self, images: list[Tensor], targets: list[Targets]) -> tuple[Tensor, dict[str, Tensor]]:
        """Gradients of the loss over all `images`; (total, parts)."""
        scale = self.precision.scaler.scale
        if len(images) == 1:
            total, parts = self._loss(images, targets, *self._forward(self.network, images[0]))
            scale(total).backward()
            return total, parts
        # The loss divides by sums over all images, so that parts of them cannot be added up one after the other. So
        # the network runs twice: without gradients for all raw outputs, whose loss and gradient are those of the whole,
        # then batch by batch to carry that gradient on.
        outputs = self._preview(images)
        total, parts = self._loss(images, targets, *outputs)
        scale(total).backward()
        pieces = [output.grad.split([len(x) for x in images]) for output in outputs if output.grad is not None]
        for k, x in enumerate(images):
            with nullcontext() if k == len(images) - 1 else self._no_sync():
                found = [output for output in self._forward(self.network, x) if output is not None]
                torch.autograd.backward(found, [piece[k].to(o.dtype) for piece, o in zip(pieces, found)])
        return total, parts

    def _loss(
        self, images: list[Tensor], targets: list[Targets], raw: Tensor, aux: Tensor | None = None
    ) -> tuple[Tensor, dict[str, Tensor]]:
        """(total, parts) for the raw outputs of head and auxiliary head for all `images`."""
        total, parts = self.criterion(raw, self.model.priors(*images[0].shape[-2:]), targets, aux)
        if self.teacher is None:
            return total, parts
        more, taught = self.teacher.loss(raw, images)
        return total + more, parts | taught

    def _preview(self, images: list[Tensor]) -> list[Tensor]:
        """Raw outputs of all images as leaves in float32: the head's and, where there is one, the auxiliary head's."""
        with torch.no_grad(), untracked_norm(self.model):  # the images come again
            pairs = [self._forward(self.model, x) for x in images]
        both = [[output.float() for output in outputs if output is not None] for outputs in zip(*pairs)]
        return [torch.cat(outputs).requires_grad_() for outputs in both if outputs]

    def _no_sync(self) -> AbstractContextManager[Any]:
        """Around a backward pass whose gradients wait for the next one before they go over the processes."""
        return self.network.no_sync() if isinstance(self.network, DistributedDataParallel) else nullcontext()

    def _forward(self, network: nn.Module, images: Tensor) -> tuple[Tensor, Tensor | None]:
        with self.precision.autocast():
            return network(images, return_aux=True)

    def _check_finite(self, values: dict[str, float], total: Tensor, batches: Sequence[Batch]) -> None:
        finite = [torch.isfinite(torch.tensor(values[name])).item() for name in ("loss", "grad_norm")]
        if all(finite) or (finite[0] and self.precision.skips):
            return
        what = "gradient" if finite[0] else "loss"
        if what == "loss" and torch.isfinite(total):
            raise TrainingError(f"step {self.step}: the loss of another process is not finite; it names the files")
        names = ", ".join(name for batch in batches for name in batch.names)
        raise TrainingError(f"step {self.step}: the {what} is not finite: {values}; files: {names}")

    def detector(self, score_threshold: float = 0.05) -> Detector:
        """The averaged weights behind the runtime's preprocessing, decode, NMS and second stage, if there is one."""
        size = self.config.data.val.input_size
        refiner = self.config.evaluator.refiner
        return torch_detector(self.average.model, self.config, size, self.device, score_threshold, refiner)

    def validate(self) -> Score:
        """Score of the averaged weights on data.val."""
        return evaluate(self.detector(), self.config.data.val, self.config.class_names)


def _start_worker(index: int) -> None:
    """A loader process leaves Ctrl-C to the training, which ends it."""
    init_worker(index)
    signal.signal(signal.SIGINT, signal.SIG_IGN)


def _plain_errors(batches: Iterator[Batch]) -> Iterator[Batch]:
    """The batches; a DataError of a loader process comes as its one sentence, without the traceback of that process."""
    try:
        yield from batches
    except DataError as error:
        raise DataError(str(error).strip().rpartition("DataError: ")[2]) from None
