"""Random faults for as long as wished: what went in and out of the node, what was lost and why, and its memory.

    python benchmark/soak.py --minutes 30 --json soak.json

A camera that changes and fails (soak_camera.py) is killed and started again; parameters are changed, rightly and
wrongly; the model is exchanged, also for rubbish; listeners come and go; the node is disabled and enabled. At the end a
steady camera must be answered, and the node must end by itself. Exit code 1 when it does not, when it left a traceback,
when its counts do not add up, or when its own memory grew by more than --growth: it goes up and down with the sizes and
models of the last seconds, so the median of the last third of the run is compared with that of the first.
"""

from __future__ import annotations

import argparse
import json
import signal
import statistics
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable
from dataclasses import asdict, dataclass, field
from pathlib import Path

import numpy as np

sys.path.insert(0, str(Path(__file__).resolve().parent.parent))
sys.path.insert(0, str(Path(__file__).resolve().parent))

from fault_record import FaultRecord
from node_processes import ROOT, Listener, prepare_environment, start_node, stop, usage
from rcl_interfaces.srv import SetParameters
from rclpy.parameter import Parameter
from sensor_msgs.msg import Image
from soak_camera import write_pictures
from std_srvs.srv import SetBool
from visualization_msgs.msg import MarkerArray

from nanodet_kp_core.command import open_door
from nanodet_kp_core.runtime.models.bundled import bundled_model
from nanodet_kp_core.synthetic.clip import QUICK_SEED

_START_LIMIT_S = 60.0
_ANSWER_LIMIT_S = 10.0
_SETTLE_S = 60.0  # until the memory counts
_LAST_S = 3.0  # of a steady camera at the end
_LEAST_ANSWERS = 5  # to it


