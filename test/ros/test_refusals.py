"""What ROS itself refuses, and what makes libraries or the system fail: a sentence each, never an end in flight."""

import os

import pytest

rclpy = pytest.importorskip("rclpy", reason="needs ROS 2: make setup, or source an installation")

from ros_helpers import colored_images
from std_msgs.msg import Header
from std_srvs.srv import SetBool

from nanodet_kp_ros import detector_node
from nanodet_kp_ros.images import to_image

HEAD = "/**:\n  ros__parameters:\n    "


@pytest.mark.parametrize(
    ("content", "parts"),
    [
        (b"/**:\n\tros__parameters:\n\t\tthreads: 1\n", ["by spaces, not by tabs"]),
        (f"{HEAD}keep: '红'\n".encode("gbk"), ["YAML in UTF-8"]),
        (f"{HEAD}record_folder:\n".encode(), ["No value at line", "write ''"]),
        (f"{HEAD}keep: [R, 1]\n".encode(), ["values of one type"]),
        (b"threads: 1\n", ["the node's name"]),
        (b"detector_node:\n  threads: 1\n", ["the node's name"]),
        (None, ["opening YAML file", "check the path"]),
    ],
    ids=["tabs", "GBK", "empty value", "mixed list", "no node", "no ros__parameters", "no file"],
)
def test_a_parameter_file_that_ros_refuses(start, tmp_path, content, parts):
    path = tmp_path / "own.yaml"
    if content is not None:
        path.write_bytes(content)
    assert_refused(start("detector_node", "--params-file", str(path)), [*parts, "own.yaml"])


def test_a_parameter_that_ros_ignores_is_told(start, image_model):
    node = start("detector_node", "-p", f"model:={image_model}", "-p", "score_treshold:=0.3")
    node.wait_for("did you mean score_threshold?")


@pytest.mark.parametrize(
    ("name", "arguments", "parts"),
    [
        ("detector_node", ["-r", "__ns:=/red-1"], ["remap rule", "letters, digits"]),
        ("detector_node", ["-r", "__node:=9lives"], ["remap rule"]),
        ("player_node", ["-r", "image_raw:=/my camera"], ["remap rule"]),
        ("detector_node", ["-r", "image_raw"], ["FROM:=TO"]),
        ("detector_node", ["-p", "threads"], ["NAME:=VALUE"]),
        ("player_node", ["--log-level", "loud"], ["log level"]),
        ("detector_node", ["--no-such-flag"], ["--no-such-flag"]),
        ("player_node", ["-p", "use_sim_time:=maybe"], ["use_sim_time", "BOOL"]),
        ("detector_node", ["-p", "qos_overrides./image_raw.subscription.reliability:=fast"], ["reliability", "fast"]),
        ("detector_node", ["-p", "qos_overrides./armors.publisher.reliability:=fast"], ["reliability", "fast"]),
        ("detector_node", ["-p", "qos_overrides./armors.publisher.depth:=-1"], ["depth"]),
        (
            "player_node",
            ["-p", "source:=docs/armor_pose.png", "-p", "qos_overrides./image_raw.publisher.depth:=-1"],
            ["depth"],
        ),
    ],
)
def test_arguments_that_ros_refuses(start, name, arguments, parts):
    assert_refused(start(name, *arguments), parts, name)


@pytest.mark.parametrize(
    ("variable", "value", "part"),
    [("ROS_LOG_DIR", "/dev/null/logs", "ROS_LOG_DIR"), ("ROS_DOMAIN_ID", "seven", "a number of 0 to 101")],
)
def test_an_environment_that_ros_refuses(start, monkeypatch, variable, value, part):
    monkeypatch.setenv(variable, value)
    assert_refused(start("detector_node"), [part])


