"""One minute of random faults: benchmark/soak.py, whose half hour stands in docs/node.md."""

import subprocess
import sys

import pytest

pytest.importorskip("rclpy", reason="needs ROS 2: make setup, or source an installation")

from ros_helpers import ROOT

MEMORY_MB = 150  # in the first minutes the node sees new sizes, encodings and models; the long run shows that it stays


def test_a_minute_of_random_faults():
    command = [sys.executable, str(ROOT / "benchmark" / "soak.py"), "--minutes", "0.7", "--growth", str(MEMORY_MB)]
    run = subprocess.run(command, cwd=ROOT, capture_output=True, text=True, timeout=400)
    assert run.returncode == 0, run.stdout + run.stderr
    assert "all as promised" in run.stdout
