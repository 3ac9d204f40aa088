"""The training configuration: one YAML file, one schema, unknown keys refused with the nearest valid one.

The keys follow the published four-point guide (save_dir, model.arch.{backbone, fpn, head, aux_head}, class_names,
data.{train, val}, device, schedule, grad_clip, log); what is ours has a comment. Torch-free; needs pydantic
(`pip install .[train]`).
"""

from __future__ import annotations

import difflib
from pathlib import Path
from typing import Any, Literal

import yaml
from pydantic import BaseModel, ConfigDict, Field, ValidationError, field_validator

from nanodet_kp_core.classes import ARMOR_CLASSES
from nanodet_kp_core.errors import ConfigError
from nanodet_kp_core.layout import HeadLayout

Activation = Literal["LeakyReLU", "ReLU", "ReLU6", "SiLU", "HardSwish"]


class _Strict(BaseModel):
    model_config = ConfigDict(extra="forbid", protected_namespaces=())


class BackboneConfig(_Strict):
    name: Literal["ShuffleNetV2"] = "ShuffleNetV2"
    model_size: Literal["0.5x", "1.0x", "1.5x"] = "1.0x"
    out_stages: tuple[int, ...] = (2, 3, 4)
    activation: Activation = "LeakyReLU"


class FpnConfig(_Strict):
    name: Literal["GhostPAN"] = "GhostPAN"
    in_channels: tuple[int, ...] | None = None  # derived from the backbone; accepted because the guide lists it
    out_channels: int = Field(96, ge=8)
    kernel_size: int = 5
    num_extra_level: int = Field(1, ge=0, le=2)
    use_depthwise: bool = True
    activation: Activation = "LeakyReLU"


class NormConfig(_Strict):
    type: Literal["BN"] = "BN"


class QflConfig(_Strict):
    name: Literal["QualityFocalLoss"] = "QualityFocalLoss"
    use_sigmoid: Literal[True] = True
    beta: float = 2.0
    loss_weight: float = 1.0


class DflConfig(_Strict):
    name: Literal["DistributionFocalLoss"] = "DistributionFocalLoss"
    loss_weight: float = 0.25


class GiouConfig(_Strict):
    name: Literal["GIoULoss"] = "GIoULoss"
    loss_weight: float = 2.0


class LossConfig(_Strict):
    loss_qfl: QflConfig = QflConfig()
    loss_dfl: DflConfig = DflConfig()
    loss_bbox: GiouConfig = GiouConfig()
    # Ours. Smooth-L1 on the decoded corners, in diagonals of the plate's box; 0 is the published loss.
    corner_weight: float = Field(0.0, ge=0)
    # Ours. Cross-entropy on the sticker, factored class layout only.
    number_weight: float = Field(1.0, ge=0)
    # Ours. Number of coordinates that the distribution loss is averaged over: 4 as published (each of the 12
    # coordinates then weighs three times what it does without corners) or 12, a true mean.
    dfl_coordinates: Literal[4, 12] = 12


class AssignerConfig(_Strict):
    """Dynamic soft label assigner (NanoDet-Plus). Ours as a section; the published values are the code's constants."""

    topk: int = Field(13, ge=1)
    iou_factor: float = 3.0
    corner_cost: Literal["none", "published", "normalised"] = "normalised"
    corner_factor: float = 1.0
    inside_own_gt: bool = True


class HeadConfig(_Strict):
    name: Literal["NanoDetPlusHead"] = "NanoDetPlusHead"
    num_classes: int | None = None  # must equal the number of class names when given
    input_channel: int = 96
    feat_channels: int = 96
    stacked_convs: int = 2
    kernel_size: int = 5
    strides: tuple[int, ...] = (8, 16, 32, 64)
    activation: Activation = "LeakyReLU"
    reg_max: int = Field(7, ge=2, le=31)
    norm_cfg: NormConfig = NormConfig()
    class_layout: Literal["joint", "factored"] = "joint"  # ours, see layout.py
    corner_codec: Literal["signed", "unsigned"] = "signed"  # ours, see layout.py
    assigner: AssignerConfig = AssignerConfig()  # ours
    loss: LossConfig = LossConfig()


