"""Scripts: those of the nodes in the build folder, to which `colcon build --symlink-install` links, and what the
benchmarks and tools import."""

import ast
import os
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parents[1]


@pytest.mark.skipif(shutil.which("cmake") is None, reason="cmake is missing")
def test_a_written_script_can_be_executed_where_it_lies(tmp_path):
    script = tmp_path / "bin" / "own node"
    text = "#!/bin/sh\necho it runs\n"
    steps = tmp_path / "steps.cmake"
    steps.write_text(f'include("{ROOT}/cmake/write_script.cmake")\nwrite_script("{script}" "{text}")\n')
    for _ in range(2):  # built again
        subprocess.run(["cmake", "-P", str(steps)], check=True, capture_output=True)
        assert os.stat(script).st_mode & 0o777 == 0o755
        assert subprocess.run([script], capture_output=True, text=True, check=True).stdout == "it runs\n"


def test_every_script_of_a_node_is_written_so():
    text = (ROOT / "CMakeLists.txt").read_text()
    assert "write_script(${CMAKE_CURRENT_BINARY_DIR}/bin/${node}" in text
    assert "file(WRITE" not in text


@pytest.mark.parametrize(
    "script", sorted([*ROOT.glob("benchmark/*.py"), *ROOT.glob("tools/*.py")]), ids=lambda p: p.stem
)
def test_what_a_script_imports_of_ours_is_there(script):
    """No other test runs most of them: a module that moves would break them unseen."""
    for node in ast.walk(ast.parse(script.read_text(encoding="utf-8"))):
        module = node.module if isinstance(node, ast.ImportFrom) and node.module else ""
        if module.startswith("_"):
            assert module == "__future__", f"{script.name}: {module}"
        if module.split(".")[0] not in ("nanodet_kp_core", "nanodet_kp_ros") or module == "nanodet_kp_ros.msg":
            continue
        place = ROOT.joinpath(*module.split("."))
        file = place.with_suffix(".py") if place.with_suffix(".py").is_file() else place / "__init__.py"
        assert file.is_file(), f"{script.name}: {module}"
        for alias in node.names:
            there = (place / f"{alias.name}.py").is_file() or alias.name in file.read_text(encoding="utf-8")
            assert there, f"{script.name}: {module}.{alias.name}"


@pytest.mark.parametrize("command", [["training/view.py"], ["-m", "nanodet_kp_core", "view"]])
def test_ctrl_c_while_modules_load_is_no_traceback(tmp_path, command):
    """The module that is interrupted stands for torch, which takes seconds."""
    (tmp_path / "cv2.py").write_text("raise KeyboardInterrupt\n")
    environment = {**os.environ, "PYTHONPATH": str(tmp_path)}
    done = subprocess.run([sys.executable, *command], cwd=ROOT, env=environment, capture_output=True, text=True)
    assert (done.returncode, done.stdout, done.stderr) == (130, "", "stopped\n")
