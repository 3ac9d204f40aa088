"""Ctrl-C while a node's modules load: the node ends at once, without a traceback. Later: test_detector_process.py, and
in the middle of an image: test_faults.py."""

import signal
import subprocess
from pathlib import Path

import pytest

pytest.importorskip("rclpy", reason="needs ROS 2: make setup, or source an installation")

from ros_helpers import DEADLINE_S, ROOT

import nanodet_kp_ros.msg

STAND_IN = """
import time
print("the import has begun", flush=True)
time.sleep(600)
"""


@pytest.fixture
def endless_import(tmp_path, monkeypatch):
    """Processes never get beyond their first import of OpenCV."""
    (tmp_path / "cv2.py").write_text(STAND_IN)
    monkeypatch.setenv("PYTHONPATH", str(tmp_path), prepend=":")


@pytest.mark.parametrize("name", ["detector_node", "player_node"])
def test_of_a_module(endless_import, start, name):
    node = start(name)
    node.wait_for("the import has begun")
    assert node.stop() == 0, node.output
    assert node.output == "the import has begun\n"


@pytest.mark.parametrize("name", ["detector_node", "player_node"])
def test_of_an_installed_script(endless_import, name):
    built = Path(nanodet_kp_ros.msg.__file__).parents  # the messages are nowhere but in the installation
    script = next(path for path in (up / "lib/nanodet_kp_ros" / name for up in built) if path.is_file())
    process = subprocess.Popen([script], cwd=ROOT, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True)
    try:
        assert process.stdout is not None
        assert process.stdout.readline() == "the import has begun\n"
        process.send_signal(signal.SIGINT)
        assert (process.communicate(timeout=DEADLINE_S)[0], process.returncode) == ("", 0)
    finally:
        process.kill()
