"""The arguments of the launch files, and what they make of the nodes: with stand-ins for launch, which is no wheel."""

import importlib.util
import sys
import types

import pytest

pytest.importorskip("rclpy", reason="needs ROS 2: make setup, or source an installation")

from ros_helpers import ROOT

from nanodet_kp_ros.parameters import settings_of
from nanodet_kp_ros.settings import NodeSettings

USUAL = ("image_transport", "image_qos", "camera_info_file", "score_threshold", "threads", "use_sim_time")
"""What a user commonly sets."""
GIVEN = {
    "image_transport": ("compressed", "compressed"),
    "image_qos": ("reliable", "reliable"),
    "image_geometry": ("rectified", "rectified"),
    "camera_info_file": ("~/calibration/1.yaml", "~/calibration/1.yaml"),
    "score_threshold": ("0.25", 0.25),
    "threads": ("2", 2),
    "use_sim_time": ("true", True),
    "model": ("my.onnx", "my.onnx"),
}
"""What is typed, and the value of the parameter that it makes, of every parameter that is an argument."""


class Action:
    """Anything that launch does: what it was made with."""

    def __init__(self, *given, **named):
        self.given, self.named = given, named


class Context(dict):
    """The launch configurations; they stay from one included file to the next, as in launch."""

    is_shutdown = False


class Configuration:
    def __init__(self, name):
        self.name = name

    def perform(self, context):
        return context[self.name]


def kind(name):
    return type(name, (Action,), {})


@pytest.fixture(autouse=True)
def launch(monkeypatch):
    """launch and launch_ros, as far as the launch files use them."""
    names = {
        "launch": ["LaunchDescription"],
        "launch.actions": [
            "DeclareLaunchArgument", "IncludeLaunchDescription", "OpaqueFunction", "RegisterEventHandler",
            "SetEnvironmentVariable", "TimerAction",
        ],
        "launch.event_handlers": ["OnProcessExit"],
        "launch.launch_description_sources": ["PythonLaunchDescriptionSource"],
        "launch_ros": [],
        "launch_ros.actions": ["Node"],
    }  # fmt: skip
    modules = {name: types.ModuleType(name) for name in names}
    for name, kinds in names.items():
        for each in kinds:
            setattr(modules[name], each, kind(each))
    modules["launch.substitutions"] = types.ModuleType("launch.substitutions")
    modules["launch.substitutions"].LaunchConfiguration = Configuration
    for name, module in modules.items():
        monkeypatch.setitem(sys.modules, name, module)


def loaded(file):
    """A launch file as a module."""
    spec = importlib.util.spec_from_file_location("launch_file", file)
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


def actions_of(file, context):
    """All actions of a launch file in this context; what its arguments leave open has their defaults."""
    (entities,) = loaded(file).generate_launch_description().given
    actions = []
    for entity in entities:
        if type(entity).__name__ == "DeclareLaunchArgument" and "default_value" in entity.named:
            context.setdefault(entity.given[0], entity.named["default_value"])
        if type(entity).__name__ != "OpaqueFunction":
            actions.append(entity)
            continue
        for action in entity.named["function"](context, *entity.named.get("args", ())):
            actions += included(action, context) if type(action).__name__ == "IncludeLaunchDescription" else [action]
    return actions


def included(action, context):
    context.update(dict(action.named["launch_arguments"]))
    return actions_of(ROOT / "launch" / "detector.launch.py", context)


def nodes_of(file, **arguments):
    return of_kind("Node", actions_of(ROOT / "launch" / file, Context(arguments)))


def of_kind(name, actions):
    return [action for action in actions if type(action).__name__ == name]


def own(node):
    """The parameters beside the parameter file."""
    return node.named["parameters"][1]


@pytest.mark.parametrize("file", ["detector.launch.py", "cameras.launch.py"])
def test_what_a_user_commonly_sets_is_an_argument(file):
    actions = actions_of(ROOT / "launch" / file, Context(cameras=""))
    declared = [action.given[0] for action in of_kind("DeclareLaunchArgument", actions)]
    assert set(USUAL) <= set(declared)
    assert len(declared) == len(set(declared))
    assert all(action.named["description"] for action in of_kind("DeclareLaunchArgument", actions))


@pytest.mark.parametrize("file", ["detector.launch.py", "cameras.launch.py"])
def test_both_files_have_the_same_parameters(file):
    assert {"model", *loaded(ROOT / "launch" / file)._SETTINGS} == set(GIVEN)


@pytest.mark.parametrize(("name", "typed", "value"), [(name, *pair) for name, pair in GIVEN.items()])
@pytest.mark.parametrize("file", ["detector.launch.py", "cameras.launch.py"])
def test_an_argument_becomes_the_parameter_in_its_type(file, name, typed, value):
    arguments = {"cameras": "front rear"} if file == "cameras.launch.py" else {}
    nodes = nodes_of(file, **arguments, **{name: typed})
    assert len(nodes) == (2 if arguments else 1)
    for node in nodes:
        assert own(node) == {name: value}
        assert type(own(node)[name]) is type(value)


def test_names_and_types_are_those_of_the_node():
    defaults = {setting.name: setting.default for setting in settings_of(NodeSettings)} | {"use_sim_time": False}
    for name, (_, value) in GIVEN.items():
        assert type(value) is type(defaults[name])


def test_without_arguments_the_parameter_file_holds():
    (node,) = nodes_of("detector.launch.py")
    file, parameters = node.named["parameters"]
    assert file.endswith("config/detector.yaml")
    assert parameters == {}


def test_several_cameras():
    nodes = nodes_of("cameras.launch.py", cameras="front rear", camera_info_file="~/{camera}.yaml", threads="1")
    assert [node.named["namespace"] for node in nodes] == ["front", "rear"]
    assert [own(node) for node in nodes] == [
        {"camera_info_file": "~/front.yaml", "threads": 1},
        {"camera_info_file": "~/rear.yaml", "threads": 1},
    ]
    assert all(node.named["remappings"] == [("image_raw", "image_raw")] for node in nodes)


def test_a_camera_that_is_started_again_keeps_its_arguments():
    arguments = {"camera_info_file": "~/{camera}.yaml", "params_file": "/{camera}.yaml"}
    actions = actions_of(ROOT / "launch" / "cameras.launch.py", Context(cameras="front rear", **arguments))
    first = of_kind("RegisterEventHandler", actions)[0].given[0].named
    restart = first["on_exit"](types.SimpleNamespace(returncode=-9), Context())
    (node,) = of_kind("Node", restart.named["actions"])
    assert node.named["namespace"] == "front"
    assert node.named["parameters"] == ["/front.yaml", {"camera_info_file": "~/front.yaml"}]
    assert first["on_exit"](types.SimpleNamespace(returncode=2), Context()) is None
