"""The check of parameter values, without DDS."""

import math

import pytest

pytest.importorskip("rclpy", reason="needs ROS 2: make setup, or source an installation")

from nanodet_kp_core.errors import ConfigError
from nanodet_kp_ros import detector_node, player_node
from nanodet_kp_ros.parameters import Setting, checked

THRESHOLD = Setting("threshold", 0.5, "", 0.0, 1.0)
COUNT = Setting("count", 5, "", 1, 10)
SOURCE = Setting("source", "", "")
QOS = Setting("qos", "a", "", choices=("a", "b"))
LOOP = Setting("loop", True, "")


@pytest.mark.parametrize(
    ("setting", "value", "expected"),
    [
        (THRESHOLD, 1, 1.0),
        (THRESHOLD, 0.25, 0.25),
        (COUNT, 10, 10),
        (SOURCE, 0, "0"),
        (QOS, "b", "b"),
        (LOOP, False, False),
    ],
)
def test_accepted(setting, value, expected):
    got = checked(setting, value)
    assert got == expected
    assert type(got) is type(setting.default)


@pytest.mark.parametrize(
    ("setting", "value", "expectation"),
    [
        (THRESHOLD, 1.01, "a number from 0 to 1"),
        (THRESHOLD, -1, "a number from 0 to 1"),
        (THRESHOLD, math.nan, "a number from 0 to 1"),
        (THRESHOLD, "0.5", "a number from 0 to 1"),
        (THRESHOLD, True, "a number from 0 to 1"),
        (COUNT, 0, "an integer from 1 to 10"),
        (COUNT, 2.5, "an integer from 1 to 10"),
        (COUNT, [1], "an integer from 1 to 10"),
        (SOURCE, 0.5, "a string"),
        (QOS, "c", "'a' or 'b'"),
        (LOOP, 1, "true or false"),
        (LOOP, None, "true or false"),
    ],
)
def test_refused(setting, value, expectation):
    with pytest.raises(ConfigError) as raised:
        checked(setting, value)
    assert str(raised.value) == f"parameter {setting.name}: expected {expectation}, got {value!r}"


@pytest.mark.parametrize("setting", [*detector_node.SETTINGS, *player_node.SETTINGS], ids=lambda s: s.name)
def test_defaults_are_accepted_and_described(setting):
    assert checked(setting, setting.default) == setting.default
    assert setting.description
