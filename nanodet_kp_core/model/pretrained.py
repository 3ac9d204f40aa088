"""ImageNet weights for a backbone, from a file of the user's."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import torch
from torch import Tensor, nn

from nanodet_kp_core.errors import ModelError


def load_pretrained(backbone: nn.Module, path: str | Path) -> None:
    """Fill a backbone from a state dict of ImageNet classification.

    Read are torchvision's shufflenetv2_x0_5, x1_0 and x1_5 and the public GhostNet; their classifier, and stages that
    the backbone does not have, are left out. Code inside the file is never executed.

    Raises:
        ModelError: the file is missing or no state dict, or a tensor is missing or of another shape.
    """
    path = Path(path)
    state = _read(path)
    own = backbone.state_dict()
    wanted = [key for key in own if not key.endswith("num_batches_tracked")]
    for key in wanted:
        if key not in state:
            raise ModelError(
                f"{path}: {key}: expected this tensor of the configured backbone, got a file without; "
                "choose the weights that fit backbone.name"
            )
        expected, got = tuple(own[key].shape), tuple(state[key].shape)
        if expected != got:
            raise ModelError(
                f"{path}: {key}: expected shape {expected} as in the configured backbone, got {got}; "
                "choose the weights that fit its size"
            )
    backbone.load_state_dict({key: state[key] for key in wanted}, strict=False)


def _read(path: Path) -> dict[str, Tensor]:
    """Tensors of the file by bare name; a wrapper "state_dict" and the prefix of DataParallel are taken off."""
    if not path.is_file():
        raise ModelError(f"{path}: expected weights of a backbone, got no such file; check backbone.pretrained")
    try:
        state: Any = torch.load(path, map_location="cpu", weights_only=True)
    except Exception as error:  # torch raises many kinds, of pickle, zip and its own
        raise ModelError(
            f"{path}: expected a state dict of tensors, got a file that torch cannot load as one "
            f"({str(error).splitlines()[0]})"
        ) from None
    if isinstance(state, dict) and isinstance(state.get("state_dict"), dict):
        state = state["state_dict"]
    if not isinstance(state, dict):
        raise ModelError(f"{path}: expected a state dict of tensors, got {type(state).__name__}")
    return {str(key).removeprefix("module."): value for key, value in state.items() if isinstance(value, Tensor)}
