"""model.*: average, architecture, heads, assigners and losses. Keys as in the published guide; ours have a comment."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Annotated, ClassVar, Literal, TypeAlias

from pydantic import AfterValidator, BaseModel, ConfigDict, Discriminator, Field, Tag

from nanodet_kp_core.errors import ConfigError
from nanodet_kp_core.layout import HeadLayout
from nanodet_kp_core.paths import resolved

Activation: TypeAlias = Literal["LeakyReLU", "ReLU", "ReLU6", "SiLU", "HardSwish"]


def _written_out(path: Path) -> Path:
    """also with `~`, `file://` or `package://`"""
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
    name: Literal["ShuffleNetV2"] = "ShuffleNetV2"  # the backbone of NanoDet-Plus
    model_size: Literal["0.5x", "1.0x", "1.5x"] = "1.0x"  # width of the layers, as published
    # ours: width of the first convolution, whose map is the largest; 24 as published. A CPU computes blocks of 16.
    stem_channels: int = Field(24, ge=8, le=64)
    out_stages: tuple[int, ...] = (2, 3, 4)  # stages whose feature maps go to the neck
    activation: Activation = "LeakyReLU"  # activation of its layers
    pretrained: UserPath | None = None  # ours: ImageNet weights in a local file


class GhostNetConfig(Strict):
    name: Literal["GhostNet"] = "GhostNet"  # as published
    width_mult: float = Field(1.0, gt=0, le=2)  # factor of the width of the layers
    out_stages: tuple[int, ...] = (4, 6, 9)  # stages whose feature maps go to the neck
    activation: Activation = "ReLU"  # activation of its layers
    pretrained: UserPath | None = None  # ours: ImageNet weights in a local file


BlockWidth: TypeAlias = Annotated[int, Field(ge=16, le=512, multiple_of=16)]
Repeats: TypeAlias = Annotated[int, Field(ge=0, le=32)]


class PlainNetConfig(Strict):
    """Ours: a backbone of depthwise blocks with sums. A CPU computes blocks of 16 channels, hence the widths."""

    name: Literal["PlainNet"] = "PlainNet"  # depthwise blocks; nothing is split, shuffled or concatenated
    stem_channels: BlockWidth = 16  # width of the first convolution, whose map is the largest
    # widths at the strides 4, 8, 16 and 32; the last three go to the neck
    channels: tuple[BlockWidth, BlockWidth, BlockWidth, BlockWidth] = (32, 64, 96, 128)
    # residual blocks at these strides, each behind the block that halves the resolution
    blocks: tuple[Repeats, Repeats, Repeats, Repeats] = (1, 3, 4, 2)
    kernel_size: Literal[3, 5, 7] = 5  # side of the depthwise convolutions from stride 8 on; 3 at stride 4
    # activation of its layers; on a CPU ReLU is part of the convolution, others are an operation of their own
    activation: Activation = "ReLU"
    pretrained: UserPath | None = None  # weights of this backbone in a local file
    out_stages: ClassVar[tuple[int, ...]] = (2, 3, 4)


class GhostPanConfig(Strict):
    name: Literal["GhostPAN"] = "GhostPAN"  # the neck of NanoDet-Plus
    # not used, because the backbone says it; accepted because the guide lists it
    in_channels: tuple[int, ...] | None = None
    out_channels: int = Field(96, ge=8)  # channels of each level
    kernel_size: int = 5  # side of its depthwise convolutions
    # levels beside those of the backbone, each with half the resolution of the one before
    num_extra_level: int = Field(1, ge=0, le=2)
    use_depthwise: bool = True  # depthwise-separable convolutions instead of full ones
    activation: Activation = "LeakyReLU"  # activation of its layers


class PanConfig(Strict):
    """Neck of the first NanoDet."""

    name: Literal["PAN"] = "PAN"  # the neck of the first NanoDet
    # not used, because the backbone says it; accepted because the guide lists it
    in_channels: tuple[int, ...] | None = None
    out_channels: int = Field(96, ge=8)  # channels of each level
    start_level: Literal[0] = 0  # first feature map of the backbone that it takes
    num_outs: int | None = None  # number of levels: one for each stage of the backbone; checked when given


class SumPanConfig(Strict):
    """Ours: the neck made for `PlainNet`."""

    name: Literal["SumPAN"] = "SumPAN"  # coarse to fine and back as in GhostPAN, with sums and depthwise blocks
    in_channels: tuple[int, ...] | None = None  # not used, because the backbone says it; must be right when given
    out_channels: BlockWidth = 48  # channels of each level
    kernel_size: Literal[3, 5, 7] = 5  # side of its depthwise convolutions
    activation: Activation = "ReLU"  # activation of its layers
    bottom_up: bool = True  # false: from coarse to fine only, as in FPN


class NormConfig(Strict):
    type: Literal["BN"] = "BN"  # batch norm


class QflConfig(Strict):
    name: Literal["QualityFocalLoss"] = "QualityFocalLoss"  # loss of the scores
    use_sigmoid: Literal[True] = True  # a score is the sigmoid of its logit
    beta: float = 2.0  # power of the score's error, by which each term is weighted
    loss_weight: float = 1.0  # weight in the whole loss


class DflConfig(Strict):
    name: Literal["DistributionFocalLoss"] = "DistributionFocalLoss"  # loss of the distributions of distances
    loss_weight: float = 0.25  # weight in the whole loss


class GiouConfig(Strict):
    name: Literal["GIoULoss"] = "GIoULoss"  # loss of the boxes
    loss_weight: float = 2.0  # weight in the whole loss


class LossConfig(Strict):
    loss_qfl: QflConfig = QflConfig()  # scores
    loss_dfl: DflConfig = DflConfig()  # distributions of distances
    loss_bbox: GiouConfig = GiouConfig()  # boxes
    # ours: weight of a smooth-L1 loss on the decoded corners, in diagonals of the plate's box; 0 is the published loss
    corner_weight: float = Field(0.0, ge=0)
    # ours: weight of the cross-entropy on the sticker, with the factored class layout only
    number_weight: float = Field(1.0, ge=0)
    # ours: number of coordinates that the distribution loss is averaged over. 4 as published: each of the 12
    # coordinates then weighs three times what it does without corners. 12: a true mean.
    dfl_coordinates: Literal[4, 12] = 12


class DslaConfig(Strict):
    """Dynamic soft label assigner (NanoDet-Plus, RTMDet). Ours as a section; published: constants in the code."""

    name: Literal["DynamicSoftLabelAssigner"] = "DynamicSoftLabelAssigner"  # dynamic soft labels
    topk: int = Field(13, ge=1)  # k, the number of priors that a plate takes, is the sum of this many of its best IoUs
    iou_factor: float = 3.0  # weight of the overlap in the cost of a pair of plate and prior
    # published: 1.03 ** (mean corner distance in pixels - 100); normalised: mean corner distance over the box diagonal
    corner_cost: Literal["none", "published", "normalised"] = "normalised"
    corner_factor: float = 1.0  # weight of the normalised corner cost
    # a candidate lies inside its own plate, and a plate without any takes the nearest prior; false, as published:
    # inside any plate
    inside_own_gt: bool = True
    # strides; a prior farther from the center of the box costs more (RTMDet); null: no such cost
    soft_center_radius: float | None = Field(None, gt=0)


class AtssConfig(Strict):
    """Adaptive training sample selection (the first NanoDet)."""

    name: Literal["ATSSAssigner"] = "ATSSAssigner"  # adaptive selection
    topk: int = Field(9, ge=1)  # candidates of each level


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
    input_channel: int = 96  # must equal fpn.out_channels
    feat_channels: int = 96  # channels inside the head
    stacked_convs: int = Field(2, ge=0)  # convolutions before the output
    activation: Activation = "LeakyReLU"  # activation of its layers
    norm_cfg: NormConfig = NormConfig()  # normalisation of its layers
    # ours: joint has one logit for each class; factored has logits of colors and logits of stickers
    class_layout: Literal["joint", "factored"] = "joint"
    loss: LossConfig = LossConfig()  # weights of the losses


class NanoDetPlusHeadConfig(HeadBase):
    name: Literal["NanoDetPlusHead"] = "NanoDetPlusHead"  # the head of NanoDet-Plus
    kernel_size: int = 5  # side of its depthwise convolutions
    # pixels between the priors of each level; one for each level of the neck
    strides: tuple[int, ...] = (8, 16, 32, 64)
    reg_max: int = Field(7, ge=2, le=31)  # last bin of a distribution, in strides
    # ours: signed lets a corner lie on any side of its prior; unsigned, as published, on one side only; none has no
    # corners
    corner_codec: Literal["signed", "unsigned", "none"] = "signed"
    assigner: DslaByDefault = DslaConfig()  # ours: which priors learn which plate


class NanoDetHeadConfig(HeadBase):
    """The head of the first NanoDet (generalized focal loss)."""

    name: Literal["NanoDetHead"] = "NanoDetHead"  # the head of the first NanoDet
    kernel_size: Literal[3] = 3  # side of its depthwise convolutions
    share_cls_reg: bool = True  # one tower gives scores and distances; false: each has its own
    octave_base_scale: float = Field(5, gt=0)  # side of an anchor for the assigner, in strides
    scales_per_octave: Literal[1] = 1  # anchors of each prior
    strides: tuple[int, ...] = (8, 16, 32)  # pixels between the priors of each level; one for each level of the neck
    reg_max: int = Field(7, ge=2, le=31)  # last bin of a distribution, in strides
    corner_codec: Literal["signed", "unsigned", "none"] = "signed"  # ours: as for NanoDetPlusHead
    assigner: AtssByDefault = AtssConfig()  # ours: which priors learn which plate


class RtmDetHeadConfig(HeadBase):
    """RTMDet's head: shared convolutions, separate batch norms, distances through exp instead of distributions."""

    name: Literal["RTMDetSepBNHead"] = "RTMDetSepBNHead"  # the head of RTMDet
    activation: Activation = "SiLU"
    share_conv: bool = True  # all levels share the weights of the convolutions
    strides: tuple[int, ...] = (8, 16, 32)  # pixels between the priors of each level; one for each level of the neck
    # ours: signed lets a corner lie on any side of its prior; none has no corners
    corner_codec: Literal["signed", "none"] = "signed"
    assigner: DslaByDefault = DslaConfig(soft_center_radius=3.0)  # ours: which priors learn which plate


