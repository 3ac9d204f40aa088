"""The second stage's training: what a batch holds, what stays as it was, and what its scores mean afterwards."""

import numpy as np
import pytest
import torch
from torch import nn

from nanodet_kp_core.adapt.calibrate import _answers, crop_gain, likeliest_bias, shifts
from nanodet_kp_core.adapt.coverage import missing, warning
from nanodet_kp_core.adapt.crops import VariedRecord, part_of, varied, whole_plates
from nanodet_kp_core.adapt.recipe import SecondStage
from nanodet_kp_core.adapt.second_stage import SecondStageTraining, blended, likelihoods
from nanodet_kp_core.classes import ARMOR_CLASSES
from nanodet_kp_core.crops.proposal_crops import Crops
from nanodet_kp_core.evaluate.points import Gain
from nanodet_kp_core.labels.sample import Sample
from nanodet_kp_core.model.crop_networks import RefinerNetwork


def some_crops(count, seed, blue=0):
    """Every second one shows a plate."""
    rng = np.random.default_rng(seed)
    plate = np.arange(count) % 2 == 0
    images = rng.integers(0, 200, (count, 40, 64, 3)).astype(np.uint8)
    images[..., 0] += np.where(plate, blue, 0).astype(np.uint8)[:, None, None]
    kinds = np.where(plate, rng.integers(0, 4, count), -1), np.where(plate, rng.integers(0, 9, count), -1)
    return Crops(images, plate, *kinds, (rng.normal(0, 1, (count, 4, 2)) * plate[:, None, None]).astype(np.float32))


def state_of(seed=0):
    torch.manual_seed(seed)
    return {"kind": "reader", "average": RefinerNetwork(4, 9).eval().state_dict()}


def training(distill=0.0, steps=3, own_share=0.25):
    recipe = SecondStage(steps=steps, batch=16, warmup=1, own_share=own_share, distill=distill)
    parts = some_crops(40, 1), some_crops(24, 2), some_crops(10, 3)
    return SecondStageTraining(*parts, state_of(), recipe, steps, 4, 9, 2)


def test_a_batch_has_its_share_of_own_crops_and_none_of_validation():
    run = training()
    drawn = torch.stack([run.draw(torch.Generator().manual_seed(k)) for k in range(40)])
    assert ((drawn >= 40).sum(dim=1) == 4).all() and set(drawn.flatten().tolist()) == set(range(64))


def test_rare_numbers_are_drawn_more_often_and_plates_as_often_as_before():
    plate = torch.tensor([True] * 5 + [False] * 3)
    likely = likelihoods(plate, torch.tensor([3, 3, 3, 3, 7, -1, -1, -1]))
    assert likely[4] == pytest.approx(2 * float(likely[0])) and likely[plate].mean() == pytest.approx(1.0)
    assert likely[~plate].tolist() == [1.0] * 3
    assert likelihoods(~plate[:1], torch.tensor([-1])).tolist() == [1.0]


def test_batch_norm_keeps_its_statistics_and_the_weights_move():
    run = training()
    before = {name: value.clone() for name, value in run.network.state_dict().items()}
    for _ in range(2):
        run.train_step()
    changed = {name for name, value in run.network.state_dict().items() if not torch.equal(value, before[name])}
    assert changed and not any("running" in name or "batches" in name for name in changed)
    assert not any(name.startswith(f"features.{k}.") for name in changed for k in range(5))
    assert any(name.startswith("features.5.") for name in changed)
    assert all(not layer.training for layer in run.network.modules() if isinstance(layer, nn.BatchNorm2d))
    assert run.start_figures != run.figures() and "(start " in run.line(0.0, 0.0)


def test_distillation_pulls_rendered_crops_to_the_start():
    """At the start it costs nothing on crops as they are, and only rendered ones count."""
    run, plain = training(distill=5.0), training()
    chosen = torch.tensor([0, 1, 2, 41, 42])
    with torch.inference_mode():
        values = run.average.model(run.images[chosen].permute(0, 3, 1, 2))
    assert float(run.loss(values, chosen)) == pytest.approx(float(plain.loss(values, chosen)), abs=1e-5)
    moved = values.clone()
    moved[3:] += 1.0  # own crops
    assert float(run.loss(moved, chosen)) == pytest.approx(float(plain.loss(moved, chosen)), abs=1e-5)
    moved = values.clone()
    moved[:3, 0] += 1.0  # rendered ones
    assert float(run.loss(moved, chosen) - plain.loss(moved, chosen)) > 0.1
    moved = values.clone()
    moved[0, 14] += 1.0  # four pixels of a corner of one of two plates, beyond the bend of the loss
    expected = 5 * 0.6 * (4 - 0.25) / 16
    assert float(run.loss(moved, chosen) - plain.loss(moved, chosen)) == pytest.approx(expected, abs=1e-3)


