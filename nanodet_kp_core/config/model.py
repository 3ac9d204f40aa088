"""model.*: average, architecture, heads, assigners and losses. Keys as in the published guide; ours have a comment."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Annotated, Literal, TypeAlias

from pydantic import AfterValidator, BaseModel, ConfigDict, Discriminator, Field, Tag

from nanodet_kp_core.errors import ConfigError
from nanodet_kp_core.layout import HeadLayout
from nanodet_kp_core.paths import resolved

Activation: TypeAlias = Literal["LeakyReLU", "ReLU", "ReLU6", "SiLU", "HardSwish"]


def _written_out(path: Path) -> Path:
    try:
        return resolved(path)
    except ConfigError as error:
        raise ValueError(str(error)) from None


UserPath: TypeAlias = Annotated[Path, AfterValidator(_written_out)]
"""A path as people write it: `~`, `file://` and `package://` are written out."""


class Strict(BaseModel):
    """A section: unknown keys are errors."""

    model_config = ConfigDict(extra="forbid", protected_namespaces=())


class ShuffleNetConfig(Strict):
    name: Literal["ShuffleNetV2"] = "ShuffleNetV2"
    model_size: Literal["0.5x", "1.0x", "1.5x"] = "1.0x"
    # Ours. Width of the first convolution, whose map is the largest; 24 as published. A CPU computes blocks of 16.
    stem_channels: int = Field(24, ge=8, le=64)
    out_stages: tuple[int, ...] = (2, 3, 4)
    activation: Activation = "LeakyReLU"
    pretrained: UserPath | None = None  # ours: ImageNet weights in a local file


class GhostNetConfig(Strict):
    name: Literal["GhostNet"] = "GhostNet"
    width_mult: float = Field(1.0, gt=0, le=2)
    out_stages: tuple[int, ...] = (4, 6, 9)
    activation: Activation = "ReLU"
    pretrained: UserPath | None = None  # ours, as above


class GhostPanConfig(Strict):
    name: Literal["GhostPAN"] = "GhostPAN"
    in_channels: tuple[int, ...] | None = None  # derived from the backbone; accepted because the guide lists it
    out_channels: int = Field(96, ge=8)
    kernel_size: int = 5
    num_extra_level: int = Field(1, ge=0, le=2)
    use_depthwise: bool = True
    activation: Activation = "LeakyReLU"


class PanConfig(Strict):
    """Neck of the first NanoDet."""

    name: Literal["PAN"] = "PAN"
    in_channels: tuple[int, ...] | None = None
    out_channels: int = Field(96, ge=8)
    start_level: Literal[0] = 0
    num_outs: int | None = None  # one level a backbone stage; checked when given


class NormConfig(Strict):
    type: Literal["BN"] = "BN"


class QflConfig(Strict):
    name: Literal["QualityFocalLoss"] = "QualityFocalLoss"
    use_sigmoid: Literal[True] = True
    beta: float = 2.0
    loss_weight: float = 1.0


class DflConfig(Strict):
    name: Literal["DistributionFocalLoss"] = "DistributionFocalLoss"
    loss_weight: float = 0.25


class GiouConfig(Strict):
    name: Literal["GIoULoss"] = "GIoULoss"
    loss_weight: float = 2.0


class LossConfig(Strict):
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


class DslaConfig(Strict):
    """Dynamic soft label assigner (NanoDet-Plus, RTMDet). Ours as a section; published: constants in the code."""

    name: Literal["DynamicSoftLabelAssigner"] = "DynamicSoftLabelAssigner"
    topk: int = Field(13, ge=1)
    iou_factor: float = 3.0
    corner_cost: Literal["none", "published", "normalised"] = "normalised"
    corner_factor: float = 1.0
    inside_own_gt: bool = True
    soft_center_radius: float | None = Field(None, gt=0)  # strides; RTMDet's soft center prior when given


class AtssConfig(Strict):
    """Adaptive training sample selection (the first NanoDet)."""

    name: Literal["ATSSAssigner"] = "ATSSAssigner"
    topk: int = Field(9, ge=1)


def by_name(default: str) -> Discriminator:
    """A union of sections is decided by their key `name`, and where it is missing by `default`."""

    def name_of(section: object) -> object:
        return section.get("name", default) if isinstance(section, dict) else getattr(section, "name", default)

    return Discriminator(name_of)


_Assigners: TypeAlias = (
    Annotated[DslaConfig, Tag("DynamicSoftLabelAssigner")] | Annotated[AtssConfig, Tag("ATSSAssigner")]
)
DslaByDefault: TypeAlias = Annotated[_Assigners, by_name("DynamicSoftLabelAssigner")]
AtssByDefault: TypeAlias = Annotated[_Assigners, by_name("ATSSAssigner")]
AssignerConfig: TypeAlias = DslaConfig | AtssConfig


class HeadBase(Strict):
    """What every head has."""

    num_classes: int | None = None  # must equal the number of class names when given
    input_channel: int = 96
    feat_channels: int = 96
    stacked_convs: int = Field(2, ge=0)
    activation: Activation = "LeakyReLU"
    norm_cfg: NormConfig = NormConfig()
    class_layout: Literal["joint", "factored"] = "joint"  # ours, see layout.py
    loss: LossConfig = LossConfig()


class NanoDetPlusHeadConfig(HeadBase):
    name: Literal["NanoDetPlusHead"] = "NanoDetPlusHead"
    kernel_size: int = 5
    strides: tuple[int, ...] = (8, 16, 32, 64)
    reg_max: int = Field(7, ge=2, le=31)
    corner_codec: Literal["signed", "unsigned", "none"] = "signed"  # ours, see layout.py
    assigner: DslaByDefault = DslaConfig()  # ours


class NanoDetHeadConfig(HeadBase):
    """The head of the first NanoDet (generalized focal loss)."""

    name: Literal["NanoDetHead"] = "NanoDetHead"
    kernel_size: Literal[3] = 3
    share_cls_reg: bool = True
    octave_base_scale: float = Field(5, gt=0)
    scales_per_octave: Literal[1] = 1
    strides: tuple[int, ...] = (8, 16, 32)
    reg_max: int = Field(7, ge=2, le=31)
    corner_codec: Literal["signed", "unsigned", "none"] = "signed"  # ours
    assigner: AtssByDefault = AtssConfig()  # ours


class RtmDetHeadConfig(HeadBase):
    """RTMDet's head: shared convolutions, separate batch norms, distances through exp instead of distributions."""

    name: Literal["RTMDetSepBNHead"] = "RTMDetSepBNHead"
    activation: Activation = "SiLU"
    share_conv: bool = True
    strides: tuple[int, ...] = (8, 16, 32)
    corner_codec: Literal["signed", "none"] = "signed"  # ours
    assigner: DslaByDefault = DslaConfig(soft_center_radius=3.0)  # ours


