"""test/parity.py on the recorded outputs, and that it can fail."""

import shutil
import sys
from pathlib import Path

import numpy as np
import pytest
from forked import run_forked

SCRIPT = Path(__file__).resolve().parents[1] / "parity.py"
sys.path.insert(0, str(SCRIPT.parent))

from parity import Checks, main

COVERED = (
    "dsla_plain",
    "dsla_points",
    "dsla_rtm",
    "atss",
    "losses",
    "codecs",
    "nms",
    "warp",
    "full_eval_a",
    "full_eval_b",
    "full_train",
    "ckpt_plain80.ckpt.xz",
    "ckpt_plain80_best.pth.xz",
    "ckpt_four36.ckpt.xz",
    "ckpt_four36_best.pth.xz",
)


def test_every_recorded_file_passes(shared_dir):
    """As a script, in a process of its own; the other tests call its main function."""
    result = run_forked([SCRIPT, "--golden", shared_dir / "golden"], cwd=SCRIPT.parent)
    assert result.returncode == 0, result.stdout + result.stderr
    for name in COVERED:
        assert [line for line in result.stdout.splitlines() if line.split()[:2] == [name, "PASS"]], result.stdout


@pytest.mark.parametrize(
    ("name", "key", "change"),
    [
        ("codecs", "distance2pts_free", 1e-2),
        ("dsla_plain", "c01_out_gt_index", 1),
        ("losses", "qfl0_out_grad", 1e-3),
        ("nms", "n0_out_labels", 1),
        ("warp", "m4_points", 0.01),
    ],
)
def test_one_changed_number_fails_its_file(shared_dir, tmp_path, capsys, name, key, change):
    data = dict(np.load(shared_dir / "golden" / f"{name}.npz"))
    data[key].flat[0] += change
    np.savez(tmp_path / f"{name}.npz", **data)
    assert main(["--golden", str(tmp_path)]) == 1
    printed = capsys.readouterr().out
    assert [line for line in printed.splitlines() if line.split()[:2] == [name, "FAIL"]], printed


@pytest.mark.parametrize(
    ("got", "want", "passes"),
    [
        ([1.0, np.inf, -np.inf], [1.00001, np.inf, -np.inf], True),
        ([np.inf], [np.inf], True),
        ([np.inf], [-np.inf], False),
        ([np.inf], [3e38], False),
        ([3e38], [np.inf], False),
        ([np.nan], [np.nan], False),
        ([1.0, np.inf], [1.1, np.inf], False),
    ],
)
def test_infinities_are_compared(got, want, passes):
    """Costs beyond float32 are infinite in the published code too."""
    checks = Checks()
    checks.near("costs", np.array(got), np.array(want), 1e-4, floor=1e-2)
    assert checks.worst.passed == passes


def test_file_without_cases_fails(tmp_path, capsys):
    np.savez(tmp_path / "losses.npz", seed=np.int64(1))
    assert main(["--golden", str(tmp_path)]) == 1
    assert "no case found" in capsys.readouterr().out


def test_network_file_without_its_weights_fails(shared_dir, tmp_path, capsys):
    shutil.copy(shared_dir / "golden" / "full_eval_a.npz", tmp_path)
    assert main(["--golden", str(tmp_path)]) == 1
    assert "needs full_weights.npz" in capsys.readouterr().out


def test_folder_without_golden_files_is_an_error(tmp_path, capsys):
    for folder in (tmp_path, tmp_path / "missing"):
        assert main(["--golden", str(folder)]) == 2
        assert str(folder) in capsys.readouterr().out
