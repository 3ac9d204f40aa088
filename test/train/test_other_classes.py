"""Bundled weights start models for other class lists: what both know is taken over by name, the rest is said."""

import json
import logging
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
import torch

from nanodet_kp_core.checkpoint import load_checkpoint, load_weights, save_checkpoint
from nanodet_kp_core.classes import ARMOR_CLASSES, are_armor, class_factors
from nanodet_kp_core.config import TrainConfig, load_config
from nanodet_kp_core.crops.proposal_crops import Crops
from nanodet_kp_core.errors import ModelError, TrainingError
from nanodet_kp_core.evaluate.torch_detector import torch_detector
from nanodet_kp_core.importer.configs import ImportOptions
from nanodet_kp_core.importer.import_weights import import_weights
from nanodet_kp_core.model.build import build_detector
from nanodet_kp_core.synthetic.records import RenderedRecords
from nanodet_kp_core.train.crop_training import CropRecipe, load_crop_state
from nanodet_kp_core.train.refiner_training import RefinerTraining

ROOT = Path(__file__).resolve().parents[2]
BUNDLED, REFINER = ROOT / "models/armor_s.pt", ROOT / "models/armor_reader.pt"
DIGITS = ("1", "2", "3", "4", "5")
OUTPUTS = [f"head.gfl_cls.{level}" for level in range(3)]


def untrained(class_names, **head):
    """A model like the bundled one for other classes, and its configuration."""
    config = TrainConfig.model_validate(json.loads(load_checkpoint(BUNDLED)["config"]))
    raw = json.loads(config.model_dump_json())
    raw["model"]["arch"]["head"] |= head
    config = TrainConfig.model_validate(raw)
    torch.manual_seed(0)
    return build_detector(config.model.arch, class_names)


@pytest.fixture(scope="module")
def bundled():
    return load_checkpoint(BUNDLED)["average"]


@pytest.mark.parametrize(
    ("names", "colors", "numbers"),
    [
        (DIGITS, ("",), DIGITS),
        (("long", "square"), ("",), ("long", "square")),
        (("plate",), ("",), ("plate",)),
        (("B_1", "R_1"), ("B", "R"), ("1",)),
        (("B_1", "B_2", "R_1"), ("",), ("B_1", "B_2", "R_1")),  # no full product
    ],
)
def test_what_is_predicted_apart(names, colors, numbers):
    assert class_factors(names) == (colors, numbers)


def test_which_classes_are_armor_plates():
    assert are_armor(ARMOR_CLASSES) and are_armor(DIGITS) and are_armor(("B", "R")) and are_armor(("armor_blue",))
    assert not are_armor(("long", "square")) and not are_armor(("B_1", "plate"))


def test_everything_but_the_class_channels_is_kept(bundled):
    model = untrained(("long", "square"))
    fresh = {name: value.clone() for name, value in model.state_dict().items()}
    sentence = load_weights(model, BUNDLED)
    state = model.state_dict()
    for name, value in bundled.items():
        if name.rpartition(".")[0] not in OUTPUTS:
            assert torch.equal(state[name], value), name
    for name in OUTPUTS:
        for kind in ("weight", "bias"):
            old, new = bundled[f"{name}.{kind}"], state[f"{name}.{kind}"]
            assert torch.equal(new[3:], old[13:])  # boxes and corners, behind 1 + 2 and 4 + 9 class channels
            assert torch.equal(new[1:3], fresh[f"{name}.{kind}"][1:3])
            assert torch.allclose(new[0], old[:4].sum(dim=0) + (9.0 if kind == "bias" else 0.0))
    assert sentence == (
        f"{BUNDLED}: weights for other classes (36: B_G, B_1, B_2, B_3, ...; here 2: long, square): backbone, neck, "
        "boxes and corners are kept, of the class channels none; fresh: long, square; the score of a target starts as "
        "that of any of B, R, N, P"
    )


def test_digits_keep_their_rows(bundled):
    model = untrained((*DIGITS, "6"))
    sentence = load_weights(model, BUNDLED)
    for name in OUTPUTS:
        assert torch.equal(model.state_dict()[f"{name}.weight"][1:6], bundled[f"{name}.weight"][4 + 1 : 4 + 6])
    assert "of the class channels 1, 2, 3, 4, 5; fresh: 6; the score of a target" in sentence


