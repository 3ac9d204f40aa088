"""Reads the tensors of a published checkpoint without executing anything that it holds."""

from __future__ import annotations

import io
import pickle
import re
import warnings
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import torch
from torch import Tensor

from nanodet_kp_core.errors import ModelError

CHOICES = ("average", "model")
"""Which weights to take: the moving average (`avg_model.*` of a .ckpt) or the ones that were trained (`model.*`)."""

_STAND_IN_MODULES = ("pytorch_lightning.", "lightning.", "lightning_fabric.")
_GLOBAL = re.compile(r"GLOBAL ([\w.]+)")
_MOST_STAND_INS = 20


@dataclass(frozen=True)
class Weights:
    """Tensors by their bare published names (backbone.*, fpn.*, head.*, ...), floats as float32.

    chosen: "average", "model" or "only" (the file holds one set, as a best .pth does). available: both, or the one.
    """

    path: Path
    tensors: dict[str, Tensor]
    chosen: str
    available: tuple[str, ...]


def read_weights(path: Path, choice: str = "average") -> Weights:
    """Weights of a .ckpt of pytorch-lightning or a .pth, by content and not by suffix.

    Raises ModelError when the file is missing, damaged, something else, or needs code to be executed; also for
    `choice` "model" when the file holds one set of weights that is not said to be that one.
    """
    path = Path(path)
    if not path.is_file():
        raise ModelError(f"{path}: expected a checkpoint (.ckpt or .pth), got no such file")
    return select_weights(load_safely(path, path.read_bytes()), path, choice)


def select_weights(checkpoint: Any, path: Path, choice: str = "average") -> Weights:
    """The weights in an unpickled checkpoint; `path` is for messages. Raises ModelError as read_weights does."""
    if choice not in CHOICES:
        raise ModelError(f"weights: expected one of {CHOICES}, got {choice!r}")
    state = _state_dict(checkpoint, path)
    # Upstream strips "module." (data parallel), then takes avg_model.* where there is one.
    state = {name.removeprefix("module."): value for name, value in state.items()}
    sets = {
        "average": _strip(state, "avg_model."),
        "model": _strip(state, "model."),
    }
    available = tuple(name for name in CHOICES if sets[name])
    if not available:
        if choice == "model":
            raise ModelError(
                f"{path}: expected model.* beside avg_model.* (a .ckpt) for the weights 'model', got one set of "
                "weights without either; leave the choice out"
            )
        return Weights(path, state, "only", ("only",))
    chosen = choice if choice in available else available[0]
    if choice == "model" and chosen != choice:
        raise ModelError(f"{path}: expected tensors named model.* for the weights 'model', got avg_model.* only")
    return Weights(path, sets[chosen], chosen, available)


def _strip(state: Mapping[str, Tensor], prefix: str) -> dict[str, Tensor]:
    found = {name: value for name, value in state.items() if name.startswith(prefix)}
    return {name.removeprefix(prefix).removeprefix("module."): value for name, value in found.items()}


def _state_dict(checkpoint: Any, path: Path) -> dict[str, Tensor]:
    if isinstance(checkpoint, Mapping) and "average" in checkpoint and "config" in checkpoint:
        raise ModelError(
            f"{path}: expected a checkpoint of another training code, got one of this package, which needs no import: "
            "name it as schedule.load_model to train on, with the same classes or others, or export it with "
            "nanodet-kp export"
        )
    if isinstance(checkpoint, Mapping) and "average" in checkpoint and "kind" in checkpoint:
        raise ModelError(
            f"{path}: expected a checkpoint of a detector, got one of this package's second stage; name it as --start "
            "of nanodet-kp train-refiner or train-bars"
        )
    state = checkpoint.get("state_dict", checkpoint) if isinstance(checkpoint, Mapping) else None
    if not isinstance(state, Mapping) or not state:
        raise ModelError(
            f"{path}: expected a mapping with state_dict, as NanoDet's training writes it, "
            f"got {type(checkpoint).__name__ if state is None else 'an empty or foreign one'}"
        )
    wrong = next((name for name, value in state.items() if not isinstance(value, Tensor)), None)
    if wrong is not None:
        raise ModelError(
            f"{path}: expected tensors in state_dict, got {type(state[wrong]).__name__} as {str(wrong)!r}; "
            "is this a checkpoint of NanoDet?"
        )
    return {str(name): value.float() if value.is_floating_point() else value for name, value in state.items()}


def load_safely(path: Path, data: bytes) -> Any:
    """Unpickle the bytes of a file with torch's restricted unpickler. Raises ModelError when that does not suffice.

    Checkpoints of old pytorch-lightning versions name their callbacks by class. Such a name is answered with an empty
    class of ours: nothing of the file's is imported or run.
    """
    before = torch.serialization.get_safe_globals()
    names: set[str] = set()
    try:
        for _ in range(_MOST_STAND_INS):
            try:
                with warnings.catch_warnings():
                    warnings.simplefilter("ignore", UserWarning)  # on foreign pickles; what comes of them is checked
                    return torch.load(io.BytesIO(data), map_location="cpu", weights_only=True)
            except Exception as error:  # on bytes that are no checkpoint the unpickler fails in any way it likes
                name = _wanted_global(error)
                if name is None or name in names or not name.startswith(_STAND_IN_MODULES):
                    raise _refusal(path, name, error) from None
                names.add(name)
                torch.serialization.add_safe_globals([_stand_in(name)])
        raise _refusal(path, name, None)
    finally:
        torch.serialization.clear_safe_globals()
        torch.serialization.add_safe_globals(before)


def _wanted_global(error: Exception) -> str | None:
    found = _GLOBAL.search(str(error)) if isinstance(error, pickle.UnpicklingError) else None
    return found.group(1) if found else None


def _stand_in(name: str) -> type:
    module, _, qualified = name.rpartition(".")
    return type(qualified, (), {"__module__": module})


def _refusal(path: Path, name: str | None, error: Exception | None) -> ModelError:
    if name is not None:
        return ModelError(
            f"{path}: expected a checkpoint of tensors and plain values, got one that also needs {name}, which would "
            "execute code from the file; where the file can be trusted, save its state_dict alone with torch.save"
        )
    reason = str(error).splitlines()[0] if str(error) else type(error).__name__
    if isinstance(error, pickle.UnpicklingError):
        reason = "no such file format"
    return ModelError(
        f"{path}: expected a checkpoint (.ckpt or .pth) of NanoDet, got a file that cannot be read: {reason}"
    )
