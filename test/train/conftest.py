"""A tiny rendered data set and the configuration of a run that takes seconds on it."""

import csv
import json
import multiprocessing
import os
import runpy
import sys
from contextlib import contextmanager
from pathlib import Path

import cv2
import numpy as np
import pytest
import torch

from nanodet_kp_core.classes import ARMOR_CLASSES
from nanodet_kp_core.config import TrainConfig
from nanodet_kp_core.files import write_atomically
from nanodet_kp_core.labels.coco import coco_document
from nanodet_kp_core.labels.sample import Sample
from nanodet_kp_core.train import detector_training

TRAINING = Path(__file__).resolve().parents[2] / "training"


def draw_plate(image, left, top, width, color, number):
    """A blue or red plate: two bars and a digit; returns its corners [4, 2]."""
    height, right = width // 2, left + width
    for x in (left, right):
        cv2.line(image, (x, top), (x, top + height), (255, 120, 60) if color == "B" else (60, 90, 255), 4)
    place = (left + width // 3, top + int(0.85 * height))
    cv2.putText(image, number, place, cv2.FONT_HERSHEY_SIMPLEX, width / 45, (220, 220, 220), 2)
    return [(left, top), (left, top + height), (right, top + height), (right, top)]


@pytest.fixture(scope="session")
def tiny_data(tmp_path_factory):
    """Eight images with one or two easy plates each."""
    folder = tmp_path_factory.mktemp("tiny")
    rng, samples = np.random.default_rng(1), []
    for k in range(8):
        image = rng.integers(0, 50, (128, 128, 3), np.uint8)
        corners, labels = [], []
        for half in range(1 + k % 2):
            left, top, width = (int(v) for v in rng.integers((8, 8 + 60 * half, 36), (50, 24 + 60 * half, 60)))
            color, number = "BR"[int(rng.integers(2))], str(rng.integers(1, 5))
            corners.append(draw_plate(image, left, top, width, color, number))
            labels.append(ARMOR_CLASSES.index(f"{color}_{number}"))
        cv2.imwrite(str(folder / f"{k}.png"), image)
        samples.append((f"{k}.png", Sample(image=image, corners=np.float32(corners), labels=np.int64(labels))))
    write_atomically(folder / "labels.json", json.dumps(coco_document(samples, ARMOR_CLASSES)).encode())
    return folder


@pytest.fixture(scope="session")
def tiny_config(tiny_data):
    """Makes a TrainConfig for a save_dir: two steps an epoch, one thread, every step logged, nothing random.

    aux adds an auxiliary head. times: how often an epoch has the images. The other arguments go into the section of
    their name.
    """

    def make(save_dir, data=tiny_data, side=128, aux=False, times=1, **sections):
        part = {"img_path": data, "ann_path": data / "labels.json", "input_size": [side, side]}
        head = {
            "name": "NanoDetPlusHead", "input_channel": 32, "feat_channels": 32, "stacked_convs": 1,
            "strides": [8, 16, 32], "class_layout": "factored", "loss": {"corner_weight": 2.0},
        }  # fmt: skip
        arch = {
            "backbone": {"name": "ShuffleNetV2", "model_size": "0.5x"},
            "fpn": {"name": "GhostPAN", "out_channels": 32, "num_extra_level": 0},
            "head": head,
        }
        if aux:
            arch["aux_head"] = {
                "name": "SimpleConvHead", "input_channel": 64, "feat_channels": 32, "stacked_convs": 1,
                "strides": [8, 16, 32],
            }  # fmt: skip
        values = {
            "save_dir": save_dir,
            "model": {"weight_averager": {"decay": 0.9}, "arch": arch},
            "data": {"train": [part] * times, "val": part},
            "device": {"accelerator": "cpu", "workers_per_gpu": 0, "batchsize_per_gpu": 4, "threads": 1},
            "schedule": {
                "optimizer": {"lr": 0.002, "reference_batch": 4}, "warmup": {"steps": 5}, "total_epochs": 3,
                "val_intervals": 3,
            },
            "log": {"interval": 1, "tensorboard": False},
        }  # fmt: skip
        for name, changes in sections.items():
            values[name] = {**values.get(name, {}), **changes}
        return TrainConfig.model_validate(values)

    return make


@pytest.fixture(scope="session")
def bare():
    """`with bare():` trains without the image of its curves and the ONNX file at its end."""

    @contextmanager
    def patched():
        with pytest.MonkeyPatch.context() as patch:
            for name in ("plot_results", "export_onnx"):
                patch.setattr(detector_training, name, lambda *_, **__: None)
            yield

    return patched


@pytest.fixture
def bare_loop(bare):
    """The same for a whole test, but not for its fixtures of a module."""
    with bare():
        yield


@pytest.fixture
def read_rows():
    """Rows of a folder's results.csv without their time of day."""

    def read(folder):
        with (Path(folder) / "results.csv").open() as file:
            return [{k: v for k, v in row.items() if k != "time"} for row in csv.DictReader(file)]

    return read


@pytest.fixture
def script(monkeypatch, capsys):
    """Runs a file of training/ in this process, where torch is loaded already: (exit code, stdout, stderr)."""

    def run(name, *arguments):
        monkeypatch.setattr(sys, "argv", [name, *map(str, arguments)])
        monkeypatch.syspath_prepend(str(TRAINING))
        capsys.readouterr()
        with pytest.raises(SystemExit) as end:
            runpy.run_path(str(TRAINING / name), run_name="__main__")
        return end.value.code, *capsys.readouterr()

    return run


@pytest.fixture
def start():
    """Start a function in a process of its own, which has all modules already; killed if it is still there at the end.

    environment: variables of that process only.
    """
    processes = []

    def run(function, *arguments, environment=None):
        def body():
            cv2.setNumThreads(0)  # threads do not survive a fork
            os.environ.update(environment or {})
            function(*arguments)

        process = multiprocessing.get_context("fork").Process(target=body)
        process.start()
        processes.append(process)
        return process

    yield run
    for process in processes:
        process.kill()
        process.join()


@pytest.fixture(autouse=True)
def _keep_threads():
    """A run sets torch's thread count; the next test has its own."""
    threads = torch.get_num_threads()
    yield
    torch.set_num_threads(threads)