def test_another_order_and_fewer_colors(bundled):
    model = untrained(("R_2", "R_1", "B_2", "B_1"))
    assert "of the class channels R, B, 2, 1; fresh: none" in load_weights(model, BUNDLED)
    for name in OUTPUTS:
        assert torch.equal(model.state_dict()[f"{name}.bias"][:4], bundled[f"{name}.bias"][[1, 0, 4 + 2, 4 + 1]])


def test_a_joint_list_starts_its_classes_fresh(bundled):
    model = untrained(("1", "square"), class_layout="joint")
    fresh = model.state_dict()["head.gfl_cls.0.weight"][:2].clone()
    assert load_weights(model, BUNDLED).endswith("of the class channels none; fresh: 1, square")
    assert torch.equal(model.state_dict()["head.gfl_cls.0.weight"][:2], fresh)
    assert torch.equal(model.state_dict()["head.gfl_cls.0.weight"][2:], bundled["head.gfl_cls.0.weight"][13:])


def test_the_same_classes_need_no_sentence(bundled):
    model = untrained(ARMOR_CLASSES)
    assert load_weights(model, BUNDLED) == ""
    assert all(torch.equal(value, bundled[name]) for name, value in model.state_dict().items())


@pytest.mark.parametrize(
    ("head", "message"),
    [
        ({"corner_codec": "unsigned"}, "its corner_codec is signed instead of unsigned"),
        ({"reg_max": 9}, "head.distribution_project.project is 8 instead of 10"),
        ({"stacked_convs": 2}, r"it has no head\.cls_convs\.0\.1"),
    ],
)
def test_another_network_is_refused_whole(head, message):
    model = untrained(("long", "square"), **head)
    before = {name: value.clone() for name, value in model.state_dict().items()}
    with pytest.raises(TrainingError, match=message):
        load_weights(model, BUNDLED)
    assert all(torch.equal(value, before[name]) for name, value in model.state_dict().items())


def test_another_backbone_is_named():
    """As in a configuration that was copied while the bundled weights were of another network."""
    arch = load_config(ROOT / "config/nanodet_plus_four.yaml").model.arch
    with pytest.raises(TrainingError, match="one of another: its backbone is PlainNet instead of ShuffleNetV2"):
        load_weights(build_detector(arch, ARMOR_CLASSES), BUNDLED)


def test_heads_with_apart_outputs(tmp_path):
    """RTMDet's head has a convolution for classes, boxes and corners each."""
    config = load_config(ROOT / "config/rtmdet_four.yaml")
    old, new = build_detector(config.model.arch, ARMOR_CLASSES), build_detector(config.model.arch, ("R_2", "plate"))
    state = {"average": old.state_dict(), "config": config.model_dump_json(), "run_id": "x"}
    save_checkpoint(tmp_path / "old.pt", state)
    load_weights(new, tmp_path / "old.pt")
    for name, value in new.state_dict().items():
        given = old.state_dict()[name]
        if name.startswith("head.rtm_cls"):
            assert torch.equal(value[0], given[ARMOR_CLASSES.index("R_2")]) and len(value) == 2
        else:
            assert torch.equal(value, given), name


@pytest.mark.parametrize(
    ("path", "message"),
    [
        (BUNDLED, r"got one of this package, which needs no import: name it as schedule\.load_model .* other"),
        (REFINER, r"got one of this package's second stage; name it as --start of nanodet-kp train-refiner"),
    ],
)
def test_an_import_of_our_own_checkpoint_says_what_to_do_instead(path, message):
    with pytest.raises(ModelError, match=message) as caught:
        import_weights(path, ImportOptions())
    assert len(str(caught.value).splitlines()) == 1


def test_numbers_as_names_need_no_quotes(tmp_path):
    text = (ROOT / "config/own_data.yaml").read_text()
    rendered = text[text.index("    - name: SyntheticDataset") : text.index("  val:")]  # of the armor classes only
    text = text.replace(rendered, "") + "class_names: [1, 02, 3_4, no, 1.50, 2024-01-01, plate]\n"
    (tmp_path / "own.yaml").write_text(text)
    config = load_config(tmp_path / "own.yaml")
    assert config.class_names == ("1", "02", "3_4", "no", "1.50", "2024-01-01", "plate")
    assert config.layout.num_scores == 1 and config.layout.num_numbers == 7


