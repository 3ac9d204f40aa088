"""Samples a second of the data loader against those of the training step, by workers and augmentation, in one run.

    python benchmark/loader.py --config config/own_data.yaml --workers 0 1 2 --size 1280x1024

Images are rendered and written as JPEG (what cameras' recordings are); decoding is part of what is measured. The step
is the configured one (model, loss, optimizer, average) on the device that the configuration chooses, run alone: a
loader with a ratio above 1 keeps that device busy as long as its workers have cores of their own. Rows that start with
"+" are the configuration with that one key raised to its dearest value. Medians; compare within one run only. The CPU
time of a sample is what one worker spends on it; unlike the rates it hardly depends on what else the machine does.
"""

from __future__ import annotations

import argparse
import json
import sys
import tempfile
import time
from pathlib import Path
from typing import Any

import cv2
import numpy as np
from torch.utils.data import DataLoader

sys.path.insert(0, str(Path(__file__).resolve().parent.parent))

from nanodet_kp_core.classes import ARMOR_CLASSES
from nanodet_kp_core.command import open_door
from nanodet_kp_core.config import DataConfig, TrainConfig, load_config
from nanodet_kp_core.data.dataset import EpochBatches, PlateDataset, collate, init_worker
from nanodet_kp_core.errors import ConfigError
from nanodet_kp_core.labels.coco import coco_document
from nanodet_kp_core.synthetic.generator import render
from nanodet_kp_core.train.run import Run

OFF = {"mosaic": 0.0, "copy_paste": 0.0, "motion_blur": 0.0, "noise": 0.0, "jpeg": 0.0}
ROWS: dict[str, dict[str, Any] | None] = {
    "resize only": None,
    "as configured": {},
    "without the five below": OFF,
    "+ mosaic": {**OFF, "mosaic": 1.0},
    "+ copy_paste": {**OFF, "copy_paste": 1.0},
    "+ motion_blur": {**OFF, "motion_blur": 1.0},
    "+ noise (half of them)": {**OFF, "noise": 10.0},
    "+ jpeg": {**OFF, "jpeg": 1.0},
}


def rendered_set(folder: Path, count: int, size: tuple[int, int]) -> Path:
    """Label file of `count` rendered images of `size` (width, height)."""
    samples = [(f"{seed}.jpg", render(seed, size, (20.0, 160.0))) for seed in range(count)]
    for name, sample in samples:
        cv2.imwrite(str(folder / name), sample.image, [cv2.IMWRITE_JPEG_QUALITY, 92])
    labels = folder / "labels.json"
    labels.write_text(json.dumps(coco_document(samples, ARMOR_CLASSES)))
    return labels


def loader_rate(data: PlateDataset, batch: int, workers: int, rounds: int) -> float:
    """Samples a second, median over `rounds` passes; the first pass, which starts the workers, is not counted."""
    batches = EpochBatches(len(data), batch, 0)
    loader = DataLoader(
        data, batch_sampler=batches, num_workers=workers, collate_fn=collate, worker_init_fn=init_worker,
        persistent_workers=workers > 0, prefetch_factor=4 if workers else None,
    )  # fmt: skip
    rates = []
    for epoch in range(rounds + 1):
        batches.set_epoch(epoch)
        start = time.perf_counter()
        count = sum(len(item.names) for item in loader)
        rates.append(count / (time.perf_counter() - start))
    return float(np.median(rates[1:]))


def cpu_milliseconds(data: PlateDataset, count: int) -> float:
    """CPU time of a sample in this process, mean over `count`."""
    keys = [(0, index % len(data)) for index in range(count)]
    start = time.process_time()
    for key in keys:
        data[key]
    return 1000 * (time.process_time() - start) / count


def step_times(run: Run, count: int) -> list[float]:
    """Samples a second of `count` training steps on one batch that is there already."""
    keys = [(0, index % len(run.data)) for index in range(run.config.device.batchsize_per_gpu)]
    batch = collate([run.data[key] for key in keys])
    rates = []
    for _ in range(count):
        start = time.perf_counter()
        run.update([batch])  # reads the loss: the device has finished
        rates.append(len(batch.names) / (time.perf_counter() - start))
    return rates


def with_pipeline(config: DataConfig, changes: dict[str, Any]) -> DataConfig:
    return config.model_copy(update={"pipeline": config.pipeline.model_copy(update=changes)})


def measure(config: TrainConfig, workers: list[int], rounds: int, repeat: int) -> None:
    """Print the table. The step is measured between the rows, so that both see the same machine."""
    run = Run(config)
    run.model.train()
    step_times(run, 2)
    rates: list[float] = []
    cells: dict[str, list[float]] = {}
    spent: dict[str, float] = {}
    for name, changes in ROWS.items():
        data_config = with_pipeline(config.data.train, changes or {})
        data = PlateDataset(data_config, config.layout, config.seed, augment=changes is not None)
        data.records *= repeat
        data.donors = [k for k, record in enumerate(data.records) if len(record.labels)]
        cpu_milliseconds(data, 8)
        spent[name] = cpu_milliseconds(data, len(data))
        batch = min(config.device.batchsize_per_gpu, len(data) // 2)
        cells[name] = [loader_rate(data, batch, count, rounds) for count in workers]
        rates += step_times(run, 2)
    step = float(np.median(rates))
    print(f"step: {step:.1f} samples/s on {run.device} ({config.device.batchsize_per_gpu} a batch)")
    header = "".join(f"{f'{n} workers':>18s}" for n in workers)
    print(f"{'loader, samples/s (times the step)':36s}{'CPU ms/sample':>14s}{header}")
    for name, row in cells.items():
        rates_shown = "".join(f"{f'{rate:.0f} ({rate / step:.1f})':>18s}" for rate in row)
        print(f"{name:36s}{spent[name]:14.2f}{rates_shown}")


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--config", default="config/own_data.yaml", help="training configuration (default %(default)s)")
    parser.add_argument("--workers", type=int, nargs="+", default=[0, 1, 2])
    parser.add_argument("--size", default="640x480", help="WIDTHxHEIGHT of the images (default %(default)s)")
    parser.add_argument("--pictures", type=int, default=16, help="rendered images (default %(default)s)")
    parser.add_argument("--repeat", type=int, default=8, help="times each is read in a pass (default %(default)s)")
    parser.add_argument("--rounds", type=int, default=3, help="counted passes of each cell (default %(default)s)")
    args = parser.parse_args()
    width, height = (int(side) for side in args.size.split("x"))
    config = load_config(args.config)
    if tuple(config.class_names) != ARMOR_CLASSES:
        raise ConfigError(f"{args.config}: class_names: expected the 36 armor classes, which are what can be rendered")
    cv2.setNumThreads(0)
    with tempfile.TemporaryDirectory() as folder:
        labels = rendered_set(Path(folder), args.pictures, (width, height))
        wanted = config.data.train
        train = DataConfig(
            img_path=Path(folder), ann_path=labels, input_size=wanted.input_size, keep_ratio=wanted.keep_ratio,
            pipeline=wanted.pipeline,
        )  # fmt: skip
        data = config.data.model_copy(update={"train": train})
        measure(config.model_copy(update={"data": data}), args.workers, args.rounds, args.repeat)
    return 0


if __name__ == "__main__":
    open_door(main)
