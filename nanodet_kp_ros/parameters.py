"""Node parameters: described once in a table, declared with descriptors, checked by one function.

Parameters are declared with dynamic typing, because ROS refuses the integer `score_threshold:=1` for a floating-point
parameter; `checked` does the type check instead, and what is stored has the type of the default (parameter_types.py).
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from functools import partial
from typing import Any

from rcl_interfaces.msg import FloatingPointRange, IntegerRange, ParameterDescriptor
from rclpy.exceptions import InvalidParameterValueException
from rclpy.node import Node
from rclpy.parameter import Parameter

from nanodet_kp_core.errors import ConfigError, shown
from nanodet_kp_ros.parameter_types import keep_types

Value = bool | int | float | str


@dataclass(frozen=True)
class Setting:
    """One parameter: its default (whose type is the type), its description, its range or its choices.

    `live`: may be set while the node runs.
    """

    name: str
    default: Value
    description: str
    low: float | None = None
    high: float | None = None
    choices: tuple[str, ...] = ()
    live: bool = False

    def expected(self) -> str:
        """The values that are accepted, in words."""
        if self.choices:
            return " or ".join(repr(choice) for choice in self.choices)
        kind = {bool: "true or false", int: "an integer", float: "a number", str: "a string"}[type(self.default)]
        return kind if self.low is None else f"{kind} from {self.low:g} to {self.high:g}"


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


def declare(node: Node, settings: Sequence[Setting]) -> dict[str, Value]:
    """Declares all settings on the node; returns their values as given on the command line, in a file, or by default.

    Raises ConfigError for a value that is not accepted.
    """
    keep_types(node, {setting.name: partial(checked, setting) for setting in settings})
    values = {}
    for setting in settings:
        try:
            parameter: Parameter[Any] = node.declare_parameter(setting.name, setting.default, _writable(setting))
        except InvalidParameterValueException as error:
            raise ConfigError(f"parameter {setting.name}: expected {setting.expected()}: {error}") from None
        values[setting.name] = checked(setting, parameter.value)
        if type(parameter.value) is not type(values[setting.name]):
            node.set_parameters([Parameter(setting.name, value=values[setting.name])])
        node.set_descriptor(setting.name, _descriptor(setting))
    return values


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
