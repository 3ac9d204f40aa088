"""The second stage's training: which proposals teach what, collection and training that go on after a stop."""

from dataclasses import replace
from functools import partial
from pathlib import Path
from types import SimpleNamespace

import cv2
import numpy as np
import pytest
import torch
from forked import run_forked

from nanodet_kp_core.classes import ARMOR_CLASSES
from nanodet_kp_core.crops import crop_files as crop_files
from nanodet_kp_core.crops import proposal_crops as proposals
from nanodet_kp_core.crops.crop_files import collect, joined
from nanodet_kp_core.crops.proposal_crops import Crops, crops_of, crops_of_records, jittered, quads_of
from nanodet_kp_core.errors import DataError, ModelError, TrainingError
from nanodet_kp_core.evaluate.calibrate import offset_for
from nanodet_kp_core.export.crop_network_file import export_crop_network, shift_refiner
from nanodet_kp_core.export.onnx_file import export_onnx
from nanodet_kp_core.geometry import boxes_of_corners
from nanodet_kp_core.labels.sample import Sample
from nanodet_kp_core.model.crop_networks import BarsNetwork, RefinerNetwork
from nanodet_kp_core.runtime.detection.detector import Detections
from nanodet_kp_core.runtime.refinement.bars import BarsMetadata
from nanodet_kp_core.runtime.refinement.crops import (
    CROP_CORNERS,
    CROP_SIZE,
    cut,
    plate_transforms,
    to_crop,
    to_image,
)
from nanodet_kp_core.runtime.refinement.refiner import Refiner, RefinerMetadata
from nanodet_kp_core.synthetic.records import RenderedRecord, RenderedRecords
from nanodet_kp_core.train.crop_training import CropRecipe, load_crop_state, train_crops
from nanodet_kp_core.train.detector_training import train
from nanodet_kp_core.train.refiner_training import UNLIT_WEIGHT, RefinerTraining

ROOT = Path(__file__).resolve().parents[2]
QUAD = np.array([[0, 0], [0, 20], [40, 20], [40, 0]], np.float32)


@pytest.fixture
def sample():
    """Two plates in a row and an ignore box; the second one's number is unknown."""
    image = np.random.default_rng(0).integers(0, 255, (120, 200, 3), np.uint8)
    corners = np.stack([QUAD + (20, 40), QUAD + (120, 40)])
    return Sample(
        image=image, corners=corners, labels=np.array([ARMOR_CLASSES.index("R_3"), ARMOR_CLASSES.index("B_1")]),
        number_known=np.array([True, False]), ignore_boxes=np.array([[60, 90, 110, 120]], np.float32),
    )  # fmt: skip


def test_what_a_proposal_teaches(sample):
    size = np.hypot(40, 20)
    near, between = sample.corners[0] + 0.3 * size * np.array([1, 0]), sample.corners[0] + (0.4 * size, 0)
    far, ignored = QUAD + (70, 10), QUAD + (65, 95)
    rng = np.random.default_rng(1)
    quads, owners = quads_of(sample, [np.stack([near, between, far, ignored])], rng)
    assert np.allclose(quads[:2], np.stack([near, far]))
    assert owners[:4].tolist() == [0, -1, 0, 1]  # then both plates jittered
    assert set(owners[4:].tolist()) <= {-1}


def test_bars_of_two_plates_make_none(sample):
    """Between the plates at x = 20 to 60 and 120 to 160; what came too near to one of them is left out."""
    middles = []
    for seed in range(20):
        quads, owners = quads_of(sample, [], np.random.default_rng(seed))
        assert owners[:2].tolist() == [0, 1] and (owners[2:] == -1).all()
        off = np.linalg.norm(quads[2:, None] - sample.corners[None], axis=3).mean(axis=2) / np.hypot(40, 20)
        assert (off > proposals.NEGATIVE_DISTANCE - 1e-6).all()
        middles += quads[2:].mean(axis=1).tolist()
    assert sum(np.abs(np.subtract(middle, (90, 50))).max() < 15 for middle in middles) > 5  # the two inner bars


