"""Reading a configuration: YAML, schema, and what the schema alone cannot say."""

from __future__ import annotations

import difflib
import typing
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any

from pydantic import BaseModel, ValidationError

from nanodet_kp_core.classes import ARMOR_CLASSES
from nanodet_kp_core.config.data import DataConfig, SyntheticConfig, TrainDataConfig
from nanodet_kp_core.config.model import ArchConfig, GhostPanConfig
from nanodet_kp_core.config.training import TrainConfig
from nanodet_kp_core.errors import ConfigError, shown
from nanodet_kp_core.paths import DEVICE, FILE, FOLDER, brief, what_is
from nanodet_kp_core.share import own_or_shared
from nanodet_kp_core.texts import decoded
from nanodet_kp_core.yaml_text import parse_yaml

_PATHS = {"img_path", "ann_path", "load_model", "teacher", "pretrained", "refiner"}
"""Keys whose values are paths of what must exist."""


def load_config(path: str | Path) -> TrainConfig:
    """Read and check a training configuration.

    Relative paths in it start from its folder where something lies there, else from the working directory; save_dir
    always from the working directory.

    The file, its `schedule.load_model` and `schedule.teacher`, and its `evaluator.refiner` may be bundled ones: see
    `share.own_or_shared`.

    Raises ConfigError, one line per fault, when the file is missing, no YAML, does not fit the schema, or its parts do
    not fit each other. Whether the paths in it exist is check_paths' concern.
    """
    path = own_or_shared(path)
    found = what_is(path)
    try:
        text = decoded(path.read_bytes()) if found == FILE else ""
    except OSError as error:
        found = str(error.strerror)
    if found != FILE:
        raise ConfigError(f"{brief(path)}: expected a readable YAML file, got {found}")
    if text is None:
        raise ConfigError(f"{path}: expected YAML in UTF-8, got bytes that are no text; save it as UTF-8")
    raw = parse_yaml(text, path, ConfigError, named="class_names")
    if not isinstance(raw, dict):
        raise ConfigError(f"{path}: expected a mapping with keys like save_dir and model, got {type(raw).__name__}")
    _from_folder(raw, path.parent)
    try:
        config = TrainConfig.model_validate(raw)
    except ValidationError as error:
        raise ConfigError("\n".join(_explain(path, fault) for fault in error.errors())) from None
    faults = list(_disagreements(config))
    if faults:
        raise ConfigError("\n".join(f"{path}: {fault}" for fault in faults))
    schedule, evaluator = config.schedule, config.evaluator
    weights, teacher, refiner = (
        None if path is None else own_or_shared(path)
        for path in (schedule.load_model, schedule.teacher, evaluator.refiner)
    )
    schedule = schedule.model_copy(update={"load_model": weights, "teacher": teacher})
    evaluator = evaluator.model_copy(update={"refiner": refiner})
    return config.model_copy(update={"schedule": schedule, "evaluator": evaluator})


def _from_folder(section: Any, folder: Path) -> None:
    """Put the folder before the relative paths that exist from there, in all sections; `section` is changed."""
    values = section.values() if isinstance(section, dict) else section
    for value in values:
        if isinstance(value, (dict, list)):
            _from_folder(value, folder)
    if not isinstance(section, dict):
        return
    for key in _PATHS & section.keys():
        if isinstance(section[key], str) and what_is(folder / section[key]) in (FILE, FOLDER):
            section[key] = str(folder / section[key])


def check_paths(config: TrainConfig, source: str | Path) -> None:
    """Raises ConfigError, one line per path of the configuration (read from `source`) that does not exist."""
    train, val = config.data.train, config.data.val
    paths: dict[str, Path | None] = {}
    for key, data in _sources(train, config.data.others):
        if isinstance(data, DataConfig):
            paths |= {f"{key}.img_path": data.img_path, f"{key}.ann_path": data.ann_path}
    paths |= {
        "data.val.img_path": val.img_path,
        "data.val.ann_path": val.ann_path,
        "schedule.load_model": config.schedule.load_model,
        "schedule.teacher": config.schedule.teacher,
        "evaluator.refiner": config.evaluator.refiner,
        "model.arch.backbone.pretrained": config.model.arch.backbone.pretrained,
    }
    found = {key: (path, what_is(path)) for key, path in paths.items() if path is not None}
    missing = {key: there for key, there in found.items() if there[1] not in (FILE, FOLDER, DEVICE)}
    if missing:
        raise ConfigError(
            "\n".join(
                f"{source}: {key}: expected an existing path, got {brief(path)}: {reason}; relative paths start "
                "from the folder of the configuration, or from the working directory"
                for key, (path, reason) in missing.items()
            )
        )


def _explain(path: Path, fault: Any) -> str:
    where, section = _locate(fault["loc"])
    key = ".".join(where)
    if fault["type"] == "missing":
        return f"{path}: {key}: expected this key, got none"
    if fault["type"] == "union_tag_invalid":
        return f"{path}: {key}.name: expected one of {fault['ctx']['expected_tags']}, got {shown(fault['ctx']['tag'])}"
    if fault["type"] != "extra_forbidden":
        message = fault["msg"].removeprefix("Value error, ")
        return f"{path}: {key}: {message[0].lower()}{message[1:]}, got {shown(fault['input'])}"
    near = difflib.get_close_matches(where[-1], list(section.model_fields), n=1, cutoff=0.5)
    hint = f"did you mean {near[0]!r}?" if near else f"valid keys here: {', '.join(section.model_fields)}"
    return f"{path}: {key}: unknown key; {hint}"


