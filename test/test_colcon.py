"""`colcon build --symlink-install` and `colcon test` in a workspace, as most ROS users type them."""

import os
import shlex
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

pytest.importorskip("rclpy", reason="needs ROS 2: make setup, or source an installation")

ROOT = Path(__file__).resolve().parents[1]
NAME = "nanodet_kp_ros"
COLCON = shutil.which("colcon", path=f"{sys.prefix}/colcon/bin:{os.environ.get('PATH', '')}")
pytestmark = pytest.mark.skipif(
    COLCON is None, reason="needs colcon: pip install -r requirements/colcon.txt, or apt install python3-colcon-ros"
)

PARTS = (
    "CMakeLists.txt", "package.xml", "pyproject.toml", "cmake", "msg", "launch", "config", "models", "nanodet_kp_core",
    "nanodet_kp_ros", "test/conftest.py", "test/harness", "test/core/tiny_model.py", "test/core/test_paths.py",
    "test/ros/conftest.py", "test/ros/ros_helpers.py", "test/ros/test_messages.py",
)  # fmt: skip

OWN_TESTS = f"""
import {NAME}.msg

def test_the_messages_are_those_of_the_workspace():
    assert {NAME}.msg.__file__.startswith("WORKSPACE/install")

def test_that_fails():
    assert not "on purpose"
"""


class Workspace:
    """A folder with the package in src/."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self.source = folder / "src" / NAME
        for part in PARTS:
            target = self.source / part
            target.parent.mkdir(parents=True, exist_ok=True)
            copy = shutil.copytree if (ROOT / part).is_dir() else shutil.copyfile
            copy(ROOT / part, target)
        (self.source / "test/ros/test_own.py").write_text(OWN_TESTS.replace("WORKSPACE", str(folder)))
        prefixes = os.environ.get("CMAKE_PREFIX_PATH") or sys.prefix
        self.environment = {
            **{key: value for key, value in os.environ.items() if key not in ("PYTHONPATH", "CI")},
            "PATH": f"{sys.prefix}/bin:{os.environ['PATH']}",
            "CMAKE_PREFIX_PATH": prefixes,
            "COLCON_HOME": str(folder / "home"),
        }

    def colcon(self, *words: str) -> subprocess.CompletedProcess[str]:
        """Run it in the workspace, its output in one text."""
        return self._run([str(COLCON), *words])

    def sourced(self, command: str) -> subprocess.CompletedProcess[str]:
        """Run a shell's command after the workspace's set-up."""
        return self._run(["sh", "-c", f". install/setup.sh && {command}"])

    def _run(self, command: list[str]) -> subprocess.CompletedProcess[str]:
        return subprocess.run(
            command, cwd=self.folder, env=self.environment, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True,
            timeout=1200,
        )  # fmt: skip


@pytest.fixture(scope="module")
def workspace(tmp_path_factory):
    """The package, built with links."""
    made = Workspace(tmp_path_factory.mktemp("workspace"))
    built = made.colcon("build", "--symlink-install", "--cmake-args", f"-DPython3_EXECUTABLE={sys.executable}")
    assert built.returncode == 0, built.stdout[-4000:]
    return made


def test_the_nodes_are_executables_of_the_package(workspace):
    """As `ros2 pkg executables` looks for them."""
    folder = workspace.folder / "install" / NAME / "lib" / NAME
    found = {path.name for path in folder.iterdir() if path.is_file() and os.access(path, os.X_OK)}
    assert found == {"detector_node", "player_node"}
    assert all((folder / name).is_symlink() for name in found)


@pytest.mark.parametrize("node", ["detector_node", "player_node"])
def test_a_node_of_the_workspace_starts(workspace, node):
    parameter = "model" if node == "detector_node" else "source"
    path = workspace.folder / "install" / NAME / "lib" / NAME / node
    done = workspace.sourced(f"exec {shlex.quote(str(path))} --ros-args -p {parameter}:=/none/at/all")
    assert done.returncode == 2, done.stdout
    assert "/none/at/all" in done.stdout and "no such file" in done.stdout and "Traceback" not in done.stdout


def test_a_node_without_its_packages_says_which(workspace):
    """As after a build outside the environment that has onnxruntime."""
    (workspace.folder / "none").mkdir()
    lines = "raise ModuleNotFoundError('No module named onnxruntime', name='onnxruntime')\n"
    (workspace.folder / "none/onnxruntime.py").write_text(lines)
    path = workspace.folder / "install" / NAME / "lib" / NAME / "detector_node"
    done = workspace.sourced(f"PYTHONPATH=$PWD/none:$PYTHONPATH exec {shlex.quote(str(path))}")
    assert done.returncode == 2
    assert done.stdout.startswith("detector_node: expected the Python package onnxruntime, got none in ")
    assert len(done.stdout.splitlines()) == 1


def test_files_are_links_to_the_sources(workspace):
    (workspace.source / "nanodet_kp_core/classes.py").open("a").write("\nEDITED = 'edited after the build'\n")
    python = shlex.quote(sys.executable)
    code = f"import {NAME}, {NAME}.msg as m, nanodet_kp_core.classes as c; print(c.EDITED, m.__file__)"
    done = workspace.sourced(f"{python} -c '{code}'")
    assert done.returncode == 0, done.stdout
    assert done.stdout.startswith("edited after the build " + str(workspace.folder / "install"))
    share = workspace.folder / "install" / NAME / "share" / NAME
    assert (share / "launch/detector.launch.py").resolve() == workspace.source / "launch/detector.launch.py"
    assert (share / "models/armor_s.onnx").is_file()


def test_colcon_test_runs_the_tests_and_tells_of_failures(workspace):
    ran = workspace.colcon("test", "--return-code-on-test-failure")
    result = workspace.colcon("test-result", "--verbose")
    assert ran.returncode != 0, ran.stdout[-4000:]
    assert "test_that_fails" in result.stdout, ran.stdout[-4000:] + result.stdout[-4000:]
    results = (workspace.folder / "build" / NAME / "test_results" / NAME).glob("*.xunit.xml")
    texts = {path.name: path.read_text() for path in results}
    assert set(texts) == {"core.xunit.xml", "ros.xunit.xml"}
    assert 'failures="0"' in texts["core.xunit.xml"] and "test_a_path_is_written_out" in texts["core.xunit.xml"]
    assert 'failures="1"' in texts["ros.xunit.xml"] and 'errors="0"' in texts["ros.xunit.xml"]
