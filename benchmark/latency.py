"""Milliseconds from an image to its plates: stages, threads, models, image sizes and rivals in one run.

    python benchmark/latency.py                            # the bundled model: stages, post-processing, start-up
    python benchmark/latency.py --published                # the published four-point system beside it
    python benchmark/latency.py --model a.onnx b.onnx --threads 1 --size 1280x1024 --other rival.onnx
    python benchmark/latency.py --frames FOLDER            # the images of a folder as they are, too

*Network* is the detector's own; *all networks* are those of the second stage as well, what is left of a call is code
around them. The calls of all combinations take turns, so that a busy machine disturbs them alike; compare within one
run only. Figures are medians, where nothing else is said. A lamp wall is an image full of lights, 1280x1024: the most
that the scout and the second stage are given to do. --clock cpu counts the processor's time instead of the clock on the
wall: on a busy machine that is the time one thread would take on a quiet one. Images are rendered by the generator.
"""

from __future__ import annotations

import argparse
import itertools
import json
import subprocess
import sys
import time
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import cv2
import numpy as np
import onnxruntime

sys.path.insert(0, str(Path(__file__).resolve().parent.parent))

from published_system import LAYOUT, PLATES, SIZE, STRIDES, PublishedSystem
from realistic_output import realistic_output

from nanodet_kp_core.command import open_door
from nanodet_kp_core.files import write_atomically
from nanodet_kp_core.runtime.detection.decode import Decoder
from nanodet_kp_core.runtime.detection.detector import Detector
from nanodet_kp_core.runtime.images.frame_sources import open_source
from nanodet_kp_core.runtime.models.bundled import bundled_model
from nanodet_kp_core.runtime.models.metadata import InputSpec, ModelMetadata
from nanodet_kp_core.runtime.models.session import session_options
from nanodet_kp_core.runtime.nms import nms
from nanodet_kp_core.runtime.refinement.crop_network import CropNetwork
from nanodet_kp_core.synthetic.clip import clip_frames

ROOT = Path(__file__).resolve().parent.parent
STAGES = ("preprocess", "network", "decode", "scout", "refiner")
CLOCKS = {"wall": time.perf_counter, "cpu": time.process_time}

_START = """
import sys, time
begin = time.perf_counter()
import cv2, numpy
outside = time.perf_counter()
from nanodet_kp_core.runtime.detection.detector import Detector
imported = time.perf_counter()
detector = Detector(sys.argv[1], threads=1)
loaded = time.perf_counter()
detector(numpy.zeros((1024, 1280, 3), numpy.uint8))
called = time.perf_counter()
(peak,) = (int(line.split()[1]) for line in open("/proc/self/status") if line.startswith("VmHWM"))
print(outside - begin, imported - outside, loaded - imported, called - loaded, peak / 1024)
"""


def main() -> int:
    args = _parser().parse_args()
    cv2.setNumThreads(min(args.threads))
    models = args.model or [str(bundled_model())]
    pictures = {text: clip_pictures(text) for text in args.size} | {"lamp wall": [lamp_wall()]}
    for folder in args.frames:
        pictures[Path(folder).name] = [frame.image for frame in open_source(folder)]
    jobs, timed = call_jobs(models, args.threads, pictures, args.clock, args.spin)
    others = {("other", path): network_job(Path(path), min(args.threads)) for path in args.other}
    post = postprocess_jobs()
    published: dict[Any, PublishedSystem] = {}
    if args.published:
        published["published"] = PublishedSystem(min(args.threads), args.clock)
    taken, stages = run_in_turns(jobs | others | post | published, timed | published, args.rounds, CLOCKS[args.clock])
    result = {
        "clock": args.clock, "rounds": args.rounds, "onnxruntime": onnxruntime.__version__,
        "calls": call_rows(jobs, taken, stages),
        "others": [{"model": Path(path).name, "network": _median(taken["other", path])} for path in args.other],
        "postprocess": [{"plates": plates, "ours": _median(taken["post", plates])} for plates in PLATES],
        "start": start_up(models[0]),
    }  # fmt: skip
    if args.published:
        published["published"].close()
        add_published(result, stages["published"])
    print(table(result))
    if args.json:
        write_atomically(args.json, json.dumps(result, indent=1).encode())
    if args.plot:
        from latency_plot import plot

        plot(result, args.plot)
    return 0


def clip_pictures(size: str) -> list[np.ndarray]:
    """Four images of a clip like the demo's, WIDTHxHEIGHT."""
    width, height = (int(side) for side in size.split("x"))
    return list(clip_frames(1.0, 4, 5, (width, height)))


