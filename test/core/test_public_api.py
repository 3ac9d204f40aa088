"""The public Python API: its list, what each name costs to load, and that documentation and types agree with it."""

import inspect
import os
import re
import subprocess
import sys
from pathlib import Path

import cv2
import pytest

import nanodet_kp_core
from nanodet_kp_core.synthetic.clip import write_clip
from nanodet_kp_core.synthetic.generator import render

ROOT = Path(__file__).resolve().parents[2]

RUNTIME = {
    "Calibration", "Camera", "DetectOptions", "Detections", "Detector", "Frame", "NanodetKpError", "PlatePoses", "Pose",
    "RoiDetector", "bundled_model", "draw", "flush_denormals", "open_source", "read_calibration",
}  # fmt: skip
TRAINING = {"Report", "evaluate_detector", "export_onnx", "load_config", "train_detector"}


def run(code: str) -> str:
    done = subprocess.run([sys.executable, "-c", code], cwd=ROOT, capture_output=True, text=True, timeout=120)
    assert done.returncode == 0, done.stderr
    return done.stdout


def test_the_list():
    """A change here is a change for users: CHANGELOG.md and docs/reference/python.md say it too."""
    assert set(nanodet_kp_core.__all__) == RUNTIME | TRAINING | {"__version__"}
    assert nanodet_kp_core.__all__ == sorted(nanodet_kp_core.__all__)
    assert set(nanodet_kp_core._HOMES) == RUNTIME | TRAINING
    assert set(nanodet_kp_core.__all__) <= set(dir(nanodet_kp_core))


@pytest.mark.parametrize("name", sorted(RUNTIME | TRAINING))
def test_each_name_has_a_docstring(name):
    if name in TRAINING:
        pytest.importorskip("torch")
    value = getattr(nanodet_kp_core, name)
    own = value.__doc__ or ""
    assert len(own.split()) >= 3 and not own.startswith(f"{name}(")  # which dataclasses write by themselves
    assert value.__module__ == f"nanodet_kp_core.{nanodet_kp_core._HOMES[name]}"


def test_the_package_itself_loads_next_to_nothing():
    heavy = {"torch", "cv2", "numpy", "onnxruntime", "yaml", "pydantic"}
    loaded = run("import sys, nanodet_kp_core; print(*{name.split('.')[0] for name in sys.modules})")
    assert "nanodet_kp_core" in loaded.split() and not heavy & set(loaded.split())


def test_the_detector_loads_no_torch():
    names = ", ".join(sorted(RUNTIME))
    loaded = run(f"import sys; from nanodet_kp_core import {names}, __version__; print('torch' in sys.modules)")
    assert loaded.strip() == "False"


def test_the_version_is_that_of_package_xml():
    assert f"<version>{nanodet_kp_core.__version__}</version>" in (ROOT / "package.xml").read_text()
    assert "version" not in re.findall(r"^(\w+) =", (ROOT / "pyproject.toml").read_text(), re.MULTILINE)


def test_an_unknown_name_is_an_attribute_error():
    with pytest.raises(AttributeError, match="has no attribute 'Detecter'"):  # codespell:ignore detecter
        nanodet_kp_core.Detecter  # noqa: B018  # codespell:ignore detecter
    assert not hasattr(nanodet_kp_core, "__path_of_nothing__")


def test_type_checkers_see_the_same_names():
    source = inspect.getsource(nanodet_kp_core).split("if TYPE_CHECKING:")[1].split("__all__")[0]
    seen = {}
    for module, names in re.findall(r"from nanodet_kp_core\.([\w.]+) import (.+)", source):
        seen.update({name.split(" as ")[-1].strip(): module for name in names.split(",")})
    assert seen == nanodet_kp_core._HOMES
    assert (ROOT / "nanodet_kp_core" / "py.typed").is_file()


def test_the_documentation_names_each():
    text = (ROOT / "docs" / "reference" / "python.md").read_text()
    assert set(re.findall(r"^## (\w+)$", text, re.MULTILINE)) == RUNTIME | TRAINING


CALIBRATION = "matrix: [[600, 0, 320], [0, 600, 240], [0, 0, 1]]\ndistortion: [0, 0, 0, 0]\n"


def test_the_examples_of_the_documentation(tmp_path):
    examples = re.findall(r"```python\n(.*?)```", (ROOT / "docs" / "python.md").read_text(), re.DOTALL)
    assert len(examples) == 3
    cv2.imwrite(str(tmp_path / "plates.png"), render(0, (640, 480), (30.0, 80.0)).image)
    write_clip(tmp_path / "match.avi", 0.3, 10.0, 14, (640, 480))
    (tmp_path / "camera.yaml").write_text(CALIBRATION)
    printed = []
    for example in examples:
        command = [sys.executable, "-c", example]
        env = {**os.environ, "PYTHONPATH": str(ROOT)}
        done = subprocess.run(command, cwd=tmp_path, env=env, capture_output=True, text=True, timeout=120)
        assert done.returncode == 0, done.stderr
        printed.append(done.stdout.splitlines())
    assert all(re.match(r"[BRNP]_\w+ [01]\.\d\d \[\[", line) for line in printed[0]) and printed[0]
    assert all(re.match(r"[BRNP]_\w+ \[.*\] \d+\.\d\d m$", line) for line in printed[1]) and printed[1]
    assert [line.split(" [")[0] for line in printed[2]] == ["frame_000000 0.0", "frame_000001 0.1", "frame_000002 0.2"]
    assert (tmp_path / "found.png").is_file()