def test_a_bar_of_a_plate_and_a_half_seen_one_make_none(sample):
    """The robot's next plate shows one bar only, in an ignore box: a detector takes it for the right bar of a plate."""
    half_seen = replace(sample, ignore_boxes=np.array([[84, 38, 94, 62]], np.float32))
    found = []
    for seed in range(10):
        quads, owners = quads_of(half_seen, [], np.random.default_rng(seed))
        found += [quad for quad, owner in zip(quads, owners) if owner < 0 and 75 < quad[2:, 0].mean() < 100]
    assert len(found) >= 5
    assert all(np.abs(quad[:2, 0] - 60).max() < 12 for quad in found)  # their left bar is the right one of a plate
    proposed = np.array([[60, 40], [60, 60], [89, 60], [89, 40]], np.float32)
    quads, owners = quads_of(half_seen, [proposed[None]], np.random.default_rng(0))
    assert np.array_equal(quads[0], proposed) and owners[0] == -1
    inside = np.array([[70, 40], [70, 60], [94, 60], [94, 40]], np.float32)  # may be a plate that is half seen
    quads, _ = quads_of(half_seen, [inside[None]], np.random.default_rng(0))
    assert not np.array_equal(quads[0], inside)


def test_targets_lead_back_to_the_labels(sample):
    crops = crops_of(sample, [sample.corners + 3.0], 9, np.random.default_rng(2))
    assert crops.plate[:2].all() and len(crops) >= 4
    assert crops.colors[:2].tolist() == [1, 0]
    assert crops.numbers[:2].tolist() == [3, -1]
    transforms = plate_transforms((sample.corners + 3.0).astype(np.float32))
    assert np.allclose(to_image(CROP_CORNERS + crops.offsets[:2], transforms), sample.corners, atol=1e-3)
    wrong = ~crops.plate
    assert (crops.colors[wrong] == -1).all() and (crops.offsets[wrong] == 0).all()


def test_shaking_stays_near(sample):
    rng = np.random.default_rng(3)
    moved = np.stack([jittered(rng, sample.corners[0], 1.0) for _ in range(300)]) - sample.corners[0]
    off = np.linalg.norm(moved, axis=2).mean(axis=1) / np.hypot(40, 20)
    assert 0.05 < np.median(off) < 0.2 and off.max() < 0.5


@pytest.fixture(scope="module")
def detector(bare, tiny_config, tmp_path_factory):
    """An untrained detector, exported."""
    folder = tmp_path_factory.mktemp("run")
    config = tiny_config(folder, side=64, schedule={"total_epochs": 1, "val_intervals": 1})
    with bare():
        train(config)
    export_onnx(folder / "best.pt", folder / "model.onnx", (96, 96), [np.zeros((96, 96, 3), np.uint8)])
    return folder / "model.onnx"


def test_collection_goes_on_where_it_stopped(tmp_path, detector, monkeypatch):
    monkeypatch.setattr(crop_files, "CHUNK", 3)
    records = RenderedRecords(6, 300, (96, 96), (20, 60))
    make = partial(crops_of_records, detector, 9)
    first = joined(list(collect(tmp_path, records, make, Crops, "model", 5, 1)))
    files = sorted(tmp_path.glob("*.npz"))
    assert len(files) == 2 and first.plate.any()
    stamp = files[0].stat().st_mtime_ns
    files[1].unlink()
    second = joined(list(collect(tmp_path, records, make, Crops, "model", 5, 1)))
    assert files[0].stat().st_mtime_ns == stamp
    assert np.array_equal(first.images, second.images) and np.array_equal(first.offsets, second.offsets)
    with pytest.raises(DataError, match="choose another folder"):
        list(collect(tmp_path, RenderedRecords(6, 301, (96, 96)), make, Crops, "model", 5, 1))
    with pytest.raises(DataError, match="choose another folder"):
        list(collect(tmp_path, records, make, Crops, "another model", 5, 1))


@pytest.fixture(scope="module")
def crops():
    """Sixty bright quadrilaterals, cut out somewhat beside where they are, and twenty crops of nothing."""
    rng = np.random.default_rng(4)
    images, offsets = [], []
    for k in range(80):
        image = rng.integers(0, 30, (100, 140, 3), np.uint8)
        corners = QUAD + (50, 40)
        if k < 60:
            for x in (50, 90):
                cv2.line(image, (x, 40), (x, 60), (250, 80, 40) if k % 2 else (40, 80, 250), 4)
        transforms = plate_transforms(jittered(rng, corners, 0.6)[None])
        images.append(cut(image, transforms, CROP_SIZE)[0])
        offsets.append(to_crop(corners[None].astype(np.float64), transforms)[0] - CROP_CORNERS)
    order, plate = rng.permutation(80), np.arange(80) < 60
    colors = np.where(plate, 1 - np.arange(80) % 2, -1)
    shifts = np.where(plate[:, None, None], np.array(offsets), 0).astype(np.float32)
    numbers = np.where(plate, np.arange(80) % 3, -1)
    return Crops(np.array(images)[order], plate[order], colors[order], numbers[order], shifts[order])


