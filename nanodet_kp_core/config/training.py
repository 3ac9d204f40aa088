"""device, schedule, evaluator, log and the whole: TrainConfig."""

from __future__ import annotations

from typing import Literal, TypeAlias

from pydantic import Field

from nanodet_kp_core.classes import ARMOR_CLASSES
from nanodet_kp_core.config.data import DataSets
from nanodet_kp_core.config.model import ModelConfig, Strict, UserPath, layout_of
from nanodet_kp_core.layout import HeadLayout


class DeviceConfig(Strict):
    accelerator: Literal["auto", "cpu", "cuda"] = "auto"  # ours
    gpu_ids: list[int] | int | None = None  # the guide's; more than one is started with torchrun
    workers_per_gpu: int = Field(1, ge=0)
    batchsize_per_gpu: int = Field(32, ge=1)
    threads: int = Field(0, ge=0)  # ours: torch threads on the CPU; 0 leaves torch's choice
    precision: Literal[32, 16, "bf16"] = 32


class OptimizerConfig(Strict):
    name: Literal["AdamW"] = "AdamW"
    lr: float = Field(0.001, gt=0)  # for a batch of `reference_batch`
    weight_decay: float = Field(0.05, ge=0)
    reference_batch: int = Field(32, ge=1)  # ours: the learning rate scales with batch / reference_batch


class WarmupConfig(Strict):
    name: Literal["linear"] = "linear"
    steps: int = Field(500, ge=0)
    ratio: float = Field(0.0001, gt=0, le=1)


class LrScheduleConfig(Strict):
    name: Literal["CosineAnnealingLR"] = "CosineAnnealingLR"
    T_max: int | None = Field(None, ge=1)  # epochs to the minimum; the whole training when not given
    eta_min: float = Field(0.00005, ge=0)


class ScheduleConfig(Strict):
    resume: bool | None = None  # True goes on from last.pt in save_dir, like --resume
    load_model: UserPath | None = None  # weights to start from: one of our checkpoints
    optimizer: OptimizerConfig = OptimizerConfig()
    warmup: WarmupConfig = WarmupConfig()
    total_epochs: int = Field(300, ge=1)
    lr_schedule: LrScheduleConfig = LrScheduleConfig()
    val_intervals: int = Field(10, ge=1)
    freeze_norm: bool = False  # ours: batch norm keeps the statistics of load_model
    accumulate: int = Field(1, ge=1)  # ours: batches to one optimizer step
    early_stop: int | None = Field(None, ge=1)  # ours: validations without a better one


SaveKey: TypeAlias = Literal["f1", "mAP", "AP_50", "oks_mAP"]


class EvaluatorConfig(Strict):
    name: Literal["CornerEvaluator", "CocoDetectionEvaluator"] = "CornerEvaluator"  # both report everything
    save_key: SaveKey = "f1"  # what the best checkpoint is best at
    # Ours: model.onnx has its scores shifted so that 0.5 is the lowest threshold with this precision on data.val.
    calibrate: float | None = Field(None, gt=0, le=1)


class LogConfig(Strict):
    interval: int = Field(10, ge=1)
    tensorboard: bool = True  # ours
    images: int = Field(8, ge=0)  # ours: validation images shown in TensorBoard


class TrainConfig(Strict):
    save_dir: UserPath
    seed: int = Field(0, ge=0)
    model: ModelConfig = ModelConfig()
    class_names: tuple[str, ...] = ARMOR_CLASSES
    data: DataSets
    device: DeviceConfig = DeviceConfig()
    schedule: ScheduleConfig = ScheduleConfig()
    grad_clip: float = Field(35.0, gt=0)
    evaluator: EvaluatorConfig = EvaluatorConfig()
    log: LogConfig = LogConfig()

    @property
    def layout(self) -> HeadLayout:
        """The head's channels; raises ConfigError when the class list does not fit the class layout."""
        return layout_of(self.model.arch.head, self.class_names)
