"""The three rooms: ROS code loads no torch, the core loads no ROS."""

import subprocess
import sys

import pytest
from ros_helpers import ROOT


def loaded(module: str) -> set[str]:
    """Names of the top-level packages in a new Python after importing the module."""
    code = f"import sys, {module}; print(*{{name.split('.')[0] for name in sys.modules}})"
    run = subprocess.run([sys.executable, "-c", code], cwd=ROOT, capture_output=True, text=True)
    assert run.returncode == 0, run.stderr
    return set(run.stdout.split())


@pytest.mark.parametrize("name", ["detector_node", "player_node"])
def test_the_nodes_load_no_torch(name):
    pytest.importorskip("rclpy", reason="needs ROS 2: make setup, or source an installation")
    names = loaded(f"nanodet_kp_ros.{name}")
    assert "rclpy" in names
    assert not names & {"torch", "onnx", "pydantic", "tqdm"}


@pytest.mark.parametrize("module", ["nanodet_kp_core", "nanodet_kp_core.detect", "nanodet_kp_core.runtime.detector"])
def test_the_core_loads_no_ros_and_the_runtime_no_torch(module):
    names = loaded(module)
    assert "nanodet_kp_core" in names
    assert not names & {"torch", "rclpy", "nanodet_kp_ros", "sensor_msgs", "std_msgs"}
