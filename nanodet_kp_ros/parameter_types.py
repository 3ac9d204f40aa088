"""A parameter keeps its type: the integer of `ros2 param set ... score_threshold 1` is stored as the double 1.0.

The parameters are dynamically typed, see parameters.py; without this module one of them would be an integer from then
on, for `ros2 param get`, for a dump of the parameters, and for every tool that expects a double.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any

from rcl_interfaces.msg import SetParametersResult
from rclpy.node import Node
from rclpy.parameter import Parameter

from nanodet_kp_core.errors import ConfigError

Convert = Callable[[object], object]
"""The value in its parameter's type; raises ConfigError for a value that is not accepted."""


def keep_types(node: Node, converters: Mapping[str, Convert]) -> None:
    """Every set of a parameter named in `converters` stores the converted value.

    A value that is not accepted stays as it is, so that the node's own check answers it.
    """

    def typed(parameters: list[Parameter[Any]]) -> list[Parameter[Any]]:
        return [_typed(parameter, converters.get(parameter.name)) for parameter in parameters]

    if hasattr(node, "add_pre_set_parameters_callback"):
        node.add_pre_set_parameters_callback(typed)
        return

    def typed_in_place(parameters: list[Parameter[Any]]) -> SetParametersResult:
        parameters[:] = typed(parameters)
        return SetParametersResult(successful=True)

    # Humble has no callback for this purpose, but stores what the list holds after the check.
    node.add_on_set_parameters_callback(typed_in_place)


def _typed(parameter: Parameter[Any], convert: Convert | None) -> Parameter[Any]:
    if convert is None:
        return parameter
    try:
        value = convert(parameter.value)
    except ConfigError:
        return parameter
    return parameter if type(value) is type(parameter.value) else Parameter(parameter.name, value=value)
