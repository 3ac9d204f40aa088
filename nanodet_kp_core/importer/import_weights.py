"""A published checkpoint becomes a checkpoint of this package: to export, to evaluate, to train on."""

from __future__ import annotations

import hashlib
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

import torch
from torch import Tensor
from torch.nn import Module

from nanodet_kp_core.checkpoint import save_checkpoint
from nanodet_kp_core.config import TrainConfig
from nanodet_kp_core.errors import ConfigError
from nanodet_kp_core.importer.configs import (
    CORNER_CHOICES,
    ImportOptions,
    changed_config,
    check_target,
    name_classes,
    source_config,
    valid_arch,
)
from nanodet_kp_core.importer.recognize import Recognized, recognize
from nanodet_kp_core.importer.weights_file import Weights, read_weights
from nanodet_kp_core.model.build import build_detector
from nanodet_kp_core.model.detector import OneStageDetector
from nanodet_kp_core.transfer.carry import carry_over, check_tensors


@dataclass(frozen=True)
class Imported:
    """state: of `build_detector(config.model.arch, config.class_names)`. notes: lines for the user."""

    config: TrainConfig
    state: dict[str, Tensor]
    run_id: str
    notes: tuple[str, ...]


def import_weights(path: Path, options: ImportOptions) -> Imported:
    """Read, check and convert a published checkpoint.

    Raises ModelError when the file is no NanoDet checkpoint or lacks tensors, ConfigError when options or
    configurations do not fit it.
    """
    path = Path(path)
    if options.corners not in CORNER_CHOICES:
        raise ConfigError(f"corners: expected one of {CORNER_CHOICES}, got {options.corners!r}")
    if options.target and (options.new_classes or options.corners != "keep"):
        raise ConfigError("target: expected it without new_classes and corners, which it already tells, got both")
    weights = read_weights(path, options.weights)
    given = options.class_names or (options.config.class_names if options.config else None)
    found = recognize(weights.tensors, path, len(given) if given else None)
    names = name_classes(found, given, path)
    source = source_config(found, names, options, path)
    tensors = check_tensors(weights.tensors, _build(source).state_dict(), found.unused, path)
    target = options.target or changed_config(source, options)
    check_target(source, target, path)
    with_aux = _same_aux(source, target)
    model = _build(target)
    state = carry_over(tensors, source.layout, model.state_dict(), target.layout, with_aux)
    model.load_state_dict(state)
    digest = hashlib.sha256(path.read_bytes()).hexdigest()[:12]
    notes = (_describe(found, weights), *_changes(source, target, with_aux), _count(model))
    return Imported(target, state, f"import-{digest}", notes)


def save_imported(out: Path, imported: Imported) -> None:
    """Write a checkpoint that export, evaluation and schedule.load_model take. Raises OSError."""
    config = imported.config.model_dump_json()
    save_checkpoint(out, {"average": imported.state, "config": config, "run_id": imported.run_id})


def load_published(tensors: Mapping[str, Tensor], path: Path, num_classes: int | None = None) -> OneStageDetector:
    """The network of published tensors (bare names), unchanged, with classes called "0", "1", ...

    `path` is for messages; num_classes and errors as for `recognize`, and as for `check_tensors`.
    """
    found = recognize(tensors, path, num_classes)
    model = build_detector(valid_arch(found.arch, path), [str(k) for k in range(found.num_classes)])
    model.load_state_dict(check_tensors(tensors, model.state_dict(), found.unused, path))
    return model


def _build(config: TrainConfig) -> OneStageDetector:
    """The configured detector; new rows are drawn from a fixed seed, so that an import is reproducible."""
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(config.seed)
        return build_detector(config.model.arch, config.class_names, pretrained=False)


def _same_aux(source: TrainConfig, target: TrainConfig) -> bool:
    """Whether the auxiliary branch can be carried over: both have one, of the same kind."""
    old, new = source.model.arch.aux_head, target.model.arch.aux_head
    if old is None or new is None:
        return False
    return old.model_copy(update={"num_classes": None}) == new.model_copy(update={"num_classes": None})


def _describe(found: Recognized, weights: Weights) -> str:
    arch, head, backbone = found.arch, found.arch["head"], found.arch["backbone"]
    size = backbone.get("model_size") or backbone.get("width_mult")
    corners = "boxes only" if found.corner_codec == "none" else "boxes and four corners"
    aux = "auxiliary head" if arch["aux_head"] else "no auxiliary head"
    source = {"average": "the moving average (avg_model)", "model": "model", "only": "the only set"}[weights.chosen]
    return (
        f"found {'NanoDet-Plus' if arch['name'] == 'NanoDetPlus' else 'NanoDet'}: {backbone['name']} {size}, "
        f"{arch['fpn']['name']} {arch['fpn']['out_channels']}, strides {head['strides']}, reg_max {head['reg_max']}, "
        f"{found.num_classes} classes, {corners}, {aux}; weights: {source} of {' and '.join(weights.available)}"
    )


def _changes(source: TrainConfig, target: TrainConfig, with_aux: bool) -> list[str]:
    """What of the result is not the checkpoint's."""
    notes = []
    old, new = source.layout, target.layout
    if new.class_layout != old.class_layout:
        notes.append(f"classes: all {len(new.class_names)} start fresh (class_layout {new.class_layout})")
    elif new.class_names != old.class_names:
        fresh = [name for name in new.class_names if name not in old.class_names]
        kept = len(new.class_names) - len(fresh)
        some = ", ".join(fresh[:6]) + (f" and {len(fresh) - 6} more" if len(fresh) > 6 else "")
        notes.append(f"classes: {kept} of {len(new.class_names)} kept by name; fresh: {some or 'none'}")
    if new.corner_codec != old.corner_codec:
        start = "they start as the corners of the box" if not old.has_corners else "their decoded places stay"
        end = f"{new.corner_codec}, {start}" if new.has_corners else "left out"
        notes.append(f"corners: {old.corner_codec} -> {end}")
    if target.model.arch.aux_head is not None and not with_aux:
        notes.append("auxiliary head: starts fresh, the checkpoint has none of this kind")
    return notes


def _count(model: OneStageDetector) -> str:
    def count(*parts: Module | None) -> int:
        return sum(value.numel() for part in parts if part is not None for value in part.parameters())

    inference = count(model.backbone, model.fpn, model.head)
    return f"parameters: {inference:,} for inference, {count(model):,} in training"