class AuxHeadConfig(Strict):
    name: Literal["SimpleConvHead"] = "SimpleConvHead"
    num_classes: int | None = None
    input_channel: int = 192
    feat_channels: int = 192
    stacked_convs: int = Field(4, ge=0)
    strides: tuple[int, ...] = (8, 16, 32, 64)
    activation: Activation = "LeakyReLU"
    reg_max: int = 7
    use_depthwise: bool = False  # ours: depthwise-separable towers
    own_fpn: bool = True  # ours: False reads the main pyramid only


BackboneConfig: TypeAlias = ShuffleNetConfig | GhostNetConfig
FpnConfig: TypeAlias = GhostPanConfig | PanConfig
HeadConfig: TypeAlias = NanoDetPlusHeadConfig | NanoDetHeadConfig | RtmDetHeadConfig


class ArchConfig(Strict):
    # The first NanoDet is called OneStageDetector by its authors; the parts below decide what is built.
    name: Literal["NanoDetPlus", "OneStageDetector"] = "NanoDetPlus"
    detach_epoch: int = Field(0, ge=0)
    backbone: Annotated[
        Annotated[ShuffleNetConfig, Tag("ShuffleNetV2")] | Annotated[GhostNetConfig, Tag("GhostNet")],
        by_name("ShuffleNetV2"),
    ] = ShuffleNetConfig()
    fpn: Annotated[
        Annotated[GhostPanConfig, Tag("GhostPAN")] | Annotated[PanConfig, Tag("PAN")], by_name("GhostPAN")
    ] = GhostPanConfig()
    head: Annotated[
        Annotated[NanoDetPlusHeadConfig, Tag("NanoDetPlusHead")]
        | Annotated[NanoDetHeadConfig, Tag("NanoDetHead")]
        | Annotated[RtmDetHeadConfig, Tag("RTMDetSepBNHead")],
        by_name("NanoDetPlusHead"),
    ] = NanoDetPlusHeadConfig()
    aux_head: AuxHeadConfig | None = None


class AveragerConfig(Strict):
    name: Literal["ExpMovingAverager"] = "ExpMovingAverager"
    decay: float = Field(0.9998, ge=0, lt=1)


class ModelConfig(Strict):
    weight_averager: AveragerConfig = AveragerConfig()
    arch: ArchConfig = ArchConfig()


def layout_of(head: HeadConfig, class_names: Sequence[str]) -> HeadLayout:
    """The channels that a head of this configuration has; raises ConfigError when the class names do not fit it."""
    if isinstance(head, RtmDetHeadConfig):
        return HeadLayout(tuple(class_names), head.class_layout, corner_codec=head.corner_codec, regression="direct")
    return HeadLayout(
        tuple(class_names),
        head.class_layout,
        head.reg_max,
        head.corner_codec,
        prior_offset=0.5 if isinstance(head, NanoDetHeadConfig) else 0.0,
    )
