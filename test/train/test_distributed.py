"""Two gloo processes through torchrun do what one process does with twice the batch; devices are chosen or refused."""

import os
import socket
import subprocess
import sys
from pathlib import Path

import pytest
import torch
import torch.distributed as dist
import yaml
from torch import nn

from nanodet_kp_core.checkpoint import load_checkpoint
from nanodet_kp_core.config import DeviceConfig
from nanodet_kp_core.errors import TrainingError
from nanodet_kp_core.evaluate.metrics import score_predictions
from nanodet_kp_core.loss.reduction import mean_over_ranks
from nanodet_kp_core.train import run as run_module
from nanodet_kp_core.train.detector_training import train
from nanodet_kp_core.train.distributed import choose_device
from nanodet_kp_core.train.run import Run
from nanodet_kp_core.train.sync_norm import SyncBatchNorm, synchronise_batch_norm

SCORE = score_predictions([], {}, ())
ROOT = Path(__file__).resolve().parents[2]


def free_port():
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return probe.getsockname()[1]


def torchrun(config, folder, processes=2):
    """training/train.py under torchrun, as a user starts it; returns what it printed."""
    file = folder / "config.yaml"
    file.write_text(yaml.safe_dump(config.model_dump(mode="json")))
    command = [
        sys.executable, "-m", "torch.distributed.run", f"--nproc_per_node={processes}", "--master_addr=127.0.0.1",
        f"--master_port={free_port()}", "training/train.py", str(file),
    ]  # fmt: skip
    done = subprocess.run(
        command, cwd=ROOT, capture_output=True, text=True, timeout=300, env=os.environ | {"OMP_NUM_THREADS": "1"}
    )
    return done.returncode, done.stdout + done.stderr


def in_two_processes(start, config):
    """The same without torchrun: what it gives a process is these variables."""
    shared = {"MASTER_ADDR": "127.0.0.1", "MASTER_PORT": str(free_port()), "WORLD_SIZE": "2"}
    both = [start(train, config, environment=shared | {"RANK": rank, "LOCAL_RANK": rank}) for rank in "01"]
    for process in both:
        process.join(120)
    assert [process.exitcode for process in both] == [0, 0]


def configuration(tiny_config, folder, batch, accumulate=1, aux=False):
    device = {"accelerator": "cpu", "workers_per_gpu": 0, "batchsize_per_gpu": batch, "threads": 1}
    schedule = {
        "optimizer": {"lr": 0.002, "reference_batch": 4}, "warmup": {"steps": 2}, "total_epochs": 3,
        "val_intervals": 3, "accumulate": accumulate,
    }  # fmt: skip
    return tiny_config(folder, side=64, aux=aux, device=device, schedule=schedule)


def check_same(read_rows, one, folder, first, later):
    """Losses, gradient norms and counts of all steps, within `first` at the first step and `later` after it."""
    rows, others = ([row for row in read_rows(f) if row["loss"]] for f in (one.folder, folder))
    assert [row["step"] for row in rows] == [row["step"] for row in others] == [str(k + 1) for k in range(one.step)]
    for row, other in zip(rows, others):
        numbers, found = ({k: float(v) for k, v in r.items() if v} for r in (row, other))
        assert found == pytest.approx(numbers, rel=first if row["step"] == "1" else later), row["step"]


def test_two_processes_under_torchrun_do_what_one_does_with_twice_the_batch(
    tiny_config, tmp_path, read_rows, bare_loop
):
    code, text = torchrun(configuration(tiny_config, tmp_path / "two", 2), tmp_path)
    assert code == 0, text
    assert text.count("trained ") == 1  # only the first process speaks
    one = train(configuration(tiny_config, tmp_path / "one", 4))
    # float32, few pixels and Adam, which turns the sign of a gradient that is only rounding into a whole step.
    check_same(read_rows, one, tmp_path / "two", 1e-2, 0.2)


@pytest.mark.parametrize(("aux", "accumulate"), [(False, 1), (True, 2)])
def test_without_rounding_they_do_exactly_that(
    tiny_config, tmp_path, read_rows, bare_loop, start, monkeypatch, aux, accumulate
):
    """The network in float64, so that nothing but rounding of the loss (float32) is left between the two."""
    build, prepare = run_module.build_detector, Run._network_input
    monkeypatch.setattr(run_module, "build_detector", lambda *arch: build(*arch).double())
    monkeypatch.setattr(Run, "_network_input", lambda run, batch: prepare(run, batch).double())
    monkeypatch.setattr(Run, "validate", lambda run: SCORE)  # takes float32 only
    in_two_processes(start, configuration(tiny_config, tmp_path / "two", 2, accumulate, aux))
    one = train(configuration(tiny_config, tmp_path / "one", 4, accumulate, aux))
    check_same(read_rows, one, tmp_path / "two", 2e-6, 2e-6)
    two = load_checkpoint(tmp_path / "two" / "last.pt", resume=True)
    begin, parameters = Run(one.config).model.state_dict(), [name for name, _ in one.model.named_parameters()]
    for own, other in ((one.model, two["model"]), (one.average.model, two["average"])):
        values = own.state_dict()
        apart, gone = ([values[n] - to[n] for n in parameters] for to in (other, begin))
        assert length(apart) < 1e-3 * length(gone)
        for name in (name for name in values if "running" in name):
            assert length([values[name] - other[name]]) <= 1e-4 * length([values[name]]) + 1e-8, name


