"""The loop on a tiny rendered set: it learns, stops on a bad loss, and goes on after a stop as if nothing happened."""

import csv
import json
import shutil
from pathlib import Path

import cv2
import numpy as np
import pytest
import torch

from nanodet_kp_core.classes import ARMOR_CLASSES
from nanodet_kp_core.config import TrainConfig
from nanodet_kp_core.data.formats.coco import coco_document, read_coco
from nanodet_kp_core.data.synthetic.generator import render
from nanodet_kp_core.errors import ConfigError, DataError, ModelError, TrainingError
from nanodet_kp_core.evaluate.calibrate import calibrate
from nanodet_kp_core.evaluate.metrics import score_predictions
from nanodet_kp_core.evaluate.torch_detector import predict, torch_detector
from nanodet_kp_core.export.onnx_file import export_onnx, load_model
from nanodet_kp_core.files import write_atomically
from nanodet_kp_core.runtime.detector import Detector
from nanodet_kp_core.train.checkpoint import load_checkpoint, save_checkpoint
from nanodet_kp_core.train.loop import Run, train
from nanodet_kp_core.train.schedule import learning_rate


@pytest.fixture(scope="module")
def data(tmp_path_factory):
    """Eight pictures with easy plates."""
    folder = tmp_path_factory.mktemp("tiny")
    samples, seed = [], 100
    while len(samples) < 8:
        sample = render(seed, (128, 128), (28.0, 70.0))
        seed += 1
        if len(sample.labels):
            name = f"{seed}.png"
            cv2.imwrite(str(folder / name), sample.image)
            samples.append((name, sample))
    write_atomically(folder / "labels.json", json.dumps(coco_document(samples, ARMOR_CLASSES)).encode())
    return folder


def configuration(data, save_dir, epochs=3, lr=0.002):
    part = {"img_path": data, "ann_path": data / "labels.json", "input_size": [128, 128]}
    head = {
        "input_channel": 32, "feat_channels": 32, "stacked_convs": 1, "strides": [8, 16, 32],
        "class_layout": "factored", "loss": {"corner_weight": 2.0},
    }  # fmt: skip
    return TrainConfig.model_validate(
        {
            "save_dir": save_dir,
            "model": {
                "weight_averager": {"decay": 0.9},
                "arch": {
                    "backbone": {"model_size": "0.5x"},
                    "fpn": {"out_channels": 32, "num_extra_level": 0},
                    "head": head,
                },
            },
            "data": {"train": part, "val": part},
            "device": {"accelerator": "cpu", "workers_per_gpu": 0, "batchsize_per_gpu": 4},
            "schedule": {
                "optimizer": {"lr": lr, "reference_batch": 4}, "warmup": {"steps": 5}, "total_epochs": epochs,
                "val_intervals": epochs,
            },
            "log": {"interval": 1},
        }
    )  # fmt: skip


def losses(folder):
    with (Path(folder) / "results.csv").open() as file:
        return [float(row["loss"]) for row in csv.DictReader(file) if row["loss"]]


@pytest.fixture(scope="module")
def overfitted(data, tmp_path_factory):
    """A run that has seen its eight pictures often enough to know them."""
    config = configuration(data, tmp_path_factory.mktemp("run") / "a", epochs=120)
    return train(config, resume=False)


def test_the_loss_falls_and_the_plates_are_found(overfitted):
    values = losses(overfitted.folder)
    assert len(values) == 240
    assert np.mean(values[-10:]) < 0.5 * np.mean(values[:10])
    score = overfitted.validate()
    assert score.recall > 0.8
    assert score.precision > 0.8
    assert score.err < 0.08


def test_onnx_gives_what_torch_gives(overfitted, data, tmp_path):
    checkpoint = overfitted.folder / "last.pt"
    model, config, run_id = load_model(checkpoint)
    records = read_coco(data / "labels.json", data, ARMOR_CLASSES)
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
    assert score_predictions(records, by_onnx, ARMOR_CLASSES, 0.5).recall > 0.8


def test_a_score_offset_moves_scores_and_nothing_else(overfitted, data, tmp_path):
    records = read_coco(data / "labels.json", data, ARMOR_CLASSES)
    image = records[0].load().image
    checkpoint = overfitted.folder / "last.pt"
    for name, offset in (("plain", 0.0), ("shifted", 1.0)):
        export_onnx(checkpoint, tmp_path / f"{name}.onnx", (128, 128), [image], offset=offset)
    plain, shifted = (Detector(tmp_path / f"{n}.onnx", score_threshold=0.02)(image) for n in ("plain", "shifted"))
    best = np.log(plain.scores[0] / (1 - plain.scores[0])) + 1.0
    assert shifted.scores[0] == pytest.approx(1 / (1 + np.exp(-best)), abs=1e-4)
    assert np.allclose(plain.corners[0], shifted.corners[0], atol=1e-3)


