"""The installed command `nanodet-kp`: its tour, what its subcommands call themselves, what is said when one lacks."""

import importlib
import re
import subprocess
import sys
from pathlib import Path

import pytest

import nanodet_kp_core.__main__ as nanodet_kp
from nanodet_kp_core.errors import ConfigError

ROOT = Path(__file__).resolve().parents[2]
DEFINED = {path.stem.replace("_", "-") for path in (ROOT / "nanodet_kp_core/commands").glob("[a-z]*.py")}
NEED_NO_TORCH = {"bag", "check", "convert", "detect", "synthesize", "view"}


def run(*words, **options):
    command = [sys.executable, "-m", "nanodet_kp_core", *words]
    return subprocess.run(command, capture_output=True, text=True, timeout=120, **({"cwd": ROOT} | options))


def called(monkeypatch, *words):
    monkeypatch.setattr(sys, "argv", ["nanodet-kp", *words])
    monkeypatch.setattr("nanodet_kp_core.detect.flush_denormals", lambda: True)  # this process goes on
    return nanodet_kp.main()


def test_every_command_is_in_the_tour_once():
    assert sorted(nanodet_kp.COMMANDS) == sorted(DEFINED | {"detect"})


def test_every_script_of_training_is_a_command():
    assert {path.stem.replace("_", "-") for path in (ROOT / "training").glob("[a-z]*.py")} == DEFINED


@pytest.mark.parametrize("words", [(), ("--help",), ("-h",)])
def test_the_tour_goes_from_finding_to_deploying(words):
    done = run(*words)
    assert done.returncode == 0 and done.stderr == ""
    at = [done.stdout.index(f"\n  {name} ") for name in ("detect", "bag", "check", "train", "evaluate", "export")]
    assert at == sorted(at)
    assert max(map(len, done.stdout.splitlines())) < 100


def test_the_version():
    assert (
        run("--version").stdout == f"nanodet-kp {re.search('<version>(.*)<', (ROOT / 'package.xml').read_text())[1]}\n"
    )


def test_a_misspelt_command():
    done = run("evalute", "model.onnx")  # codespell:ignore evalute
    assert done.returncode == 2
    assert "expected a command, got 'evalute'; did you mean evaluate?" in done.stderr  # codespell:ignore evalute
    assert "nanodet-kp --help lists them" in run("fly").stderr


@pytest.mark.parametrize("name", sorted(DEFINED | {"detect"}))
def test_a_command_calls_itself_by_its_name(name, monkeypatch, capsys):
    if name not in NEED_NO_TORCH:
        pytest.importorskip("torch")
    with pytest.raises(SystemExit) as ended:
        called(monkeypatch, name, "--help")
    assert ended.value.code == 0
    out = capsys.readouterr().out
    assert out.startswith(f"usage: nanodet-kp {name} [-h]")
    assert "training/" not in out
    if name != "detect":
        examples = re.findall(
            r"^    (\S+ .*)", importlib.import_module(nanodet_kp.module_of(name)).__doc__, re.MULTILINE
        )
        assert examples and all(f"nanodet-kp {name} " in line or "-m nanodet_kp_core" in line for line in examples)


def test_a_user_error_is_one_line(tmp_path):
    done = run("check", "--labels", str(tmp_path / "none.json"))
    assert done.returncode == 2
    assert done.stderr.startswith("error: ") and done.stderr.count("\n") == 1


COMMAND = "from nanodet_kp_core.__main__ import main; sys.exit(main())"
SCRIPT = "import runpy; sys.path.insert(0, 'training'); runpy.run_path('training/train.py', run_name='__main__')"


def run_without(module, *words, start=COMMAND):
    """The command in a Python that has no such module."""
    code = f"import sys; sys.modules[{module!r}] = None; {start}"
    return subprocess.run([sys.executable, "-c", code, *words], cwd=ROOT, capture_output=True, text=True, timeout=120)


@pytest.mark.parametrize(("words", "start"), [(["train"], COMMAND), ([], SCRIPT)], ids=["command", "script"])
def test_a_package_that_is_missing_names_the_way_out(words, start):
    done = run_without("torch", *words, "config/armor_s.yaml", start=start)
    assert done.returncode == 2
    assert done.stderr == (
        "error: train: expected the Python package torch, got none; use a virtual environment with "
        "`pip install '.[train]'`, run in a clone of nanodet_kp_ros\n"
    )


@pytest.mark.parametrize("name", sorted(NEED_NO_TORCH))
def test_labels_and_detection_need_no_torch(name):
    assert run_without("torch", name, "--help").returncode == 0


def test_on_a_robot_the_commands_of_training_are_not_there():
    done = run_without("nanodet_kp_core.commands", "check")
    assert done.returncode == 2 and done.stderr.count("\n") == 1
    assert "error: check: expected an installation with all commands, got that of a robot" in done.stderr


def test_an_error_of_ours_passes(monkeypatch, capsys):
    def fail():
        raise ConfigError("x: expected y, got z")

    monkeypatch.setattr(nanodet_kp, "_loaded", lambda name: fail)
    assert called(monkeypatch, "train") == 2
    assert capsys.readouterr().err == "error: x: expected y, got z\n"


@pytest.mark.parametrize("spelling", [["-m", "nanodet_kp_core", "train"], ["training/train.py"]])
def test_a_bundled_configuration_is_printed_to_be_changed(spelling, tmp_path):
    pytest.importorskip("torch")
    if spelling[0] != "-m":
        spelling = [str(ROOT / spelling[0])]
    command = [sys.executable, *spelling, "config/own_data.yaml", "--print"]
    done = subprocess.run(command, cwd=tmp_path, env={"PYTHONPATH": str(ROOT)}, capture_output=True, text=True)
    assert done.stdout == (ROOT / "config/own_data.yaml").read_text(), done.stderr
