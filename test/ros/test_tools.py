"""What `make` says about an interpreter that does not do, and what it does to the wheels."""

import importlib.util
import re
import subprocess
import sys
import sysconfig
from collections import namedtuple

import pytest
from ros_helpers import ROOT, run_group


def load(name):
    spec = importlib.util.spec_from_file_location(name, ROOT / "tools" / f"{name}.py")
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


Version = namedtuple("Version", "major minor micro releaselevel serial")


@pytest.mark.parametrize(("minor", "fits"), [(9, False), (10, True), (11, True), (12, True), (13, True), (14, False)])
def test_versions(monkeypatch, tmp_path, minor, fits):
    check = load("check_python")
    monkeypatch.setattr(check.sys, "version_info", Version(3, minor, 0, "final", 0))
    monkeypatch.setattr(check.os.path, "exists", lambda path: True)
    sentence = check.problem(str(tmp_path), chosen=True)
    assert sentence is None if fits else sentence.startswith("expected CPython 3.10 to 3.13, got CPython")


def test_another_version_than_the_venv(tmp_path):
    (tmp_path / "pyvenv.cfg").write_text("home = /usr/bin\nversion = 3.9.1\n")
    check = load("check_python")
    assert "run 'make clean' first" in check.problem(str(tmp_path), chosen=True)
    assert check.problem(str(tmp_path), chosen=False) is None


def test_make_refuses_an_interpreter_that_is_not_there():
    run = subprocess.run(["make", "setup", "PYTHON=no-such-python"], cwd=ROOT, capture_output=True, text=True)
    assert run.returncode != 0
    assert "make: no interpreter 'no-such-python': expected CPython 3.10 to 3.13" in run.stderr


def test_the_wheels_cmake_files_are_pointed_at_this_interpreter():
    numpy = pytest.importorskip("numpy")
    patch = load("patch_wheels").patch
    image = "/opt/python/cp311-cp311"
    numpy_headers = f"{image}/lib/python3.11/site-packages/numpy/_core/include"
    line = f'INTERFACE "/a/include;{image}/include/python3.11;{numpy_headers}"'
    expected = f'INTERFACE "/a/include;{sysconfig.get_path("include")};{numpy.get_include()}"'
    assert patch(line) == expected
    assert patch(expected) == expected


@pytest.mark.alone
def test_the_demo_shows_plates_and_leaves_pictures(tmp_path):
    command = [sys.executable, str(ROOT / "tools" / "demo.py"), "--out", str(tmp_path)]
    command += ["--seconds", "3", "--clip-seconds", "1"]
    code, output = run_group(command, timeout_s=300)
    assert code == 0, output
    assert "/armors" in output and "Traceback" not in output
    counted = re.search(r"(\d+) arrays with (\d+) plates", output)
    assert counted is not None and int(counted[1]) > 10 and int(counted[2]) > 10
    assert list(tmp_path.glob("frame_*.jpg"))