def some_crops(count=40):
    rng = np.random.default_rng(0)
    plate = np.arange(count) % 2 == 0
    numbers = np.where(plate, np.arange(count) // 2 % 2, -1)
    images = rng.integers(0, 255, (count, 40, 64, 3), np.uint8)
    return Crops(images, plate, np.where(plate, 0, -1), numbers, np.zeros((count, 4, 2), np.float32))


@pytest.fixture(scope="module")
def given():
    return load_crop_state(REFINER, "reader")


@pytest.mark.parametrize(
    ("names", "kept", "said"),
    [
        (("long", "square"), {}, "of the class outputs none; fresh: long, square"),
        (("3", "1", "x"), {2: 5 + 3, 3: 5 + 1}, "of the class outputs 3, 1; fresh: x"),
        (("R_2", "B_2"), {1: 2, 2: 1, 3: 5 + 2}, "of the class outputs R, B, 2; fresh: none"),
    ],
)
def test_a_refiner_for_other_classes_starts_from_the_bundled_one(given, caplog, names, kept, said):
    """kept: its output -> that of the bundled refiner, which has plate, four colors, nine numbers, corners."""
    colors, numbers = map(len, class_factors(names))
    crops = replace(some_crops(), numbers=np.where(some_crops().plate, 0, -1))
    training = RefinerTraining(crops, colors, numbers, CropRecipe(steps=1, batch=8), class_names=names)
    fresh = {name: value.clone() for name, value in training.network.state_dict().items()}
    with caplog.at_level(logging.INFO):
        training.start_from(given)
    assert said in caplog.text and "plate and corners are kept" in caplog.text
    state = training.average.model.state_dict()
    for name, value in given["average"].items():
        if not name.startswith("output."):
            assert torch.equal(state[name], value), name
    for name in ("output.weight", "output.bias"):
        assert torch.equal(state[name][0], given["average"][name][0])
        assert torch.equal(state[name][-8:], given["average"][name][-8:])
        for row in range(1, 1 + colors + numbers):
            expected = given["average"][name][kept[row]] if row in kept else fresh[name][row]
            assert torch.equal(state[name][row], expected), row
    assert np.isfinite(training.train_step())


def test_a_refiner_remembers_its_classes(given, tmp_path, caplog):
    names = ("long", "square")
    training = RefinerTraining(some_crops(), 1, 2, CropRecipe(steps=1, batch=8), class_names=names)
    training.train_step()
    save_checkpoint(tmp_path / "refiner.pt", training.state())
    again = RefinerTraining(some_crops(), 1, 2, CropRecipe(steps=1, batch=8), class_names=names)
    with caplog.at_level(logging.INFO):
        again.start_from(load_crop_state(tmp_path / "refiner.pt", "reader"))
    assert not caplog.records
    for name, value in again.network.state_dict().items():
        assert torch.equal(value, training.average.model.state_dict()[name]), name
    broken = given | {"average": {**given["average"], "output.bias": torch.zeros(5)}}
    with pytest.raises(TrainingError, match=r"classes 36: B_G, .* with 22 values of output\.bias, got 5"):
        again.start_from(broken)


def test_digits_are_found_before_the_first_step():
    """Thirty rendered images: the bundled weights know plates and digits, the colors are no longer asked for."""
    raw = json.loads(load_checkpoint(BUNDLED)["config"]) | {"class_names": list(DIGITS)}
    pipeline = raw["data"]["train"]["pipeline"]
    raw["data"]["train"] = raw["data"]["val"] | {"pipeline": pipeline}  # rendered images have the 36 classes only
    config = TrainConfig.model_validate(raw)
    model = untrained(DIGITS)
    load_weights(model, BUNDLED)
    detector = torch_detector(model.eval(), config, (256, 256), torch.device("cpu"), 0.3)
    plates, found, right = 0, 0, 0
    for record in RenderedRecords(30, 5, (256, 256), (30.0, 120.0)):
        sample = record.load()
        seen = detector(sample.image)
        for corners, label in zip(sample.corners, sample.labels):
            digit = ARMOR_CLASSES[label].partition("_")[2]
            if digit not in DIGITS:
                continue
            plates += 1
            off = np.linalg.norm(seen.corners - corners, axis=2).mean(axis=1) / np.linalg.norm(corners[0] - corners[2])
            if len(off) and off.min() < 0.2:
                found += 1
                right += seen.labels[int(off.argmin())] == digit
    assert plates > 20 and found > 0.7 * plates and right > 0.5 * found
