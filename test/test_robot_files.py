"""What CMake installs on a robot: the nodes, the runtime and the models, nothing that training alone needs."""

import re
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parents[1]
pytestmark = pytest.mark.skipif(shutil.which("cmake") is None, reason="cmake is missing")

PROJECT = f"""cmake_minimum_required(VERSION 3.16)
project(nanodet_kp_ros NONE)
set(PYTHON_INSTALL_DIR lib/python3/site-packages)
include("{ROOT}/cmake/install_files.cmake")
"""


@pytest.fixture(scope="module")
def robot(tmp_path_factory):
    """A prefix with what `CMakeLists.txt` installs, but for the messages and the scripts of the nodes."""
    folder = tmp_path_factory.mktemp("robot")
    (folder / "CMakeLists.txt").write_text(PROJECT)
    prefix = folder / "prefix"
    configure = ["-S", folder, "-B", folder / "build", f"-DCMAKE_INSTALL_PREFIX={prefix}"]
    for words in (configure, ["--install", folder / "build"]):
        subprocess.run(["cmake", *map(str, words)], check=True, capture_output=True)
    return prefix


def rooms() -> tuple[set[str], set[str]]:
    """Rooms of the core, as pyproject.toml orders them: those that training alone needs, and the others."""
    text = (ROOT / "pyproject.toml").read_text()
    listed = re.search(r'containers = \["nanodet_kp_core"\]\nlayers = \[(.*?)\]', text, re.DOTALL)[1]
    layers = [re.split(r" [|:] ", layer) for layer in re.findall(r'"(.*?)"', listed)]
    first = layers.index(["labels"])  # the recorder writes labels
    above = {room for layer in layers[:first] for room in layer} - {"__main__"}
    return above, {room for layer in layers[first:] for room in layer} | {"__main__", "__init__"}


def test_the_rooms_of_training_are_left_out(robot):
    training, others = rooms()
    core = robot / "lib/python3/site-packages/nanodet_kp_core"
    installed = {path.stem for path in core.iterdir() if path.suffix == ".py" or path.is_dir()}
    assert {"runtime", "labels", "detect"} <= installed and "train" in training
    assert installed == {path.stem for path in (ROOT / "nanodet_kp_core").iterdir() if path.stem in others}


def test_every_file_of_an_installed_room_is_there(robot):
    packages = robot / "lib/python3/site-packages"
    for room in ("nanodet_kp_core/runtime", "nanodet_kp_core/labels", "nanodet_kp_ros"):
        expected = {path.relative_to(ROOT) for path in (ROOT / room).rglob("*.py")}
        assert {path.relative_to(packages) for path in (packages / room).rglob("*") if path.is_file()} == expected
    assert (packages / "nanodet_kp_core/py.typed").is_file()


def test_weights_and_training_configurations_are_left_out(robot):
    share = robot / "share/nanodet_kp_ros"
    models = {path.name for path in (share / "models").iterdir()}
    assert models == {path.name for path in (ROOT / "models").iterdir() if path.suffix != ".pt"}
    trains = {path.name for path in (ROOT / "config").glob("*.yaml") if "save_dir:" in path.read_text()}
    assert len(trains) >= 6
    assert {path.name for path in (share / "config").iterdir()} == {
        p.name for p in (ROOT / "config").iterdir()
    } - trains
    assert {path.name for path in (share / "launch").glob("*.py")} == {p.name for p in (ROOT / "launch").glob("*.py")}


def test_the_installed_command_detects(robot, tmp_path):
    shutil.copy(ROOT / "package.xml", robot / "share/nanodet_kp_ros")  # ament_package does so
    packages = robot / "lib/python3/site-packages"
    code = (
        "import sys; sys.path.insert(0, sys.argv.pop(1))\n"
        "from nanodet_kp_core.runtime.detection.detector import Detector\n"
        "print(Detector().model_path)\n"
    )
    run = subprocess.run([sys.executable, "-c", code, str(packages)], cwd=tmp_path, capture_output=True, text=True)
    assert run.stdout.strip() == str(robot / "share/nanodet_kp_ros/models/armor_s.onnx"), run.stderr
