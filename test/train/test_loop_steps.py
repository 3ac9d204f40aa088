"""Single steps: accumulated, in 16 bits, averaged, and those that must not be taken."""

import numpy as np
import pytest
import torch
from torch import nn

from nanodet_kp_core.errors import TrainingError
from nanodet_kp_core.train.loop import run_steps, seconds_a_step
from nanodet_kp_core.train.precision import SMALLEST_SCALE, Precision
from nanodet_kp_core.train.run import Run


@pytest.fixture
def make(tiny_config, tmp_path):
    """Makes a Run; frozen: its batch norm takes the running statistics. Other arguments as tiny_config's."""

    def run_of(frozen=False, **more):
        run = Run(tiny_config(tmp_path / "run", side=64, **more))
        for layer in run.model.modules() if frozen else ():
            if isinstance(layer, nn.BatchNorm2d):
                layer.eval()
        return run

    return run_of


def steps(run, count):
    """What `count` steps return."""
    return [run.train_step() for _ in range(count)]


@pytest.mark.parametrize(("told", "last"), [(None, 4), (2, 2)])
def test_the_loop_ends_with_the_schedule_or_when_it_is_told_to(make, told, last):
    run, other = (make(schedule={"total_epochs": 2}) for _ in range(2))
    seen = []

    def observe(values):
        seen.append((run.step, values["loss"]))
        return run.step == told

    run_steps(run, observe)
    assert [step for step, _ in seen] == list(range(1, last + 1))
    assert [loss for _, loss in seen] == [values["loss"] for values in steps(other, last)]


def test_the_time_of_a_step_is_measured_over_the_end_of_an_epoch(make):
    run = make()
    assert run.steps_per_epoch == 2 and seconds_a_step(run, 3) > 0
    assert (run.step, run.epoch) == (4, 2)


def test_the_order_of_the_images_goes_on_where_a_checkpoint_stands(make, tmp_path):
    whole, run = make(), make()
    expected = [[batch.names for batch in whole.next_batches()] for whole.step in range(4)]
    torch.save(run.state() | {"step": 1}, tmp_path / "last.pt")
    for run.step in (0, 1):
        run.next_batches()
    run.restore(tmp_path / "last.pt")
    assert [[batch.names for batch in run.next_batches()] for run.step in (1, 2, 3)] == expected[1:]


@pytest.mark.parametrize("aux", [False, True])
def test_accumulated_batches_are_one_large_batch(make, aux):
    """Batch norm's statistics apart, which are those of each batch."""
    runs = []
    for batch, accumulate in ((6, 1), (2, 3)):
        device = {"accelerator": "cpu", "workers_per_gpu": 0, "batchsize_per_gpu": batch, "threads": 1}
        schedule = {"optimizer": {"lr": 0.002, "reference_batch": 4}, "accumulate": accumulate}
        runs.append(make(frozen=True, aux=aux, device=device, schedule=schedule))
    whole, parts = runs
    assert steps(parts, 1)[0] == pytest.approx(steps(whole, 1)[0], rel=1e-4)
    assert whole.batch == parts.batch == 6 and parts.accumulate == 3
    for (name, a), b in zip(whole.model.named_parameters(), parts.model.parameters()):
        assert (a.grad - b.grad).norm() <= 1e-3 * a.grad.norm() + 1e-7, name


def test_accumulation_follows_each_batch_once(make):
    schedule = {"optimizer": {"lr": 0.002, "reference_batch": 4}, "accumulate": 2}
    run = make(schedule=schedule)
    steps(run, 1)
    counts = {int(v) for n, v in run.model.state_dict().items() if n.endswith("num_batches_tracked")}
    assert counts == {2}
    assert run.average.updates == run.step == 1


