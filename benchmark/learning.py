"""What a training learns, compared between configurations on the same rendered images.

    python benchmark/learning.py systems runs/learning     # the published configuration against our default
    python benchmark/learning.py codec runs/learning       # signed against unsigned corners, corrected against
                                                           # published weights, on plates tilted up to 45 degrees
    python benchmark/learning.py report runs/learning --out docs

Every arm sees the same images in the same order. After each epoch the averaged weights are measured on the validation
images; an arm that is complete is not trained again. `report` prints tables and writes learning_*.png.
"""

from __future__ import annotations

import argparse
import copy
import json
import sys
import tempfile
import time
from pathlib import Path
from typing import Any

import cv2
import numpy as np
import yaml

sys.path.insert(0, str(Path(__file__).resolve().parent.parent))

from nanodet_kp_core.classes import ARMOR_CLASSES
from nanodet_kp_core.command import open_door
from nanodet_kp_core.config import TrainConfig
from nanodet_kp_core.data.augment import warp_sample
from nanodet_kp_core.data.dataset import read_dataset
from nanodet_kp_core.data.geometric import translation_matrix
from nanodet_kp_core.evaluate.metrics import Hit, Matches, match, score_matches
from nanodet_kp_core.evaluate.torch_detector import predict
from nanodet_kp_core.files import write_atomically
from nanodet_kp_core.labels import write_dataset
from nanodet_kp_core.labels.sample import Record, Sample
from nanodet_kp_core.runtime.detection.detector import Detector
from nanodet_kp_core.synthetic.generator import render
from nanodet_kp_core.train.distributed import join
from nanodet_kp_core.train.run import Run

ROOT = Path(__file__).resolve().parent.parent
LOW_SCORE = 0.02
EPOCHS = {"systems": 5, "codec": 8}
SCHEDULE = {
    "optimizer": {"name": "AdamW", "lr": 0.002, "weight_decay": 0.05, "reference_batch": 16},
    "warmup": {"name": "linear", "steps": 200, "ratio": 0.001},
    "lr_schedule": {"name": "CosineAnnealingLR", "eta_min": 0.00002},
}
LIGHT = {"scale": [0.75, 1.25], "translate": 0.12, "brightness": 0.05, "contrast": [0.8, 1.2], "saturation": [0.8, 1.2]}


def arms(what: str) -> dict[str, dict[str, Any]]:
    """Raw configurations by name, without data and save_dir."""
    if what == "systems":
        names = {"published": "nanodet_plus_m_four", "default": "nanodet_plus_four", "armor_s": "armor_s"}
        chosen = {arm: yaml.safe_load((ROOT / f"config/{name}.yaml").read_text()) for arm, name in names.items()}
        for raw in chosen.values():
            raw["model"]["arch"]["detach_epoch"] = min(2, raw["model"]["arch"].get("detach_epoch", 0))
        return chosen
    base = yaml.safe_load((ROOT / "config/armor_s.yaml").read_text())
    chosen = {}
    for codec in ("unsigned", "signed"):
        for weights, cost, coordinates in (("published", "published", 4), ("corrected", "normalised", 12)):
            raw = copy.deepcopy(base)
            raw["model"]["arch"]["head"] |= {
                "corner_codec": codec,
                "assigner": {"corner_cost": cost},
                "loss": {"dfl_coordinates": coordinates, "corner_weight": 0.0, "number_weight": 1.0},
            }
            chosen[f"{codec}_{weights}"] = raw
    direct = copy.deepcopy(chosen["signed_corrected"])
    direct["model"]["arch"]["head"]["loss"]["corner_weight"] = 2.0
    return chosen | {"signed_corrected_direct": direct}


def configuration(what: str, raw: dict[str, Any], folder: Path, save_dir: Path, threads: int) -> TrainConfig:
    """The arm on the data of its comparison."""
    size, batch, rotation = (128, 8, 5) if what == "systems" else (160, 16, 45)
    raw = copy.deepcopy(raw)
    raw["save_dir"] = str(save_dir)
    raw["seed"] = 1
    raw["model"]["weight_averager"]["decay"] = 0.995
    for part in ("train", "val"):
        data = folder / f"{what}_{part}"
        raw["data"][part] = {
            "img_path": str(data / "images"), "ann_path": str(data / "labels.json"), "input_size": [size, size],
            "pipeline": LIGHT | {"rotation": rotation} if part == "train" else {},
        }  # fmt: skip
    raw["device"] = {"workers_per_gpu": 0, "batchsize_per_gpu": batch, "threads": threads}
    raw["schedule"] = SCHEDULE | {"total_epochs": EPOCHS[what]}
    return TrainConfig.model_validate(raw)