def lamp_wall() -> np.ndarray:
    """Bars of 20 pixels in rows and columns: an image full of lights, with more pairs than are looked at."""
    image = np.zeros((1024, 1280, 3), np.uint8)
    for row in range(20, 1000, 60):
        for column in range(20, 1260, 50):
            image[row : row + 20, column : column + 5] = (255, 200, 120)
    return image


def call_jobs(
    models: list[str], threads: list[int], pictures: dict[str, list[np.ndarray]], clock: str, spin: bool
) -> tuple[dict[Any, Callable[[], object]], dict[Any, TimedDetector]]:
    """Whole calls by (model, threads, name of the images), and the detector of each."""
    jobs: dict[Any, Callable[[], object]] = {}
    owners: dict[Any, TimedDetector] = {}
    for model, count in itertools.product(models, threads):
        detector = TimedDetector(model, count, CLOCKS[clock], spin)
        for name, images in pictures.items():
            turn = itertools.cycle(images)
            jobs[model, count, name] = lambda detector=detector, turn=turn: detector(next(turn))
            owners[model, count, name] = detector
    return jobs, owners


@dataclass
class SecondStage:
    """Milliseconds that the networks of a detector's second stage took in its last call."""

    clock: Callable[[], float]
    spent: float = 0.0

    def watch(self, network: CropNetwork) -> None:
        """Time every run of a network from now on."""
        run = network.run

        def timed(blob: np.ndarray) -> np.ndarray:
            start = self.clock()
            values = run(blob)
            self.spent += 1000 * (self.clock() - start)
            return values

        network.run = timed  # type: ignore[method-assign]


class TimedDetector:
    """A detector whose `times` also say "networks": the detector's and those of its second stage."""

    def __init__(self, model: str, threads: int, clock: Callable[[], float], spin: bool = False) -> None:
        # The processor's time is that of all threads: in turn each stage has its own.
        overlap = clock is not time.process_time
        self._detector = Detector(model, threads=threads, spin=spin, overlap=overlap)
        self._detector.clock = clock
        self._second = SecondStage(clock)
        refiner = self._detector.refiner
        for stage in () if refiner is None else (refiner, *((refiner.bars,) if refiner.bars else ())):
            self._second.watch(stage.network)

    def __call__(self, image: np.ndarray) -> object:
        self._second.spent = 0.0
        found = self._detector(image)
        self.times = {**self._detector.times, "networks": self._detector.times["network"] + self._second.spent}
        return found


def network_job(path: Path, threads: int) -> Callable[[], object]:
    """The network alone of any ONNX file with one input, with our session options and a gray input."""
    session = onnxruntime.InferenceSession(str(path), session_options(threads), providers=["CPUExecutionProvider"])
    (tensor,) = session.get_inputs()
    shape = [side if isinstance(side, int) else 1 for side in tensor.shape]
    kind = {"tensor(float)": np.float32, "tensor(uint8)": np.uint8}[tensor.type]
    gray = np.full(shape, 114, kind)
    return lambda: session.run(None, {tensor.name: gray})


def postprocess_jobs() -> dict[Any, Callable[[], object]]:
    """Decode and NMS of the raw output of the published head, by ("post", plates)."""
    decoder = Decoder(ModelMetadata(strides=STRIDES, input=InputSpec(*SIZE), head=LAYOUT))
    jobs: dict[Any, Callable[[], object]] = {}
    for plates in PLATES:
        output = realistic_output(LAYOUT, SIZE, STRIDES, plates)

        def ours(output: np.ndarray = output) -> np.ndarray:
            found = decoder(output, 0.5)
            return nms(found.boxes, found.scores, 0.5, 100)

        if len(ours()) != plates:
            raise AssertionError(f"expected {plates} plates in the output, found {len(ours())}")
        jobs["post", plates] = ours
    return jobs


def run_in_turns(
    jobs: dict[Any, Callable[[], object]], timed: dict[Any, Any], rounds: int, clock: Callable[[], float]
) -> tuple[dict[Any, list[float]], dict[Any, list[dict[str, float]]]]:
    """Milliseconds of every job by key, and `times` of those that keep them."""
    taken: dict[Any, list[float]] = {key: [] for key in jobs}
    stages: dict[Any, list[dict[str, float]]] = {key: [] for key in timed}
    for job in jobs.values():
        job()
    for _ in range(rounds):
        for key, job in jobs.items():
            start = clock()
            job()
            taken[key].append(1000 * (clock() - start))
            if key in timed:
                stages[key].append(timed[key].times)
    return taken, stages