class AuxHeadConfig(Strict):
    name: Literal["SimpleConvHead"] = "SimpleConvHead"  # the auxiliary head
    num_classes: int | None = None  # must equal the number of class names when given
    input_channel: int = 192  # must equal twice fpn.out_channels with own_fpn, else fpn.out_channels
    feat_channels: int = 192  # channels inside the head
    stacked_convs: int = Field(4, ge=0)  # convolutions before the output
    strides: tuple[int, ...] = (8, 16, 32, 64)  # must equal those of head
    activation: Activation = "LeakyReLU"  # activation of its layers
    reg_max: int = 7  # must equal that of head
    use_depthwise: bool = False  # ours: depthwise-separable convolutions instead of full ones
    own_fpn: bool = True  # ours: it has a neck of its own beside the main one; false: it reads the main one only


BackboneConfig: TypeAlias = ShuffleNetConfig | GhostNetConfig | PlainNetConfig
FpnConfig: TypeAlias = GhostPanConfig | PanConfig | SumPanConfig
HeadConfig: TypeAlias = NanoDetPlusHeadConfig | NanoDetHeadConfig | RtmDetHeadConfig


class ArchConfig(Strict):
    # OneStageDetector is the first NanoDet; the parts below decide what is built, whatever this says
    name: Literal["NanoDetPlus", "OneStageDetector"] = "NanoDetPlus"
    detach_epoch: int = Field(0, ge=0)  # from this epoch on the auxiliary loss no longer reaches backbone and neck
    # image to feature maps
    backbone: Annotated[
        Annotated[ShuffleNetConfig, Tag("ShuffleNetV2")]
        | Annotated[GhostNetConfig, Tag("GhostNet")]
        | Annotated[PlainNetConfig, Tag("PlainNet")],
        by_name("ShuffleNetV2"),
    ] = ShuffleNetConfig()
    # the neck: feature maps to levels
    fpn: Annotated[
        Annotated[GhostPanConfig, Tag("GhostPAN")]
        | Annotated[PanConfig, Tag("PAN")]
        | Annotated[SumPanConfig, Tag("SumPAN")],
        by_name("GhostPAN"),
    ] = GhostPanConfig()
    # levels to scores, boxes and corners
    head: Annotated[
        Annotated[NanoDetPlusHeadConfig, Tag("NanoDetPlusHead")]
        | Annotated[NanoDetHeadConfig, Tag("NanoDetHead")]
        | Annotated[RtmDetHeadConfig, Tag("RTMDetSepBNHead")],
        by_name("NanoDetPlusHead"),
    ] = NanoDetPlusHeadConfig()
    aux_head: AuxHeadConfig | None = None  # guides the assignment of NanoDetPlusHead during training; null: no guide


class AveragerConfig(Strict):
    name: Literal["ExpMovingAverager"] = "ExpMovingAverager"  # exponential moving average of the weights
    decay: float = Field(0.9998, ge=0, lt=1)  # share of the average that stays at each step


class ModelConfig(Strict):
    weight_averager: AveragerConfig = AveragerConfig()  # the average is what is validated and exported
    arch: ArchConfig = ArchConfig()  # the network


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
