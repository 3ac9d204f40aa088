"""`nanodet-kp show-augmentation`: a sheet of what a configuration's training sees."""

import json
import sys
from pathlib import Path

import cv2
import numpy as np
import pytest
import yaml

from nanodet_kp_core.classes import ARMOR_CLASSES
from nanodet_kp_core.commands import show_augmentation
from nanodet_kp_core.labels.coco import coco_document
from nanodet_kp_core.labels.sample import Sample

ROOT = Path(__file__).resolve().parents[2]


@pytest.fixture
def sheet(monkeypatch):
    """Runs the command with arguments, in this process: torch is imported already."""

    def run(*arguments):
        monkeypatch.setattr(sys, "argv", ["nanodet-kp show-augmentation", *map(str, arguments)])
        return show_augmentation.main()

    return run


@pytest.fixture
def config(tmp_path):
    corners = np.float32([[[20, 20], [20, 32], [50, 32], [50, 20]]])
    samples = []
    for k in range(5):
        image = np.full((64, 80, 3), 40 * k, np.uint8)
        cv2.imwrite(str(tmp_path / f"{k}.png"), image)
        samples.append((f"{k}.png", Sample(image=image, corners=corners, labels=np.array([k]))))
    (tmp_path / "labels.json").write_text(json.dumps(coco_document(samples, ARMOR_CLASSES)))
    raw = yaml.safe_load((ROOT / "config" / "own_data.yaml").read_text())
    raw["data"]["train"] = raw["data"]["train"][0]  # own images without the rendered ones
    for part in raw["data"].values():
        part |= {"name": "CocoDataset", "img_path": str(tmp_path), "ann_path": str(tmp_path / "labels.json")}
        part["input_size"] = [96, 64]
    path = tmp_path / "config.yaml"
    path.write_text(yaml.safe_dump(raw))
    return path


def test_the_sheet_of_a_configuration(sheet, config, tmp_path, capsys):
    outs = [tmp_path / name for name in ("a.png", "again.png", "later.png")]
    for out, epoch in zip(outs, (0, 0, 1)):
        assert sheet(out, "--config", config, "--columns", 3, "--epoch", epoch) == 0
        assert capsys.readouterr().out.strip() == str(out)
    first, again, later = (cv2.imread(str(out)) for out in outs)
    assert first.shape == (2 * 64, 3 * 96, 3)  # five images and a black one
    assert not first[64:, 2 * 96 :].any() and first[:64].any()
    assert np.array_equal(first, again) and not np.array_equal(first, later)


def test_another_ending_is_refused(sheet, tmp_path, capsys):
    with pytest.raises(SystemExit) as ended:
        sheet(tmp_path / "sheet.gif")
    assert ended.value.code == 2 and ".jpg or .png" in capsys.readouterr().err
