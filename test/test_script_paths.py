"""Every path argument of the scripts and of `detect` is written out: `~`, `file://` and `package://`."""

import os
import re
import subprocess
import sys
from pathlib import Path

import cv2
import numpy as np
import pytest

ROOT = Path(__file__).resolve().parents[1]
SCRIPTS = sorted(path for path in (ROOT / "training").glob("*.py"))


@pytest.mark.parametrize("script", SCRIPTS, ids=lambda path: path.name)
def test_no_argument_takes_a_path_as_it_stands(script):
    raw = re.compile(r"type\s*=\s*(pathlib\.)?Path\b|(?<![\w.])Path\(args\.")
    assert raw.search(script.read_text(encoding="utf-8")) is None


def run(*words, home):
    environment = {**os.environ, "HOME": str(home), "AMENT_PREFIX_PATH": "", "PYTHONPATH": str(ROOT)}
    return subprocess.run(
        [sys.executable, *map(str, words)], cwd=home, env=environment, capture_output=True, text=True, timeout=120
    )


@pytest.fixture
def labeled(tmp_path):
    """A folder with one labeled image, as home."""
    (tmp_path / "labels").mkdir()
    (tmp_path / "images").mkdir()
    assert cv2.imwrite(str(tmp_path / "images/a.png"), np.zeros((48, 64, 3), np.uint8))
    (tmp_path / "labels/a.txt").write_text("3 0.4 0.4 0.4 0.2 0.2 0.3 0.2 0.5 0.6 0.5 0.6 0.3\n")
    return tmp_path


def test_check_and_convert_write_paths_out(labeled):
    pytest.importorskip("tqdm")
    words = ("--format", "py-label-robomaster", "--labels", "~/labels", "--images", f"file://{labeled}/images")
    done = run(ROOT / "training/check.py", *words, home=labeled)
    assert (done.returncode, "1 images, 1 plates" in done.stdout) == (0, True), done.stderr
    done = run(ROOT / "training/convert.py", "~/out", "--to", "coco", *words, home=labeled)
    assert done.returncode == 0, done.stderr
    assert (labeled / "out/labels.json").is_file() and not (labeled / "~").exists()


def test_detect_writes_paths_out(labeled):
    words = ("-m", "nanodet_kp_core.detect", "~/images", "--json", "~/out.json", "--save", f"file://{labeled}/drawn")
    done = run(*words, home=labeled)
    assert done.returncode == 0, done.stderr
    assert (labeled / "out.json").is_file() and (labeled / "drawn/a.png").is_file()
    done = run("-m", "nanodet_kp_core.detect", "~/images", "--save", f"file://{labeled}/images", home=labeled)
    assert (done.returncode, "the source's own folder" in done.stderr) == (2, True)


def test_a_package_that_is_not_there_is_one_sentence(labeled):
    done = run("-m", "nanodet_kp_core.detect", "~/images", "--model", "package://no_such/a.onnx", home=labeled)
    assert done.returncode == 2
    (line,) = done.stderr.splitlines()
    assert line.startswith("detect: package://no_such/a.onnx: expected an installed package")
