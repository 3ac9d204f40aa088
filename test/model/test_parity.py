"""test/parity.py on the recorded outputs, and that it can fail."""

import shutil
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest

SCRIPT = Path(__file__).resolve().parents[1] / "parity.py"
sys.path.insert(0, str(SCRIPT.parent))

from parity import Checks

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


def run(folder: Path) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        [sys.executable, str(SCRIPT), "--golden", str(folder)], capture_output=True, text=True, check=False
    )


def test_every_recorded_file_passes(shared_dir):
    result = run(shared_dir / "golden")
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
def test_one_changed_number_fails_its_file(shared_dir, tmp_path, name, key, change):
    data = dict(np.load(shared_dir / "golden" / f"{name}.npz"))
    data[key].flat[0] += change
    np.savez(tmp_path / f"{name}.npz", **data)
    result = run(tmp_path)
    assert result.returncode == 1
    assert [line for line in result.stdout.splitlines() if line.split()[:2] == [name, "FAIL"]], result.stdout


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


def test_file_without_cases_fails(tmp_path):
    np.savez(tmp_path / "losses.npz", seed=np.int64(1))
    result = run(tmp_path)
    assert result.returncode == 1
    assert "no case found" in result.stdout


def test_network_file_without_its_weights_fails(shared_dir, tmp_path):
    shutil.copy(shared_dir / "golden" / "full_eval_a.npz", tmp_path)
    result = run(tmp_path)
    assert result.returncode == 1
    assert "needs full_weights.npz" in result.stdout


def test_folder_without_golden_files_is_an_error(tmp_path):
    for folder in (tmp_path, tmp_path / "missing"):
        result = run(folder)
        assert result.returncode == 2
        assert str(folder) in result.stdout
