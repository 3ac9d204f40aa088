"""What a training says before and beside its steps: the start's figures, likely mistakes, calibrated scores."""

import shutil

import numpy as np
import pytest
import yaml

from nanodet_kp_core.checkpoint import load_checkpoint
from nanodet_kp_core.classes import ARMOR_CLASSES
from nanodet_kp_core.config import load_config
from nanodet_kp_core.evaluate.metrics import Score
from nanodet_kp_core.runtime.models.session import load_session
from nanodet_kp_core.train import detector_training
from nanodet_kp_core.train.curves import plot_results
from nanodet_kp_core.train.detector_training import train
from nanodet_kp_core.train.run import Run
from nanodet_kp_core.train.warnings import same_files


def scored(f1):
    return Score(
        images=1, plates=1, precision=0.5, recall=0.25, f1=f1, err=0.02, err_p95=0.1, err_px=1.0, color=1.0,
        number=0.75, hits=1, false_alarms=0, missed=0,
    )  # fmt: skip


@pytest.fixture(scope="module")
def weights(bare, tiny_config, tmp_path_factory):
    """A checkpoint to start from."""
    folder = tmp_path_factory.mktemp("first")
    with bare():
        train(tiny_config(folder, side=64, schedule={"total_epochs": 1, "val_intervals": 1}))
    return folder / "last.pt"


def test_the_start_is_scored_stands_beside_and_may_be_the_best(
    tiny_config, tmp_path, weights, bare_loop, monkeypatch, capsys
):
    figures = iter([0.6, 0.3, 0.5, 0.7])
    monkeypatch.setattr(Run, "validate", lambda run: scored(next(figures)))
    schedule = {"load_model": weights, "total_epochs": 2, "val_intervals": 1}
    run = train(tiny_config(tmp_path / "run", side=64, schedule=schedule))
    said = capsys.readouterr().out
    assert "start: images 1 plates 1 precision 0.500" in said
    assert said.count("(start: precision 0.500 recall 0.250 err 0.020 number 0.750 f1 0.600)") == 2
    best = load_checkpoint(run.folder / "best.pt", resume=True)
    assert (best["step"], best["best"], run.best, run.validations_since_best) == (0, 0.6, 0.6, 2)
    start = load_checkpoint(weights)["average"]
    assert all(np.array_equal(value, start[name]) for name, value in best["average"].items())
    again = Run(tiny_config(tmp_path / "run", side=64, schedule={**schedule, "total_epochs": 3}))
    again.restore(run.folder / "last.pt")
    assert again.start["f1"] == 0.6


def test_the_start_stands_in_tensorboard_and_in_the_curves(
    tiny_config, tmp_path, weights, bare_loop, monkeypatch, read_rows
):
    accumulator = pytest.importorskip("tensorboard.backend.event_processing.event_accumulator")
    figures = iter([0.6, 0.3])
    monkeypatch.setattr(Run, "validate", lambda run: scored(next(figures)))
    schedule = {"load_model": weights, "total_epochs": 1, "val_intervals": 1}
    log = {"interval": 1, "tensorboard": True, "images": 1}
    run = train(tiny_config(tmp_path / "run", side=64, schedule=schedule, log=log))
    events = accumulator.EventAccumulator(str(run.folder / "tensorboard"))
    events.Reload()
    f1 = [(event.step, event.value) for event in events.Scalars("val/f1")]
    assert f1 == [(0, pytest.approx(0.6)), (run.step, pytest.approx(0.3))]
    assert [image.step for image in events.Images("validation/0")] == [0, run.step]
    assert [row["val_f1"] for row in read_rows(run.folder) if row["val_f1"]] == ["0.3"]  # of the training alone
    plots = [tmp_path / "without.png", tmp_path / "with.png"]
    for path, start in zip(plots, ({}, {"val_f1": 0.6})):
        plot_results(run.folder / "results.csv", path, start)
    assert plots[0].read_bytes() != plots[1].read_bytes()


