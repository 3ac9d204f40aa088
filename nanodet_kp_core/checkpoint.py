"""Checkpoints: complete or not there, loaded without executing anything."""

from __future__ import annotations

import io
import json
from collections.abc import Collection
from pathlib import Path
from typing import Any

import torch
from torch import Tensor

from nanodet_kp_core.config import TrainConfig
from nanodet_kp_core.errors import ModelError, TrainingError
from nanodet_kp_core.files import write_atomically
from nanodet_kp_core.model.detector import OneStageDetector
from nanodet_kp_core.runtime.models.foreign import foreign_kind
from nanodet_kp_core.transfer.carry import carry_over
from nanodet_kp_core.transfer.channels import class_rows
from nanodet_kp_core.transfer.class_start import other_coordinates, output_tensors, say_kept

KEYS = ("average", "config", "run_id")
"""What every checkpoint has: averaged weights by name, the resolved configuration as JSON, the run."""

RESUME_KEYS = (
    "model", "average_updates", "optimizer", "scaler", "step", "steps_per_epoch", "torch_rng",
    "best", "stale", "metrics", "revision",
)  # fmt: skip
"""What a training needs besides to go on."""


def save_checkpoint(path: Path, state: dict[str, Any]) -> None:
    """Write tensors and plain values atomically."""
    buffer = io.BytesIO()
    torch.save(state, buffer)
    write_atomically(path, buffer.getvalue())


def unreadable(path: Path, error: Exception) -> str:
    """What a file is that torch could not read, in one line; else what torch said about it."""
    try:
        kind = foreign_kind(path.read_bytes())
    except OSError:
        kind = None
    if kind is not None and "nanodet-kp export" not in kind:  # which is the way out for models alone
        return kind
    return f"what torch cannot read: {str(error).splitlines()[0] if str(error) else type(error).__name__}"


def load_checkpoint(path: Path, resume: bool = False) -> dict[str, Any]:
    """State written by save_checkpoint, with KEYS, and RESUME_KEYS where a training is to go on.

    Raises ModelError when the file is missing, broken or something else.
    """
    path = Path(path)
    if not path.is_file():
        raise ModelError(f"{path}: expected a checkpoint written by nanodet-kp train, got no such file")
    try:
        state = torch.load(path, map_location="cpu", weights_only=True)
    except Exception as error:  # on bytes that are no checkpoint the unpickler fails in any way it likes
        reason = unreadable(path, error)
        raise ModelError(f"{path}: expected a checkpoint written by nanodet-kp train, got {reason}") from None
    missing = [key for key in KEYS if not isinstance(state, dict) or key not in state]
    if missing:
        raise ModelError(f"{path}: expected a checkpoint written by nanodet-kp train, got one without {missing}")
    missing = [key for key in RESUME_KEYS if key not in state] if resume else []
    if missing:
        raise ModelError(
            f"{path}: expected a checkpoint that a training can go on from, got weights only (no {missing[0]}); "
            "name it as schedule.load_model to start from them"
        )
    return state


def load_weights(model: OneStageDetector, path: Path) -> str:
    """Start from the averaged weights of a checkpoint.

    Auxiliary heads serve training only: without one in the checkpoint the model keeps its own, and the other way round.
    Where the checkpoint has other classes, the channels of those that both have are taken over by name.

    Returns a sentence that says what was kept and what is fresh; "" when all was kept.
    Raises TrainingError when anything else differs: nothing is loaded in part.
    """
    state = load_checkpoint(path)
    config = TrainConfig.model_validate(json.loads(state["config"]))
    old, new = config.layout, model.layout
    own, given = model.state_dict(), state["average"]
    shared_aux = any(map(_is_aux, own)) and any(map(_is_aux, given))
    keep = {name: value for name, value in given.items() if shared_aux or not _is_aux(name)}
    own = {name: value for name, value in own.items() if shared_aux or not _is_aux(name)}
    sentence = ""
    changing: set[str] = set()
    if class_rows(old) != class_rows(new):
        sentence = f"{path}: {say_kept(old, new)}"
        changing = output_tensors(own, shared_aux)
    theirs, ours = config.model.arch.backbone.name, type(model.backbone).__name__
    fault = None if theirs == ours else f"its backbone is {theirs} instead of {ours}"
    fault = fault or mismatch(own, keep, changing) or (other_coordinates(old, new) if changing else None)
    if fault:
        raise TrainingError(f"{path}: expected weights of the configured model, got one of another: {fault}")
    if changing:
        keep = carry_over(keep, old, own, new, shared_aux)
    model.load_state_dict(keep, strict=False)
    return sentence


def _is_aux(name: str) -> bool:
    return name.startswith("aux_")


def mismatch(own: dict[str, Tensor], given: dict[str, Tensor], changing: Collection[str] = ()) -> str | None:
    """What is wrong with the weights `given` for a network with the weights `own`, or None. changing: tensors whose
    shape may differ."""
    for name, value in own.items():
        if name not in given:
            return f"it has no {name}"
        if given[name].shape != value.shape and name not in changing:
            return f"{name} is {_shape(given[name])} instead of {_shape(value)}"
    extra = given.keys() - own.keys()
    return f"the configured one has no {min(extra)}" if extra else None


def _shape(value: Tensor) -> str:
    return "x".join(map(str, value.shape)) or "a number"
