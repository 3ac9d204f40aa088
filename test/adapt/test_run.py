"""A whole adaptation of the bundled model on a few rendered images, killed at three places, and its refusals."""

import json
import logging
import multiprocessing
import os
import shutil
import signal
from dataclasses import replace
from pathlib import Path
from xml.etree import ElementTree

import cv2
import numpy as np
import pytest
import torch

from nanodet_kp_core.adapt import candidates as candidates_module
from nanodet_kp_core.adapt import decide, deliver, detector_stage
from nanodet_kp_core.adapt import run as run_module
from nanodet_kp_core.adapt.plan import Plan
from nanodet_kp_core.adapt.recipe import DetectorStage, Recipe, Scoring, SecondStage
from nanodet_kp_core.adapt.run import adapt
from nanodet_kp_core.adapt.second_stage import SecondStageTraining
from nanodet_kp_core.classes import ARMOR_CLASSES
from nanodet_kp_core.errors import ModelError, TrainingError
from nanodet_kp_core.evaluate import html_report
from nanodet_kp_core.evaluate.points import Gain
from nanodet_kp_core.export.onnx_file import load_model
from nanodet_kp_core.labels.coco import coco_document
from nanodet_kp_core.runtime.detection.detector import Detector
from nanodet_kp_core.synthetic.generator import render
from nanodet_kp_core.train.crop_training import load_crop_state

QUICK = Recipe(
    SecondStage(steps=6, batch=16, warmup=2, variants=2, replay=20, blends=(1.0,), time=100.0, save_every=2),
    DetectorStage(least=1e9),
    Scoring(judged=8),
)


@pytest.fixture(scope="module")
def own(tmp_path_factory):
    """20 images of one source, with COCO labels."""
    folder = tmp_path_factory.mktemp("own")
    (folder / "images").mkdir()
    samples = []
    for k in range(20):
        sample = render(77_000 + k, (192, 160), (20.0, 90.0))
        cv2.imwrite(str(folder / "images" / f"f{k}.png"), sample.image)
        samples.append((f"f{k}.png", sample))
    (folder / "labels.json").write_text(json.dumps(coco_document(samples, ARMOR_CLASSES)))
    return folder


class Listener(logging.Handler):
    """Keeps what is logged."""

    def __init__(self):
        super().__init__()
        self.said = []

    def emit(self, record):
        self.said.append(record.getMessage())


def plan_of(own, out, **values):
    return Plan(data=own / "labels.json", out=out, **values)


def accept_all(monkeypatch):
    """Every candidate is better than the start."""
    monkeypatch.setattr(run_module, "judge", lambda *_: decide.Judged(Gain(1.0, 0.0), ""))


@pytest.fixture(autouse=True)
def _no_plots(finished, monkeypatch):
    """The report of `finished` has its plots, the others do without: nobody looks at them, and they take seconds."""
    monkeypatch.setattr(html_report, "plots", lambda _: [])


@pytest.fixture
def always(monkeypatch):
    accept_all(monkeypatch)


@pytest.fixture(scope="module")
def finished(own, tmp_path_factory):
    """Outcome of a run that nobody disturbed and that took its candidate, and what it said."""
    log, handler = logging.getLogger("nanodet_kp_core"), Listener()
    level = log.level
    log.addHandler(handler)
    log.setLevel("INFO")
    try:
        with pytest.MonkeyPatch.context() as patch:
            accept_all(patch)
            return adapt(plan_of(own, tmp_path_factory.mktemp("adapted") / "run"), QUICK), "\n".join(handler.said)
    finally:
        log.removeHandler(handler)
        log.setLevel(level)


def in_a_process(function):
    """Exit code of a function in a process of its own; the number of a signal is negative."""

    def body():
        cv2.setNumThreads(0)  # threads do not survive a fork
        function()

    process = multiprocessing.get_context("fork").Process(target=body)
    process.start()
    process.join(300)
    assert process.exitcode is not None
    return process.exitcode


def die_at(monkeypatch, owner, name, call):
    """The process is killed when `owner.name` is called for the call-th time."""
    real, left = getattr(owner, name), [call]

    def counted(*args, **values):
        left[0] -= 1
        if left[0] == 0:
            os.kill(os.getpid(), signal.SIGKILL)
        return real(*args, **values)

    monkeypatch.setattr(owner, name, counted)


def test_a_run_killed_three_times_ends_as_one_that_nobody_disturbed(own, finished, tmp_path, always, monkeypatch):
    whole, _ = finished
    out = tmp_path / "killed"
    places = (
        (candidates_module, "replay_crops", 1),  # own crops are cut, rendered ones are not
        (SecondStageTraining, "train_step", 6 + 6),  # 6 steps measure the time; one step after a checkpoint
        (deliver, "name_second_stage", 1),  # the weights of a candidate are written, its model is not
    )
    for owner, name, call in places:
        with monkeypatch.context() as patch:
            die_at(patch, owner, name, call)
            assert in_a_process(lambda: adapt(plan_of(own, out), QUICK)) == -signal.SIGKILL
        assert not (out / "model.onnx").exists()
    again = adapt(plan_of(own, out), QUICK)
    assert again.taken == whole.taken == "second stage 1"
    states = [load_crop_state(o.model.parent / "model_refiner.pt", "reader")["average"] for o in (whole, again)]
    assert all(torch.equal(states[0][name], states[1][name]) for name in states[0])
    files = [o.model.with_name("model_refiner.onnx").read_bytes() for o in (whole, again)]
    assert files[0] == files[1]
    assert again.sentence.replace(str(out), "") == whole.sentence.replace(str(whole.model.parent), "")


