"""Killed and resumed: the losses, the weights and results.csv are those of a run that nobody disturbed."""

import os
import signal

import pytest
import torch

from nanodet_kp_core import files
from nanodet_kp_core.checkpoint import load_checkpoint
from nanodet_kp_core.errors import ModelError, TrainingError
from nanodet_kp_core.train import detector_training
from nanodet_kp_core.train.detector_training import train
from nanodet_kp_core.train.results import Results, read_results
from nanodet_kp_core.train.run import Run

pytestmark = pytest.mark.usefixtures("bare_loop")

SECTIONS = {
    "schedule": {
        "optimizer": {"lr": 0.002, "reference_batch": 4}, "warmup": {"steps": 3}, "total_epochs": 3, "val_intervals": 1,
    },
    "device": {"accelerator": "cpu", "workers_per_gpu": 1, "batchsize_per_gpu": 2, "threads": 1},
}  # fmt: skip


@pytest.fixture(scope="module")
def whole(bare, tiny_config, tmp_path_factory):
    """Four steps and a validation an epoch, three epochs, nobody disturbs it."""
    with bare():
        return train(tiny_config(tmp_path_factory.mktemp("whole"), side=64, **SECTIONS))


def train_until_killed(config, where, at):
    """Train with a checkpoint after every step; kill -9 after step `at`, or before its last.pt is renamed in place."""
    detector_training.CHECKPOINT_SECONDS = 0.0
    whole_step, replace, current = Run.train_step, os.replace, [0]

    def step(run):
        values = whole_step(run)
        current[0] = run.step
        if where == "step" and run.step == at:
            os.kill(os.getpid(), signal.SIGKILL)
        return values

    def rename(source, target):
        if where == "rename" and target.name == "last.pt" and current[0] == at:
            os.kill(os.getpid(), signal.SIGKILL)
        replace(source, target)

    Run.train_step = step
    files.os.replace = rename
    train(config)


def same(first, second):
    """Whether two nests of dicts and tensors are equal to the last bit."""
    if isinstance(first, dict):
        return first.keys() == second.keys() and all(same(first[k], second[k]) for k in first)
    if isinstance(first, list | tuple):
        return len(first) == len(second) and all(map(same, first, second))
    return torch.equal(first, second) if isinstance(first, torch.Tensor) else first == second


@pytest.mark.parametrize(
    ("where", "at", "kept"),
    [
        ("step", 6, 5),  # in the middle of the second epoch, after an update that no checkpoint has seen
        ("rename", 7, 6),  # the new checkpoint is written and not yet in its place
        ("rename", 8, 7),  # the same at the end of the epoch: results.csv has the validation already
    ],
)
def test_a_killed_run_goes_on_as_if_nothing_had_happened(
    tiny_config, tmp_path, read_rows, whole, start, where, at, kept
):
    config = tiny_config(tmp_path / "run", side=64, **SECTIONS)
    child = start(train_until_killed, config, where, at)
    child.join(120)
    assert child.exitcode == -signal.SIGKILL
    last = tmp_path / "run" / "last.pt"
    assert load_checkpoint(last, resume=True)["step"] == kept
    assert len(list(last.parent.glob(".last.pt.*"))) == (where == "rename")
    if at == 8:
        assert read_rows(last.parent)[-1]["val_f1"] != ""

    resumed = train(config, resume=True)
    assert read_rows(last.parent) == read_rows(whole.folder)
    expected, got = load_checkpoint(whole.folder / "last.pt"), load_checkpoint(last)
    for key in ("model", "average", "average_updates", "optimizer", "step", "best", "stale", "torch_rng"):
        assert same(expected[key], got[key]), key
    assert not list(last.parent.glob(".*"))
    assert resumed.step == whole.step == 12


def test_a_finished_run_resumes_to_nothing(whole, read_rows):
    before = read_rows(whole.folder)
    again = train(whole.config, resume=True)
    assert again.step == whole.step
    assert again.run_id == whole.run_id
    assert read_rows(whole.folder) == before


def test_a_changed_step_size_is_refused(whole, tiny_config):
    device = {**SECTIONS["device"], "batchsize_per_gpu": 4}
    with pytest.raises(TrainingError, match=r"2 steps an epoch, as configured now, got one with 4; resume with the"):
        train(tiny_config(whole.folder, side=64, **{**SECTIONS, "device": device}), resume=True)


def test_the_same_step_in_other_parts_is_taken_and_told(whole, tiny_config, tmp_path, caplog, read_rows):
    schedule = {**SECTIONS["schedule"], "accumulate": 2, "total_epochs": 4}
    device = {**SECTIONS["device"], "batchsize_per_gpu": 1}
    config = tiny_config(tmp_path / "other", side=64, schedule=schedule, device=device)
    with caplog.at_level("INFO"):
        run = train(config, resume=whole.folder / "last.pt")
    assert run.step == whole.step + 4
    assert "changed since: schedule.total_epochs, schedule.accumulate" in caplog.text
    assert (run.folder / "best.pt").is_file()  # the best of this folder
    assert [int(row["step"]) for row in read_rows(run.folder)] == [13, 14, 15, 16, 16]


def test_a_folder_with_a_run_is_not_overwritten(whole):
    for resume in (False, whole.folder.parent / "elsewhere.pt"):
        with pytest.raises(TrainingError, match="pass --resume"):
            train(whole.config, resume=resume)


def test_nothing_to_resume_is_one_sentence(tiny_config, tmp_path):
    config = tiny_config(tmp_path / "none", schedule={**SECTIONS["schedule"], "resume": True})
    with pytest.raises(ModelError, match="no such file"):
        train(config)


def test_checkpoint_of_another_architecture(whole):
    other = whole.config.model_copy(deep=True)
    other.model.arch.head.stacked_convs = 2
    with pytest.raises(TrainingError, match="another"):
        train(other, resume=True)


def test_rows_after_the_step_and_a_torn_one_are_dropped(tmp_path):
    path = tmp_path / "results.csv"
    first = Results(path, 0, ["val_f1"])
    for step in (1, 2, 3):
        first.add({"step": step, "epoch": 0, "loss": 1.0 / step})
    first.add({"step": 3, "epoch": 0, "val_f1": 0.5})
    with path.open("a") as file:
        file.write("4,0,0.2")  # killed while it was written
    second = Results(path, 3, ["val_f1"])
    second.add({"step": 4, "epoch": 1, "loss": 0.25})
    columns, rows = read_results(path)
    assert columns == ("step", "epoch", "loss", "val_f1")
    assert [(row["step"], row["val_f1"]) for row in rows] == [("1", ""), ("2", ""), ("3", ""), ("3", "0.5"), ("4", "")]
    with pytest.raises(TrainingError, match=r"column loss_new, got one without"):
        second.add({"step": 5, "epoch": 1, "loss_new": 0.0})
    os.truncate(path, 0)
    path.write_text("a,b\n1,2\n")
    with pytest.raises(TrainingError, match="expected the results of a run"):
        Results(path, 3, ["val_f1"])