def test_likely_mistakes_are_said_before_the_first_step(tiny_config, tmp_path, bare_loop, caplog):
    schedule = {"total_epochs": 1, "val_intervals": 1, "warmup": {"steps": 500}}
    device = {"batchsize_per_gpu": 64, "accelerator": "cpu", "workers_per_gpu": 0, "threads": 1}
    with caplog.at_level("WARNING"):
        train(tiny_config(tmp_path / "run", side=64, schedule=schedule, device=device))
    assert "8 of 8 validation images are training images as well, such as" in caplog.text
    assert "batchsize_per_gpu is 64, but there are 8 training images: a batch has 8" in caplog.text
    assert "warmup.steps is 500, but the whole run has 1 steps" in caplog.text


def test_a_training_without_mistakes_says_nothing(tiny_config, tiny_data, tmp_path, bare_loop, caplog, monkeypatch):
    monkeypatch.setattr("nanodet_kp_core.train.warnings.same_files", lambda *_: [])
    with caplog.at_level("WARNING"):
        train(tiny_config(tmp_path / "run", side=64))
    assert "warning" not in caplog.text


def test_the_same_image_is_known_by_place_and_by_content(tiny_data, tmp_path):
    first = sorted(tiny_data.glob("*.png"))[:3]
    copy, link, other = tmp_path / "copy.png", tmp_path / "link.png", sorted(tiny_data.glob("*.png"))[5]
    shutil.copy(first[0], copy)
    link.symlink_to(first[1])
    assert same_files(first, [copy, link, other, tmp_path / "gone.png"]) == [copy, link]


def test_the_onnx_of_a_run_is_calibrated_where_that_is_wanted(tiny_config, tmp_path, monkeypatch, caplog):
    monkeypatch.setattr(detector_training, "plot_results", lambda *_: None)
    schedule = {"total_epochs": 1, "val_intervals": 1}
    monkeypatch.setattr(detector_training, "calibrate", lambda *_: (1.5, {"val_precision": 0.875}))
    folders = [tmp_path / name for name in ("plain", "shifted")]
    for folder, precision in zip(folders, (None, 0.9)):
        train(tiny_config(folder, side=64, schedule=schedule, evaluator={"calibrate": precision}))
    plain, shifted = (load_session(folder / "model.onnx", 1) for folder in folders)
    image = np.zeros((1, 3, 64, 64), np.uint8)
    scores = plain.metadata.head.num_scores
    difference = shifted.run(image)[..., :scores] - plain.run(image)[..., :scores]
    assert np.allclose(difference, 1.5, atol=1e-3) and shifted.metadata.metrics["val_precision"] == 0.875


def test_a_run_that_finds_nothing_is_exported_as_it_is(tiny_config, tmp_path, monkeypatch, caplog):
    monkeypatch.setattr(detector_training, "plot_results", lambda *_: None)
    schedule = {"total_epochs": 1, "val_intervals": 1}
    run = train(tiny_config(tmp_path / "run", side=64, schedule=schedule, evaluator={"calibrate": 0.975}))
    assert (run.folder / "model.onnx").exists()
    assert "scores are left as they are" in caplog.text and "train longer" in caplog.text


def written(folder, **values):
    folder.mkdir(exist_ok=True)
    data = {"img_path": "images", "ann_path": "labels.json"}
    text = yaml.safe_dump({"save_dir": "runs/x", "data": {"train": data, "val": data}, **values}, sort_keys=False)
    (folder / "c.yaml").write_text(text)
    return folder / "c.yaml"


def test_paths_start_from_the_configuration_where_something_lies_there(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    path = written(tmp_path / "mine")
    (tmp_path / "mine" / "images").mkdir()
    (tmp_path / "labels.json").write_text("{}")
    config = load_config(path)
    assert config.data.train.img_path == tmp_path / "mine" / "images"
    assert config.data.train.ann_path.as_posix() == "labels.json"  # of the working directory
    assert config.save_dir.as_posix() == "runs/x"


def test_numbers_are_class_names_without_quotes(tmp_path):
    path = written(tmp_path / "mine")
    path.write_text(path.read_text() + "class_names: [1, 2, sentry]\n")
    assert load_config(path).class_names == ("1", "2", "sentry")
    assert load_config(written(tmp_path / "other")).class_names == ARMOR_CLASSES
