"""The rooms of ARCHITECTURE.md: who imports whom, ROS code loads no torch, the core loads no ROS."""

import ast
import subprocess
import sys

import pytest
from ros_helpers import ROOT

CORE = "nanodet_kp_core"
SHARED = {
    "classes",
    "errors",
    "files",
    "geometry",
    "layout",
    "numerics",
    "paths",
    "plate",
    "share",
    "texts",
    "yaml_text",
}
RECORDER = {"labels.yolo_pose", "labels.prelabels.prelabeled"}


def imported(text: str) -> set[str]:
    """Every name that a Python file imports, at its top or inside a function, with its modules: `a.b.name`."""
    names = set()
    for node in ast.walk(ast.parse(text)):
        if isinstance(node, ast.Import):
            names |= {alias.name for alias in node.names}
        elif isinstance(node, ast.ImportFrom):
            assert node.level == 0, "relative import"
            names |= {f"{node.module}.{alias.name}" for alias in node.names}
    return names


def core_imports(folder: str) -> dict[str, set[str]]:
    """What the files of a folder import of the core, without its name: {"recorder.py": {"errors.ConfigError"}}."""
    return {
        path.name: {
            name.removeprefix(CORE).lstrip(".") for name in imported(path.read_text()) if name.split(".")[0] == CORE
        }
        for path in (ROOT / folder).rglob("*.py")
    }


def outside(files: dict[str, set[str]]) -> set[tuple[str, str]]:
    """(file, name) of what is neither of the runtime nor of the modules that it rests on."""
    allowed = {"runtime", *SHARED}
    return {(file, name) for file, names in files.items() for name in names if name.split(".")[0] not in allowed}


def test_ros_imports_the_runtime_and_what_it_rests_on():
    files = core_imports("nanodet_kp_ros")
    assert files["recorder.py"] >= RECORDER
    files["recorder.py"] -= RECORDER
    assert not outside(files)


def test_the_runtime_imports_no_training_code():
    files = core_imports(f"{CORE}/runtime")
    assert "runtime.nms.nms" in files["detector.py"]
    assert not outside(files)


def test_an_import_inside_a_function_is_seen():
    assert imported("def f():\n    from nanodet_kp_core.train import loop\n") == {"nanodet_kp_core.train.loop"}


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


@pytest.mark.parametrize("module", [CORE, f"{CORE}.detect", f"{CORE}.runtime.detection.detector"])
def test_the_core_loads_no_ros_and_the_runtime_no_torch(module):
    names = loaded(module)
    assert "nanodet_kp_core" in names
    assert not names & {"torch", "rclpy", "nanodet_kp_ros", "sensor_msgs", "std_msgs"}
