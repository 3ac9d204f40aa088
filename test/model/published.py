"""Small checkpoints as published training code writes them: our tensors under its names."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any

import torch
from torch import Tensor

from nanodet_kp_core.config import ArchConfig
from nanodet_kp_core.model.build import build_detector

NAMES = ("B_1", "B_2", "R_1")


def arch(codec: str = "none", aux: bool = True, **changes: Mapping[str, Any]) -> dict[str, Any]:
    """`model.arch` of a narrow NanoDet-Plus; changes: keys to change by section."""
    sections: dict[str, Any] = {
        "name": "NanoDetPlus",
        "backbone": {"name": "ShuffleNetV2", "model_size": "0.5x", "out_stages": [2, 3, 4], "activation": "LeakyReLU"},
        "fpn": {"name": "GhostPAN", "out_channels": 16, "kernel_size": 5, "num_extra_level": 1, "use_depthwise": True,
                "activation": "LeakyReLU"},
        "head": {"name": "NanoDetPlusHead", "num_classes": len(NAMES), "input_channel": 16, "feat_channels": 16,
                 "stacked_convs": 2, "kernel_size": 5, "strides": [8, 16, 32, 64], "activation": "LeakyReLU",
                 "reg_max": 7, "class_layout": "joint", "corner_codec": codec},
        "aux_head": {"name": "SimpleConvHead", "num_classes": len(NAMES), "input_channel": 32, "feat_channels": 32,
                     "stacked_convs": 2, "strides": [8, 16, 32, 64], "activation": "LeakyReLU", "reg_max": 7},
    }  # fmt: skip
    for section, keys in changes.items():
        sections[section] = sections[section] | keys
    return sections if aux else sections | {"aux_head": None}


def first_nanodet(shared: bool = True) -> dict[str, Any]:
    """`model.arch` of a narrow first NanoDet, boxes only."""
    return {
        "name": "OneStageDetector",
        "backbone": {"name": "ShuffleNetV2", "model_size": "0.5x", "out_stages": [2, 3, 4], "activation": "LeakyReLU"},
        "fpn": {"name": "PAN", "out_channels": 16, "start_level": 0, "num_outs": 3},
        "head": {"name": "NanoDetHead", "num_classes": len(NAMES), "input_channel": 16, "feat_channels": 16,
                 "stacked_convs": 2, "share_cls_reg": shared, "strides": [8, 16, 32], "activation": "LeakyReLU",
                 "reg_max": 7, "class_layout": "joint", "corner_codec": "none"},
        "aux_head": None,
    }  # fmt: skip


def tensors(sections: dict[str, Any], seed: int = 0, names: tuple[str, ...] = NAMES) -> dict[str, Tensor]:
    """Random weights of that architecture, batch statistics included, lively enough for outputs to differ."""
    torch.manual_seed(seed)
    model = build_detector(ArchConfig.model_validate(sections), names)
    state = {name: value.clone() for name, value in model.state_dict().items()}
    for name, value in state.items():
        if name.endswith(("running_var", "norm.weight", "bn.weight", "gn.weight")):
            value.uniform_(0.5, 1.5)
        elif name.endswith(("running_mean", "bias")):
            value.uniform_(-0.3, 0.3)
        elif "gfl_" in name:
            value.normal_(std=0.3)
    if sections["head"].get("share_cls_reg"):  # the published one has an output there that nothing uses
        bins = 4 * (sections["head"]["reg_max"] + 1)
        for level in range(len(sections["head"]["strides"])):
            state[f"head.gfl_reg.{level}.weight"] = torch.randn(bins, sections["head"]["feat_channels"], 1, 1)
            state[f"head.gfl_reg.{level}.bias"] = torch.zeros(bins)
    return state


def save_ckpt(path: Path, model: dict[str, Tensor], average: dict[str, Tensor], **more: Any) -> Path:
    """A .ckpt of pytorch-lightning: model.* beside avg_model.*."""
    state = {f"model.{name}": value for name, value in model.items()}
    state |= {f"avg_model.{name}": value for name, value in average.items()}
    torch.save({"epoch": 1, "global_step": 9, "pytorch-lightning_version": "1.9.5", "state_dict": state, **more}, path)
    return path


def save_pth(path: Path, state: dict[str, Tensor]) -> Path:
    """A model_best .pth: one set of weights under bare names."""
    torch.save({"state_dict": state}, path)
    return path
