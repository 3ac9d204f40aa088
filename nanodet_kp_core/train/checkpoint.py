"""Checkpoints: complete or not there, loaded without executing anything."""

from __future__ import annotations

import io
from pathlib import Path
from typing import Any

import torch

from nanodet_kp_core.errors import ModelError
from nanodet_kp_core.files import write_atomically

KEYS = ("model", "average", "average_updates", "optimizer", "step", "config", "torch_rng", "best", "run_id")


def save_checkpoint(path: Path, state: dict[str, Any]) -> None:
    """Write tensors and plain values atomically."""
    buffer = io.BytesIO()
    torch.save(state, buffer)
    write_atomically(path, buffer.getvalue())


def load_checkpoint(path: Path) -> dict[str, Any]:
    """State written by save_checkpoint. Raises ModelError when the file is missing, broken or something else."""
    path = Path(path)
    if not path.is_file():
        raise ModelError(f"{path}: expected a checkpoint written by training/train.py, got no such file")
    try:
        state = torch.load(path, map_location="cpu", weights_only=True)
    except Exception as error:  # on bytes that are no checkpoint the unpickler fails in any way it likes
        reason = str(error).splitlines()[0] if str(error) else type(error).__name__
        raise ModelError(f"{path}: expected a checkpoint written by training/train.py, got: {reason}") from None
    missing = [key for key in KEYS if not isinstance(state, dict) or key not in state]
    if missing:
        raise ModelError(f"{path}: expected a checkpoint written by training/train.py, got one without {missing}")
    return state
