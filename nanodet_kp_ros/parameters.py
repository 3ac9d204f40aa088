"""Node parameters: a frozen dataclass describes them; declaration, checks and changes come from it.

Parameters are declared with dynamic typing, because ROS refuses the integer `score_threshold:=1` for a floating-point
parameter; `checked` does the type check instead, and what is stored has the type of the default (parameter_types.py).
"""

from __future__ import annotations

import difflib
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field, fields, replace
from functools import partial
from typing import Any, TypeVar

from rcl_interfaces.msg import FloatingPointRange, IntegerRange, ParameterDescriptor
from rclpy.exceptions import InvalidParameterValueException
from rclpy.node import Node
from rclpy.parameter import Parameter

from nanodet_kp_core.errors import ConfigError, shown
from nanodet_kp_ros.parameter_types import keep_types

Value = bool | int | float | str
_ALIKE = 0.8
"""How alike a given name and a parameter are, as difflib counts it, to count as misspelled and not another node's."""
T = TypeVar("T")  # a frozen dataclass whose fields are made by `setting`


@dataclass(frozen=True)
class Setting:
    """One parameter: its default (whose type is the type), its description, its range or its choices.

    live: may be set while the node runs. reloads: the model is loaded again when it is set.
    """

    name: str
    default: Value
    description: str
    low: float | None = None
    high: float | None = None
    choices: tuple[str, ...] = ()
    live: bool = False
    reloads: bool = False

    def expected(self) -> str:
        """The values that are accepted, in words."""
        if self.choices:
            return " or ".join(repr(choice) for choice in self.choices)
        kind = {bool: "true or false", int: "an integer", float: "a number", str: "a string"}[type(self.default)]
        return kind if self.low is None else f"{kind} from {self.low:g} to {self.high:g}"


def setting(
    default: Value,
    description: str,
    low: float | None = None,
    high: float | None = None,
    *,
    choices: tuple[str, ...] = (),
    live: bool = False,
    reloads: bool = False,
) -> Any:
    """A field of a dataclass of settings; the arguments are those of Setting."""
    rules = {"low": low, "high": high, "choices": choices, "live": live, "reloads": reloads}
    return field(default=default, metadata={"default": default, "description": description, **rules})


def settings_of(kind: type) -> tuple[Setting, ...]:
    """What a dataclass of settings says of its fields, in their order."""
    return tuple(Setting(one.name, **one.metadata) for one in fields(kind))


def checked(setting: Setting, value: object) -> Value:
    """`value` in the setting's type. Integers are taken for numbers, and for strings (a camera index).

    Raises ConfigError that names the parameter, what is accepted and what came.
    """
    refused = ConfigError(f"parameter {setting.name}: expected {setting.expected()}, got {shown(value)}")
    kind = type(setting.default)
    if isinstance(value, bool):
        if kind is not bool:
            raise refused
        return value
    if isinstance(value, int) and kind in (float, str):
        value = kind(value)
    if not isinstance(value, (int, float, str)) or not isinstance(value, kind):
        raise refused
    if setting.choices and value not in setting.choices:
        raise refused
    if isinstance(value, str) or setting.low is None or setting.high is None:
        return value
    if not setting.low <= value <= setting.high:  # refuses NaN too
        raise refused
    return value


def declare(node: Node, kind: type[T]) -> T:
    """Declares all settings on the node; returns their values as given on the command line, in a file, or by default.

    A name that nearly is a parameter's gives a warning: ROS ignores unknown names without a word.
    Raises ConfigError for a value that is not accepted.
    """
    keep_types(node, {one.name: partial(checked, one) for one in settings_of(kind)})
    values = {}
    for one in settings_of(kind):
        try:
            parameter: Parameter[Any] = node.declare_parameter(one.name, one.default, _writable(one))
        except InvalidParameterValueException as error:
            raise ConfigError(f"parameter {one.name}: expected {one.expected()}: {error}") from None
        values[one.name] = checked(one, parameter.value)
        if type(parameter.value) is not type(values[one.name]):
            node.set_parameters([Parameter(one.name, value=values[one.name])])
        node.set_descriptor(one.name, _descriptor(one))
    for sentence in misspelled(node._parameter_overrides, values):
        node.get_logger().warning(sentence)
    return kind(**values)


def misspelled(given: Iterable[str], known: Iterable[str]) -> list[str]:
    """A sentence for each given name that is no parameter but nearly one.

    Names unlike all parameters get none: a file for "/**" may hold those of other nodes.
    """
    names = list(known)
    unknown = [name for name in given if name not in names]
    near = {name: difflib.get_close_matches(name, names, n=1, cutoff=_ALIKE) for name in unknown}
    return [
        f"parameter {name}: this node has none of that name, and the value has no effect; did you mean {match[0]}?"
        for name, match in near.items()
        if match
    ]


def updated(settings: T, values: Mapping[str, object]) -> T:
    """The settings with these values, by name; names of other parameters are ignored.

    Raises ConfigError for a value that is not accepted.
    """
    known = {one.name: one for one in settings_of(type(settings))}
    new = {name: checked(known[name], value) for name, value in values.items() if name in known}
    return replace(settings, **new)  # type: ignore[type-var]


def _writable(setting: Setting) -> ParameterDescriptor:
    """As `_descriptor`, until the value has its type: a read-only one could not be given it."""
    descriptor = _descriptor(setting)
    descriptor.read_only = False
    return descriptor


def _descriptor(setting: Setting) -> ParameterDescriptor:
    descriptor = ParameterDescriptor(
        name=setting.name,
        description=setting.description,
        additional_constraints=f"expected {setting.expected()}",
        read_only=not setting.live,
        dynamic_typing=True,
    )
    if setting.low is None or setting.high is None:
        return descriptor
    if isinstance(setting.default, float):
        descriptor.floating_point_range = [FloatingPointRange(from_value=setting.low, to_value=setting.high)]
    else:
        descriptor.integer_range = [IntegerRange(from_value=int(setting.low), to_value=int(setting.high))]
    return descriptor