def test_weights_on_the_way():
    start, end = state_of(0)["average"], state_of(1)["average"]
    for share, expected in ((0.0, start), (1.0, end)):
        assert all(torch.allclose(value, expected[name]) for name, value in blended(start, end, share).items())


def test_the_likeliest_bias_expects_as_many_plates_as_there_are():
    rng = np.random.default_rng(0)
    truth = rng.normal(0, 2, 20000)
    plate = rng.random(20000) < 1 / (1 + np.exp(-truth))
    assert likeliest_bias(truth - 1.5, plate) == pytest.approx(1.5, abs=0.06)


def test_scores_of_a_shifted_network_are_put_back():
    before, crops = state_of()["average"], some_crops(200, 5)
    answers = _answers(before, crops.images)[:, 5:14]
    crops.numbers[::4] = answers[::4].argmax(axis=1)  # or no temperature would be too high
    after = {name: value.clone() for name, value in before.items()}
    after["output.bias"][0] += 0.7
    after["output.weight"][5:14] *= 2
    after["output.bias"][5:14] *= 2
    offset, factor = shifts(before, after, crops)
    assert offset == pytest.approx(-0.7, abs=1e-3)
    assert factor == pytest.approx(2.0, rel=0.03)


def test_an_own_image_looks_different_each_time_and_the_same_again(make_record, tmp_path):
    import cv2

    path = tmp_path / "a.png"
    cv2.imwrite(str(path), np.random.default_rng(0).integers(0, 255, (120, 160, 3), np.uint8))
    corners = np.array([[50, 40], [50, 70], [110, 70], [110, 40]], np.float32)
    record = make_record([corners], ["B_3"], "a.png", path=path, width=160, height=120)
    looks = varied([record], 4)
    assert [look.variant for look in looks] == [0, 1, 2, 3]
    images = [look.load() for look in looks]
    assert np.array_equal(images[0].image, record.load().image) and np.allclose(images[0].corners[0], corners)
    assert not any(np.array_equal(images[0].image, other.image) for other in images[1:])
    assert np.array_equal(images[2].image, VariedRecord(**vars(looks[2])).load().image)


def test_a_plate_without_all_corners_is_neither_plate_nor_background():
    corners = np.zeros((2, 4, 2), np.float32) + [[0, 0], [0, 9], [20, 9], [20, 0]]
    visible = np.array([[2, 2, 2, 2], [2, 0, 0, 2]], np.int8)
    sample = Sample(
        image=np.zeros((9, 9, 3), np.uint8), corners=corners, labels=np.array([3, 4]), visible=visible,
        ignore_boxes=np.zeros((0, 4), np.float32),
    )  # fmt: skip
    whole = whole_plates(sample)
    assert whole.labels.tolist() == [3] and whole.ignore_boxes.tolist() == [[0, 0, 20, 9]]
    assert len(part_of(some_crops(10, 0), slice(-3, None))) == 3


def test_what_own_labels_do_not_show(make_record):
    quad = np.array([[0, 0], [0, 12], [30, 12], [30, 0]], np.float32)
    records = [make_record([quad] * 3, ["B_3", "R_3", "R_1"], number_known=np.array([True, True, False]))] * 3
    lacking = missing(records, ARMOR_CLASSES)
    assert lacking["number"] == ["G", "1", "2", "4", "5", "O", "Bs", "Bb"] and lacking["color"] == ["P"]
    assert lacking["size"] == ["below 24 px", "48 to 96 px", "above 96 px"]
    assert "fewer than 3 plates of numbers G, 1, 2" in warning(lacking)
    assert warning({"number": [], "color": [], "size": []}) == ""


def test_a_lower_loss_on_crops_is_a_gain():
    before, crops = state_of()["average"], some_crops(120, 6)
    assert crop_gain(before, before, 0.0, crops) == Gain(0.0, 0.0)
    bias = likeliest_bias(_answers(before, crops.images)[:, 0].astype(float), crops.plate)
    better, worse = crop_gain(before, before, bias, crops), crop_gain(before, before, bias + 3, crops)
    assert better.total >= 0 and worse.total < better.total - 0.1 and worse.noise > 0
