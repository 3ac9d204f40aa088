"""Checkpoints: what is none is refused in one sentence; weights to start from fit or are refused."""

import pytest
import torch

from nanodet_kp_core import files
from nanodet_kp_core.checkpoint import load_checkpoint, load_weights, save_checkpoint
from nanodet_kp_core.errors import ModelError, TrainingError
from nanodet_kp_core.train.crop_training import load_crop_state
from nanodet_kp_core.train.run import Run


def test_checkpoints_that_are_none(tmp_path):
    with pytest.raises(ModelError, match="no such file"):
        load_checkpoint(tmp_path / "none.pt")
    (tmp_path / "text.pt").write_text("hello")
    with pytest.raises(
        ModelError, match="expected a checkpoint written by nanodet-kp train, got what torch cannot read: "
    ):
        load_checkpoint(tmp_path / "text.pt")
    (tmp_path / "pointer.pt").write_text("version https://git-lfs.github.com/spec/v1\noid sha256:0\nsize 1\n")
    for load in (load_checkpoint, lambda path: load_crop_state(path, "bars")):
        with pytest.raises(
            ModelError, match="got a Git LFS pointer, which stands for the file itself; run `git lfs pull`"
        ):
            load(tmp_path / "pointer.pt")
    torch.save({"model": {}}, tmp_path / "part.pt")
    with pytest.raises(ModelError, match="without"):
        load_checkpoint(tmp_path / "part.pt")
    torch.save({"average": {}, "config": "{}", "run_id": ""}, tmp_path / "weights.pt")
    assert load_checkpoint(tmp_path / "weights.pt")["run_id"] == ""
    with pytest.raises(ModelError, match=r"weights only \(no model\); name it as schedule\.load_model"):
        load_checkpoint(tmp_path / "weights.pt", resume=True)


def test_a_write_that_fails_leaves_the_old_file(tmp_path, monkeypatch):
    files.write_atomically(tmp_path / "a", b"old")

    def full(_):
        raise OSError("no space left")

    monkeypatch.setattr(files.os, "fsync", full)
    with pytest.raises(OSError, match="no space"):
        files.write_atomically(tmp_path / "a", b"new")
    assert (tmp_path / "a").read_bytes() == b"old"
    assert [path.name for path in tmp_path.iterdir()] == ["a"]


def test_bytes_reach_the_disk_before_the_name_does(tmp_path, monkeypatch):
    order = []
    fsync, replace = files.os.fsync, files.os.replace
    monkeypatch.setattr(files.os, "fsync", lambda handle: (order.append("sync"), fsync(handle))[1])
    monkeypatch.setattr(files.os, "replace", lambda *names: (order.append("rename"), replace(*names))[1])
    files.write_atomically(tmp_path / "a", b"new")
    assert order == ["sync", "rename", "sync"]  # the file, its name, the folder


@pytest.fixture(scope="module")
def trained(tiny_config, tmp_path_factory):
    """A checkpoint whose averaged weights differ from the others."""
    run = Run(tiny_config(tmp_path_factory.mktemp("trained"), side=64))
    for _ in range(run.steps_per_epoch):
        run.train_step()
    save_checkpoint(run.folder / "last.pt", run.state())
    return run


def starting_from(tiny_config, trained, **more):
    return tiny_config(trained.folder / "next", side=64, schedule={"load_model": trained.folder / "last.pt"}, **more)


def test_load_model_starts_from_the_averaged_weights(tiny_config, trained):
    run = Run(starting_from(tiny_config, trained))
    for name, value in trained.average.model.state_dict().items():
        assert torch.equal(run.model.state_dict()[name], value), name
        assert torch.equal(run.average.model.state_dict()[name], value), name
    assert any(not torch.equal(run.model.state_dict()[n], v) for n, v in trained.model.state_dict().items())
    assert run.step == run.average.updates == 0
    assert run.run_id != trained.run_id


def test_an_auxiliary_head_may_come_and_go(tiny_config, trained, tmp_path):
    run = Run(starting_from(tiny_config, trained, aux=True))
    assert torch.equal(run.model.backbone.conv1[0].weight, trained.average.model.backbone.conv1[0].weight)
    save_checkpoint(tmp_path / "aux.pt", run.state())
    load_weights(trained.model, tmp_path / "aux.pt")


def test_weights_of_another_model_are_refused_whole(tiny_config, trained, tmp_path):
    state = trained.state()
    weight = next(name for name in state["average"] if name.startswith("head.gfl_cls.0") and name.endswith("weight"))
    before = {name: value.clone() for name, value in trained.model.state_dict().items()}
    for change, message in (
        (lambda average: average.pop(weight), rf"it has no {weight}$"),
        (lambda average: average.update({weight: torch.zeros(3, 32, 1, 1)}), rf"{weight} is 3x32x1x1 instead of"),
        (lambda average: average.update(neck=torch.zeros(1)), r"the configured one has no neck$"),
    ):
        average = {name: value + 1 for name, value in state["average"].items()}
        change(average)
        save_checkpoint(tmp_path / "other.pt", state | {"average": average})
        with pytest.raises(TrainingError, match=message):
            load_weights(trained.model, tmp_path / "other.pt")
    assert all(torch.equal(before[name], value) for name, value in trained.model.state_dict().items())