def test_what_a_run_leaves(own, finished, tmp_path, always):
    outcome, said = finished
    for part in (
        "20 images", "split: ", "1 block(s) of neighboring frames of 1 source(s)", "fewer than 3 plates of numbers",
        "start on own validation images: precision", "start on rendered images: precision", "step 6 of 6", "(start ",
        "so that nothing is forgotten",
        "second stage 1 on own validation images", "detector: left as it is, for there is no time for it",
    ):  # fmt: skip
        assert part in said, part
    detector = Detector(outcome.model)
    assert detector.refiner.bars is not None and "6 steps on own crops" in detector.refiner.metadata.run_id
    start = Detector()
    assert not np.array_equal(
        *(d.refiner.network(np.zeros((1, 40, 64, 3), np.uint8), "bgr") for d in (start, detector))
    )
    page = outcome.report.read_text()
    assert ElementTree.fromstring(page).tag == "html"
    for part in ("own validation images: by size, number and source", "Labels to look at", "found, start", "Worse"):
        assert part in page, part
    assert len((outcome.model.parent / "labels_to_look_at.txt").read_text().splitlines()) > 10
    # what was delivered is a start for the next run
    second = adapt(plan_of(own, tmp_path / "next", start=outcome.model), QUICK)
    assert "6 steps on own crops, 1 of the way, 6 steps" in Detector(second.model).refiner.metadata.run_id
    # the same command again does nothing and says the same
    before = outcome.model.stat().st_mtime_ns
    assert adapt(plan_of(own, outcome.model.parent), QUICK) == outcome
    assert outcome.model.stat().st_mtime_ns == before


def test_the_detector_is_trained_where_there_is_time(own, tmp_path, monkeypatch):
    """Its candidates have the second stage that was chosen before; killed in between, the run goes on."""
    last = {"detector 1": Gain(3.0, 0.0)}
    monkeypatch.setattr(
        run_module, "choose",
        lambda judged: decide.choose({n: decide.Judged(last.get(n, Gain(1.0, 0.0)), "") for n in judged}),
    )  # fmt: skip
    stage = DetectorStage(batch=4, rendered=0.5, epochs=1, blends=(0.0, 1.0), least=0.0, reserve=0.0, rate=0.001)
    recipe = replace(QUICK, detector=stage)
    with monkeypatch.context() as patch:
        die_at(patch, detector_stage, "score_shift", 2)
        assert in_a_process(lambda: adapt(plan_of(own, tmp_path / "run"), recipe)) == -signal.SIGKILL
    with monkeypatch.context() as patch:
        die_at(patch, detector_stage, "train", 1)  # it is not trained a second time
        outcome = adapt(plan_of(own, tmp_path / "run"), recipe)
    assert outcome.taken == "detector 1"
    delivered, start = Detector(outcome.model), Detector()
    assert "5 steps on own images, 1 of the way" in delivered.metadata.run_id
    assert "6 steps on own crops" in delivered.refiner.metadata.run_id and delivered.refiner.bars is not None
    assert delivered.metadata.output == start.metadata.output and delivered.metadata.input == start.metadata.input
    same = tmp_path / "run" / "work" / "candidates" / "detector_0" / "model.onnx"
    image = cv2.imread(str(own / "images" / "f3.png"))
    models = same, start.model_path, outcome.model
    found = [Detector(model, second_stage=False, score_threshold=0.3)(image) for model in models]
    assert np.allclose(found[0].corners, found[1].corners, atol=0.05)
    assert np.allclose(found[0].scores, found[1].scores, atol=0.02)  # the start's offset is found again
    assert not np.allclose(found[2].boxes[:1], found[1].boxes[:1], atol=1e-4)
    _, config, _ = load_model(outcome.model.with_suffix(".pt"))
    assert config.schedule.freeze_norm and len(config.data.others) == 1


def test_the_start_is_kept_where_nothing_is_better(own, tmp_path, monkeypatch):
    monkeypatch.setattr(run_module, "judge", lambda *_: decide.Judged(Gain(0.0, 0.0), "it is worse"))
    outcome = adapt(plan_of(own, tmp_path / "run"), QUICK)
    assert outcome.taken == "start" and "second stage 1: it is worse" in outcome.sentence
    images = [cv2.imread(str(path)) for path in sorted((own / "images").iterdir())[:4]]
    for image in images:
        kept, start = Detector(outcome.model)(image), Detector()(image)
        assert np.array_equal(kept.corners, start.corners) and np.array_equal(kept.scores, start.scores)


def test_what_is_refused(own, finished, tmp_path):
    outcome, _ = finished
    with pytest.raises(TrainingError, match="that began with the same values, got minutes 3 after"):
        adapt(plan_of(own, outcome.model.parent, minutes=3.0), QUICK)
    (tmp_path / "full").mkdir()
    (tmp_path / "full" / "notes.txt").write_text("mine")
    with pytest.raises(TrainingError, match="expected an empty or new folder"):
        adapt(plan_of(own, tmp_path / "full"), QUICK)
    models = tmp_path / "models"
    models.mkdir()
    bundled = Path(Detector().model_path).parent
    for name in ("armor_s.onnx", "armor_reader.onnx", "armor_bars.onnx"):
        shutil.copy(bundled / name, models / name)
    with pytest.raises(ModelError, match=r"expected the weights of its second stage in .*armor_reader\.pt"):
        adapt(plan_of(own, tmp_path / "other", start=models / "armor_s.onnx"), QUICK)
