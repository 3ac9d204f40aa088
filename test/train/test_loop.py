"""The loop on a tiny rendered set: it learns, leaves what it promises, stops when it should and says why."""

import json
import re
import shutil
import subprocess
from dataclasses import replace

import cv2
import numpy as np
import pytest
import torch

from nanodet_kp_core.checkpoint import load_checkpoint
from nanodet_kp_core.classes import ARMOR_CLASSES
from nanodet_kp_core.config import load_config
from nanodet_kp_core.data.dataset import read_dataset, require_corners
from nanodet_kp_core.errors import ConfigError, DataError
from nanodet_kp_core.evaluate.calibrate import calibrate
from nanodet_kp_core.evaluate.metrics import score_predictions
from nanodet_kp_core.evaluate.torch_detector import predict, torch_detector
from nanodet_kp_core.export.onnx_file import export_onnx, load_model
from nanodet_kp_core.runtime.detection.detector import Detector
from nanodet_kp_core.runtime.detection.options import DetectOptions
from nanodet_kp_core.train.detector_training import train
from nanodet_kp_core.train.provenance import PACKAGE, git_revision, write_run
from nanodet_kp_core.train.run import Run
from nanodet_kp_core.train.schedule import learning_rate

EPOCHS, STEPS = 10, 100


@pytest.fixture(scope="module")
def overfitted(tiny_config, tmp_path_factory):
    """A run that has seen its eight images often enough to know them; everything that can be written is.

    They are there five times, for a checkpoint takes as long as a step, and is written after each epoch.
    """
    schedule = {
        "optimizer": {"lr": 0.004, "reference_batch": 4}, "warmup": {"steps": 5}, "total_epochs": EPOCHS,
        "val_intervals": EPOCHS // 2,
    }  # fmt: skip
    log = {"interval": 1, "tensorboard": True, "images": 3}
    return train(tiny_config(tmp_path_factory.mktemp("run") / "a", times=5, schedule=schedule, log=log), resume=False)


def test_the_loss_falls_and_the_plates_are_found(overfitted, read_rows):
    values = [float(row["loss"]) for row in read_rows(overfitted.folder) if row["loss"]]
    assert len(values) == STEPS
    assert np.mean(values[-10:]) < 0.5 * np.mean(values[:10])
    score = overfitted.validate()
    assert score.recall >= 0.6
    assert score.precision > 0.8
    assert score.err < 0.08


