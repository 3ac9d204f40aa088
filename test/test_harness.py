"""The tests' own machinery (test/conftest.py, test/harness) in small sessions: order, turns, skips in CI, `pure`."""

import json
import os
import shutil
import subprocess
import sys
from pathlib import Path

import pytest
from needs import needs

ROOT = Path(__file__).resolve().parent.parent
PARALLEL = ("-n", "2", "--dist", "loadfile", "--no-loadscope-reorder")  # as in the Makefile

TIMED = """
import json, os, time, pytest

def note(name):
    began = time.monotonic()
    time.sleep(0.05)
    with open(os.environ["TIMES"], "a") as file:
        file.write(json.dumps([name, began, time.monotonic()]) + "\\n")
"""
BESIDE = TIMED + "\n@pytest.mark.parametrize('k', range(10))\ndef test_it(k):\n    note(__name__)\n"
ALONE = BESIDE.replace("range(10)", "range(3)").replace("\ndef test", "\n@pytest.mark.alone\ndef test")
SKIPS = """
import pytest

def test_a_skip_that_is_right_everywhere():
    pytest.skip("cmake is missing")

def test_a_skip_that_is_wrong_here(shared_dir):
    pass

def test_the_same():
    pytest.skip("needs ROS 2: make setup")
"""


@pytest.fixture
def session(tmp_path):
    """Runs pytest on a small tree with this configuration; files: by their path under test/. The finished process."""
    root = tmp_path / "repository"
    (root / "test").mkdir(parents=True)
    shutil.copy(ROOT / "pyproject.toml", root)
    shutil.copy(ROOT / "test/conftest.py", root / "test")
    shutil.copytree(ROOT / "test/harness", root / "test/harness")

    def run(files, *arguments, **environment):
        for name, text in files.items():
            (root / "test" / name).parent.mkdir(exist_ok=True)
            (root / "test" / name).write_text(text)
        command = [sys.executable, "-m", "pytest", "-p", "xdist", "-p", "no:cacheprovider", "-q", *arguments]
        inherited = {name: value for name, value in os.environ.items() if not name.startswith(("PYTEST", "CI", "COV"))}
        own = {"PYTEST_DISABLE_PLUGIN_AUTOLOAD": "1", **environment}
        return subprocess.run(command, cwd=root, capture_output=True, text=True, env=inherited | own)

    return run


def test_a_test_marked_alone_has_the_machine_to_itself(session, tmp_path):
    files = {"core/test_a.py": BESIDE, "model/test_b.py": ALONE, "data/test_c.py": BESIDE}
    done = session(files, *PARALLEL, TIMES=str(tmp_path / "times"))
    assert done.returncode == 0, done.stdout
    times = [json.loads(line) for line in (tmp_path / "times").read_text().splitlines()]
    assert len(times) == 23
    overlaps = {
        frozenset((one, other))
        for one, began, ended in times
        for other, also_began, also_ended in times
        if one != other and began < also_ended and also_began < ended
    }
    assert overlaps == {frozenset(("test.core.test_a", "test.data.test_c"))}


def test_the_parts_come_before_the_processes(session, tmp_path):
    files = {f"{name}/test_{k}.py": ALONE for k, name in enumerate(("ros", "train", "data", "core"))}
    assert session(files, "-n", "1", *PARALLEL[2:], TIMES=str(tmp_path / "times")).returncode == 0
    names = [json.loads(line)[0] for line in (tmp_path / "times").read_text().splitlines()]
    assert list(dict.fromkeys(names)) == [
        "test.core.test_3", "test.data.test_2", "test.train.test_1", "test.ros.test_0",
    ]  # fmt: skip


def test_in_ci_a_skip_for_want_of_what_is_there_fails(session, tmp_path):
    module = 'import pytest\npytest.skip("needs ROS 2: make setup", allow_module_level=True)\n'
    files = {"core/test_a.py": SKIPS, "ros/test_b.py": module}
    (tmp_path / "shared").mkdir()
    done = session(files, *PARALLEL, "--continue-on-collection-errors", CI="true")
    assert done.returncode == 1
    assert "skipped in CI, where it must run" in done.stdout
    assert "1 failed, 1 passed, 1 skipped" in done.stdout, done.stdout
    assert "error" in done.stdout.splitlines()[-1]
    assert session(files).returncode == 0  # on a user's machine


def test_what_a_module_needs(tmp_path):
    assert needs(ROOT / "test/core/test_geometry.py") == set()
    assert needs(ROOT / "test/core/test_detect_cli.py") == set()  # starts nanodet_kp_core.detect
    assert needs(ROOT / "test/train/test_loop.py") == {"torch"}
    assert needs(ROOT / "test/ros/test_slot.py") == {"ros"}
    for text, found in [
        ("import torchvision, torch.nn as nn\n", {"torch"}),
        ("def f():\n    from sensor_msgs.msg import Image\n", {"ros"}),
        ("import pytest\npytest.importorskip('rclpy')\n", {"ros"}),
        ("COMMAND = ['python', 'training/train.py']\n", {"torch"}),
        ("sys.argv[0] = 'show_augmentation.py'\n", {"torch"}),
        ("COMMAND = ['python', '-m', 'nanodet_kp_ros.detector_node']\n", {"ros"}),
        ("from typing import TYPE_CHECKING\nif TYPE_CHECKING:\n    import torch\n", set()),
        ("TEXT = 'a torch is a lamp'\nimport numpy\n", set()),
    ]:
        file = tmp_path / f"test_{len(text)}.py"
        file.write_text(text)
        assert needs(file) == found, text


def test_the_pure_tests_run_where_torch_and_ros_cannot_be_imported(session):
    hidden = "import importlib\n\ndef test_it():\n    importlib.import_module('to' + 'rch')\n"
    files = {
        "core/test_a.py": "def test_it():\n    pass\n",
        "core/test_b.py": "import torch\n\ndef test_it():\n    pass\n",
        "train/conftest.py": "import torch\n",
        "train/test_c.py": "def test_it():\n    pass\n",
    }
    done = session(files, "-m", "pure", "-rA")
    assert (done.returncode, done.stdout.count("PASSED")) == (0, 1), done.stdout
    done = session({"core/test_d.py": hidden}, *PARALLEL, "-m", "pure")
    assert done.returncode == 1
    assert "ImportError: torch is imported in a run of the tests marked pure" in done.stdout
    assert "1 failed, 1 passed" in done.stdout
