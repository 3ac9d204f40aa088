"""The check of parameter values, without DDS."""

import math

import pytest
import yaml

pytest.importorskip("rclpy", reason="needs ROS 2: make setup, or source an installation")

from ros_helpers import ROOT

from nanodet_kp_core.errors import ConfigError
from nanodet_kp_ros import player_node, settings
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


@pytest.mark.parametrize("setting", [*settings.SETTINGS, *player_node.SETTINGS], ids=lambda s: s.name)
def test_defaults_are_accepted_and_described(setting):
    assert checked(setting, setting.default) == setting.default
    assert setting.description


def test_the_parameter_file_holds_the_defaults_of_all():
    document = yaml.safe_load((ROOT / "config" / "detector.yaml").read_text())
    assert document["/**"]["ros__parameters"] == {setting.name: setting.default for setting in settings.SETTINGS}


def test_the_table_in_the_readme_is_that_of_the_declarations():
    rows = [line for line in (ROOT / "docs" / "reference.md").read_text().splitlines() if line.startswith("| `")]
    for setting in settings.SETTINGS:
        assert row_of(setting) in rows


def row_of(setting):
    default = str(setting.default).lower() if isinstance(setting.default, bool) else setting.default
    shown = "empty" if default == "" else f"{default}"
    live = "yes" if setting.live else ""
    return f"| `{setting.name}` | {shown} | {setting.expected()} | {live} | {setting.description} |"
