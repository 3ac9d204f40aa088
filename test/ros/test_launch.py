"""The launch file with real `launch_ros`; it is no wheel, so that this runs on ROS installations only."""

import os
import signal
import subprocess
import sys

import cv2
import pytest

rclpy = pytest.importorskip("rclpy", reason="needs ROS 2: make setup, or source an installation")
pytest.importorskip("launch_ros", reason="launch_ros is missing: it comes with a ROS installation, not as a wheel")

from ros_helpers import ROOT, Peer, colored_images

from nanodet_kp_ros.msg import ArmorArray
from nanodet_kp_ros.qos import armors_qos

LAUNCH = (
    "import sys, launch; from launch.launch_description_sources import PythonLaunchDescriptionSource as Source; "
    "from launch.actions import IncludeLaunchDescription as Include; service = launch.LaunchService(); "
    "pairs = [a.split(':=', 1) for a in sys.argv[2:]]; "
    "service.include_launch_description(launch.LaunchDescription([Include(Source(sys.argv[1]), "
    "launch_arguments=pairs)])); sys.exit(service.run())"
)


def test_launch_with_a_player(image_model, tmp_path, monkeypatch):
    monkeypatch.delenv("FASTDDS_DEFAULT_PROFILES_FILE", raising=False)
    monkeypatch.delenv("FASTRTPS_DEFAULT_PROFILES_FILE", raising=False)
    for number, image in enumerate(colored_images(2)):
        cv2.imwrite(str(tmp_path / f"{number}.png"), image)
    arguments = [
        f"model:={image_model}",
        f"player_source:={tmp_path}",
        "fps:=10.0",
        "namespace:=red",
        "image:=/cam/image",
        "score_threshold:=0.8",
        "threads:=1",
        "image_qos:=reliable",
        "use_sim_time:=false",
    ]
    process = subprocess.Popen(
        [sys.executable, "-c", LAUNCH, str(ROOT / "launch" / "detector.launch.py"), *arguments],
        cwd=ROOT, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True, start_new_session=True,
    )  # fmt: skip
    peer = Peer()
    try:
        messages = []
        peer.node.create_subscription(ArmorArray, "/red/armors", messages.append, armors_qos())
        arrived = peer.spin_until(lambda: len(messages) >= 5, timeout_s=30)
        environments = _environments(process.pid)
    finally:
        peer.close()
        process.send_signal(signal.SIGINT)
        output, _ = process.communicate(timeout=20)
    assert arrived, output
    assert [armor.label for armor in messages[-1].armors] == ["B_3"], "score_threshold did not come through"
    assert len(environments) == 2
    assert all("config/fastdds_images.xml" in environment for environment in environments)


def test_a_killed_detector_is_started_again(image_model, tmp_path):
    for number, image in enumerate(colored_images(2)):
        cv2.imwrite(str(tmp_path / f"{number}.png"), image)
    arguments = [f"model:={image_model}", f"player_source:={tmp_path}", "fps:=20.0"]
    process = subprocess.Popen(
        [sys.executable, "-c", LAUNCH, str(ROOT / "launch" / "detector.launch.py"), *arguments],
        cwd=ROOT, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True, start_new_session=True,
    )  # fmt: skip
    peer = Peer()
    try:
        messages = []
        peer.node.create_subscription(ArmorArray, "/armors", messages.append, armors_qos())
        assert peer.spin_until(lambda: len(messages) >= 5)
        (detector,) = [pid for pid in _children(process.pid) if "detector_node" in _text(pid, "cmdline")]
        os.kill(detector, signal.SIGKILL)
        assert peer.spin_until(lambda: not os.path.exists(f"/proc/{detector}"))
        peer.spin_until(lambda: False, timeout_s=0.5)  # what was under way
        before = len(messages)
        assert peer.spin_until(lambda: len(messages) >= before + 5)
    finally:
        peer.close()
        process.send_signal(signal.SIGINT)
        output, _ = process.communicate(timeout=30)
    assert "process has died" in output


def test_a_detector_that_refuses_its_configuration_is_not_started_again(tmp_path):
    arguments = [f"model:={tmp_path / 'none.onnx'}"]
    process = subprocess.run(
        [sys.executable, "-c", LAUNCH, str(ROOT / "launch" / "detector.launch.py"), *arguments],
        cwd=ROOT, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True, timeout=60,
    )  # fmt: skip
    assert process.stdout.count("none.onnx: expected an ONNX file, got no such file") == 1
    assert "Traceback" not in process.stdout


def _environments(parent: int) -> list[str]:
    """The environments of the parent's child processes."""
    return [_text(child, "environ") for child in _children(parent)]


def _children(parent: int) -> list[int]:
    found = subprocess.run(["ps", "-o", "pid=", "--ppid", str(parent)], capture_output=True, text=True)
    return [int(pid) for pid in found.stdout.split()]


def _text(pid: int, name: str) -> str:
    with open(os.path.join("/proc", str(pid), name), encoding="utf-8") as file:
        return file.read()