class AuxHeadConfig(_Strict):
    name: Literal["SimpleConvHead"] = "SimpleConvHead"
    num_classes: int | None = None
    input_channel: int = 192
    feat_channels: int = 192
    stacked_convs: int = 4
    strides: tuple[int, ...] = (8, 16, 32, 64)
    activation: Activation = "LeakyReLU"
    reg_max: int = 7


class ArchConfig(_Strict):
    name: Literal["NanoDetPlus"] = "NanoDetPlus"
    detach_epoch: int = Field(0, ge=0)
    backbone: BackboneConfig = BackboneConfig()
    fpn: FpnConfig = FpnConfig()
    head: HeadConfig = HeadConfig()
    aux_head: AuxHeadConfig | None = None


class AveragerConfig(_Strict):
    name: Literal["ExpMovingAverager"] = "ExpMovingAverager"
    decay: float = Field(0.9998, ge=0, lt=1)


class ModelConfig(_Strict):
    weight_averager: AveragerConfig = AveragerConfig()
    arch: ArchConfig = ArchConfig()


class PipelineConfig(_Strict):
    """What happens to a training sample: one random warp, then photometric changes."""

    scale: tuple[float, float] = (1.0, 1.0)
    rotation: float = Field(0.0, ge=0, le=180)  # degrees, either way
    translate: float = Field(0.0, ge=0, le=1)  # share of the input size, either way
    brightness: float = Field(0.0, ge=0, le=1)
    contrast: tuple[float, float] = (1.0, 1.0)
    saturation: tuple[float, float] = (1.0, 1.0)
    # mean and standard deviation per channel (BGR, grey levels); goes into the exported graph
    normalize: tuple[tuple[float, float, float], tuple[float, float, float]] = (
        (103.53, 116.28, 123.675),
        (57.375, 57.12, 58.395),
    )


class DataConfig(_Strict):
    name: Literal["CocoDataset"] = "CocoDataset"
    img_path: Path
    ann_path: Path
    input_size: tuple[int, int] = (416, 416)  # width, height
    keep_ratio: bool = True
    pipeline: PipelineConfig = PipelineConfig()

    @field_validator("input_size")
    @classmethod
    def _divisible(cls, value: tuple[int, int]) -> tuple[int, int]:
        if min(value) < 32 or any(side % 32 for side in value):
            raise ValueError("width and height must be multiples of 32")
        return value


class DataSets(_Strict):
    train: DataConfig
    val: DataConfig


class DeviceConfig(_Strict):
    accelerator: Literal["auto", "cpu", "cuda"] = "auto"
    workers_per_gpu: int = Field(1, ge=0)
    batchsize_per_gpu: int = Field(32, ge=1)
    threads: int = Field(0, ge=0)  # torch threads on the CPU; 0 leaves torch's choice


class OptimizerConfig(_Strict):
    name: Literal["AdamW"] = "AdamW"
    lr: float = Field(0.001, gt=0)  # for a batch of `reference_batch`
    weight_decay: float = Field(0.05, ge=0)
    reference_batch: int = Field(32, ge=1)  # the learning rate scales with batch / reference_batch


class WarmupConfig(_Strict):
    name: Literal["linear"] = "linear"
    steps: int = Field(500, ge=0)
    ratio: float = Field(0.0001, gt=0, le=1)


class LrScheduleConfig(_Strict):
    name: Literal["CosineAnnealingLR"] = "CosineAnnealingLR"
    T_max: int | None = None  # epochs to the minimum; the whole training when not given
    eta_min: float = Field(0.00005, ge=0)


class ScheduleConfig(_Strict):
    optimizer: OptimizerConfig = OptimizerConfig()
    warmup: WarmupConfig = WarmupConfig()
    total_epochs: int = Field(300, ge=1)
    lr_schedule: LrScheduleConfig = LrScheduleConfig()
    val_intervals: int = Field(10, ge=1)


class LogConfig(_Strict):
    interval: int = Field(10, ge=1)


