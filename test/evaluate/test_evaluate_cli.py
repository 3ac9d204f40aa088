"""training/evaluate.py as a user calls it; a checkpoint and its ONNX give the same numbers."""

import json
import runpy
import sys
from pathlib import Path

import cv2
import numpy as np
import pytest
import torch
from tiny_model import TinyPlate, make_tiny_model, tiny_metadata

from nanodet_kp_core.checkpoint import save_checkpoint
from nanodet_kp_core.classes import ARMOR_CLASSES
from nanodet_kp_core.config import TrainConfig
from nanodet_kp_core.data.dataset import read_dataset
from nanodet_kp_core.evaluate.torch_detector import evaluate, evaluate_images, torch_detector
from nanodet_kp_core.export.onnx_file import export_onnx, load_model
from nanodet_kp_core.labels import write_dataset, written_paths
from nanodet_kp_core.labels.sample import Record
from nanodet_kp_core.model.build import build_detector
from nanodet_kp_core.synthetic.generator import render

ROOT = Path(__file__).resolve().parents[2]
SIZE = (128, 128)


@pytest.fixture
def run(monkeypatch, capsys):
    """Call the script with arguments; in this process, because importing torch takes seconds. Returns what it says."""
    monkeypatch.syspath_prepend(ROOT / "training")

    def call(*arguments, code=0):
        monkeypatch.setattr(sys, "argv", ["evaluate.py", *map(str, arguments)])
        with pytest.raises(SystemExit) as ended:
            runpy.run_path(str(ROOT / "training/evaluate.py"), run_name="__main__")
        said = capsys.readouterr()
        assert ended.value.code == code, said.err
        return said.err if code else said.out

    return call


def configuration(folder):
    part = {"img_path": folder / "data/images", "ann_path": folder / "data/labels.json", "input_size": SIZE}
    head = {"input_channel": 32, "feat_channels": 32, "stacked_convs": 1, "strides": [8, 16, 32]}
    return TrainConfig.model_validate(
        {
            "save_dir": folder / "run",
            "model": {
                "arch": {
                    "backbone": {"model_size": "0.5x"},
                    "fpn": {"out_channels": 32, "num_extra_level": 0},
                    "head": {**head, "class_layout": "factored", "corner_codec": "unsigned"},
                }
            },
            "data": {"train": part, "val": part},
        }
    )


@pytest.fixture(scope="module")
def checkpoint(tmp_path_factory):
    """A network with random weights on rendered images; their labels are some of what it sees, moved a bit."""
    folder = tmp_path_factory.mktemp("cli")
    (folder / "pictures").mkdir()
    config = configuration(folder)
    model = build_detector(config.model.arch, config.class_names)
    pictures = [render(seed, SIZE).image for seed in range(4)]
    _stir(model, pictures)
    detector = torch_detector(model.eval(), config, SIZE, torch.device("cpu"), 0.5)
    records = []
    rng = np.random.default_rng(0)
    for k, picture in enumerate(pictures):
        path = folder / f"pictures/{k}.png"
        cv2.imwrite(str(path), picture)
        seen = detector(picture)
        corners = seen.corners[::3] + rng.normal(0, 1.5, (len(seen.corners[::3]), 4, 2)).astype(np.float32)
        labels = seen.class_ids[::3]
        records.append(Record(path=path, name=path.name, width=128, height=128, corners=corners, labels=labels))
    write_dataset("CocoDataset", folder / "data", records, ARMOR_CLASSES)
    camera = {"matrix": [[200, 0, 64], [0, 200, 64], [0, 0, 1]], "distortion": []}
    labels = folder / "data/labels.json"
    labels.write_text(json.dumps({**json.loads(labels.read_text()), "camera": camera}))
    path = folder / "best.pt"
    save_checkpoint(path, {"average": model.state_dict(), "config": config.model_dump_json(), "run_id": "test"})
    return path


def _stir(model, pictures):
    """Random weights that answer differently everywhere: normalised features, loud outputs."""
    torch.manual_seed(5)
    for layer in model.modules():
        if isinstance(layer, torch.nn.BatchNorm2d):
            layer.momentum = 1.0
    with torch.no_grad():
        model.train()(torch.from_numpy(np.stack(pictures)).permute(0, 3, 1, 2).float().sub(110).div(58))
        for output in model.head.gfl_cls:
            output.weight.normal_(std=0.3)
            output.bias.fill_(-1.0)


