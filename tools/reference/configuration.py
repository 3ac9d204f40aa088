"""The page of the training configuration, from the pydantic models. The comment of a key is its meaning."""

from __future__ import annotations

import re
from collections.abc import Iterator

from pydantic import BaseModel
from pydantic.fields import FieldInfo
from pydantic_core import PydanticUndefined

from nanodet_kp_core.config import TrainConfig
from reference.markdown import docstring, escaped, table
from reference.source import comments_of
from reference.values import sections_of, shown, words

_ABOUT = """\
One YAML file describes a training. `nanodet-kp train config/own_data.yaml --print` prints one to start from. An unknown
key is an error that names the nearest valid one. *Ours* are keys that the published four-point guide does not have. How
to train: [training.md](../training.md); what augmentation does: [augmentation.md](../augmentation.md)."""

Places = dict[type[BaseModel], list[str]]


def page() -> str:
    """Markdown without a title."""
    places: Places = {}
    _walk(TrainConfig, "", places)
    titles = {model: _title(model, keys) for model, keys in places.items()}
    return "\n\n".join([_ABOUT, *(_section(model, titles) for model in places)])


def _walk(model: type[BaseModel], key: str, places: Places) -> None:
    """Every section with the keys at which it may stand, in the order of the file."""
    keys = places.setdefault(model, [])
    if key in keys:
        return
    keys.append(key)
    for name, field in model.model_fields.items():
        for inner in sections_of(field.annotation):
            _walk(inner, f"{key}.{name}".lstrip("."), places)


def _title(model: type[BaseModel], keys: list[str]) -> str:
    if keys == [""]:
        return "The whole file"
    kind = model.model_fields.get("name")
    choice = shown(kind.default) if kind is not None and _is_chosen(model) else ""
    return ", ".join(keys) + (f": {choice}" if choice else "")


def _is_chosen(model: type[BaseModel]) -> bool:
    """Whether a section has this schema only where its key `name` says so."""
    alternatives = {inner for outer in _all(TrainConfig) for inner in _alternatives(outer)}
    values = words(model.model_fields["name"])
    return model in alternatives and " or " not in values


def _all(model: type[BaseModel]) -> Iterator[type[BaseModel]]:
    yield model
    for field in model.model_fields.values():
        for inner in sections_of(field.annotation):
            yield from _all(inner)


def _alternatives(model: type[BaseModel]) -> Iterator[type[BaseModel]]:
    for field in model.model_fields.values():
        found = list(sections_of(field.annotation))
        if len(found) > 1:
            yield from found


def _section(model: type[BaseModel], titles: dict[type[BaseModel], str]) -> str:
    meanings = comments_of(model)
    rows = [_row(name, field, meanings.get(name, ""), titles, model) for name, field in model.model_fields.items()]
    own = model.__doc__ if "__doc__" in vars(model) else None
    parts = [f"## {titles[model]}", docstring(own), table(("key", "value", "default", "meaning"), rows)]
    return "\n\n".join(filter(None, parts))


def _row(
    name: str, field: FieldInfo, meaning: str, titles: dict[type[BaseModel], str], model: type[BaseModel]
) -> list[str]:
    links = " or ".join(
        f"[{titles[inner].rpartition(': ')[2]}](#{_anchor(titles[inner])})" for inner in sections_of(field.annotation)
    )
    return [f"`{name}`", links or escaped(words(field, model, name)), _default(field), escaped(meaning)]


def _default(field: FieldInfo) -> str:
    default = field.default
    if default is PydanticUndefined:
        return "required"
    if not isinstance(default, BaseModel):
        return f"`{shown(default)}`"
    given = {name: shown(getattr(default, name)) for name in sorted(default.model_fields_set)}
    named = {"name": shown(default.name)} if len(list(sections_of(field.annotation))) > 1 else {}  # type: ignore[attr-defined]
    return " ".join(f"`{name}: {value}`" for name, value in {**named, **given}.items()) or "its defaults"


def _anchor(title: str) -> str:
    return re.sub(r"[^\w\- ]", "", title.lower()).replace(" ", "-")