def test_a_refiner_overfits(crops, tmp_path):
    """Held out is a copy of what it learns from."""
    recipe = CropRecipe(steps=150, batch=32, warmup=5, decay=0.9, held_out=0.5)
    training = RefinerTraining(joined([crops, crops]), 4, 9, recipe)
    train_crops(training, tmp_path / "refiner.pt")
    figures = training.figures()
    assert figures["precision"] > 0.9 and figures["recall"] > 0.9 and figures["color"] > 0.9
    assert figures["err"] < 0.4 * figures["err_before"]


def test_rendered_plates_without_light_count_less_in_what_is_a_plate(crops):
    dark = int(crops.colors[crops.plate][0])
    recipe = CropRecipe(steps=1, batch=64, warmup=1)
    alike, lighter = RefinerTraining(crops, 4, 9, recipe), RefinerTraining(crops, 4, 9, recipe, dark)
    certain = torch.zeros(len(crops), 22)
    certain[:, 0] = -10.0  # nothing is a plate, says a network that has no corners to correct
    chosen = torch.arange(len(crops))
    less = alike.loss(certain, chosen) - lighter.loss(certain, chosen)
    share = float((crops.colors[crops.plate] == dark).sum()) / len(crops)
    assert float(less) == pytest.approx(10 * (1 - UNLIT_WEIGHT) * share, rel=1e-3)


def test_where_no_number_can_be_read_all_are_to_be_equally_likely(crops):
    training = RefinerTraining(replace(crops, numbers=np.full(len(crops), -1)), 4, 9, CropRecipe(steps=1, warmup=1))
    chosen = torch.arange(len(crops))
    losses = []
    for sure in (0.0, 2.0, 4.0):
        values = torch.zeros(len(crops), 22)
        values[:, 5] = sure
        losses.append(float(training.loss(values, chosen)))
    assert losses[0] < losses[1] < losses[2]


def test_a_proposal_of_the_scout_is_learned_from_too(tmp_path, detector):
    """An untrained detector proposes nothing of use; the scout proposes the two lit bars of a plate."""

    class Drawn(RenderedRecord):
        def load(self):
            image = np.zeros((96, 96, 3), np.uint8)
            for x in (30, 66):
                cv2.line(image, (x, 42), (x, 54), (255, 120, 40), 3)
            corners = np.array([[[30, 40], [30, 56], [66, 56], [66, 40]]], np.float32)
            return Sample(
                image=image, corners=corners, labels=np.array([3]), number_known=np.array([True]),
                ignore_boxes=np.zeros((0, 4), np.float32),
            )  # fmt: skip

    record = Drawn(path=Path("x"), name="x", width=96, height=96, seed=0, plate_px=(8, 9))
    found = crops_of_records(detector, 9, [record], np.random.default_rng(0))
    alone = crops_of(record.load(), [], 9, np.random.default_rng(0))
    assert found.plate.sum() > alone.plate.sum()
    assert np.abs(found.offsets[found.plate]).max(axis=(1, 2)).min() < 4  # half a bar's width in its crop


def test_a_stopped_training_goes_on(crops, tmp_path):
    recipe = CropRecipe(steps=4, batch=8, warmup=1)
    whole, stopped = RefinerTraining(crops, 4, 9, recipe), RefinerTraining(crops, 4, 9, recipe)
    losses = [whole.train_step() for _ in range(4)]
    assert losses[:2] == [stopped.train_step() for _ in range(2)]
    torch.save(stopped.state(), tmp_path / "refiner.pt")
    again = RefinerTraining(crops, 4, 9, recipe)
    again.restore(load_crop_state(tmp_path / "refiner.pt", "reader"))
    assert losses[2:] == [again.train_step() for _ in range(2)]
    for name, value in whole.average.model.state_dict().items():
        assert torch.equal(value, again.average.model.state_dict()[name]), name


def test_crops_without_plates_and_files_of_others(crops, tmp_path):
    nothing = Crops(*(values[~crops.plate] for values in vars(crops).values()))
    with pytest.raises(TrainingError, match="expected crops to train on, got 20, none of plates"):
        RefinerTraining(nothing, 4, 9, CropRecipe())
    (tmp_path / "bad.pt").write_bytes(b"no checkpoint")
    torch.save({"model": {}}, tmp_path / "other.pt")
    for name in ("bad.pt", "other.pt", "none.pt"):
        with pytest.raises(ModelError, match="expected a checkpoint of nanodet-kp train-refiner"):
            load_crop_state(tmp_path / name, "reader")


