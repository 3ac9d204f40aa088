"""The training configuration: one YAML file, one schema, unknown keys refused with the nearest valid one.

The keys are those of the published four-point guide, so that a team's own file is read as it stands; what is ours has a
comment. Torch-free; needs pydantic (`pip install .[train]`).
"""

from nanodet_kp_core.config.data import DataConfig, PicturesConfig, PipelineConfig, SyntheticConfig
from nanodet_kp_core.config.load import check_paths, load_config
from nanodet_kp_core.config.model import (
    ArchConfig,
    AssignerConfig,
    AtssConfig,
    AuxHeadConfig,
    BackboneConfig,
    DslaConfig,
    FpnConfig,
    GhostNetConfig,
    GhostPanConfig,
    HeadConfig,
    ModelConfig,
    NanoDetHeadConfig,
    NanoDetPlusHeadConfig,
    PanConfig,
    PlainNetConfig,
    RtmDetHeadConfig,
    ShuffleNetConfig,
    SumPanConfig,
    layout_of,
)
from nanodet_kp_core.config.training import DeviceConfig, EvaluatorConfig, LogConfig, ScheduleConfig, TrainConfig

__all__ = [
    "ArchConfig",
    "AssignerConfig",
    "AtssConfig",
    "AuxHeadConfig",
    "BackboneConfig",
    "DataConfig",
    "DeviceConfig",
    "DslaConfig",
    "EvaluatorConfig",
    "FpnConfig",
    "GhostNetConfig",
    "GhostPanConfig",
    "HeadConfig",
    "LogConfig",
    "ModelConfig",
    "NanoDetHeadConfig",
    "NanoDetPlusHeadConfig",
    "PanConfig",
    "PicturesConfig",
    "PipelineConfig",
    "PlainNetConfig",
    "RtmDetHeadConfig",
    "ScheduleConfig",
    "ShuffleNetConfig",
    "SumPanConfig",
    "SyntheticConfig",
    "TrainConfig",
    "check_paths",
    "layout_of",
    "load_config",
]
