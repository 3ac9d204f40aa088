"""Configurations of an import: that of the checkpoint as it is, and that of the result."""

from __future__ import annotations

import copy
import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from pydantic import ValidationError

from nanodet_kp_core.classes import ARMOR_CLASSES
from nanodet_kp_core.config import ArchConfig, TrainConfig
from nanodet_kp_core.errors import ConfigError
from nanodet_kp_core.importer.coco_names import COCO_CLASSES
from nanodet_kp_core.importer.recognize import Recognized

CORNER_CHOICES = ("keep", "none", "unsigned", "signed")

DEFAULT_NAMES = {len(ARMOR_CLASSES): ARMOR_CLASSES, len(COCO_CLASSES): COCO_CLASSES}

INPUT_SIZES = {"NanoDetPlus": (416, 416), "OneStageDetector": (320, 320)}
"""Of the published configurations; a checkpoint does not hold it."""


@dataclass(frozen=True)
class ImportOptions:
    """What the user says about a checkpoint, and what is to become of it.

    weights: "average" (the moving average, where there is one) or "model".
    class_names: of the checkpoint, in order; default: those of `config`, else the armor or COCO names by number.
    config: their training configuration; what tensors do not tell comes from it.
    keep_ratio: resize by letterbox; default: that of `config`, else upstream's (stretch for NanoDet-Plus).
    new_classes: names of the result; corners: codec of the result. target: a configuration that the result is to
    train with, instead of these two.
    """

    weights: str = "average"
    class_names: tuple[str, ...] | None = None
    config: TrainConfig | None = None
    keep_ratio: bool | None = None
    new_classes: tuple[str, ...] | None = None
    corners: str = "keep"
    target: TrainConfig | None = None


def valid_arch(arch: Mapping[str, Any], path: Path) -> ArchConfig:
    """A recognized architecture as configuration. Raises ConfigError for one outside what can be built."""
    try:
        return ArchConfig.model_validate(arch)
    except ValidationError as error:
        fault = error.errors()[0]
        where = ".".join(str(part) for part in fault["loc"])
        raise ConfigError(
            f"{path}: {where}: expected a size that can be built, got {fault['input']!r} ({fault['msg']})"
        ) from None


def name_classes(found: Recognized, given: Sequence[str] | None, path: Path) -> tuple[str, ...]:
    """Names for the classes of a checkpoint. Raises ConfigError when there are none, or not as many as outputs."""
    names = given or DEFAULT_NAMES.get(found.num_classes)
    if names is None:
        raise ConfigError(
            f"{path}: expected names for its {found.num_classes} classes, got none; give --classes or --config"
        )
    if len(names) != found.num_classes:
        raise ConfigError(f"{path}: expected {found.num_classes} class names, as it has outputs, got {len(names)}")
    return tuple(names)


def source_config(found: Recognized, names: Sequence[str], options: ImportOptions, path: Path) -> TrainConfig:
    """The configuration of the checkpoint as it is: theirs, or upstream's defaults.

    Raises ConfigError when theirs describes another network.
    """
    arch = copy.deepcopy(found.arch)
    valid_arch(arch, path)
    if options.config is None:
        data = {
            "name": "CocoDataset",
            "input_size": INPUT_SIZES[arch["name"]],
            "keep_ratio": arch["name"] != "NanoDetPlus",
        }
        raw: dict[str, Any] = {
            "save_dir": "runs/imported",
            "model": {"arch": arch},
            "data": {
                part: data | {"img_path": f"data/{part}/images", "ann_path": f"data/{part}/labels.json"}
                for part in ("train", "val")
            },
        }
    else:
        raw = json.loads(options.config.model_dump_json())
        _check_sections(raw["model"]["arch"], arch, path)
        raw["model"]["arch"]["head"]["class_layout"] = "joint"
        if arch["aux_head"] is None:
            raw["model"]["arch"]["aux_head"] = None
    raw["class_names"] = list(names)
    _set_codec(raw["model"]["arch"]["head"], found.corner_codec)
    data = raw["data"]
    for part in (data["train"], *data.get("others", ()), data["val"]):
        part["class_names"] = None  # the guide repeats them there; the ones above may be others
        if options.keep_ratio is not None:
            part["keep_ratio"] = options.keep_ratio
    return TrainConfig.model_validate(raw)


_SECTIONS = ("backbone", "fpn", "head")
_NOT_IN_TENSORS = ("activation", "corner_codec", "class_layout", "num_classes", "in_channels", "assigner", "loss")
_FREE = (*_NOT_IN_TENSORS[1:], "pretrained")
"""What a target may choose otherwise: the activation is not among it, weights are trained for one."""


def _check_sections(theirs: Mapping[str, Any], found: Mapping[str, Any], path: Path) -> None:
    """Raises ConfigError when the configuration given for a checkpoint describes another network."""
    for section in _SECTIONS:
        for key, value in found[section].items():
            if key not in _NOT_IN_TENSORS and theirs[section].get(key) not in (None, value):
                raise ConfigError(
                    f"config: model.arch.{section}.{key}: expected {value}, as in {path}, got {theirs[section][key]}"
                )


def check_target(source: TrainConfig, target: TrainConfig, path: Path) -> None:
    """Raises ConfigError when the weights cannot become those of `target`."""
    old, new = (json.loads(config.model.arch.model_dump_json()) for config in (source, target))
    for section in _SECTIONS:
        shared = [key for key in old[section] if key in new[section] and key not in _FREE]
        for key in sorted(shared, key=lambda key: key != "name"):
            if old[section][key] != new[section][key]:
                raise ConfigError(
                    f"target: model.arch.{section}.{key}: expected {old[section][key]}, as in {path}, "
                    f"got {new[section][key]}"
                )


def changed_config(source: TrainConfig, options: ImportOptions) -> TrainConfig:
    """The configuration of the result: other classes, another corner codec."""
    raw = json.loads(source.model_dump_json())
    arch = raw["model"]["arch"]
    names = list(options.new_classes or source.class_names)
    raw["class_names"] = names
    for head in (arch["head"], arch["aux_head"]):
        if head is not None:
            head["num_classes"] = len(names)
    if options.corners != "keep":
        _set_codec(arch["head"], options.corners)
    return TrainConfig.model_validate(raw)


def _set_codec(head: dict[str, Any], codec: str) -> None:
    """Corner codec and, for an assigner that looks at corners, the cost that goes with it."""
    assigner = head.get("assigner") or {"name": "DynamicSoftLabelAssigner"}
    had_corners = head["corner_codec"] != "none"
    head["corner_codec"] = codec
    if head["name"] != "NanoDetPlusHead":
        return
    if codec == "none":
        head["assigner"] = assigner | {"corner_cost": "none"}
    elif not had_corners:
        head["assigner"] = assigner | {"corner_cost": "normalised"}
