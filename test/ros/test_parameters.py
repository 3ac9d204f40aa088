"""The check of parameter values, without DDS."""

import math
import re
from dataclasses import asdict
from typing import get_type_hints

import pytest
import yaml

pytest.importorskip("rclpy", reason="needs ROS 2: make setup, or source an installation")

from ros_helpers import ROOT

from nanodet_kp_core.errors import ConfigError
from nanodet_kp_ros.parameters import Setting, checked, misspelled, settings_of, updated
from nanodet_kp_ros.player_node import PlayerSettings
from nanodet_kp_ros.settings import NodeSettings

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


@pytest.mark.parametrize("setting", [*settings_of(NodeSettings), *settings_of(PlayerSettings)], ids=lambda s: s.name)
def test_defaults_are_accepted_and_described(setting):
    assert checked(setting, setting.default) == setting.default
    assert setting.description


@pytest.mark.parametrize("kind", [NodeSettings, PlayerSettings])
def test_the_types_of_the_fields_are_those_of_the_defaults(kind):
    types = get_type_hints(kind)
    assert {setting.name: type(setting.default) for setting in settings_of(kind)} == types


def test_some_settings_change_and_the_others_stay():
    before = NodeSettings(keep="R")
    after = updated(before, {"score_threshold": 1, "use_sim_time": True})
    assert after == NodeSettings(keep="R", score_threshold=1.0)
    assert type(after.score_threshold) is float
    assert updated(before, {}) == before
    with pytest.raises(ConfigError, match="parameter threads: expected an integer from 1 to 64, got 0"):
        updated(before, {"keep": "B", "threads": 0})


def test_a_misspelled_name_is_told_and_names_of_other_nodes_are_not():
    known = [setting.name for setting in settings_of(NodeSettings)]
    assert misspelled([*known, "use_sim_time", "exposure_time", "frame_rate", "source"], known) == []
    assert misspelled(["score_treshold", "Model"], known) == [
        f"parameter {name}: this node has none of that name, and the value has no effect; did you mean {meant}?"
        for name, meant in {"score_treshold": "score_threshold", "Model": "model"}.items()
    ]


def test_a_live_parameter_is_taken_over():
    """The engine is made anew, `_on_parameters` hands it on, or the node reads it from the current settings."""
    node, engine = ((ROOT / "nanodet_kp_ros" / name).read_text() for name in ("detector_node.py", "engine.py"))
    taken = engine + node.split("def _on_parameters")[1].split("\n    def ")[0]
    live = [setting.name for setting in settings_of(NodeSettings) if setting.live]
    used = [name for name in live if re.search(rf"\bsettings\.{name}\b", taken) or f"self._settings.{name}" in node]
    assert used == live


def test_the_parameter_file_holds_the_defaults_of_all():
    document = yaml.safe_load((ROOT / "config" / "detector.yaml").read_text())
    assert document["/**"]["ros__parameters"] == asdict(NodeSettings())
