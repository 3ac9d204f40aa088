"""Values that a field of a pydantic model accepts, in words."""

from __future__ import annotations

import typing
from collections.abc import Iterator
from pathlib import Path
from types import NoneType, UnionType
from typing import Annotated, Any, Literal, Union

from annotated_types import Ge, Gt, Le, Lt, MultipleOf
from pydantic import AfterValidator, BaseModel
from pydantic.fields import FieldInfo

_BOUNDS = {
    Ge: ("ge", "at least"), Gt: ("gt", "above"), Le: ("le", "at most"), Lt: ("lt", "below"),
    MultipleOf: ("multiple_of", "a multiple of"),
}  # fmt: skip
_MOST_SHOWN = 12


def words(field: FieldInfo, model: type[BaseModel] | None = None, name: str = "") -> str:
    """What a key accepts: its type, its bounds, and the rules of its validators by their docstrings."""
    rules = [] if model is None else list(_own_rules(model, name))
    return ", ".join([_worded(field.annotation, field.metadata), *rules])


def sections_of(annotation: Any) -> Iterator[type[BaseModel]]:
    """The models that an annotation allows."""
    if isinstance(annotation, type) and issubclass(annotation, BaseModel):
        yield annotation
    for argument in typing.get_args(annotation):
        yield from sections_of(argument)


def shown(value: object) -> str:
    """A value as YAML has it; of a long list the ends."""
    if isinstance(value, bool):
        return str(value).lower()
    if isinstance(value, (list, tuple)):
        if len(value) > _MOST_SHOWN:
            return f"[{shown(value[0])}, {shown(value[1])}, .. {shown(value[-1])}] ({len(value)} in all)"
        return f"[{', '.join(map(shown, value))}]"
    return "null" if value is None else str(value)


def _own_rules(model: type[BaseModel], name: str) -> Iterator[str]:
    for attribute, found in model.__pydantic_decorators__.field_validators.items():
        if name in found.info.fields:
            yield _rule(getattr(model, attribute))


def _rule(function: Any) -> str:
    if not function.__doc__:
        raise ValueError(f"{function.__name__}: expected a docstring that says what it accepts, got none")
    return str(function.__doc__).rstrip(".")


def _worded(annotation: Any, metadata: typing.Iterable[Any] = ()) -> str:
    origin, arguments = typing.get_origin(annotation), typing.get_args(annotation)
    if origin is Annotated:
        return _worded(arguments[0], [*_flat(arguments[1:]), *metadata])
    if origin in (Union, UnionType):  # the bounds are those of what is not null
        parts = [_worded(part, metadata) for part in arguments if part is not NoneType]
        return ", or ".join([*parts, "null"] if NoneType in arguments else parts)
    rules = [_rule(one.func) for one in metadata if isinstance(one, AfterValidator)]
    bounds = [_bound(one) for one in metadata if type(one) in _BOUNDS]
    kind = _kind(annotation, origin, arguments)
    return ", ".join([f"{kind} {' and '.join(bounds)}".strip(), *rules])


def _flat(metadata: typing.Iterable[Any]) -> Iterator[Any]:
    """The parts of Field(...) inside an annotation beside the others."""
    for one in metadata:
        yield from one.metadata if isinstance(one, FieldInfo) else [one]


def _bound(one: Any) -> str:
    attribute, word = _BOUNDS[type(one)]
    return f"{word} {getattr(one, attribute):g}"


def _kind(annotation: Any, origin: Any, arguments: tuple[Any, ...]) -> str:
    if origin is Literal:
        return " or ".join(f"`{shown(value)}`" for value in arguments)
    if origin in (list, tuple) and (origin is list or arguments[-1] is Ellipsis):
        return f"a list, each {_worded(arguments[0])}"
    if origin is tuple:
        same = len(set(map(_worded, arguments))) == 1
        inner = f"each {_worded(arguments[0])}" if same else ", ".join(map(_worded, arguments))
        return f"a list of {len(arguments)}, {inner}"
    return {bool: "true or false", int: "an integer", float: "a number", str: "a text", Path: "a path"}[annotation]