def test_an_exported_refiner_reads_as_torch_does(crops, tmp_path):
    torch.manual_seed(0)
    network = RefinerNetwork(4, 9).eval()
    worst = export_crop_network(network, tmp_path / "r.onnx", RefinerMetadata(ARMOR_CLASSES, 0.2), crops.images)
    assert worst < 1e-3
    refiner = Refiner(tmp_path / "r.onnx")
    image = np.random.default_rng(0).integers(0, 255, (120, 160, 3), np.uint8)
    quads = np.stack([QUAD + (20, 30), QUAD + (80, 60), QUAD + (60, 20)]).astype(np.float32)
    found = refiner(image, quads, np.full(3, 0.5, np.float32))
    seen = cut(image, plate_transforms(quads), CROP_SIZE)
    with torch.inference_mode():
        logit = network(torch.from_numpy(seen).permute(0, 3, 1, 2))[:, 0]
    assert np.allclose(found.scores, logit.sigmoid().numpy(), atol=1e-4)


def test_a_shift_adds_up(tmp_path):
    path = tmp_path / "r.onnx"
    nothing = np.zeros((2, 40, 64, 3), np.uint8)
    export_crop_network(RefinerNetwork(4, 9), path, RefinerMetadata(ARMOR_CLASSES, 0.2), nothing)
    image, half = np.zeros((64, 64, 3), np.uint8), np.full(1, 0.5, np.float32)
    quad = (QUAD + 10)[None]
    before = Refiner(path)(image, quad, half).scores
    assert shift_refiner(path, 1.5).offset == 1.5
    assert shift_refiner(path, -0.5).offset == 1.0
    after = Refiner(path)(image, quad, half).scores
    assert np.log(after / (1 - after)) == pytest.approx(np.log(before / (1 - before)) + 1.0, abs=1e-3)


def test_calibration_finds_the_threshold(sample):
    """Hits with scores 0.9 and 0.6, false alarms with 0.8 and 0.3: full precision from above 0.8 on, a half at 0.3."""

    class Known:
        metadata = SimpleNamespace(class_names=ARMOR_CLASSES, head=SimpleNamespace(has_corners=True))
        refiner = None

        def __call__(self, image, options=None):
            corners = np.stack([sample.corners[0], QUAD + (150, 90), sample.corners[1], QUAD + (0, 90)])
            scores = np.array([0.9, 0.8, 0.6, 0.3], np.float32)
            return Detections(scores, np.array([12, 0, 1, 0]), boxes_of_corners(corners), corners, ARMOR_CLASSES)

    record = SimpleNamespace(**vars(sample), load=lambda: sample)
    record.name, record.fields = "a", None
    for precision, lowest in ((1.0, 0.8), (0.65, 0.3), (0.5, 0.0997)):
        offset, score = offset_for(precision, [record], Known())
        assert 0 <= -offset - np.log(lowest / (1 - lowest)) < 0.05  # the first step of the search above it
        assert score.precision >= precision


def test_the_script(tmp_path, detector, script):
    command = [str(detector), str(tmp_path / "out")]
    command += ["--pictures", "6", "--steps", "2", "--workers", "1", "--threads", "1", "--seed", "7", "--size", "96x96"]
    bars = tmp_path / "bars.onnx"
    export_crop_network(BarsNetwork(), bars, BarsMetadata(), np.zeros((2, 56, 24, 3), np.uint8))
    command += ["--bars", str(bars)]
    done = run_forked([ROOT / "training/train_refiner.py", *command], cwd=tmp_path)
    assert done.returncode == 0, done.stderr
    assert Refiner(tmp_path / "out" / "refiner.onnx").bars is not None
    assert "step 2 of 2: loss" in done.stderr and "refiner.onnx: torch and onnxruntime differ" in done.stdout
    assert Refiner(tmp_path / "out" / "refiner.onnx").metadata.class_names == ARMOR_CLASSES
    code, *_ = script("train_refiner.py", *command, "--start", detector)
    assert code == 0  # the finished run is there: nothing is left to start
    code, _, said = script("calibrate_refiner.py", detector, "--labels", "none.json")
    assert code == 2 and "expected one with a refiner" in said
    code, _, said = script("train_refiner.py", *command, "--steps", "0")
    assert code == 2 and "must be positive" in said
