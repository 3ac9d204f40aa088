"""Training of the last look: which bars teach what, and a run of the scripts from bars to a detector with them."""

from dataclasses import replace
from pathlib import Path

import cv2
import numpy as np
import pytest
import torch
from forked import run_forked

from nanodet_kp_core.crops.bar_crops import LOOKS, BarCrops, bars_of
from nanodet_kp_core.crops.crop_files import joined
from nanodet_kp_core.crops.proposal_crops import jittered
from nanodet_kp_core.errors import ModelError, TrainingError
from nanodet_kp_core.export.crop_network_file import copy_refiner, export_crop_network
from nanodet_kp_core.labels.sample import Sample
from nanodet_kp_core.model.crop_networks import BarsNetwork, RefinerNetwork
from nanodet_kp_core.runtime.refinement.bars import Bars, BarsMetadata
from nanodet_kp_core.runtime.refinement.crops import BAR_ENDS
from nanodet_kp_core.runtime.refinement.refiner import Refiner, RefinerMetadata
from nanodet_kp_core.train.bar_training import BarsTraining
from nanodet_kp_core.train.crop_training import CropRecipe, hand_over, load_crop_state, train_crops

ROOT = Path(__file__).resolve().parents[2]
PLATE = np.array([[40, 30], [44, 62], [104, 60], [100, 28]], np.float32)


def picture(rng, plate):
    """A dark image with the two bars of a plate; a bar's gray value tells which one it is."""
    image = rng.integers(0, 20, (100, 160, 3), np.uint8)
    for ends, value in (((0, 1), 250), ((3, 2), 150)):
        one, two = (tuple(int(v) for v in np.round(plate[k] * 16)) for k in ends)
        cv2.line(image, one, two, (value, value, value), 3, cv2.LINE_AA, 4)
    return image


@pytest.fixture
def sample():
    """A plate that is labeled, one with a corner that is not, and one that is too small."""
    corners = np.stack([PLATE, PLATE + (50, 20), PLATE / 12])
    visible = np.full((3, 4), 2, np.int8)
    visible[1, 2] = 0
    labels = np.zeros(3, np.int64)
    return Sample(image=picture(np.random.default_rng(0), PLATE), corners=corners, labels=labels, visible=visible)


def test_which_bars_teach(sample):
    found = bars_of(sample, np.random.default_rng(1))
    assert len(found) == 4 * LOOKS  # two bars, and both in a mirror
    for image, offsets in zip(found.images, found.offsets):
        for end in BAR_ENDS + offsets:  # bright where the label says that the bar is, dark beyond
            inward = BAR_ENDS.mean(axis=0) + offsets.mean(axis=0) - end
            x, y = np.round(end + 0.15 * inward).astype(int)
            outer_x, outer_y = np.clip(np.round(end - 0.25 * inward).astype(int), 0, (23, 55))
            assert image[y, x].max() > image[outer_y, outer_x].max() + 60
    assert found.pixels == pytest.approx(np.full(len(found), 32 / 28), rel=0.3)
    empty = replace(sample, **sample.fields_of_plates(np.array([False, True, True])))
    assert len(bars_of(empty, np.random.default_rng(1))) == 0


@pytest.fixture(scope="module")
def crops():
    rng = np.random.default_rng(2)
    samples = []
    for _ in range(25):
        plate = jittered(rng, PLATE, 0.7).astype(np.float32)
        samples.append(Sample(image=picture(rng, plate), corners=plate[None], labels=np.zeros(1, np.int64)))
    return joined([bars_of(sample, rng) for sample in samples])