def test_the_average_follows_every_step(make):
    run = make()
    name = "head.gfl_cls.0.bias"
    expected = run.model.state_dict()[name].clone()
    for updates in (1, 2):
        run.train_step()
        decay = min(0.9, (1 + updates) / (10 + updates))
        expected = decay * expected + (1 - decay) * run.model.state_dict()[name]
    assert torch.allclose(run.state()["average"][name], expected, atol=1e-6)


def test_bf16_is_near_float32_and_the_loss_stays_float32(make):
    device = {"accelerator": "cpu", "workers_per_gpu": 0, "batchsize_per_gpu": 4, "threads": 1}
    plain = steps(make(device=device), 2)
    kinds = []
    run = make(device={**device, "precision": "bf16"})
    run.model.register_forward_hook(lambda *args: kinds.append(args[2][0].dtype))
    criterion = run.criterion.forward
    run.criterion.forward = lambda *args: (kinds.append(torch.is_autocast_enabled("cpu")), criterion(*args))[1]
    rough = steps(run, 2)
    assert kinds == [torch.bfloat16, False] * 2
    assert [v["loss"] for v in rough] == pytest.approx([v["loss"] for v in plain], rel=0.05)
    assert all(p.dtype == torch.float32 for p in run.model.parameters())
    with pytest.raises(TrainingError, match="expected 32 or bf16 on the CPU, got 16"):
        make(device={**device, "precision": 16})


def test_a_loss_scale_changes_nothing_and_an_overflow_skips_the_step(make):
    plain = steps(make(), 2)
    run = make()
    scaler = run.precision.scaler = torch.amp.GradScaler("cpu", init_scale=1024.0, enabled=True)
    scaled = steps(run, 2)
    for expected, got in zip(plain, scaled):
        assert got == pytest.approx(expected, rel=1e-4)
    before = {name: value.clone() for name, value in run.model.named_parameters()}
    state = scaler.state_dict()
    scaler.load_state_dict(state | {"scale": float("inf")})
    values = run.train_step()
    assert not np.isfinite(values["grad_norm"]) and np.isfinite(values["loss"])
    assert all(torch.equal(before[name], value) for name, value in run.model.named_parameters())
    scaler.load_state_dict(state | {"scale": SMALLEST_SCALE / 2})
    with pytest.raises(TrainingError, match="overflow at every loss scale; use bf16 or 32"):
        run.precision.check_scale()


def test_the_scaler_goes_into_the_checkpoint(make, tmp_path):
    run = make()
    assert run.state()["scaler"] == {}
    run.precision.scaler = torch.amp.GradScaler("cpu", init_scale=64.0, enabled=True)
    torch.save(run.state(), tmp_path / "last.pt")
    other = make()
    other.precision.scaler = torch.amp.GradScaler("cpu", enabled=True)
    other.restore(tmp_path / "last.pt")
    assert other.precision.scaler.get_scale() == 64.0


def test_a_loss_that_is_not_finite_stops_and_names_the_files(make):
    run = make()
    with torch.no_grad():
        next(run.model.head.parameters()).fill_(float("nan"))
    batches = run.next_batches()
    with pytest.raises(TrainingError, match="step 0: the loss is not finite") as caught:
        run.update(batches)
    assert all(name in str(caught.value) for name in batches[0].names)


def test_so_does_a_gradient(make):
    run = make()
    run.model.head.gfl_cls[0].weight.register_hook(lambda grad: grad * float("inf"))
    before = run.model.state_dict()["backbone.conv1.0.weight"].clone()
    batches = run.next_batches()
    with pytest.raises(TrainingError, match="the gradient is not finite") as caught:
        run.update(batches)
    assert batches[0].names[0] in str(caught.value)
    assert torch.equal(run.model.state_dict()["backbone.conv1.0.weight"], before)


def test_sixteen_bits_scale_the_loss_on_an_accelerator():
    assert Precision(32, torch.device("cpu")).dtype is None
    assert Precision("bf16", torch.device("cpu")).dtype is torch.bfloat16
    assert not Precision("bf16", torch.device("cpu")).skips