def make_data(what: str, folder: Path) -> None:
    """Training and validation images, rendered once; those of `codec` are validated turned by up to 45 degrees."""
    sizes = {"systems": (3000, 160, 400, 128, (14.0, 80.0)), "codec": (5000, 192, 600, 160, (20.0, 110.0))}
    count, size, val_count, val_size, plate_px = sizes[what]
    tilt = 45.0 if what == "codec" else 0.0
    seed = 50_000_000 if what == "systems" else 60_000_000
    parts = {"train": (count, size, 0.0, seed), "val": (val_count, val_size, tilt, seed + 9_000_000)}
    for part, (pictures, side, turn, first) in parts.items():
        out = folder / f"{what}_{part}"
        if (out / "labels.json").exists():
            continue
        print(f"{out}: rendering {pictures} images", flush=True)
        with tempfile.TemporaryDirectory() as rendered:
            records = [
                _rendered(Path(rendered), number, side, turn, plate_px) for number in range(first, first + pictures)
            ]
            write_dataset("CocoDataset", out, records, ARMOR_CLASSES)


def _rendered(folder: Path, seed: int, side: int, turn: float, plate_px: tuple[float, float]) -> Record:
    sample = _turned(seed, side, turn, plate_px) if turn else render(seed, (side, side), plate_px)
    path = folder / f"{seed}.jpg"
    cv2.imwrite(str(path), sample.image, [cv2.IMWRITE_JPEG_QUALITY, 95])
    return Record(path=path, width=side, height=side, **sample.label_fields() | {"name": path.name})


def _turned(seed: int, side: int, turn: float, plate_px: tuple[float, float]) -> Sample:
    """An image turned about its middle, cut from a larger one so that no border shows."""
    whole = int(side * 1.42)
    angle = np.radians(np.random.default_rng(seed).uniform(-turn, turn))
    rotation = np.array([[np.cos(angle), -np.sin(angle), 0], [np.sin(angle), np.cos(angle), 0], [0, 0, 1]])
    matrix = translation_matrix(side / 2, side / 2) @ rotation @ translation_matrix(-whole / 2, -whole / 2)
    return warp_sample(render(seed, (whole, whole), plate_px), matrix, (side, side))


def measure(detector: Detector, records: list[Record]) -> dict[str, Any]:
    """Figures at the score of the best F1 (classes apart), and every plate's corner error by its tilt."""
    matches = match(records, predict(detector, records), LOW_SCORE)
    best = max(_thresholds(matches), key=lambda at: _f1(matches.at(at)))
    score = score_matches(matches.at(best), ARMOR_CLASSES)
    names = ("precision", "recall", "f1", "err", "err_px", "color", "number")
    hits = {f"{hit.record.name}:{hit.plate}": (tilt_of(hit), hit.err, hit.err_px) for hit in matches.hits}
    return {"threshold": best, **{name: getattr(score, name) for name in names}, "hits": hits}


def _thresholds(matches: Matches) -> list[float]:
    return [LOW_SCORE, *np.arange(0.05, 0.9, 0.025).tolist()]


def _f1(matches: Matches) -> float:
    hits, false_alarms = len(matches.hits), len(matches.false_alarms)
    return 2 * hits / max(hits + false_alarms + matches.plates, 1)


def tilt_of(hit: Hit) -> float:
    """Angle between the line through the middles of the two bars and the image's horizontal, degrees."""
    corners = hit.record.corners[hit.plate]
    across = corners[2:].mean(axis=0) - corners[:2].mean(axis=0)
    return float(np.degrees(np.arctan2(abs(across[1]), abs(across[0]))))


def train_arm(config: TrainConfig, out: Path) -> None:
    """Train, measuring after every epoch; writes `out` when complete."""
    records = read_dataset(config.data.val, config.class_names)
    rows = []
    with join(config.device) as process:
        run = Run(config, process)
        seconds = 0.0
        while run.epoch < config.schedule.total_epochs:
            start = time.process_time()
            for _ in range(run.steps_per_epoch):
                run.train_step()
            seconds += time.process_time() - start
            rows.append({"step": run.step, "seconds": round(seconds), **measure(run.detector(LOW_SCORE), records)})
            shown = {k: round(v, 3) for k, v in rows[-1].items() if isinstance(v, float)}
            print(f"{out.stem}: step {run.step}, {seconds:.0f} s of processor time, {shown}", flush=True)
    write_atomically(out, json.dumps({"batch": config.device.batchsize_per_gpu, "rows": rows}).encode())


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("what", choices=("systems", "codec", "report"))
    parser.add_argument("folder", type=Path, help="where data and results are kept")
    parser.add_argument("--arm", nargs="+", help="only these arms")
    parser.add_argument("--threads", type=int, default=0, help="torch threads (default: torch's choice)")
    parser.add_argument("--out", type=Path, default=ROOT / "docs", help="folder of the report")
    args = parser.parse_args()
    if args.what == "report":
        from learning_report import write_report

        return write_report(args.folder, args.out)
    make_data(args.what, args.folder)
    known = arms(args.what)
    unknown = sorted(set(args.arm or ()) - set(known))
    if unknown:
        parser.error(f"--arm: expected some of {', '.join(known)}, got {', '.join(unknown)}")
    for name in args.arm or known:
        result = args.folder / f"{args.what}_{name}.json"
        if not result.exists():
            train_arm(configuration(args.what, known[name], args.folder, args.folder / name, args.threads), result)
    return 0


if __name__ == "__main__":
    open_door(main)
