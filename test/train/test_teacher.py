"""A training that learns from a trained detector beside its labels: schedule.teacher."""

import copy

import pytest
import torch
from torch.distributions import Bernoulli, Categorical, kl_divergence

from nanodet_kp_core.checkpoint import save_checkpoint
from nanodet_kp_core.classes import ARMOR_CLASSES
from nanodet_kp_core.errors import ModelError, TrainingError
from nanodet_kp_core.layout import HeadLayout
from nanodet_kp_core.loss.distillation import NUMBER_WEIGHT, SURE, distillation_loss
from nanodet_kp_core.train.run import Run
from nanodet_kp_core.train.teacher import Teacher

LAYOUTS = {
    "color and sticker apart": HeadLayout(ARMOR_CLASSES, "factored"),
    "boxes only": HeadLayout(("a", "b"), corner_codec="none"),
}


def outputs(layout, seed):
    """Raw output [2, 30, C] with scores on both sides of SURE."""
    raw = torch.randn(2, 30, layout.num_channels, generator=torch.Generator().manual_seed(seed))
    raw[..., : layout.num_scores] = 2 * raw[..., : layout.num_scores] - 3
    return raw


@pytest.mark.parametrize("layout", LAYOUTS.values(), ids=LAYOUTS)
def test_the_definition_prior_by_prior(layout):
    raw, taught = outputs(layout, 1), outputs(layout, 2)
    total, parts = distillation_loss(raw, taught, layout)
    own, theirs = raw.flatten(0, 1).double(), taught.flatten(0, 1).double()
    sums, weights = {"teacher_score": 0.0, "teacher_dfl": 0.0, "teacher_number": 0.0}, 0.0
    for mine, told in zip(own, theirs):
        for logit, target in zip(mine[: layout.num_scores], told[: layout.num_scores]):
            distance = kl_divergence(Bernoulli(logits=target), Bernoulli(logits=logit))
            sums["teacher_score"] += distance * abs(target.sigmoid() - logit.sigmoid())
        weight = told[: layout.num_scores].sigmoid().max()
        if weight <= SURE:
            continue
        weights += weight
        pieces = [(layout.box_slice, layout.box_bins), (layout.corner_slice, layout.corner_bins)]
        found = [
            kl_divergence(Categorical(logits=b), Categorical(logits=a))
            for part, bins in pieces if bins
            for a, b in zip(mine[part].split(bins), told[part].split(bins))
        ]  # fmt: skip
        sums["teacher_dfl"] += weight * sum(found) / len(found)
        numbers = slice(layout.num_scores, layout.num_logits)
        if layout.num_numbers:
            distance = kl_divergence(Categorical(logits=told[numbers]), Categorical(logits=mine[numbers]))
            sums["teacher_number"] += NUMBER_WEIGHT * weight * distance
    assert 5 < weights < 50
    expected = {name: float(value / weights) for name, value in sums.items() if value}
    assert {name: float(value) for name, value in parts.items()} == pytest.approx(expected, rel=1e-4)
    assert float(total) == pytest.approx(sum(expected.values()), rel=1e-4)


@pytest.mark.parametrize("layout", LAYOUTS.values(), ids=LAYOUTS)
def test_who_says_the_same_has_nothing_to_learn(layout):
    raw = outputs(layout, 3).requires_grad_()
    total, _ = distillation_loss(raw, raw.detach(), layout)
    total.backward()
    assert total.item() == pytest.approx(0, abs=1e-6) and float(raw.grad.abs().max()) < 1e-6


def test_a_teacher_that_sees_nothing_teaches_scores_only():
    layout = LAYOUTS["boxes only"]
    raw, taught = outputs(layout, 4), outputs(layout, 5)
    taught[..., : layout.num_scores] = -9
    _, parts = distillation_loss(raw, taught, layout)
    assert parts["teacher_dfl"] == 0 and parts["teacher_score"] > 0


@pytest.fixture
def teacher(tiny_config, tmp_path):
    """A checkpoint of fresh weights with lively scores, and the configuration it belongs to."""
    config = tiny_config(tmp_path / "teacher", side=64)
    state = Run(config).state()
    torch.manual_seed(3)
    for name, value in state["average"].items():
        if name.startswith("head.") and name.endswith("weight") and value.ndim == 4:
            value.copy_(torch.nn.init.xavier_normal_(torch.empty_like(value)))
        if name.startswith("head.gfl_cls") and name.endswith("bias"):
            value.zero_()
    save_checkpoint(tmp_path / "teacher.pt", state)
    return tmp_path / "teacher.pt"


