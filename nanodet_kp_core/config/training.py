"""device, schedule, evaluator, log and the whole: TrainConfig."""

from __future__ import annotations

from typing import Literal, TypeAlias

from pydantic import Field, model_validator

from nanodet_kp_core.classes import ARMOR_CLASSES
from nanodet_kp_core.config.data import DataSets
from nanodet_kp_core.config.model import ModelConfig, Strict, UserPath, layout_of
from nanodet_kp_core.layout import HeadLayout


class DeviceConfig(Strict):
    accelerator: Literal["auto", "cpu", "cuda"] = "auto"  # ours: auto takes a GPU where there is one
    gpu_ids: list[int] | int | None = None  # numbers of the GPUs, more than one with torchrun; -1: the CPU
    workers_per_gpu: int = Field(1, ge=0)  # processes that prepare batches; 0: training prepares them itself
    batchsize_per_gpu: int = Field(32, ge=1)  # images of a batch, for each process
    threads: int = Field(0, ge=0)  # ours: threads of torch on the CPU; 0: as torch chooses
    precision: Literal[32, 16, "bf16"] = 32  # bits of a number: 16 and bf16 are mixed precision


class OptimizerConfig(Strict):
    name: Literal["AdamW"] = "AdamW"  # Adam with a weight decay of its own
    lr: float = Field(0.001, gt=0)  # learning rate for a batch of `reference_batch`
    weight_decay: float = Field(0.05, ge=0)  # strength of that decay
    reference_batch: int = Field(32, ge=1)  # ours: the learning rate scales with batch / reference_batch


class WarmupConfig(Strict):
    name: Literal["linear"] = "linear"  # the learning rate rises linearly
    steps: int = Field(500, ge=0)  # optimizer steps until the full learning rate
    ratio: float = Field(0.0001, gt=0, le=1)  # share of the learning rate to begin with


class LrScheduleConfig(Strict):
    name: Literal["CosineAnnealingLR"] = "CosineAnnealingLR"  # after the warm-up the learning rate falls as a cosine
    T_max: int | None = Field(None, ge=1)  # epochs to the minimum; null: the whole training
    eta_min: float = Field(0.00005, ge=0)  # lowest learning rate, for a batch of reference_batch


class ScheduleConfig(Strict):
    resume: bool | None = None  # true: go on from last.pt in save_dir, like --resume
    load_model: UserPath | None = None  # weights to start from: one of our checkpoints
    teacher: UserPath | None = None  # ours: a checkpoint whose outputs are learned beside the labels; null: none
    optimizer: OptimizerConfig = OptimizerConfig()  # the steps
    warmup: WarmupConfig = WarmupConfig()  # the first steps
    total_epochs: int = Field(300, ge=1)  # epochs of the training
    lr_schedule: LrScheduleConfig = LrScheduleConfig()  # the learning rate after the warm-up
    val_intervals: int = Field(10, ge=1)  # epochs from one validation to the next; the last epoch is always validated
    freeze_norm: bool = False  # ours: batch norm keeps the statistics of load_model
    accumulate: int = Field(1, ge=1)  # ours: batches to one optimizer step
    # ours: stop after this many validations without a better one; null: never
    early_stop: int | None = Field(None, ge=1)


SaveKey: TypeAlias = Literal["f1", "mAP", "AP_50", "oks_mAP", "recall_fixed", "points"]


class EvaluatorConfig(Strict):
    name: Literal["CornerEvaluator", "CocoDetectionEvaluator"] = "CornerEvaluator"  # both names report everything
    # ours: ONNX file of the second stage, which takes part in validations and goes into model.onnx; null: without one
    refiner: UserPath | None = None
    save_key: SaveKey = "f1"  # figure by which a checkpoint becomes best.pt
    # ours: model.onnx has its scores shifted so that 0.5 is the lowest threshold with this precision on data.val
    calibrate: float | None = Field(None, gt=0, le=1)

    @model_validator(mode="after")
    def _one_calibration(self) -> EvaluatorConfig:
        if self.refiner is not None and self.calibrate is not None:
            raise ValueError(
                f"calibrate: expected null beside a refiner, got {self.calibrate:g}; the scores are the refiner's: "
                "nanodet-kp calibrate-refiner calibrates them"
            )
        return self


class LogConfig(Strict):
    interval: int = Field(10, ge=1)  # steps from one log line to the next
    tensorboard: bool = True  # ours: write event files of TensorBoard
    images: int = Field(8, ge=0)  # ours: validation images shown in TensorBoard


class TrainConfig(Strict):
    save_dir: UserPath  # folder of checkpoints, logs and model.onnx; starts from the working directory
    seed: int = Field(0, ge=0)  # of all random numbers
    model: ModelConfig = ModelConfig()  # average and network
    class_names: tuple[str, ...] = ARMOR_CLASSES  # names of the classes, in the order of the output
    data: DataSets  # labeled and rendered images
    device: DeviceConfig = DeviceConfig()  # where it runs
    schedule: ScheduleConfig = ScheduleConfig()  # how long, and how fast it learns
    grad_clip: float = Field(35.0, gt=0)  # largest norm of the gradient
    evaluator: EvaluatorConfig = EvaluatorConfig()  # validation
    log: LogConfig = LogConfig()  # what is written meanwhile

    @property
    def layout(self) -> HeadLayout:
        """The head's channels; raises ConfigError when the class list does not fit the class layout."""
        return layout_of(self.model.arch.head, self.class_names)
