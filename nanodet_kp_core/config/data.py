"""data.*: where labels and images are, and what happens to a training sample."""

from __future__ import annotations

from typing import Annotated, Any, Literal, TypeAlias

from pydantic import AfterValidator, Discriminator, Field, Tag, field_validator, model_validator

from nanodet_kp_core.config.model import Strict, UserPath


def _ordered(value: tuple[float, float]) -> tuple[float, float]:
    """the first not above the second"""
    if value[0] > value[1]:
        raise ValueError("the first number must not be above the second")
    return value


def _positive(value: tuple[float, float]) -> tuple[float, float]:
    """both above 0"""
    if value[0] <= 0:
        raise ValueError("both numbers must be above 0")
    return value


Range: TypeAlias = Annotated[tuple[float, float], AfterValidator(_ordered)]
Factors: TypeAlias = Annotated[tuple[float, float], AfterValidator(_ordered), AfterValidator(_positive)]
Probability: TypeAlias = Annotated[float, Field(ge=0, le=1)]


class PipelineConfig(Strict):
    """What happens to a training sample: one random warp, then photometric changes. The guide's keys, then ours."""

    perspective: float = Field(0.0, ge=0, le=1)  # 1 / pixel, either way; 0.0003 is much already
    scale: Factors = (1.0, 1.0)  # factors of the size
    stretch: tuple[Factors, Factors] = ((1.0, 1.0), (1.0, 1.0))  # factors of the width, then of the height
    rotation: float = Field(0.0, ge=0, le=180)  # degrees, either way
    shear: float = Field(0.0, ge=0, lt=90)  # degrees, either way
    translate: float = Field(0.0, ge=0, le=1)  # share of the image, either way
    flip: Probability = 0.0  # mirrored left-right, corners in their new order; a mirrored sticker is another symbol
    brightness: float = Field(0.0, ge=0, le=1)  # offset of the gray levels, as a share of white, either way
    contrast: Factors = (1.0, 1.0)  # factors of the gray levels
    saturation: Range = (1.0, 1.0)  # factors of the saturation
    # mean and standard deviation of each channel (BGR, gray levels); go into the exported graph
    normalize: tuple[tuple[float, float, float], tuple[float, float, float]] = (
        (103.53, 116.28, 123.675),
        (57.375, 57.12, 58.395),
    )
    hue: float = Field(0.0, ge=0, le=10)  # ours: degrees, either way; more than 10 would turn red plates into others
    white_balance: Factors = (1.0, 1.0)  # ours: factors of the blue and of the red channel, each by itself
    gamma: Factors = (1.0, 1.0)  # ours: exponents of the gray levels; above 1 is darker
    motion_blur: Probability = 0.0  # ours: share of the images that are blurred along a line
    noise: float = Field(0.0, ge=0, le=64)  # ours: largest standard deviation of added noise, gray levels
    jpeg: Probability = 0.0  # ours: share of the images that are compressed as JPEG
    mosaic: Probability = 0.0  # ours: share of the samples that are put together from four images
    copy_paste: Probability = 0.0  # ours: share of the samples that get plates of other images
    mosaic_off_epochs: int = Field(0, ge=0)  # ours: last epochs, which have neither mosaic nor copy_paste

    @field_validator("normalize")
    @classmethod
    def _divisors(cls, value: tuple[tuple[float, ...], tuple[float, ...]]) -> tuple[tuple[float, ...], ...]:
        """the deviations above 0"""
        if min(value[1]) <= 0:
            raise ValueError("the standard deviations must be above 0")
        return value


DatasetName: TypeAlias = Literal[
    "CocoDataset", "XMLDataset", "YoloPoseDataset", "LabelRoboMasterDataset", "PyLabelRoboMasterDataset"
]


class PicturesConfig(Strict):
    """What all kinds of images share."""

    class_names: tuple[str, ...] | None = None  # must equal the class_names of the file; the guide repeats them here
    input_size: tuple[int, int] = (416, 416)  # width and height of the network's input, pixels
    keep_ratio: bool = True  # true: letterbox; false: stretched
    pipeline: PipelineConfig = PipelineConfig()  # augmentation
    weight: float = Field(1.0, gt=0)  # ours: images of this source for one of another, in a list of sources

    @field_validator("input_size")
    @classmethod
    def _divisible(cls, value: tuple[int, int]) -> tuple[int, int]:
        """multiples of 32 up to 8192"""
        if min(value) < 32 or max(value) > 8192 or any(side % 32 for side in value):
            raise ValueError("width and height must be multiples of 32 up to 8192")
        return value


class DataConfig(PicturesConfig):
    """A labeled data set on disk."""

    name: DatasetName = "CocoDataset"  # format of the labels, see [data.md](../data.md)
    img_path: UserPath  # folder of the images
    ann_path: UserPath  # file or folder of the labels


class SyntheticConfig(PicturesConfig):
    """Images rendered while training runs: fresh ones in every epoch, nothing on disk. Training only."""

    name: Literal["SyntheticDataset"] = "SyntheticDataset"  # rendered images
    pictures: int = Field(ge=1)  # images of an epoch
    first_seed: int = Field(0, ge=0)  # epoch e shows the seeds from first_seed + e * pictures on
    size: tuple[int, int] = (256, 256)  # width and height as rendered, pixels
    plate_px: Factors = (8.0, 200.0)  # width of a small plate seen from the front, in pixels at that size


def _kind(section: Any) -> str:
    """Tag of data.train: one for all formats on disk (that of the format by default), one for rendered images."""
    name = section.get("name") if isinstance(section, dict) else getattr(section, "name", None)
    return "SyntheticDataset" if name == "SyntheticDataset" else "CocoDataset"


TrainDataConfig: TypeAlias = Annotated[
    Annotated[DataConfig, Tag("CocoDataset")] | Annotated[SyntheticConfig, Tag("SyntheticDataset")],
    Discriminator(_kind),
]


class DataSets(Strict):
    """`train` may be a list of sources: the first one, and `others` beside it, each with its weight."""

    train: TrainDataConfig  # images to learn from: one source, or a list of them
    others: tuple[TrainDataConfig, ...] = ()  # the sources after the first; a list in train is put here
    val: DataConfig  # images to validate on

    @model_validator(mode="before")
    @classmethod
    def _sources(cls, values: Any) -> Any:
        if isinstance(values, dict) and isinstance(values.get("train"), list):
            if not values["train"] or "others" in values:
                raise ValueError("train must name at least one source, and others none beside a list")
            return {**values, "train": values["train"][0], "others": values["train"][1:]}
        return values

    @model_validator(mode="after")
    def _alike(self) -> DataSets:
        for other in self.others:
            if (other.input_size, other.pipeline.normalize) != (self.train.input_size, self.train.pipeline.normalize):
                raise ValueError("all sources of train must have the same input_size and pipeline.normalize")
        return self