def test_calibration_reaches_the_precision_on_the_validation_set(overfitted, data):
    model, config, _ = load_model(overfitted.folder / "last.pt")
    offset, metrics = calibrate(model, config, 0.9)
    assert metrics["val_precision"] >= 0.9
    threshold = 1 / (1 + np.exp(offset))  # what becomes 0.5
    records = read_coco(data / "labels.json", data, ARMOR_CLASSES)
    found = predict(torch_detector(model, config, (128, 128), torch.device("cpu"), 0.05), records)
    at, below = (score_predictions(records, found, ARMOR_CLASSES, t) for t in (threshold, threshold - 0.011))
    assert at.precision == pytest.approx(metrics["val_precision"], abs=1e-4)
    assert below.precision < 0.9 or threshold == pytest.approx(0.1)


def test_export_refuses_a_size_the_network_cannot_take(overfitted, tmp_path):
    with pytest.raises(ConfigError, match="multiples of 32, got 100x128"):
        export_onnx(overfitted.folder / "last.pt", tmp_path / "m.onnx", (100, 128), [])


def test_resume_goes_on_with_the_same_losses(data, tmp_path):
    whole = train(configuration(data, tmp_path / "whole", epochs=4), resume=False)
    run = Run(configuration(data, tmp_path / "cut", epochs=4))
    run.model.train()
    loader = iter(run.loader(0, 0))
    first = run.train_step(next(loader))["loss"]  # stopped in the middle of the first epoch
    save_checkpoint(run.folder / "last.pt", run.state())
    resumed = train(configuration(data, tmp_path / "cut", epochs=4), resume=True)
    assert resumed.step == whole.step == 8
    expected, got = losses(whole.folder), losses(resumed.folder)
    assert first == pytest.approx(expected[0], rel=1e-5)
    assert got == pytest.approx(expected[1:], rel=1e-3)


def test_a_folder_with_a_run_is_not_overwritten(overfitted):
    with pytest.raises(TrainingError, match="pass --resume"):
        train(overfitted.config, resume=False)


def test_a_loss_that_is_not_finite_stops_and_names_the_files(data, tmp_path):
    run = Run(configuration(data, tmp_path / "nan"))
    run.model.train()
    with torch.no_grad():
        next(run.model.head.parameters()).fill_(float("nan"))
    batch = next(iter(run.loader(0, 0)))
    with pytest.raises(TrainingError, match="not finite") as caught:
        run.train_step(batch)
    assert all(name in str(caught.value) for name in batch.names)


@pytest.mark.parametrize("workers", [0, 1])
def test_a_broken_picture_is_one_sentence(data, tmp_path, workers):
    folder = shutil.copytree(data, tmp_path / "data")
    victim = next(folder.glob("*.png"))
    victim.write_bytes(b"no picture")
    config = configuration(folder, tmp_path / "run")
    config.device.workers_per_gpu = workers
    with pytest.raises(DataError) as caught:
        train(config, resume=False)
    assert str(caught.value) == f"{victim}: expected a readable image, got a missing or broken file"


def test_checkpoints_that_are_none(tmp_path):
    with pytest.raises(ModelError, match="no such file"):
        load_checkpoint(tmp_path / "none.pt")
    (tmp_path / "text.pt").write_text("hello")
    with pytest.raises(ModelError, match="expected a checkpoint"):
        load_checkpoint(tmp_path / "text.pt")
    torch.save({"model": {}}, tmp_path / "part.pt")
    with pytest.raises(ModelError, match="without"):
        load_checkpoint(tmp_path / "part.pt")


def test_checkpoint_of_another_architecture(overfitted, data):
    other = overfitted.config.model_copy(deep=True)
    other.model.arch.head.stacked_convs = 2
    with pytest.raises(TrainingError, match="another"):
        train(other, resume=True)


def test_learning_rate_warms_up_scales_and_falls(data, tmp_path):
    schedule = configuration(data, tmp_path, epochs=10).schedule
    rates = [learning_rate(schedule, step, 10, 4) for step in range(101)]
    assert rates[0] < 0.01 * max(rates)
    assert rates[:5] == sorted(rates[:5])
    assert rates[5:] == sorted(rates[5:], reverse=True)
    assert rates[-1] == pytest.approx(schedule.lr_schedule.eta_min)
    assert learning_rate(schedule, 50, 10, 8) == pytest.approx(2 * rates[50])
