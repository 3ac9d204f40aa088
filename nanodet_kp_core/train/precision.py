"""Mixed precision: the network in a 16-bit type, the loss in float32."""

from __future__ import annotations

from contextlib import AbstractContextManager, nullcontext
from typing import Any

import torch

from nanodet_kp_core.errors import TrainingError

SMALLEST_SCALE = 2.0**-10
"""Below this loss scale no finite gradient is left in float16; every step would be skipped, silently."""


class Precision:
    """32, "bf16" or 16 (float16 with a gradient scaler). Raises TrainingError for 16 on a CPU."""

    def __init__(self, precision: int | str, device: torch.device) -> None:
        if precision == 16 and device.type == "cpu":
            raise TrainingError("device.precision: expected 32 or bf16 on the CPU, got 16; it is for CUDA accelerators")
        self.device = device
        self.dtype = {"bf16": torch.bfloat16, "16": torch.float16}.get(str(precision))
        self.scaler = torch.amp.GradScaler(device.type, enabled=self.dtype is torch.float16)

    def autocast(self) -> AbstractContextManager[Any]:
        """Around a forward pass of the network."""
        return nullcontext() if self.dtype is None else torch.autocast(self.device.type, self.dtype)

    @property
    def skips(self) -> bool:
        """Whether a gradient that overflows is no error: the scaler leaves the step out and lowers its scale."""
        return self.scaler.is_enabled()

    def check_scale(self) -> None:
        """Raises TrainingError when the scaler has given up."""
        if self.scaler.is_enabled() and self.scaler.get_scale() < SMALLEST_SCALE:
            raise TrainingError(
                "device.precision: expected gradients that float16 can hold, got overflow at every loss scale; "
                "use bf16 or 32"
            )
