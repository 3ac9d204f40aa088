"""training/train.py: which of its two uses the arguments ask for, and export without the validation images of a run."""

from pathlib import Path

import pytest
from forked import run_forked

ROOT = Path(__file__).resolve().parents[2]


def called(script, *arguments, cwd=ROOT):
    return run_forked([ROOT / "training" / script, *arguments], cwd=cwd)


@pytest.mark.parametrize(
    ("arguments", "expected"),
    [
        ([], "expected a configuration, or --data with labels"),
        (["c.yaml", "--data", "l.json"], "expected a configuration, or --data with labels"),
        (["--data", "l.json"], "--data: expected --out RUN as well"),
        (["--data", "l.json", "--out", "o", "--resume"], "the same command goes on by itself"),
        (["c.yaml", "--out", "o"], "expected with --data only; a configuration names its own"),
        (["--data", "l.json", "--out", "o", "--minutes", "0"], "must be positive"),
        (["--data", "none.json", "--out", "o", "--format", "coco"], "none.json: expected"),
        (["none.yaml"], "none.yaml: expected a readable YAML file"),
    ],
)
def test_arguments_that_do_not_go_together(arguments, expected):
    done = called("train.py", *arguments)
    assert done.returncode == 2 and expected in done.stderr and "Traceback" not in done.stderr
    assert not (ROOT / "o").exists()


def test_an_export_without_the_validation_images_of_the_run(tmp_path):
    """The bundled weights name images that nobody has."""
    done = called("export.py", ROOT / "models" / "armor_s.pt", tmp_path / "m.onnx", "--size", "64x64", cwd=tmp_path)
    assert done.returncode == 0, done.stderr
    assert "validation images of the run are not here; comparing on rendered ones" in done.stdout
    assert "at most on 8 images" in done.stdout
    named = called("export.py", ROOT / "models" / "armor_s.pt", tmp_path / "n.onnx", "--images", tmp_path / "none")
    assert named.returncode == 2 and not (tmp_path / "n.onnx").exists()
