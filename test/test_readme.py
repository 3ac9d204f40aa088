"""The commands of README.md, run as they stand, in a folder that looks like a checkout with a user's data beside it."""

import os
import re
import shlex
import subprocess
import sys
from pathlib import Path

import pytest

pytest.importorskip("torch", reason="torch is missing")

from reader_files import make_user_data

from nanodet_kp_core.runtime.detection.detector import Detector

ROOT = Path(__file__).resolve().parent.parent

NOT_HERE = {
    "make demo": "test/ros/test_tools.py runs it",
    "make test": "this is what runs",
    "rosdep install": "needs an installation of ROS",
    "colcon build": "needs an installation of ROS",
    "ros2 ": "needs an installation of ROS; test/ros/test_launch.py launches where there is one",
    "pip install": "would change the environment that the tests run in",
}
"""How commands begin that are not run, and why."""

TRAINED = "runs/mine/model.onnx"
SHORT = " --minutes 0.02"
"""What a command that trains gets besides: the budget of a reader who does not wait."""


def commands(page: str) -> list[str]:
    """The lines of the blocks marked `bash`, without comments and empty lines."""
    blocks = re.findall(r"^```bash\n(.*?)^```$", page, re.MULTILINE | re.DOTALL)
    lines = [re.sub(r"(^|\s)#.*", "", line).strip() for block in blocks for line in block.splitlines()]
    return [line for line in lines if line]


README = commands((ROOT / "README.md").read_text(encoding="utf-8"))


def test_what_is_not_run_is_there():
    for beginning in NOT_HERE:
        assert [line for line in README if line.startswith(beginning)], f"{beginning}: no longer in README.md"


@pytest.fixture
def checkout(tmp_path):
    """A folder with links to the repository's, a `.venv` whose Python is this one, and a user's images."""
    for name in ("config", "models", "nanodet_kp_core", "training"):
        (tmp_path / name).symlink_to(ROOT / name)
    python = tmp_path / ".venv/bin/python"
    python.parent.mkdir(parents=True)
    python.write_text(f'#!/bin/sh\nexec {shlex.quote(sys.executable)} "$@"\n')
    python.chmod(0o755)
    command = python.parent / "nanodet-kp"
    command.write_text(f'#!/bin/sh\nexec {shlex.quote(sys.executable)} -m nanodet_kp_core "$@"\n')
    command.chmod(0o755)
    make_user_data(tmp_path, 16)
    return tmp_path


def test_the_commands_run(checkout):
    environment = os.environ | {"PATH": f"{checkout}/.venv/bin:{os.environ['PATH']}", "PYTHONPATH": str(ROOT)}
    ran = 0
    for line in README:
        if line.startswith(tuple(NOT_HERE)):
            continue
        line += SHORT if line.startswith("nanodet-kp train") else ""
        line = line.replace("~/", f"{checkout}/home/")  # leave no virtual environment behind
        done = subprocess.run(["bash", "-c", line], cwd=checkout, capture_output=True, text=True, env=environment)
        assert done.returncode == 0, f"{line}\n{done.stdout}{done.stderr}"
        ran += 1
    assert ran >= 3
    assert (checkout / "out.json").stat().st_size > 2 and len(list((checkout / "out").iterdir())) == 16
    assert Detector(checkout / TRAINED).refiner is not None and (checkout / "runs/mine/report.html").is_file()
