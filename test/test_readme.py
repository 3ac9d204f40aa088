"""The commands of README.md, run as they stand, in a folder that looks like a checkout with a user's data beside it."""

import os
import re
import shlex
import subprocess
import sys
from dataclasses import replace
from pathlib import Path

import cv2
import pytest

pytest.importorskip("torch", reason="torch is missing")

from nanodet_kp_core.classes import ARMOR_CLASSES
from nanodet_kp_core.labels import py_label_robomaster, write_dataset
from nanodet_kp_core.labels.sample import Record
from nanodet_kp_core.runtime.detection.detector import Detector
from nanodet_kp_core.synthetic.generator import render

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


def test_every_block_says_what_it_is():
    """A block without a language would not be looked at."""
    fences = re.findall(r"^```(\S*)$", (ROOT / "README.md").read_text(encoding="utf-8"), re.MULTILINE)
    assert len(fences) % 2 == 0
    assert all(fences[::2]) and not any(fences[1::2])


def test_what_is_not_run_is_there():
    for beginning in NOT_HERE:
        assert [line for line in README if line.startswith(beginning)], f"{beginning}: no longer in README.md"


def make_user_data(folder: Path) -> None:
    """Sixteen rendered images with labels of PyLabelRoboMaster in `my_data`."""
    records = []
    (folder / "SOURCE").mkdir()
    for seed in range(16):
        sample = render(seed, (160, 128), (30.0, 60.0))
        known = [ARMOR_CLASSES[label] in py_label_robomaster.IDS for label in sample.labels]
        sample = replace(sample, **sample.fields_of_plates(known))
        path = folder / "SOURCE" / f"{seed}.png"
        cv2.imwrite(str(path), sample.image)
        records.append(
            Record(path=path, name=path.name, width=160, height=128, corners=sample.corners, labels=sample.labels)
        )
    assert sum(len(record.labels) for record in records) > 8
    write_dataset("PyLabelRoboMasterDataset", folder / "my_data", records, ARMOR_CLASSES)


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
    make_user_data(tmp_path)
    return tmp_path


def test_the_commands_run(checkout):
    environment = os.environ | {"PATH": f"{checkout}/.venv/bin:{os.environ['PATH']}", "PYTHONPATH": str(ROOT)}
    ran = 0
    for line in README:
        if line.startswith(tuple(NOT_HERE)):
            continue
        line += SHORT if line.startswith("nanodet-kp train") else ""
        done = subprocess.run(["bash", "-c", line], cwd=checkout, capture_output=True, text=True, env=environment)
        assert done.returncode == 0, f"{line}\n{done.stdout}{done.stderr}"
        ran += 1
    assert ran >= 3
    assert (checkout / "out.json").stat().st_size > 2 and len(list((checkout / "out").iterdir())) == 16
    assert Detector(checkout / TRAINED).refiner is not None and (checkout / "runs/mine/report.html").is_file()
