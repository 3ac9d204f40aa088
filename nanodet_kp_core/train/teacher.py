"""The trained detector that a training learns from beside its labels: `schedule.teacher`."""

from __future__ import annotations

from pathlib import Path

import torch
from torch import Tensor

from nanodet_kp_core.config import TrainConfig
from nanodet_kp_core.errors import TrainingError, shown
from nanodet_kp_core.export.onnx_file import load_model
from nanodet_kp_core.loss.distillation import distillation_loss


class Teacher:
    """The averaged weights of a checkpoint; they do not change.

    Raises TrainingError when its outputs do not mean what those of `config` do, and ModelError when the file is no
    checkpoint.
    """

    def __init__(self, path: Path, config: TrainConfig, device: torch.device) -> None:
        model, known, _ = load_model(path)
        self.layout = config.layout
        pairs = {
            "class_names": (known.class_names, config.class_names),
            "head": (known.layout, config.layout),
            "head.strides": (known.model.arch.head.strides, config.model.arch.head.strides),
            "pipeline.normalize": (known.data.train.pipeline.normalize, config.data.train.pipeline.normalize),
        }
        for key, (theirs, own) in pairs.items():
            if theirs != own:
                raise TrainingError(
                    f"schedule.teacher {path}: expected the same {key} as in this configuration, {shown(own)}, "
                    f"got {shown(theirs)}; what it says would mean something else here"
                )
        if self.layout.is_direct:
            raise TrainingError(
                f"schedule.teacher {path}: expected a head with distributions, got one that regresses directly"
            )
        self._model = model.to(device).to(memory_format=torch.channels_last)  # type: ignore[call-overload]

    def loss(self, raw: Tensor, images: list[Tensor]) -> tuple[Tensor, dict[str, Tensor]]:
        """See distillation_loss; raw [N, P, C] of the network for `images`, parts of the batch [n, 3, H, W]."""
        with torch.no_grad():
            taught = torch.cat([self._model(part) for part in images])
        return distillation_loss(raw, taught, self.layout)