def length(tensors):
    """Euclidean norm of all the numbers."""
    return float(torch.cat([tensor.flatten() for tensor in tensors]).norm())


@pytest.fixture
def lone_group(tmp_path):
    """A process group of this process alone."""
    dist.init_process_group("gloo", init_method=f"file://{tmp_path}/group", rank=0, world_size=1)
    yield
    dist.destroy_process_group()


def test_synchronised_batch_norm_is_batch_norm(lone_group):
    torch.manual_seed(0)
    plain = nn.Sequential(nn.Conv2d(3, 5, 3), nn.BatchNorm2d(5))
    with torch.no_grad():
        plain[1].weight.uniform_(0.5, 1.5)
        plain[1].bias.uniform_(-1, 1)
    synced = nn.Sequential(nn.Conv2d(3, 5, 3), nn.BatchNorm2d(5))
    synced.load_state_dict(plain.state_dict())
    parameters = list(synced.parameters())
    synchronise_batch_norm(synced, torch.device("cpu"))
    assert type(synced[1]) is SyncBatchNorm
    assert all(a is b for a, b in zip(parameters, synced.parameters()))  # an optimizer still holds the right ones
    for _ in range(3):
        images, weight = 3 + torch.randn(4, 3, 9, 7), torch.randn(4, 5, 7, 5)
        for model in (plain, synced):
            model.zero_grad()
            (model(images) * weight).sum().backward()
        for a, b in zip(plain.parameters(), synced.parameters()):
            assert (a.grad - b.grad).norm() <= 1e-5 * max(10.0, float(a.grad.norm()))
    for (name, a), b in zip(plain.state_dict().items(), synced.state_dict().values()):
        assert torch.allclose(a, b, rtol=1e-5), name
    plain.eval(), synced.eval()
    assert torch.allclose(plain(images), synced(images), atol=1e-5)


def test_a_mean_leaves_its_argument_alone(lone_group):
    values = torch.tensor([1.0, 2.0])
    assert torch.equal(mean_over_ranks(values), torch.tensor([1.0, 2.0]))
    assert torch.equal(values, torch.tensor([1.0, 2.0]))


@pytest.fixture
def gpus(monkeypatch):
    """As if there were this many CUDA accelerators."""

    def pretend(count):
        monkeypatch.setattr(torch.cuda, "is_available", lambda: count > 0)
        monkeypatch.setattr(torch.cuda, "device_count", lambda: count)

    return pretend


def test_the_device_follows_gpu_ids(gpus):
    gpus(4)
    assert choose_device(DeviceConfig(gpu_ids=2)) == torch.device("cuda", 2)
    assert choose_device(DeviceConfig(gpu_ids=[3])) == torch.device("cuda", 3)
    assert choose_device(DeviceConfig()) == torch.device("cuda", 0)
    assert choose_device(DeviceConfig(gpu_ids=[3, 1]), 1, 2) == torch.device("cuda", 1)
    assert choose_device(DeviceConfig(), 1, 2) == torch.device("cuda", 1)
    assert choose_device(DeviceConfig(gpu_ids=-1)) == torch.device("cpu")
    assert choose_device(DeviceConfig(accelerator="cpu", gpu_ids=[0, 1])) == torch.device("cpu")


def test_devices_that_are_not_there_are_one_sentence(gpus):
    gpus(2)
    with pytest.raises(TrainingError, match=r"one id for a single process, got \[0, 1\].*torchrun --nproc_per_node=2 "):
        choose_device(DeviceConfig(gpu_ids=[0, 1]))
    with pytest.raises(TrainingError, match=r"ids from 0 to 1.*got 5"):
        choose_device(DeviceConfig(gpu_ids=[5]))
    with pytest.raises(TrainingError, match=r"an id for each process.*got \[0\] for process 1"):
        choose_device(DeviceConfig(gpu_ids=[0]), 1, 2)


def test_without_an_accelerator_gpu_ids_are_ignored_and_told(gpus, caplog):
    gpus(0)
    with caplog.at_level("INFO"):
        assert choose_device(DeviceConfig(gpu_ids=[0, 1])) == torch.device("cpu")
    assert "gpu_ids [0, 1] is ignored" in caplog.text
    with pytest.raises(TrainingError, match="expected a CUDA accelerator"):
        choose_device(DeviceConfig(accelerator="cuda", gpu_ids=[0]))