def call_rows(jobs: dict[Any, Any], taken: dict[Any, list[float]], stages: dict[Any, Any]) -> list[dict[str, Any]]:
    """One row per combination; `ratio` is the median of whole call over the detector's network, `ratio_all` over all
    its networks; `p90` and `worst` are of the call."""
    rows = []
    for key in jobs:
        model, threads, name = key
        parts = {stage: [times[stage] for times in stages[key]] for stage in STAGES}
        rows.append(
            {"model": Path(model).name, "threads": threads, "image": name}
            | {stage: _median(values) for stage, values in parts.items()}
            | {"call": _median(taken[key]), "p90": _share(taken[key], 90), "worst": _share(taken[key], 100)}
            | {"ratio": _median(np.divide(taken[key], parts["network"]))}
            | {"ratio_all": _median(np.divide(taken[key], [times["networks"] for times in stages[key]]))}
        )
    return rows


def add_published(result: dict[str, Any], stages: list[dict[str, float]]) -> None:
    """The published system's figures."""
    medians = {name: _median([times[name] for times in stages]) for name in stages[0]}
    whole = _median([times["network"] + times["postprocess_10"] for times in stages])
    result["published"] = {"network": medians["network"], "postprocess": medians["postprocess_10"], "call": whole}
    for row in result["postprocess"]:
        row["published"] = medians[f"postprocess_{row['plates']}"]


def start_up(model: str) -> dict[str, float]:
    """Seconds and MB (highest resident) of a fresh process until its first plates, medians of three. Linux."""
    command = [sys.executable, "-c", _START, model]
    runs = [
        [float(value) for value in subprocess.run(command, cwd=ROOT, capture_output=True, check=True).stdout.split()]
        for _ in range(3)
    ]
    names = ("import_numpy_opencv_s", "import_core_s", "load_s", "first_call_s", "peak_mb")
    return dict(zip(names, np.median(runs, axis=0).round(3).tolist(), strict=True))


def table(result: dict[str, Any]) -> str:
    """The result as Markdown tables."""
    whole = result.get("published", {}).get("call")
    head = "| model | threads | image | preprocess | network | decode + NMS | scout | second stage | call |"
    head += " 90 % | worst | call / network | call / all networks |"
    alone = result.get("published", {}).get("network")
    head += " call / published network | published / call |" if whole else ""
    lines = [head, "|---" * (13 + 2 * bool(whole)) + "|"]
    for row in result["calls"]:
        cells = [row["model"], row["threads"], row["image"], *(f"{row[stage]:.2f}" for stage in STAGES)]
        cells += [f"{row[name]:.2f}" for name in ("call", "p90", "worst")]
        cells += [f"{row['ratio']:.3f}", f"{row['ratio_all']:.3f}"]
        cells += [f"{row['call'] / alone:.3f}", f"{whole / row['call']:.1f}"] if whole else []
        lines.append("| " + " | ".join(map(str, cells)) + " |")
    lines += [f"\nnetwork of {row['model']} alone: {row['network']:.2f}" for row in result["others"]]
    if whole:
        parts = result["published"]
        lines.append(f"\npublished: network {parts['network']:.2f} + post-processing of ten plates "
                     f"{parts['postprocess']:.2f} = {whole:.2f}")  # fmt: skip
    lines.append("\n| plates in the output at 416x416 | decode + NMS | published |\n|---|---|---|")
    lines += [f"| {row['plates']} | {row['ours']:.2f} | {row.get('published', '')} |" for row in result["postprocess"]]
    start = result["start"]
    spent = sum(value for name, value in start.items() if name.endswith("_s"))
    lines.append(f"\nstart-up: {spent:.2f} s to the first plates, {start['peak_mb']:.0f} MB at most: {start}")
    return "\n".join(lines)


def _median(values: Any) -> float:
    return _share(values, 50)


def _share(values: Any, percent: float) -> float:
    return round(float(np.percentile(values, percent)), 3)


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--model", nargs="+", help="exported models (default: the bundled one)")
    parser.add_argument("--threads", type=int, nargs="+", default=[1, 2])
    parser.add_argument("--spin", action="store_true", help="threads stay awake within a run")
    parser.add_argument("--size", nargs="+", default=["640x480", "1280x1024"], help="image sizes, WIDTHxHEIGHT")
    parser.add_argument("--frames", nargs="+", default=[], metavar="FOLDER", help="images to be taken as they are")
    parser.add_argument("--other", nargs="+", default=[], metavar="ONNX", help="networks of others, timed alone")
    parser.add_argument("--published", action="store_true", help="time the published system as well (needs torch)")
    parser.add_argument("--clock", choices=sorted(CLOCKS), default="wall")
    parser.add_argument("--rounds", type=int, default=60, help="calls of each combination (default %(default)s)")
    parser.add_argument("--json", type=Path, metavar="OUT", help="write the figures to this file")
    parser.add_argument("--plot", type=Path, metavar="PNG", help="write a plot (needs matplotlib)")
    return parser


if __name__ == "__main__":
    open_door(main)
