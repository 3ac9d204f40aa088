"""`pip install .` in an empty venv: the command, the bundled model, the configurations; without a network."""

import json
import os
import re
import shutil
import subprocess
import sys
import sysconfig
import zipfile
from pathlib import Path

import cv2
import pytest

ROOT = Path(__file__).resolve().parents[1]
PARTS = ("nanodet_kp_core", "models", "config", "requirements")
FILES = ("pyproject.toml", "setup.py", "package.xml", "MANIFEST.in", "README.md", "LICENSE")

pytestmark = pytest.mark.slow


def run(*words, **options):
    done = subprocess.run([*map(str, words)], capture_output=True, text=True, timeout=300, **options)
    assert done.returncode == 0, done.stdout + done.stderr
    return done.stdout


@pytest.fixture(scope="module")
def wheel(tmp_path_factory):
    """Built in a copy, so that a build folder of another time cannot lend it files."""
    pytest.importorskip("setuptools", minversion="77")
    folder = tmp_path_factory.mktemp("wheel")
    for part in PARTS:
        shutil.copytree(ROOT / part, folder / "tree" / part, ignore=shutil.ignore_patterns("__pycache__"))
    for name in FILES:
        shutil.copy(ROOT / name, folder / "tree" / name)
    pip = [sys.executable, "-m", "pip", "--disable-pip-version-check", "wheel", "--quiet", "--no-index", "--no-deps"]
    run(*pip, "--no-build-isolation", "--wheel-dir", folder, folder / "tree")
    return next(folder.glob("*.whl"))


@pytest.fixture(scope="module")
def venv(wheel, tmp_path_factory):
    """A venv with the wheel, and behind it the libraries of this Python."""
    folder = tmp_path_factory.mktemp("venv")
    run(sys.executable, "-m", "venv", "--without-pip", folder)
    python = folder / "bin" / "python"
    pip = [sys.executable, "-m", "pip", "--disable-pip-version-check", "--python", python]
    run(*pip, "install", "--quiet", "--no-index", "--no-deps", wheel)
    site = Path(run(python, "-c", "import sysconfig; print(sysconfig.get_path('purelib'))").strip())
    (site / "zz_libraries.pth").write_text(sysconfig.get_path("purelib") + "\n")
    return folder


def environment():
    return {name: value for name, value in os.environ.items() if not name.startswith(("PYTHON", "AMENT"))}


@pytest.fixture(scope="module")
def image(tmp_path_factory):
    from nanodet_kp_core.synthetic.generator import render

    path = tmp_path_factory.mktemp("image") / "plates.png"
    sample = next(s for s in (render(seed, (640, 480), (30.0, 80.0)) for seed in range(30)) if len(s.labels) > 1)
    assert cv2.imwrite(str(path), sample.image)
    return path


def test_what_is_in_it(wheel):
    names = zipfile.ZipFile(wheel).namelist()
    packages = {name.split("/")[0] for name in names if name.endswith(".py")}
    assert packages == {"nanodet_kp_core"}  # the nodes need the messages that only colcon builds
    assert {name for name in names if name.startswith("nanodet_kp_core/")} == {
        str(path.relative_to(ROOT))
        for path in (ROOT / "nanodet_kp_core").rglob("*")
        if path.suffix in (".py", ".typed")
    }
    shared = {name.split("/data/share/nanodet_kp_ros/")[1] for name in names if "/data/share/" in name}
    expected = {f"{part}/{path.name}" for part in ("models", "config") for path in (ROOT / part).iterdir()}
    assert shared == expected | {"package.xml"}


def test_its_metadata(wheel):
    archive = zipfile.ZipFile(wheel)
    text = archive.read(next(name for name in archive.namelist() if name.endswith("/METADATA"))).decode()
    version = re.search("<version>(.*)</version>", (ROOT / "package.xml").read_text())[1]
    assert f"\nVersion: {version}\n" in text
    assert "\nRequires-Python: >=3.10\n" in text and "\nLicense-Expression: Apache-2.0\n" in text
    requires = re.findall(r"^Requires-Dist: (.*)$", text, re.MULTILINE)
    assert {re.split(r"[<>=]", line)[0] for line in requires if "extra" not in line} == {
        "numpy", "opencv-python", "onnxruntime", "PyYAML",
    }  # fmt: skip
    assert any(line.startswith("torch") and 'extra == "train"' in line for line in requires)
    assert any(line.startswith("rosbags") and 'extra == "bags"' in line for line in requires)


def test_the_command_detects_with_the_bundled_model(venv, image, tmp_path):
    out = tmp_path / "out.json"
    text = run(venv / "bin/nanodet-kp", "detect", image, "--json", out, cwd=tmp_path, env=environment())
    found = json.loads(out.read_text())["plates.png"]
    assert found and f"1 frames, {len(found)} plates" in text


def test_three_lines_of_python(venv, image, tmp_path):
    code = (
        "import cv2, nanodet_kp_core; from nanodet_kp_core import Detector\n"
        f"found = Detector()(cv2.imread({str(image)!r}))\n"
        "print(nanodet_kp_core.__file__, nanodet_kp_core.__version__, Detector().model_path, len(found), sep='\\n')\n"
    )
    lines = run(venv / "bin/python", "-c", code, cwd=tmp_path, env=environment()).splitlines()
    assert lines[0].startswith(str(venv)) and lines[2] == str(venv / "share/nanodet_kp_ros/models/armor_s.onnx")
    assert lines[1] in (ROOT / "package.xml").read_text() and int(lines[3]) > 0


def test_a_training_finds_the_bundled_configurations_and_weights(venv, tmp_path):
    pytest.importorskip("torch")
    nanodet_kp = venv / "bin/nanodet-kp"
    text = run(nanodet_kp, "train", "config/own_data.yaml", "--print", cwd=tmp_path, env=environment())
    assert text == (ROOT / "config/own_data.yaml").read_text()
    (tmp_path / "my.yaml").write_text(text)
    done = subprocess.run(
        [nanodet_kp, "train", "my.yaml"], cwd=tmp_path, env=environment(), capture_output=True, text=True, timeout=120
    )
    assert done.returncode == 2
    assert "my.yaml: data.train.0.img_path: expected an existing path" in done.stderr
    assert "load_model" not in done.stderr  # the weights are there, only the images are not