def test_a_training_leaves_all_its_files(overfitted, read_rows):
    folder = overfitted.folder
    names = {path.name for path in folder.iterdir()}
    expected = {"config.resolved.yaml", "run.json", "results.csv", "results.png", "last.pt", "best.pt", "model.onnx"}
    assert names == expected | {"tensorboard"}
    assert load_config(folder / "config.resolved.yaml") == overfitted.config
    assert cv2.imread(str(folder / "results.png")).std() > 1
    run = json.loads((folder / "run.json").read_text())
    assert run["run_id"] == overfitted.run_id == load_checkpoint(folder / "best.pt")["run_id"]
    assert run["starts"][0]["batch"] == 4 and run["starts"][0]["torch"] == torch.__version__
    rows = read_rows(folder)
    assert [row["step"] for row in rows if row["val_f1"]] == [str(STEPS // 2), str(STEPS)]
    best = max(float(row["val_f1"]) for row in rows if row["val_f1"])
    assert load_checkpoint(folder / "best.pt")["best"] == best == overfitted.best > 0.6


def test_the_onnx_is_the_best_checkpoint(overfitted, tiny_data):
    detector = Detector(overfitted.folder / "model.onnx", score_threshold=0.3)
    assert detector.metadata.run_id == overfitted.run_id
    assert detector.metadata.metrics["val_f1"] == pytest.approx(overfitted.best)
    image = cv2.imread(str(next(iter(sorted(tiny_data.glob("*.png"))))))
    model, config, _ = load_model(overfitted.folder / "best.pt")
    expected = torch_detector(model, config, (128, 128), torch.device("cpu"), 0.3)(image)
    assert np.allclose(detector(image).corners, expected.corners, atol=0.02)


def test_tensorboard_has_the_curves_and_the_images(overfitted, read_rows):
    accumulator = pytest.importorskip("tensorboard.backend.event_processing.event_accumulator")
    events = accumulator.EventAccumulator(str(overfitted.folder / "tensorboard"))
    events.Reload()
    losses = [float(row["loss"]) for row in read_rows(overfitted.folder) if row["loss"]]
    assert [event.value for event in events.Scalars("train/loss")] == pytest.approx(losses, rel=1e-5)
    assert [event.step for event in events.Scalars("val/f1")] == [STEPS // 2, STEPS]
    assert [len(events.Images(f"validation/{k}")) for k in (0, 4, 7)] == [2, 2, 2]  # 3 of 8, at each validation


def test_onnx_gives_what_torch_gives(overfitted, tmp_path):
    checkpoint = overfitted.folder / "last.pt"
    model, config, run_id = load_model(checkpoint)
    records = read_dataset(config.data.val, ARMOR_CLASSES)
    images = [record.load().image for record in records]
    metadata, worst = export_onnx(checkpoint, tmp_path / "m.onnx", (128, 128), images[:3], {"val_recall": 1.0})
    assert worst < 2e-3
    assert metadata.run_id == run_id
    by_torch = predict(torch_detector(model, config, (128, 128), torch.device("cpu"), 0.3), records)
    by_onnx = predict(Detector(tmp_path / "m.onnx", threads=1, score_threshold=0.3), records)
    assert sum(len(found) for found in by_torch.values()) > 5
    for name in by_torch:
        assert len(by_torch[name]) == len(by_onnx[name])
        for first, second in zip(by_torch[name], by_onnx[name]):
            assert first.label == second.label
            assert np.allclose(first.corners, second.corners, atol=0.02)
    assert score_predictions(records, by_onnx, ARMOR_CLASSES, 0.5).recall >= 0.6


def test_a_score_offset_moves_scores_and_nothing_else(overfitted, tmp_path):
    image = read_dataset(overfitted.config.data.val, ARMOR_CLASSES)[0].load().image
    checkpoint = overfitted.folder / "last.pt"
    for name, offset in (("plain", 0.0), ("shifted", 1.0)):
        export_onnx(checkpoint, tmp_path / f"{name}.onnx", (128, 128), [image], offset=offset)
    detectors = [Detector(tmp_path / f"{name}.onnx") for name in ("plain", "shifted")]
    apart = DetectOptions(score_threshold=0.02, merge_corners=False)  # the weights of a mean are the scores
    plain, shifted = (detector(image, apart) for detector in detectors)
    best = np.log(plain.scores[0] / (1 - plain.scores[0])) + 1.0
    assert shifted.scores[0] == pytest.approx(1 / (1 + np.exp(-best)), abs=1e-4)
    assert np.allclose(plain.corners[0], shifted.corners[0], atol=1e-3)


def test_calibration_reaches_the_precision_on_the_validation_set(overfitted):
    model, config, _ = load_model(overfitted.folder / "last.pt")
    offset, metrics = calibrate(model, config, 0.9)
    assert metrics["val_precision"] >= 0.9
    threshold = 1 / (1 + np.exp(offset))  # what becomes 0.5
    records = read_dataset(config.data.val, ARMOR_CLASSES)
    found = predict(torch_detector(model, config, (128, 128), torch.device("cpu"), 0.05), records)
    at, below = (score_predictions(records, found, ARMOR_CLASSES, t) for t in (threshold, threshold - 0.011))
    assert at.precision == pytest.approx(metrics["val_precision"], abs=1e-4)
    assert below.precision < 0.9 or threshold == pytest.approx(0.1)


def test_export_refuses_a_size_the_network_cannot_take(overfitted, tmp_path):
    with pytest.raises(ConfigError, match="multiples of 32, got 100x128"):
        export_onnx(overfitted.folder / "last.pt", tmp_path / "m.onnx", (100, 128), [])


def test_early_stop_after_validations_without_a_better_one(tiny_config, tmp_path, bare_loop, monkeypatch, caplog):
    figures = iter([0.1, 0.3, 0.3, 0.2, 0.9])
    validate = Run.validate

    def scripted(run):
        score = validate(run)
        object.__setattr__(score, "f1", next(figures))
        return score

    monkeypatch.setattr(Run, "validate", scripted)
    schedule = {"total_epochs": 9, "val_intervals": 1, "early_stop": 2}
    config = tiny_config(tmp_path / "run", side=64, schedule=schedule)
    with caplog.at_level("INFO"):
        run = train(config)
    assert "stopped early" in caplog.text
    assert (run.epoch, run.best, run.validations_since_best) == (4, 0.3, 2)
    assert load_checkpoint(run.folder / "best.pt")["step"] == 4
    assert train(config, resume=True).step == run.step  # it stays stopped


@pytest.mark.parametrize("workers", [0, 1])
def test_a_broken_picture_is_one_sentence(tiny_data, tiny_config, tmp_path, workers):
    folder = shutil.copytree(tiny_data, tmp_path / "data")
    victim = next(folder.glob("*.png"))
    victim.write_bytes(b"no image")
    device = {"accelerator": "cpu", "workers_per_gpu": workers, "batchsize_per_gpu": 4, "threads": 1}
    with pytest.raises(DataError) as caught:
        train(tiny_config(tmp_path / "run", data=folder, device=device))
    assert str(caught.value) == f"{victim}: expected a readable image, got a missing or broken file"


def test_learning_rate_warms_up_scales_and_falls(tiny_config, tmp_path):
    schedule = {"optimizer": {"lr": 0.002, "reference_batch": 4}, "warmup": {"steps": 5}, "total_epochs": 10}
    schedule = tiny_config(tmp_path, schedule=schedule).schedule
    rates = [learning_rate(schedule, step, 10, 4) for step in range(101)]
    assert rates[0] < 0.01 * max(rates)
    assert rates[:5] == sorted(rates[:5])
    assert rates[5:] == sorted(rates[5:], reverse=True)
    assert rates[-1] == pytest.approx(schedule.lr_schedule.eta_min)
    assert learning_rate(schedule, 50, 10, 8) == pytest.approx(2 * rates[50])


def test_the_revision_is_that_of_the_code(tmp_path):
    def git(*arguments):
        name = ("-c", "user.name=a", "-c", "user.email=a@b")
        subprocess.run(["git", "-C", str(tmp_path), *name, *arguments], check=True, capture_output=True)

    package = tmp_path / "package"
    package.mkdir()
    (package / "__init__.py").write_text("")
    git("init")
    assert str(git_revision(package)) == "unknown"  # an installed copy inside somebody's checkout
    git("add", ".")
    git("commit", "-m", "first")
    assert re.fullmatch("[0-9a-f]{40}", str(git_revision(package)))
    (package / "new.py").write_text("")
    assert git_revision(package).dirty and str(git_revision(package)).endswith("-dirty")
    assert PACKAGE.name == "nanodet_kp_core"


def test_run_json_has_a_line_for_each_start(tmp_path):
    path, revision = tmp_path / "run.json", git_revision(tmp_path)
    for run_id, step in (("old", 0), ("new", 0), ("new", 7)):
        write_run(path, run_id, revision, {"step": step})
    run = json.loads(path.read_text())
    assert run["run_id"] == "new"
    assert [start["step"] for start in run["starts"]] == [0, 7]
    assert {"time", "revision", "dirty", "torch", "numpy", "opencv", "python"} < run["starts"][0].keys()


def without_corners(source, target):
    """The data set with the boxes of its plates alone, as a label tool for polygons or boxes exports it."""
    shutil.copytree(source, target)
    document = json.loads((target / "labels.json").read_text())
    for annotation in document["annotations"]:
        del annotation["keypoints"]
        annotation["segmentation"] = [[1, 1, 1, 9, 9, 9, 9, 1]]
    (target / "labels.json").write_text(json.dumps(document))
    return target


@pytest.mark.parametrize("part", ["train", "val"])
def test_a_set_without_any_corner_is_refused_before_the_first_step(tiny_config, tiny_data, tmp_path, part):
    boxes = without_corners(tiny_data, tmp_path / "boxes")
    config = tiny_config(tmp_path / "run")
    changed = getattr(config.data, part).model_copy(update={"img_path": boxes, "ann_path": boxes / "labels.json"})
    config = config.model_copy(update={"data": config.data.model_copy(update={part: changed})})
    with pytest.raises(DataError, match="expected plates with labeled corners, got 12 plates and no corner"):
        train(config, resume=False)
    assert not (tmp_path / "run" / "last.pt").exists()


def test_boxes_alone_train_a_head_without_corners(tiny_config, tiny_data, tmp_path):
    boxes = without_corners(tiny_data, tmp_path / "boxes")
    layout = tiny_config(tmp_path / "run").layout
    records = read_dataset(tiny_config(tmp_path / "run", data=boxes).data.train, ARMOR_CLASSES)
    require_corners(records, replace(layout, corner_codec="none"), boxes)
    with pytest.raises(DataError):
        require_corners(records, layout, boxes)