def with_teacher(tiny_config, folder, path, **more):
    return tiny_config(folder, side=64, schedule={"teacher": path, "warmup": {"steps": 1}, "total_epochs": 9, **more})


def test_the_loss_is_that_of_the_labels_and_of_the_teacher(tiny_config, tmp_path, teacher):
    alone = Run(with_teacher(tiny_config, tmp_path / "a", None)).train_step()
    taught = Run(with_teacher(tiny_config, tmp_path / "b", teacher)).train_step()
    more = {name: value for name, value in taught.items() if name.startswith("teacher_")}
    assert set(more) == {"teacher_score", "teacher_dfl", "teacher_number"} and min(more.values()) > 0
    assert taught["loss"] == pytest.approx(alone["loss"] + sum(more.values()), rel=1e-5)
    assert {name: taught[name] for name in alone if name.startswith("loss_")} == pytest.approx(
        {name: value for name, value in alone.items() if name.startswith("loss_")}, rel=1e-5
    )


def test_the_student_comes_nearer_than_by_the_labels_alone(tiny_config, tmp_path, teacher):
    optimizer = {"lr": 0.01, "reference_batch": 4}
    taught, alone = (
        Run(with_teacher(tiny_config, tmp_path / "a", path, optimizer=optimizer)) for path in (teacher, None)
    )
    before = copy.deepcopy(taught.teacher._model.state_dict())
    (batch,) = taught.next_batches()
    images = taught._network_input(batch)
    far = []
    for run in (taught, alone):
        for _ in range(12):
            run.update([batch])
        with torch.no_grad():
            far.append(taught.teacher.loss(run.model(images), [images])[1])
    for name, share in (("teacher_score", 0.8), ("teacher_dfl", 0.8), ("teacher_number", 0.97)):
        assert far[0][name] < share * far[1][name], name
    assert all(torch.equal(before[name], value) for name, value in taught.teacher._model.state_dict().items())


def test_accumulated_batches_learn_the_same(tiny_config, tmp_path, teacher):
    """Batch norm's statistics apart, which are those of each batch."""
    found = []
    for batch, accumulate in ((6, 1), (2, 3)):
        config = with_teacher(tiny_config, tmp_path / "a", teacher, accumulate=accumulate)
        config.device.batchsize_per_gpu = batch
        run = Run(config)
        for layer in run.model.modules():
            if isinstance(layer, torch.nn.BatchNorm2d):
                layer.eval()
        found.append((run.train_step(), run.model))
    (whole, first), (parts, second) = found
    assert parts == pytest.approx(whole, rel=1e-4)
    for (name, a), b in zip(first.named_parameters(), second.parameters()):
        assert (a.grad - b.grad).norm() <= 1e-3 * a.grad.norm() + 1e-7, name


@pytest.mark.parametrize(
    ("change", "message"),
    [
        (lambda c: c.data.train.pipeline.__setattr__("normalize", ((0, 0, 0), (1, 1, 1))), "same pipeline.normalize"),
        (lambda c: c.__setattr__("class_names", ("a", "b")), "same class_names"),
        (lambda c: c.model.arch.head.__setattr__("reg_max", 5), "same head "),
    ],
)
def test_a_teacher_that_means_something_else_is_refused(tiny_config, tmp_path, teacher, change, message):
    config = with_teacher(tiny_config, tmp_path / "a", teacher)
    change(config)
    with pytest.raises(TrainingError, match=rf"schedule\.teacher .*teacher\.pt: expected the {message}"):
        Teacher(teacher, config, torch.device("cpu"))


def test_a_file_that_is_no_checkpoint_is_named(tiny_config, tmp_path):
    (tmp_path / "other.pt").write_bytes(b"no")
    with pytest.raises(ModelError, match=r"other\.pt: expected a checkpoint written by nanodet-kp train"):
        Run(with_teacher(tiny_config, tmp_path / "a", tmp_path / "other.pt"))