def test_it_overfits(crops, tmp_path):
    """Held out is a copy of what it learns from."""
    recipe = CropRecipe(steps=120, batch=32, warmup=5, decay=0.9, held_out=0.5, rate=0.003)
    training = BarsTraining(joined([crops, crops]), recipe)
    train_crops(training, tmp_path / "bars.pt")
    figures = training.figures()
    assert figures["off"] < 0.4 * figures["off_before"]
    assert figures["px_middle"] < figures["off_before"] and figures["px_large"] == 0
    again = BarsTraining(crops, recipe)
    again.start_from(load_crop_state(tmp_path / "bars.pt", "bars"))
    for name, value in training.average.model.state_dict().items():
        assert torch.equal(value, again.network.state_dict()[name]), name


def test_too_few_bars_and_files_of_others(crops, tmp_path):
    one = BarCrops(*(values[:1] for values in vars(crops).values()))
    with pytest.raises(TrainingError, match="bars: expected crops to train on, got 1"):
        BarsTraining(one, CropRecipe())
    torch.save({"kind": "reader"}, tmp_path / "refiner.pt")
    with pytest.raises(ModelError, match="expected a checkpoint of nanodet-kp train-bars, got another file"):
        load_crop_state(tmp_path / "refiner.pt", "bars")


def test_weights_of_another_network(crops, tmp_path):
    """A start, and the checkpoint of a run that goes on."""
    state = BarsTraining(crops, CropRecipe()).state()
    layer = "features.2.pointwise.0.weight"
    weights = {**state["average"], layer: torch.zeros(48, 32, 1, 1)}
    torch.save(state | {"average": weights, "model": weights}, tmp_path / "bars.pt")
    training = BarsTraining(crops, CropRecipe())
    with pytest.raises(TrainingError, match=rf"bars\.pt: expected weights of the bars of this .* {layer} is 48x32x1x1"):
        hand_over(tmp_path / "bars.pt", "bars", training.start_from)
    with pytest.raises(TrainingError, match=r"bars\.pt: expected weights of the bars of this version"):
        train_crops(training, tmp_path / "bars.pt")


def test_exported_bars_find_what_torch_finds(crops, tmp_path):
    torch.manual_seed(0)
    network = BarsNetwork().eval()
    worst = export_crop_network(network, tmp_path / "b.onnx", BarsMetadata("run"), crops.images)
    assert worst < 1e-3 and Bars(tmp_path / "b.onnx").metadata.run_id == "run"


def test_a_refiner_is_copied_with_its_bars(crops, tmp_path):
    (tmp_path / "model").mkdir()
    export_crop_network(BarsNetwork(), tmp_path / "b.onnx", BarsMetadata("run"), crops.images[:2])
    metadata = RefinerMetadata(("B_1", "B_2", "R_1", "R_2"), 0.2, bars="b.onnx")
    nothing = np.zeros((2, 40, 64, 3), np.uint8)
    export_crop_network(RefinerNetwork(2, 2), tmp_path / "r.onnx", metadata, nothing)
    assert copy_refiner(tmp_path / "r.onnx", tmp_path / "model") == "r.onnx"
    bars = Refiner(tmp_path / "model" / "r.onnx").bars
    assert bars is not None and bars.path == tmp_path / "model" / "b.onnx"


def test_the_script(tmp_path, script):
    command = [str(tmp_path / "out"), "--pictures", "4"]
    command += ["--steps", "2", "--workers", "1", "--threads", "1", "--seed", "7", "--size", "96x96"]
    done = run_forked([ROOT / "training/train_bars.py", *command], cwd=tmp_path)
    assert done.returncode == 0, done.stderr
    assert "step 2 of 2: loss" in done.stderr and "bars.onnx: torch and onnxruntime differ" in done.stdout
    assert Bars(tmp_path / "out" / "bars.onnx").metadata.run_id.startswith("2 steps on ")
    # What another size would render is not what lies in OUT/crops.
    code, _, said = script("train_bars.py", *command[:-1], "128x96")
    assert code == 2 and "128x96" in said and "choose another folder" in said
    code, _, said = script("train_bars.py", *command, "--steps", "0")
    assert code == 2 and "must be positive" in said
