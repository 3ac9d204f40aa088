"""A training whose validations are made with the second stage: what is judged is what is deployed."""

import csv
import json
import math
import shutil
import sys
from pathlib import Path

import numpy as np
import pytest
import yaml

from nanodet_kp_core.classes import ARMOR_CLASSES
from nanodet_kp_core.commands import train as train_command
from nanodet_kp_core.config import EvaluatorConfig
from nanodet_kp_core.data.dataset import read_dataset
from nanodet_kp_core.errors import ConfigError
from nanodet_kp_core.evaluate.torch_detector import evaluate, predict, torch_detector
from nanodet_kp_core.runtime.detection.detector import Detector
from nanodet_kp_core.train import detector_training
from nanodet_kp_core.train.detector_training import train
from nanodet_kp_core.train.results import Results

REFINER = Path(__file__).resolve().parents[2] / "models" / "armor_reader.onnx"
SCHEDULE = {"total_epochs": 1, "val_intervals": 1}


@pytest.fixture(scope="module", autouse=True)
def without_curves():
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(detector_training, "plot_results", lambda *_: None)
        yield


@pytest.fixture(scope="module")
def run(tiny_config, tmp_path_factory):
    evaluator = {"refiner": REFINER, "save_key": "points"}
    return train(tiny_config(tmp_path_factory.mktemp("pipeline") / "run", schedule=SCHEDULE, evaluator=evaluator))


def test_the_best_weights_are_those_of_the_whole_pipeline(run):
    config = run.config
    predictions = predict(run.detector(), read_dataset(config.data.val, config.class_names))
    number_scores = [prediction.number_score for found in predictions.values() for prediction in found]
    assert number_scores and not any(map(math.isnan, number_scores))  # only a refiner knows them
    score = evaluate(run.detector(), config.data.val, config.class_names)
    alone = torch_detector(run.average.model, config, config.data.val.input_size, run.device)
    assert run.best == score.points != evaluate(alone, config.data.val, config.class_names).points
    with (run.folder / "results.csv").open() as file:
        last = list(csv.DictReader(file))[-1]
    assert (float(last["val_points"]), float(last["val_recall_fixed"])) == (score.points, score.recall_fixed)


def test_the_model_of_the_run_is_one_file_with_its_second_stage(run, tmp_path):
    alone = tmp_path / "elsewhere" / "model.onnx"
    alone.parent.mkdir()
    shutil.copy(run.folder / "model.onnx", alone)
    detector = Detector(alone, score_threshold=0.05)
    assert detector.refiner is not None and detector.refiner.bars is not None
    image = read_dataset(run.config.data.val, run.config.class_names)[0].load().image
    ours, theirs = detector(image), run.detector()(image)
    assert len(ours) and np.allclose(ours.corners, theirs.corners, atol=0.01) and ours.labels == theirs.labels


def test_a_second_stage_of_other_classes_ends_the_run_before_its_first_step(tiny_config, tmp_path):
    config = tiny_config(tmp_path / "run", evaluator={"refiner": REFINER})
    config = config.model_copy(update={"class_names": ARMOR_CLASSES[:18]})
    with pytest.raises(ConfigError, match=r"^evaluator\.refiner: model .*armor_reader.onnx: expected a second"):
        train(config)


def test_scores_of_a_second_stage_are_not_calibrated_as_those_of_a_detector():
    with pytest.raises(ValueError, match=r"calibrate: expected null beside a refiner, got 0\.9; .*calibrate-refiner"):
        EvaluatorConfig(refiner=REFINER, calibrate=0.9)


def test_a_results_file_of_an_older_version_goes_on_without_the_figures_that_it_lacks(tmp_path):
    path = tmp_path / "results.csv"
    path.write_text("step,epoch,loss,val_f1\n1,0,3.5,\n")
    Results(path, 1, ["val_f1", "val_points"]).add({"step": 2, "epoch": 0, "val_f1": 0.25, "val_points": 0.5})
    assert path.read_text().splitlines()[-1] == "2,0,,0.25"


def test_a_training_that_gains_nothing_says_so(run, tiny_config, tmp_path, capsys, monkeypatch):
    monkeypatch.setattr(detector_training, "export_onnx", lambda *_, **__: None)
    still = {"optimizer": {"name": "AdamW", "lr": 1e-30}, "lr_schedule": {"eta_min": 0}, "freeze_norm": True}
    schedule = SCHEDULE | still | {"load_model": run.folder / "best.pt"}
    config = tiny_config(tmp_path / "next", schedule=schedule, evaluator={"refiner": REFINER, "save_key": "points"})
    path = tmp_path / "next.yaml"
    path.write_text(yaml.safe_dump(json.loads(config.model_dump_json())))
    monkeypatch.setattr(sys, "argv", ["nanodet-kp train", str(path)])
    capsys.readouterr()
    assert train_command.main() == 0
    *_, files, gain = capsys.readouterr().out.splitlines()
    assert files.endswith("model.onnx is best.pt for the node, with armor_reader.onnx inside.")
    assert gain == f"No validation was better than the start (points {run.best:.3f}): best.pt holds its weights."