def _locate(loc: Sequence[str | int]) -> tuple[list[str], type[BaseModel]]:
    """Keys as in the file, and the schema of the section that the last one stands in.

    pydantic puts the name of the chosen section between a key and what is inside, which the file does not have.
    """
    where: list[str] = []
    section: type[BaseModel] = TrainConfig
    choices: list[type[BaseModel]] = [TrainConfig]
    for part in map(str, loc):
        named = [choice for choice in choices if "name" in choice.model_fields]
        tagged = [choice for choice in named if choice.model_fields["name"].default == part]
        if tagged and len(choices) > 1:
            choices = tagged
            continue
        if part.isdigit() and where and where[-1] == "others":  # the list of data.train as the file has it
            where[-1:] = ["train", str(int(part) + 1)]
            continue
        where.append(part if len(part) <= 60 and part.isprintable() else shown(part))
        if not choices:
            continue
        section = choices[0]
        field = section.model_fields.get(part)
        choices = list(_sections(field.annotation)) if field is not None else []
    return where, section


def _sections(annotation: Any) -> Iterator[type[BaseModel]]:
    """The schemas that a key's annotation allows."""
    if isinstance(annotation, type) and issubclass(annotation, BaseModel):
        yield annotation
    for argument in typing.get_args(annotation):
        yield from _sections(argument)


def _disagreements(config: TrainConfig) -> Iterator[str]:
    """What is wrong between the parts, each as one sentence that starts with the key."""
    arch, classes = config.model.arch, len(config.class_names)
    if len(set(config.class_names)) != classes or not classes:
        yield f"class_names: expected a list of different names, got {shown(list(config.class_names))}"
    for where in ("head", "aux_head"):
        head = getattr(arch, where)
        if head is not None and head.num_classes not in (None, classes):
            yield (
                f"model.arch.{where}.num_classes: expected {classes}, the number of class_names, got {head.num_classes}"
            )
    for where, data in (*_sources(config.data.train, config.data.others), ("data.val", config.data.val)):
        if data.class_names not in (None, config.class_names):
            got = shown(list(data.class_names or ()))
            yield f"{where}.class_names: expected the same names as class_names, got {got}"
    for where, data in _sources(config.data.train, config.data.others):
        yield from _synthetic_disagreements(config, where, data)
    yield from _arch_disagreements(arch)
    try:
        _ = config.layout
    except ConfigError as error:
        yield f"model.arch.head: {error}"


def _arch_disagreements(arch: ArchConfig) -> Iterator[str]:
    extra = arch.fpn.num_extra_level if isinstance(arch.fpn, GhostPanConfig) else 0
    levels = len(arch.backbone.out_stages) + extra
    if len(arch.head.strides) != levels:
        yield (
            f"model.arch.head.strides: expected {levels} strides (backbone.out_stages plus fpn.num_extra_level), "
            f"got {list(arch.head.strides)}"
        )
    if arch.fpn.name == "PAN" and arch.fpn.num_outs not in (None, levels):
        yield f"model.arch.fpn.num_outs: expected {levels}, one a backbone stage, got {arch.fpn.num_outs}"
    channels = arch.fpn.out_channels
    if arch.head.input_channel != channels:
        yield f"model.arch.head.input_channel: expected {channels}, as fpn.out_channels, got {arch.head.input_channel}"
    aux = arch.aux_head
    if aux is None:
        return
    if arch.head.name != "NanoDetPlusHead":
        yield f"model.arch.aux_head: expected none with head {arch.head.name}, got one; it guides NanoDetPlusHead only"
        return
    expected = channels * (2 if aux.own_fpn else 1)
    if aux.input_channel != expected:
        rule = "twice fpn.out_channels" if aux.own_fpn else "as fpn.out_channels"
        yield f"model.arch.aux_head.input_channel: expected {expected}, {rule}, got {aux.input_channel}"
    if (aux.strides, aux.reg_max) != (arch.head.strides, arch.head.reg_max):
        yield (
            f"model.arch.aux_head: expected strides {list(arch.head.strides)} and reg_max {arch.head.reg_max}, as in "
            f"head, got {list(aux.strides)} and {aux.reg_max}"
        )


def _sources(
    train: TrainDataConfig, others: Sequence[TrainDataConfig]
) -> Iterator[tuple[str, DataConfig | SyntheticConfig]]:
    """Every source of training images with its key in the file."""
    yield ("data.train.0" if others else "data.train"), train
    yield from ((f"data.train.{k}", other) for k, other in enumerate(others, 1))


def _synthetic_disagreements(config: TrainConfig, where: str, train: DataConfig | SyntheticConfig) -> Iterator[str]:
    if not isinstance(train, SyntheticConfig):
        return
    if config.class_names != ARMOR_CLASSES:
        names = ", ".join(config.class_names[:3])
        yield f"class_names: expected the 36 of the rendered plates (leave the key out), got {names}..."
    if train.pipeline.copy_paste:
        yield f"{where}.pipeline.copy_paste: expected 0 for rendered images, which hold several robots already"
