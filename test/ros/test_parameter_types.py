"""A parameter keeps the type of its default, however it is set."""

from dataclasses import dataclass

import pytest

rclpy = pytest.importorskip("rclpy", reason="needs ROS 2: make setup, or source an installation")

from rcl_interfaces.msg import ParameterDescriptor, SetParametersResult
from rclpy.parameter import Parameter

from nanodet_kp_core.errors import ConfigError
from nanodet_kp_ros.parameter_types import keep_types
from nanodet_kp_ros.parameters import declare, setting, settings_of


@dataclass(frozen=True)
class Settings:
    threshold: float = setting(0.5, "", 0.0, 1.0, live=True)
    rate: float = setting(2.0, "", 0.0, 30.0)
    source: str = setting("", "", live=True)
    count: int = setting(3, "", 0, 30, live=True)


@pytest.fixture
def make_node():
    """Nodes with parameter overrides of the command line."""
    context = rclpy.Context()
    nodes = []

    def make(*overrides):
        arguments = [part for override in overrides for part in ("-p", override)]
        rclpy.init(args=["--ros-args", *arguments], context=context)
        nodes.append(rclpy.create_node("typed", context=context))
        return nodes[-1]

    yield make
    for node in nodes:
        node.destroy_node()
    rclpy.shutdown(context=context)


def type_of(node, name):
    return node.get_parameter(name).type_, node.describe_parameter(name).type


@pytest.mark.parametrize(
    ("name", "given", "value", "kind"),
    [
        ("threshold", "1", 1.0, Parameter.Type.DOUBLE),
        ("threshold", "0.25", 0.25, Parameter.Type.DOUBLE),
        ("rate", "3", 3.0, Parameter.Type.DOUBLE),  # read-only
        ("source", "0", "0", Parameter.Type.STRING),  # the index of a camera
        ("count", "4", 4, Parameter.Type.INTEGER),
    ],
)
def test_at_the_start(make_node, name, given, value, kind):
    node = make_node(f"{name}:={given}")
    assert getattr(declare(node, Settings), name) == value
    assert node.get_parameter(name).value == value
    assert type_of(node, name) == (kind, kind.value)


def test_read_only_ones_stay_so(make_node):
    node = make_node("rate:=3")
    declare(node, Settings)
    (result,) = node.set_parameters([Parameter("rate", value=4.0)])
    assert "read-only" in result.reason
    assert [node.describe_parameter(one.name).read_only for one in settings_of(Settings)] == [False, True, False, False]


def test_while_the_node_runs(make_node):
    node = make_node()
    declare(node, Settings)
    (result,) = node.set_parameters([Parameter("threshold", value=1)])
    assert result.successful
    assert node.get_parameter("threshold").value == 1.0
    assert type_of(node, "threshold") == (Parameter.Type.DOUBLE, Parameter.Type.DOUBLE.value)


class Humble:
    """A node whose rclpy knows no callback before the check."""

    def __init__(self, node):
        self.add_on_set_parameters_callback = node.add_on_set_parameters_callback


def test_what_is_not_accepted_reaches_the_check_as_it_came(make_node):
    node = make_node()
    declare(node, Settings)
    seen = []

    def refuse(parameters):
        seen.extend(parameter.value for parameter in parameters)
        return SetParametersResult(successful=False, reason="no")

    node.add_on_set_parameters_callback(refuse)
    for value in (2, "high", 1):
        assert not node.set_parameters([Parameter("threshold", value=value)])[0].successful
    assert seen == [2, "high", 1.0]
    assert [type(value) for value in seen] == [int, str, float]


def test_on_humble(make_node):
    node = make_node()
    keep_types(Humble(node), {"threshold": as_double})
    node.declare_parameter("threshold", 0.5, ParameterDescriptor(dynamic_typing=True))
    assert node.set_parameters([Parameter("threshold", value=1)])[0].successful
    assert type(node.get_parameter("threshold").value) is float


def as_double(value):
    if not isinstance(value, (int, float)):
        raise ConfigError("a number")
    return float(value)
