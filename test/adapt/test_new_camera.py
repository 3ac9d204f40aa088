"""Labels of a camera and a team that the generator does not draw make the bundled model better there."""

import re
from pathlib import Path

from forked import run_forked

from nanodet_kp_core.adapt.plan import Plan
from nanodet_kp_core.adapt.recipe import DetectorStage, Recipe, Scoring, SecondStage
from nanodet_kp_core.adapt.run import adapt
from nanodet_kp_core.classes import ARMOR_CLASSES
from nanodet_kp_core.config.data import DataConfig
from nanodet_kp_core.evaluate.metrics import Score, label_parts, match
from nanodet_kp_core.evaluate.torch_detector import evaluate, predict
from nanodet_kp_core.labels import read_records
from nanodet_kp_core.runtime.detection.detector import Detector

BENCHMARK = Path(__file__).resolve().parents[2] / "benchmark"
RECIPE = Recipe(
    SecondStage(steps=250, batch=64, warmup=10, variants=4, replay=500, time=100.0),
    DetectorStage(least=1e9),
    Scoring(judged=100),
)
"""An eighth of the usual samples of the second stage and of the rendered images that judge it, and nothing else. With
40 of them one plate is two in a hundred, and chance decides."""


def labels_of(folder: Path, images: int, seed: int) -> Path:
    rendering = [BENCHMARK / "new_camera.py", folder, "--images", images, "--seed", seed]
    assert run_forked(rendering, cwd=folder.parent).returncode == 0
    return folder / "labels.json"


def score(model: Path, labels: Path) -> Score:
    """Of the whole pipeline, as the node runs it."""
    data = DataConfig(name="CocoDataset", img_path=labels.parent / "images", ann_path=labels, input_size=(320, 256))
    return evaluate(Detector(model, score_threshold=0.05), data, ARMOR_CLASSES)


def numbers_read(model: Path, labels: Path) -> dict[tuple[str, int], bool]:
    """Of each plate that is found, by image and place in its labels: is its number, which can be read, said right?"""
    records = read_records("CocoDataset", labels.parent / "images", labels, ARMOR_CLASSES)
    read = {}
    for hit in match(records, predict(Detector(model), records), 0.5).hits:
        if hit.record.number_known[hit.plate]:
            _, number = label_parts(ARMOR_CLASSES[hit.record.labels[hit.plate]])
            read[hit.record.name, hit.plate] = label_parts(hit.prediction.label)[1] == number
    return read


def test_own_labels_make_the_bundled_model_better_on_unseen_images_of_their_camera(tmp_path):
    data, validation = labels_of(tmp_path / "own", 100, 980_000_000), labels_of(tmp_path / "check", 40, 985_000_000)
    outcome = adapt(Plan(data=data, validation=validation, out=tmp_path / "run"), RECIPE)
    assert outcome.taken != "start", outcome.sentence
    unseen = labels_of(tmp_path / "unseen", 150, 990_000_000)
    before, after = score(Detector().model_path, unseen), score(outcome.model, unseen)
    assert after.recall > before.recall + 0.03 and after.precision > 0.95
    assert after.err < 0.9 * before.err
    number_before, number_after = numbers_read(Detector().model_path, unseen), numbers_read(outcome.model, unseen)
    both = number_before.keys() & number_after.keys()  # what only the new model finds is harder to read
    assert sum(number_after[plate] for plate in both) > sum(number_before[plate] for plate in both)
    assert sum(number_after.values()) > sum(number_before.values())
    assert after.points > before.points + 0.02  # of all plates: found, read and exact
    compared = [BENCHMARK / "crop_loss.py", outcome.model, "--labels", unseen, "--images", unseen.parent / "images"]
    fall, error = map(float, re.search(r"falls by (\S+) \((\S+)\)", run_forked(compared, cwd=tmp_path).stdout).groups())
    assert fall > 2 * error > 0
