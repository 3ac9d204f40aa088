"""docs/other_targets.md from end to end: drawn license plates, the bundled weights, a second stage, detections."""

import json
from pathlib import Path

import numpy as np
import pytest
import yaml
from forked import run_forked

from nanodet_kp_core.evaluate.metrics import score_predictions
from nanodet_kp_core.evaluate.torch_detector import predict
from nanodet_kp_core.labels import read_records
from nanodet_kp_core.runtime.detection.detector import Detector

ROOT = Path(__file__).resolve().parents[2]
CLASSES = ("long", "square")


def run(folder, *command):
    """What a script says, or its one sentence and exit code 2."""
    done = run_forked(command, cwd=folder)
    assert done.returncode in (0, 2), done.stderr
    return done.returncode, done.stdout + done.stderr


def short_config(folder, **changes):
    """The lines of the page in config/own_data.yaml, and fewer and smaller steps."""
    raw = yaml.safe_load((ROOT / "config/own_data.yaml").read_text())
    part = {"name": "CocoDataset", "img_path": "plates/images", "ann_path": "plates/labels.json"}
    raw["data"]["train"] = raw["data"]["train"][0]  # rendered images have the armor classes only
    for data in raw["data"].values():
        data |= part | {"input_size": [192, 160]}
    raw |= {"save_dir": "run", "class_names": list(CLASSES), "evaluator": {"save_key": "oks_mAP"}} | changes
    raw["model"]["weight_averager"]["decay"] = 0.9
    raw["schedule"] |= {"load_model": str(ROOT / "models/armor_s.pt"), "total_epochs": 28, "val_intervals": 28}
    raw["schedule"]["warmup"]["steps"] = 5
    raw["device"] |= {"accelerator": "cpu", "workers_per_gpu": 0, "batchsize_per_gpu": 8, "threads": 1}
    raw["log"] |= {"tensorboard": False}
    raw["data"]["train"]["pipeline"] = {"normalize": raw["data"]["train"]["pipeline"]["normalize"]}
    (folder / "plates.yaml").write_text(yaml.safe_dump(raw))
    return "plates.yaml"


@pytest.fixture(scope="module")
def trained(tmp_path_factory):
    """Folder with plates/, run/best.pt, alone.onnx, refiner/refiner.onnx and plates.onnx, and what the scripts said."""
    folder = tmp_path_factory.mktemp("plates")
    said = []
    training = ROOT / "training"
    labels = ["--labels", "plates/labels.json", "--images", "plates/images"]
    for command in (
        [ROOT / "test/license_plates.py", "plates", "--count", "24", "--seed", "3"],
        [training / "train.py", short_config(folder)],
        [training / "export.py", "run/best.pt", "alone.onnx", "--size", "192x160", "--output", "decoded"],
        [
            training / "train_refiner.py", "alone.onnx", "refiner", "--steps", "40", "--workers", "1", "--threads", "1",
            "--start", ROOT / "models/armor_reader.pt", *labels,
        ],
        [
            training / "export.py", "run/best.pt", "plates.onnx", "--size", "192x160", "--output", "decoded",
            "--refiner", "refiner/refiner.onnx",
        ],
    ):  # fmt: skip
        code, text = run(folder, *command)
        assert code == 0, text
        said.append(text)
    return folder, "\n".join(said)


def test_the_same_seed_draws_the_same_labels(trained, tmp_path):
    folder, _ = trained
    run(tmp_path, ROOT / "test/license_plates.py", "again", "--count", "24", "--seed", "3")
    assert (tmp_path / "again/labels.json").read_bytes() == (folder / "plates/labels.json").read_bytes()
    (tmp_path / "names.txt").write_text("\n".join(CLASSES))
    labels = ["--labels", "again/labels.json", "--images", "again/images", "--classes", "names.txt"]
    code, text = run(tmp_path, ROOT / "training/check.py", *labels)
    assert code == 0 and "24 images" in text and "0 errors, 0 warnings" in text


def test_what_the_training_says(trained):
    _, said = trained
    assert "backbone, neck, boxes and corners are kept, of the class channels none; fresh: long, square" in said
    assert "all layers and the outputs of plate and corners are kept, of the class outputs none; fresh: long" in said


def test_the_plates_are_found(trained):
    """Those that it learned from, after 84 steps: the point is that the whole way leads somewhere."""
    folder, _ = trained
    records = read_records("CocoDataset", folder / "plates/images", folder / "plates/labels.json", CLASSES)
    detector = Detector(folder / "plates.onnx", score_threshold=0.05)
    assert detector.scout is None and detector.refiner.metadata.class_names == CLASSES
    score = score_predictions(records, predict(detector, records), CLASSES, 0.5)
    assert score.recall > 0.4 and score.precision > 0.5, score
    assert score.err < 0.1, score


def test_detect_writes_the_names(trained, tmp_path):
    folder, _ = trained
    out = tmp_path / "found.json"
    command = ["-m", "nanodet_kp_core.detect", folder / "plates/images", "--model", folder / "plates.onnx"]
    code, text = run(ROOT, *command, "--json", out)
    assert code == 0, text
    labels = {entry["label"] for entries in json.loads(out.read_text()).values() for entry in entries}
    assert labels and labels <= {*CLASSES, "?"}
    assert "scout 0.0" in text


def test_a_second_stage_of_other_classes_is_refused(trained):
    folder, _ = trained
    refiner = ROOT / "models/armor_reader.onnx"
    command = [ROOT / "training/export.py", "run/best.pt", "mixed.onnx", "--size", "192x160", "--refiner", refiner]
    code, text = run(folder, *command)
    assert code == 2 and len(text.splitlines()) == 1
    assert str(refiner) in text and "run/best.pt (2: long, square)" in text and "36: B_G, B_1, B_2, B_3, ..." in text
    assert not (folder / "mixed.onnx").exists() and not (folder / "armor_reader.onnx").exists()


def test_bars_are_for_targets_with_bars(trained):
    folder, _ = trained
    command = [ROOT / "training/train_refiner.py", "alone.onnx", "other", "--labels", "plates/labels.json"]
    code, text = run(folder, *command, "--bars", ROOT / "models/armor_bars.onnx")
    assert code == 2 and "--bars: expected targets with lit bars" in text
    code, text = run(folder, *command[:3])
    assert code == 2 and "expected the 36 classes of the rendered plates, or --labels, got 2: long, square" in text


def test_corners_of_the_drawing(trained):
    """Left-top first, counter-clockwise in the image, inside of it."""
    folder, _ = trained
    records = read_records("CocoDataset", folder / "plates/images", folder / "plates/labels.json", CLASSES)
    corners = np.concatenate([record.corners for record in records])
    assert len(corners) > 24 and (corners > 0).all() and (corners < (320, 256)).all()
    assert (corners[:, 0, 0] < corners[:, 3, 0]).all() and (corners[:, 0, 1] < corners[:, 1, 1]).all()
