"""Random faults: benchmark/soak.py, whose half hour stands in docs/node.md."""

import sys

import pytest

pytest.importorskip("rclpy", reason="needs ROS 2: make setup, or source an installation")

from ros_helpers import ROOT, run_group

MEMORY_MB = 150  # in the first minutes the node sees new sizes, encodings and models; the long run shows that it stays


def test_a_minute_of_random_faults():
    """A quarter of one, at three times the pace: as many faults as in 45 seconds."""
    command = [sys.executable, str(ROOT / "benchmark" / "soak.py"), "--minutes", "0.25", "--pace", "3"]
    command += ["--growth", str(MEMORY_MB)]
    code, output = run_group(command, timeout_s=400)
    assert code == 0, output
    assert "all as promised" in output
