"""Two models on one page: both columns, what changed, labels in doubt."""

from pathlib import Path
from xml.etree import ElementTree

import cv2
import numpy as np
import pytest
from forked import run_forked

from nanodet_kp_core.classes import ARMOR_CLASSES
from nanodet_kp_core.evaluate.compare_page import write_comparison
from nanodet_kp_core.evaluate.metrics import Prediction
from nanodet_kp_core.evaluate.standing import Standing

ROOT = Path(__file__).resolve().parents[2]


@pytest.fixture
def records(tmp_path, make_record, plate):
    """Three images with a plate each, the first with a name that is no good HTML."""
    made = []
    for k in range(3):
        path = tmp_path / f"{k}.png"
        cv2.imwrite(str(path), np.full((120, 160, 3), 50 * k, np.uint8))
        name = "<b>&.png" if k == 0 else path.name
        made.append(make_record([plate(40, 30, 50, 22)], ["B_3"], name, path=path, width=160, height=120))
    return made


def standing(records, found, label="B_3"):
    predictions = {r.name: [Prediction(label, 0.9, r.corners[0])] if k in found else [] for k, r in enumerate(records)}
    return Standing(records, predictions, ARMOR_CLASSES, {r.name: f"cam{k % 2}" for k, r in enumerate(records)})


def cells(page, first):
    """Rows of all tables that begin with this text."""
    rows = [[cell.text or "" for cell in row] for row in ElementTree.fromstring(page).iter("tr")]
    return [row for row in rows if row[0] == first]


def test_both_models_stand_side_by_side(records, tmp_path):
    before, after = standing(records, (0, 1)), standing(records, (1, 2), "B_1")
    path = tmp_path / "page" / "compare.html"
    write_comparison(path, "a & b", ["What to do <next>."], {"own": (before, after)}, ("old", "new"), after)
    page = path.read_text(encoding="utf-8")
    assert cells(page, "old")[0][1:5] == ["1.000", "0.667", "0.667", "0"]
    assert cells(page, "new")[0][-3:] == ["2", "0", "2"]
    heads = ["number", "plates", "found, old", "found, new", "wrong, old", "wrong, new"]
    assert cells(page, "number")[0][:6] == heads
    assert cells(page, "3")[0][:6] == ["3", "3", "2", "2", "0", "2"]
    assert cells(page, "cam1")[0][:4] == ["cam1", "1", "1", "1"]
    assert "found, now missed" in page and "missed, now found with another number or color" in page
    assert "B_3: the model sees no plate" in page and "What to do &lt;next&gt;." in page
    assert page.index("<h3>Worse</h3>") < page.index("<h3>Better</h3>") < page.index("Labels to look at")


def test_the_script_compares_two_models(tmp_path):
    script, model = str(ROOT / "training" / "evaluate.py"), str(ROOT / "models" / "armor_s.onnx")
    refused = run_forked([script, model, "--beside", model], cwd=tmp_path)
    assert refused.returncode == 2 and "--report with a folder" in refused.stderr
    made = [ROOT / "training" / "synthesize.py", "dataset", tmp_path / "set", "--count", "3", "--workers", "1"]
    assert run_forked(made, cwd=tmp_path).returncode == 0
    command = [script, model, "--beside", model, "--labels", tmp_path / "set" / "labels.json"]
    done = run_forked([*command, "--report", tmp_path / "out"], cwd=tmp_path)
    assert done.returncode == 0, done.stderr
    lines = [line for line in done.stdout.splitlines() if line.startswith("armor_s.onnx: ")]
    assert len(lines) == 2 and lines[0] == lines[1] and "mean recall at precision 0.95 to 0.99" in lines[0]
    assert (tmp_path / "out" / "compare.html").exists() and (tmp_path / "out" / "index.html").exists()