class TrainConfig(_Strict):
    save_dir: Path
    seed: int = 0
    model: ModelConfig = ModelConfig()
    class_names: tuple[str, ...] = ARMOR_CLASSES
    data: DataSets
    device: DeviceConfig = DeviceConfig()
    schedule: ScheduleConfig = ScheduleConfig()
    grad_clip: float = Field(35.0, gt=0)
    log: LogConfig = LogConfig()

    @property
    def layout(self) -> HeadLayout:
        """The head's channels; raises ConfigError when the class list does not fit the class layout."""
        head = self.model.arch.head
        return HeadLayout(self.class_names, head.class_layout, head.reg_max, head.corner_codec)


def load_config(path: str | Path) -> TrainConfig:
    """Read and check a training configuration; relative paths in it are relative to the working directory.

    Raises ConfigError, one line per fault, when the file is missing, no YAML, or does not fit the schema.
    """
    path = Path(path)
    try:
        text = path.read_text(encoding="utf-8")
    except OSError as error:
        raise ConfigError(f"{path}: expected a readable YAML file, got: {error.strerror}") from None
    try:
        raw = yaml.safe_load(text)
    except yaml.YAMLError as error:
        raise ConfigError(f"{path}: expected YAML, got: {' '.join(str(error).split())}") from None
    if not isinstance(raw, dict):
        raise ConfigError(f"{path}: expected a mapping with keys like save_dir and model, got {type(raw).__name__}")
    try:
        config = TrainConfig.model_validate(raw)
    except ValidationError as error:
        raise ConfigError("\n".join(_explain(path, fault) for fault in error.errors())) from None
    _check_agreement(path, config)
    return config


def _explain(path: Path, fault: Any) -> str:
    where = ".".join(str(part) for part in fault["loc"])
    if fault["type"] == "missing":
        return f"{path}: {where}: expected this key, got none"
    if fault["type"] != "extra_forbidden":
        return f"{path}: {where}: {fault['msg']}, got {fault['input']!r}"
    model: Any = TrainConfig
    for part in fault["loc"][:-1]:
        model = _section(model, str(part))
    near = difflib.get_close_matches(str(fault["loc"][-1]), list(model.model_fields), n=1, cutoff=0.5)
    hint = f"did you mean {near[0]!r}?" if near else f"valid keys here: {', '.join(model.model_fields)}"
    return f"{path}: {where}: unknown key; {hint}"


def _section(model: Any, name: str) -> Any:
    """The schema behind a key (the optional auxiliary head is the only union)."""
    annotation = model.model_fields[name].annotation
    options = [annotation, *getattr(annotation, "__args__", ())]
    return next(option for option in options if isinstance(option, type) and issubclass(option, BaseModel))


def _check_agreement(path: Path, config: TrainConfig) -> None:
    arch, classes = config.model.arch, len(config.class_names)
    if len(set(config.class_names)) != classes or not classes:
        raise ConfigError(f"{path}: class_names: expected a list of different names, got {list(config.class_names)}")
    for where, head in (("head", arch.head), ("aux_head", arch.aux_head)):
        if head is not None and head.num_classes not in (None, classes):
            raise ConfigError(
                f"{path}: model.arch.{where}.num_classes: expected {classes}, the number of class_names, "
                f"got {head.num_classes}"
            )
    levels = len(arch.backbone.out_stages) + arch.fpn.num_extra_level
    if len(arch.head.strides) != levels:
        raise ConfigError(
            f"{path}: model.arch.head.strides: expected {levels} strides (backbone.out_stages plus "
            f"fpn.num_extra_level), got {list(arch.head.strides)}"
        )
    if arch.head.input_channel != arch.fpn.out_channels:
        raise ConfigError(
            f"{path}: model.arch.head.input_channel: expected {arch.fpn.out_channels}, as fpn.out_channels, "
            f"got {arch.head.input_channel}"
        )
    try:
        _ = config.layout
    except ConfigError as error:
        raise ConfigError(f"{path}: model.arch.head: {error}") from None
