"""The node over DDS: camera, node and listener are processes of their own on this machine.

    python benchmark/node.py --size 640x480 1280x1024 --rate 60 --transport raw compressed --json node.json

For each combination: images sent, received by the node, answered, replaced (a newer one came before the detector was
free); milliseconds from the image's stamp to the publishing of its plates, as the middleware noted it; what the node
takes of a core, its memory, and the seconds until it was ready. Needs ROS 2: run it with the Python of .venv, or after
sourcing an installation.
"""

from __future__ import annotations

import argparse
import itertools
import json
import subprocess
import sys
import time
from dataclasses import asdict, dataclass
from pathlib import Path

import numpy as np

sys.path.insert(0, str(Path(__file__).resolve().parent.parent))
sys.path.insert(0, str(Path(__file__).resolve().parent))

from node_processes import ROOT, Listener, prepare_environment, start_node, stop, usage

from nanodet_kp_core.command import open_door
from nanodet_kp_core.errors import ConfigError

_START_LIMIT_S = 60.0
_SETTLED = 60  # samples of the memory, one a second


@dataclass(frozen=True)
class Case:
    """size WIDTHxHEIGHT, rate images/s, transport raw or compressed, qos of camera and node."""

    size: str
    rate: float
    transport: str
    qos: str


@dataclass(frozen=True)
class Result:
    """Images by number; age_*: stamp to publish, ms; detector_ms: median; cpu: cores; memory at the end; growth_mb: of
    its own memory, from the first minute to the most after it (NaN for a shorter run); late: images that the camera
    itself sent more than a period late."""

    size: str
    rate: float
    transport: str
    qos: str
    sent: int
    sent_rate: float
    received: int
    answered: int
    replaced: int
    lost: int
    age_p50: float
    age_p90: float
    age_p99: float
    age_max: float
    detector_ms: float
    node_cpu: float
    camera_cpu: float
    memory_mb: float
    peak_mb: float
    growth_mb: float
    ready_s: float
    late: int


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--size", nargs="+", default=["640x480", "1280x1024"])
    parser.add_argument("--rate", type=float, nargs="+", default=[60.0])
    parser.add_argument("--transport", nargs="+", default=["raw"], choices=("raw", "compressed"))
    parser.add_argument("--qos", nargs="+", default=["best_effort"], choices=("best_effort", "reliable"))
    parser.add_argument("--seconds", type=float, default=10.0, help="of sending, for each combination")
    parser.add_argument("--threads", type=int, default=1)
    parser.add_argument("--spin", action="store_true", help="the node's parameter of that name")
    parser.add_argument("--model", default="", help="default: the bundled one")
    parser.add_argument("--dds", choices=("shipped", "default"), default="shipped", help="settings of Fast DDS")
    parser.add_argument("--json", type=Path, help="write the results there as well")
    args = parser.parse_args()
    prepare_environment(args.dds == "shipped")
    results = []
    print(HEADINGS, flush=True)
    for size, rate, transport, qos in itertools.product(args.size, args.rate, args.transport, args.qos):
        parameters = {"threads": args.threads, "spin": args.spin, "model": args.model or "''"}
        results.append(measure(Case(size, rate, transport, qos), args.seconds, parameters))
        print(row(results[-1]), flush=True)
    if args.json:
        args.json.write_text(json.dumps([asdict(result) for result in results], indent=1) + "\n")
    return 0


def measure(case: Case, seconds: float, parameters: dict[str, object]) -> Result:
    """One combination, with these parameters of the node.

    Raises ConfigError when the node does not come up or the camera fails.
    """
    listener = Listener()
    began = time.monotonic()
    node = start_node({"image_transport": case.transport, "image_qos": case.qos, **parameters})
    try:
        listener.spin(_START_LIMIT_S, lambda: listener.node.count_publishers("armors") > 0 or node.poll() is not None)
        if node.poll() is not None or listener.node.count_publishers("armors") == 0:
            raise ConfigError("the node did not come up: see its output above")
        ready_s = time.monotonic() - began
        count = round(seconds * case.rate)
        before = usage(node.pid)
        camera = start_camera(case, count)
        memory = [before.own_mb]
        while not listener.spin(1.0, lambda: camera.poll() is not None):
            memory.append(usage(node.pid).own_mb)
        after = usage(node.pid)
        diagnosed = listener.diagnosed
        listener.spin(10.0, lambda: listener.diagnosed >= diagnosed + 2)
        if camera.returncode != 0:
            raise ConfigError(f"the camera failed with exit code {camera.returncode}")
    finally:
        stop(node)
        listener.close()
    assert camera.stdout is not None
    sent, took, camera_cpu, late = camera.stdout.read().split()
    ages = [age for _, age, _ in listener.answers] or [float("nan")]
    p50, p90, p99, most = np.percentile(ages, [50, 90, 99, 100])
    growth = max(memory[_SETTLED:]) - memory[_SETTLED] if len(memory) > _SETTLED else float("nan")
    return Result(
        **asdict(case),
        sent=int(sent),
        sent_rate=count / float(took),
        received=listener.total("received"),
        answered=len(listener.answers),
        replaced=listener.total("replaced"),
        lost=listener.total("lost"),
        age_p50=float(p50),
        age_p90=float(p90),
        age_p99=float(p99),
        age_max=float(most),
        detector_ms=float(listener.diagnostics.get("detector ms (median)", "nan").replace("unknown", "nan")),
        node_cpu=(after.cpu_s - before.cpu_s) / float(took),
        camera_cpu=float(camera_cpu) / float(took),
        memory_mb=after.memory_mb,
        peak_mb=after.peak_mb,
        growth_mb=growth,
        ready_s=ready_s,
        late=int(late),
    )


def start_camera(case: Case, count: int) -> subprocess.Popen:
    """The camera as a process; it ends after `count` images."""
    options = {"size": case.size, "rate": case.rate, "count": count, "transport": case.transport, "qos": case.qos}
    arguments = [text for name, value in options.items() for text in (f"--{name}", str(value))]
    command = [sys.executable, str(ROOT / "benchmark" / "node_camera.py"), *arguments]
    return subprocess.Popen(command, cwd=ROOT, stdout=subprocess.PIPE, text=True)


HEADINGS = (
    "| image | sent/s | transport | QoS | sent | received | answered | replaced | lost | "
    "stamp to publish p50 / p90 / p99 ms | detector ms | node cores | memory MB | ready s |\n|" + "---|" * 14
)


def row(result: Result) -> str:
    """A line of the table."""
    ages = f"{result.age_p50:.1f} / {result.age_p90:.1f} / {result.age_p99:.1f}"
    cells = (
        result.size, f"{result.sent_rate:.1f}", result.transport, result.qos, result.sent,
        f"{result.received} ({result.received / result.sent:.1%})", result.answered, result.replaced, result.lost, ages,
        f"{result.detector_ms:.1f}", f"{result.node_cpu:.2f}", f"{result.memory_mb:.0f}", f"{result.ready_s:.2f}",
    )  # fmt: skip
    return "| " + " | ".join(str(cell) for cell in cells) + " |"


if __name__ == "__main__":
    open_door(main)