@pytest.mark.parametrize(
    ("name", "parameter"),
    [
        ("detector_node", "model:="),
        ("detector_node", "camera_info_file:="),
        ("player_node", "source:="),
    ],
)
@pytest.mark.parametrize("path", ["x" * 300, "/dev/null/below", "~no_such_user_at_all/x", "package://no_such/x"])
def test_a_path_that_the_system_refuses(start, name, parameter, path):
    assert_refused(start(name, "-p", parameter + path), [], name)


def assert_refused(node, parts, name="detector_node"):
    assert node.wait() == 2, node.output
    (line,) = [line for line in node.output.splitlines() if line.startswith(f"{name}: ")]
    for part in ["expected", *parts]:
        assert part in line
    assert "Traceback" not in node.output
    assert ".c:" not in line


def test_parameters_that_make_the_system_fail_in_flight(start, peer, image_model, tmp_path):
    node = start("detector_node", "-p", f"model:={image_model}")
    peer.wait_for_detector()
    image = to_image(colored_images(1)[0], Header(frame_id="optical"))
    loop = tmp_path / "loop"
    loop.symlink_to(loop)
    paths = ["y" * 256, "z" * 5000, f"{tmp_path}/{'q' * 300}/a", f"{loop}/a", "/dev/null/a", "~no_such_user_at_all/a"]
    for number, path in enumerate(paths):
        (result,) = peer.set_parameters(model=path)
        assert not result.successful
        assert "expected" in result.reason
        assert len(result.reason) < 500
        image.header.stamp.sec = 10 + number
        assert len(peer.ask(image).armors) == 2
    (result,) = peer.set_parameters(keep="R" * 5000)
    assert not result.successful and len(result.reason) < 1000
    assert "Traceback" not in node.output


@pytest.fixture
def broken_node(image_model):
    """A node in this process whose libraries fail with errors of their own."""
    rclpy.init(args=["--ros-args", "-p", f"model:={image_model}"])
    node = detector_node.DetectorNode()
    yield node
    node.destroy_node()
    rclpy.shutdown()


def test_any_exception_of_a_parameter_is_answered(broken_node, monkeypatch):
    def fail(*_):
        raise OSError(5, "the disk is gone")

    monkeypatch.setattr(detector_node, "make_engine", fail)
    for name, value in (("score_threshold", 0.4), ("model", "any"), ("keep", "R")):
        (result,) = broken_node.set_parameters([rclpy.parameter.Parameter(name, value=value)])
        assert not result.successful
        assert "OSError" in result.reason and "the disk is gone" in result.reason


def test_any_exception_of_a_service_is_answered(broken_node, monkeypatch):
    def fail(*_):
        raise RuntimeError("no more subscriptions")

    monkeypatch.setattr(broken_node._input, "listen", fail)
    answer = broken_node._on_enable(SetBool.Request(data=False), SetBool.Response())
    assert not answer.success
    assert answer.message == "RuntimeError: no more subscriptions"


SCRIPT = """
import sys
from nanodet_kp_ros import detector_node
from nanodet_kp_ros import stamp_monitor as stamps
calls = []
def fail(*_):
    calls.append(1)
    if len(calls) == 1:
        raise MemoryError("nobody foresaw this")
    return 0
stamps.StampMonitor.lost_before = fail
sys.exit(detector_node.main())
"""


def test_an_exception_of_a_message_is_told_and_the_node_goes_on(peer, image_model):
    import subprocess
    import sys

    command = [sys.executable, "-c", SCRIPT, "--ros-args", "-p", f"model:={image_model}"]
    process = subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True, env=os.environ)
    try:
        peer.wait_for_detector()
        image = to_image(colored_images(1)[0], Header(frame_id="optical"))
        for number in range(2):
            image.header.stamp.sec = 10 + number
            assert len(peer.ask(image).armors) == 2
    finally:
        process.terminate()
        output, _ = process.communicate(timeout=20)
    assert "an event could not be handled: MemoryError: nobody foresaw this; the node goes on" in output
    assert "Traceback" not in output
    assert process.returncode == 0