def test_a_checkpoint_and_its_onnx_give_the_same_numbers(run, checkpoint, tmp_path):
    onnx = tmp_path / "model.onnx"
    pictures = [cv2.imread(str(path)) for path in sorted((checkpoint.parent / "pictures").iterdir())]
    export_onnx(checkpoint, onnx, SIZE, pictures[:1])
    labels = checkpoint.parent / "data/labels.json"
    text = run(checkpoint, "--score", 0.5, 0.3, "--json", tmp_path / "torch.json")
    run(onnx, "--labels", labels, "--score", 0.5, 0.3, "--json", tmp_path / "onnx.json", "--report", tmp_path / "out")
    own, other = (json.loads((tmp_path / name).read_text()) for name in ("torch.json", "onnx.json"))
    assert own["scores"]["0.5"]["hits"] > 10
    for threshold, score in own["scores"].items():
        again = other["scores"][threshold]
        for name in ("images", "plates", "hits", "false_alarms", "missed", "color", "number"):
            assert again[name] == score[name], name
        for name in ("err", "err_px", "err_p95", "mAP", "AP_50", "oks_mAP"):
            assert again[name] == pytest.approx(score[name], rel=1e-3), name
    assert other["confusion"] == own["confusion"]
    assert own["pose"]["plates"] == other["pose"]["plates"] > 0
    assert text.count("score 0.") == 2
    assert "box mAP" in text
    assert (tmp_path / "out/index.html").stat().st_size > 50_000


def test_what_a_training_asks(checkpoint):
    model, config, _ = load_model(checkpoint)
    detector = torch_detector(model, config, SIZE, torch.device("cpu"))
    result = evaluate_images(detector, config.data.val, config.class_names, 0.5)
    assert result.score == evaluate(detector, config.data.val, config.class_names, 0.5)
    assert [record.name for record in result.records] == list(result.predictions) == [f"{k}.png" for k in range(4)]
    assert all(prediction.box.shape == (4,) for prediction in result.predictions["0.png"])
    for name in ("mAP", "AP_50", "oks_mAP", "f1"):
        assert 0 < result.score.key(name) == getattr(result.score, name) <= 1


@pytest.mark.parametrize("name", ["YoloPoseDataset", "XMLDataset", "LabelRoboMasterDataset"])
def test_any_format_gives_the_same_hits(checkpoint, tmp_path, name):
    model, config, _ = load_model(checkpoint)
    detector = torch_detector(model, config, SIZE, torch.device("cpu"))
    expected = evaluate(detector, config.data.val, config.class_names)
    write_dataset(name, tmp_path / "data", read_dataset(config.data.val, ARMOR_CLASSES), ARMOR_CLASSES)
    images, labels = written_paths(name, tmp_path / "data")
    data = config.data.val.model_copy(update={"name": name, "img_path": images, "ann_path": labels})
    got = evaluate(detector, data, config.class_names)
    assert (got.hits, got.false_alarms, got.missed) == (expected.hits, expected.false_alarms, expected.missed)
    assert got.err_px == pytest.approx(expected.err_px, abs=1e-3)


def test_a_box_only_model_has_boxes_and_no_corners(run, tmp_path):
    corners = [[20, 20], [20, 34], [50, 34], [50, 20]]
    metadata = tiny_metadata(corner_codec="none")
    model = make_tiny_model(tmp_path / "box.onnx", [TinyPlate("B_3", 0.9, corners)], metadata)
    (tmp_path / "pictures").mkdir()
    cv2.imwrite(str(tmp_path / "pictures/a.png"), np.zeros((64, 64, 3), np.uint8))
    label = Record(
        path=tmp_path / "pictures/a.png", name="a.png", width=64, height=64,
        corners=np.array([corners], np.float32), labels=np.array([ARMOR_CLASSES.index("B_3")]),
    )  # fmt: skip
    write_dataset("CocoDataset", tmp_path / "data", [label], ARMOR_CLASSES)
    text = run(model, "--labels", tmp_path / "data/labels.json", "--json", tmp_path / "box.json")
    figures = json.loads((tmp_path / "box.json").read_text())
    assert (figures["scores"]["0.5"]["hits"], figures["coco"]["AP_50"]) == (1, pytest.approx(1))
    assert (figures["scores"]["0.5"]["err"], figures["coco"]["oks_mAP"]) == (None, None)
    assert "OKS mAP - (sigma 0.05)" in text


def test_wrong_arguments_are_one_sentence(run, checkpoint, tmp_path):
    text = run(ROOT / "models/armor_s.onnx", code=2)
    assert text == "error: --labels: expected labels to score an exported model on, got none\n"
    for arguments, message in (
        (("--score", 1.5), "--score: expected thresholds between 0 and 1"),
        (("--limit", 0), "--limit: expected a whole number"),
        (("--classes", "names.txt"), "--classes: a model brings its own"),
        (("--format", "coco"), "--format: expected together with --labels"),
    ):
        assert message in run(checkpoint, *arguments, code=2)
    (tmp_path / "camera.yaml").write_text("a: 1\n")
    text = run(checkpoint, "--camera", tmp_path / "camera.yaml", code=2)
    assert text.startswith("error: ")
    assert text.count("\n") == 1