@dataclass
class Record(FaultRecord):
    """Figures of a run. faults: how often each was done. own_mb: the node's own memory after each fault."""

    minutes: float = 0.0
    faults: dict[str, int] = field(default_factory=dict)
    own_mb: list[float] = field(default_factory=list)
    longest_silence_s: float = 0.0
    steady_answers: int = 0

    def compare_memory(self) -> None:
        """The medians of the first and of the last third of own_mb are the memory at start and end."""
        if not self.own_mb:
            return
        third = max(1, len(self.own_mb) // 3)
        self.own_start_mb = statistics.median(self.own_mb[:third])
        self.own_end_mb = statistics.median(self.own_mb[-third:])


class Soak:
    """The processes, and the faults that are done to them."""

    def __init__(self, rate: float, seed: int, folder: Path, pace: float) -> None:
        self._rng = np.random.default_rng(seed)
        self._rate = rate
        self._pace = pace
        self._folder = folder
        self._log = folder / "node.log"
        self._listener = Listener()
        self._views: list = []
        self._enabled = True
        self.record = Record()
        self._pictures, self._camera_out = folder / "pictures.npz", folder / "camera.txt"
        write_pictures(self._pictures)
        self._camera = self._start_camera()
        self.node = start_node(
            {"image_timeout": 2.0, "record_folder": str(folder / "kept"), "record_max_mb": 20}, self._log
        )
        (folder / "garbage.onnx").write_bytes(b"garbage" * 1000)

    def _start_camera(self) -> subprocess.Popen:
        command = [sys.executable, str(ROOT / "benchmark" / "soak_camera.py"), "--rate", str(self._rate)]
        command += ["--seed", str(self._rng.integers(2**31)), "--pace", str(self._pace)]
        command += ["--pictures", str(self._pictures)]
        self._camera_file = open(self._camera_out, "w")  # noqa: SIM115  the process keeps it
        return subprocess.Popen(command, cwd=ROOT, stdout=self._camera_file)

    def _count_camera(self) -> None:
        """Adds what a camera sent; up to two seconds of it are not known when it was killed."""
        self._camera_file.close()
        lines = self._camera_out.read_text().splitlines()
        if lines and len(lines[-1].split()) == 2:
            sent, good = (int(word) for word in lines[-1].split())
            self.record.sent += sent
            self.record.sent_good += good

    def run(self, minutes: float) -> Record:
        """All of it. Raises RuntimeError when the node never comes up."""
        self.record.minutes = minutes
        if not self._listener.spin(_START_LIMIT_S, lambda: len(self._listener.answers) > 0):
            raise RuntimeError(f"no answer within {_START_LIMIT_S:.0f} s:\n{self._log.read_text()}")
        faults: list[Callable[[], None]] = [
            self.camera_killed, self.parameters, self.wrong_parameters, self.other_threads, self.model_again,
            self.garbage_model, self.view_joins, self.view_leaves, self.switched,
        ]  # fmt: skip
        began = time.monotonic()
        settled = min(_SETTLE_S, 30 * minutes)
        while (now := time.monotonic() - began) < 60 * minutes:
            fault = faults[self._rng.integers(len(faults))]
            self.record.faults[fault.__name__] = self.record.faults.get(fault.__name__, 0) + 1
            fault()
            self._watch(float(self._rng.uniform(0.5, 3.0)) / self._pace)
            if self.node.poll() is None and (now >= settled or not self.record.own_mb):
                self.record.own_mb.append(usage(self.node.pid).own_mb)
        self._finish()
        self.record.compare_memory()
        return self.record

    def _watch(self, seconds: float) -> None:
        """Receives, and notes how long nothing came while something should have."""
        before, began = len(self._listener.answers), time.monotonic()
        self._listener.spin(seconds)
        if self._enabled and len(self._listener.answers) == before:
            silence = self.record.longest_silence_s
            self.record.longest_silence_s = max(silence, time.monotonic() - began)

    def _finish(self) -> None:
        """A steady camera, then the figures and the end."""
        self._switch(True)
        stop(self._camera, signal.SIGKILL)
        self._count_camera()
        count = round(_LAST_S * 20)
        options = [
            "--size",
            "640x480",
            "--rate",
            "20",
            "--count",
            str(count),
            "--transport",
            "raw",
            "--qos",
            "reliable",
            "--seed",
            str(QUICK_SEED),
        ]
        before = len(self._listener.answers)
        steady = subprocess.Popen(
            [sys.executable, str(ROOT / "benchmark" / "node_camera.py"), *options], cwd=ROOT, stdout=subprocess.DEVNULL
        )
        self._listener.spin(_START_LIMIT_S, lambda: steady.poll() is not None)
        self.record.steady_answers = len(self._listener.answers) - before
        self.record.sent += count
        self.record.sent_good += count
        self.record.finish(self.node, self._listener, self._log)
        self._listener.close()

    def camera_killed(self) -> None:
        stop(self._camera, signal.SIGKILL)
        self._count_camera()
        self._camera = self._start_camera()

    def parameters(self) -> None:
        self._set(score_threshold=float(self._rng.uniform(0.2, 0.8)), keep=str(self._rng.choice(["", "R", "B_3 N"])))

    def wrong_parameters(self) -> None:
        for _ in range(20):
            self._set(score_threshold=7.5)
            self._set(keep="no such class")
            self._set(max_detections="many")

    def other_threads(self) -> None:
        self._set(threads=int(self._rng.integers(1, 3)))

    def model_again(self) -> None:
        self._set(model=str(bundled_model()))

    def garbage_model(self) -> None:
        self._set(model=str(self._folder / "garbage.onnx"))

    def view_joins(self) -> None:
        if len(self._views) < 4:
            kind, topic = [(Image, "armors/image"), (MarkerArray, "armors/markers")][self._rng.integers(2)]
            self._views.append(self._listener.node.create_subscription(kind, topic, lambda message: None, 1))

    def view_leaves(self) -> None:
        if self._views:
            self._listener.node.destroy_subscription(self._views.pop())

    def switched(self) -> None:
        self._switch(not self._enabled)

    def _switch(self, on: bool) -> None:
        self._call(SetBool, "detector_node/enable", SetBool.Request(data=on))
        self._enabled = on

    def _set(self, **values: object) -> None:
        messages = [Parameter(name, value=value).to_parameter_msg() for name, value in values.items()]
        self._call(SetParameters, "detector_node/set_parameters", SetParameters.Request(parameters=messages))

    def _call(self, kind: type, name: str, request: object) -> None:
        client = self._listener.client(kind, name)
        if self._listener.spin(_START_LIMIT_S, client.service_is_ready):
            future = client.call_async(request)
            self._listener.spin(_ANSWER_LIMIT_S, future.done)


def complaints(record: Record, growth_mb: float) -> list[str]:
    """What is not as promised."""
    checks = record.complaints(growth_mb)
    few = f"only {record.steady_answers} answers to a steady camera"
    checks[few] = record.steady_answers > _LEAST_ANSWERS
    return [sentence for sentence, fine in checks.items() if not fine]


def _shown(value: object) -> str:
    if isinstance(value, list) and value:
        return f"{min(value):.1f} to {max(value):.1f}, median {statistics.median(value):.1f}"
    return f"{value:.1f}" if isinstance(value, float) else str(value)


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--minutes", type=float, default=1.0)
    parser.add_argument("--rate", type=float, default=30.0, help="images a second")
    parser.add_argument("--seed", type=int, default=1)
    parser.add_argument("--pace", type=float, default=1.0, help="how many times as fast one fault follows another")
    parser.add_argument("--growth", type=float, default=15.0, help="megabytes (%(default)s)")
    parser.add_argument("--json", type=Path)
    args = parser.parse_args()
    prepare_environment(True)
    with tempfile.TemporaryDirectory() as folder:
        record = Soak(args.rate, args.seed, Path(folder), args.pace).run(args.minutes)
    for name, value in asdict(record).items():
        print(f"{name:20s} {_shown(value)}")
    if args.json:
        args.json.write_text(json.dumps(asdict(record), indent=1) + "\n")
    wrong = complaints(record, args.growth)
    print("\n".join(wrong) if wrong else "all as promised")
    return 1 if wrong else 0


if __name__ == "__main__":
    open_door(main)
