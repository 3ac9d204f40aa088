"""What benchmark/node.py, soak.py and flood.py share: the node as a process, a listener, a look at /proc."""

from __future__ import annotations

import fcntl
import os
import random
import signal
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import IO

import rclpy
from diagnostic_msgs.msg import DiagnosticArray
from rclpy.client import Client
from rclpy.executors import SingleThreadedExecutor
from rclpy.signals import SignalHandlerOptions

from nanodet_kp_ros.msg import ArmorArray
from nanodet_kp_ros.qos import armors_qos

ROOT = Path(__file__).resolve().parent.parent
_locks: list[IO[str]] = []  # held until this process ends


def prepare_environment(shipped_profile: bool) -> None:
    """A DDS domain of our own; the shipped settings of Fast DDS, or none at all."""
    os.environ["ROS_DOMAIN_ID"] = os.environ.get("ROS_DOMAIN_ID") or str(_free_domain())
    own, other = "FASTDDS_DEFAULT_PROFILES_FILE", "FASTRTPS_DEFAULT_PROFILES_FILE"
    if os.environ.get("ROS_DISTRO") in ("humble", "jazzy"):  # Fast DDS 2
        own, other = other, own
    os.environ.pop(own, None)
    os.environ.pop(other, None)
    if shipped_profile:
        os.environ[own] = str(ROOT / "config" / "fastdds_images.xml")


def _free_domain() -> int:
    """A DDS domain that no test and no other benchmark of this user has now; ours until this process ends. Another
    node's /diagnostics would be taken for those of our own."""
    for number in random.SystemRandom().sample(range(1, 101), 100):
        lock = open(Path(tempfile.gettempdir()) / f"ros_domain_{os.getuid()}_{number}.lock", "a")  # noqa: SIM115
        try:
            fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except OSError:
            lock.close()
            continue
        _locks.append(lock)
        return number
    raise RuntimeError("expected a free DDS domain of 1 to 100, got none; set ROS_DOMAIN_ID")


def start(module: str, *arguments: str, log: Path | IO[bytes] | None = None) -> subprocess.Popen:
    """`python -m MODULE ARGUMENTS` from the source tree; its output goes to `log`."""
    output = open(log, "a") if isinstance(log, Path) else log  # noqa: SIM115  the process keeps it
    command = [sys.executable, "-m", module, *arguments]
    return subprocess.Popen(command, cwd=ROOT, stdin=subprocess.DEVNULL, stdout=output, stderr=subprocess.STDOUT)


def start_node(parameters: dict[str, object], log: Path | IO[bytes] | None = None) -> subprocess.Popen:
    """The detector node."""
    pairs = [text for name, value in parameters.items() for text in ("-p", f"{name}:={value}")]
    return start("nanodet_kp_ros.detector_node", "--ros-args", *pairs, log=log)


def stop(process: subprocess.Popen, number: int = signal.SIGINT) -> tuple[int, float]:
    """Exit code, and the seconds that it took to end."""
    asked = time.monotonic()
    if process.poll() is None:
        process.send_signal(number)
    return process.wait(timeout=20), time.monotonic() - asked


@dataclass(frozen=True)
class Usage:
    """cpu_s: processor time so far. memory_mb: resident now; peak_mb: at most so far.

    own_mb: what of it is nobody else's: without libraries, and without the middleware's shared memory, of which the
    sender's 16 MB stay mapped for some time after a sender was killed.
    """

    cpu_s: float
    memory_mb: float
    peak_mb: float
    own_mb: float


def usage(pid: int) -> Usage:
    """What a process takes."""
    fields = Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()
    status = dict(line.split(":", 1) for line in Path(f"/proc/{pid}/status").read_text().splitlines())
    cpu = (int(fields[11]) + int(fields[12])) / os.sysconf("SC_CLK_TCK")
    memory, peak, own = (int(status[name].split()[0]) / 1024 for name in ("VmRSS", "VmHWM", "RssAnon"))
    return Usage(cpu, memory, peak, own)


class Listener:
    """Receives `armors` and /diagnostics.

    answers: (stamp [s], milliseconds from the stamp to the publishing, frame_id) of every array.
    diagnostics: the node's last values by their keys.
    """

    def __init__(self) -> None:
        self.answers: list[tuple[float, float, str]] = []
        self.diagnostics: dict[str, str] = {}
        self.diagnosed = 0
        self._clients: dict[str, Client] = {}
        self._context = rclpy.Context()
        rclpy.init(context=self._context, signal_handler_options=SignalHandlerOptions.NO)
        self.node = rclpy.create_node("listener", context=self._context)
        self._executor = SingleThreadedExecutor(context=self._context)
        self._executor.add_node(self.node)
        self.node.create_subscription(ArmorArray, "armors", self._on_armors, armors_qos())
        self.node.create_subscription(DiagnosticArray, "/diagnostics", self._on_diagnostics, 10)

    def _on_armors(self, message: ArmorArray, info: dict) -> None:
        stamp = message.header.stamp.sec * 10**9 + message.header.stamp.nanosec
        # The middleware notes when the node published: this process's own delay does not count.
        age_ms = (info["source_timestamp"] - stamp) / 1e6
        self.answers.append((stamp / 1e9, age_ms, message.header.frame_id))

    def _on_diagnostics(self, message: DiagnosticArray) -> None:
        self.diagnostics = {pair.key: pair.value for pair in message.status[0].values}
        self.diagnosed += 1

    def spin(self, seconds: float, until: Callable[[], bool] = lambda: False) -> bool:
        """Receives for so long, or until the condition holds; whether it does."""
        deadline = time.monotonic() + seconds
        while not until():
            left = deadline - time.monotonic()
            if left < 0:
                return False
            self._executor.spin_once(timeout_sec=min(0.1, left))
        return True

    def client(self, kind: type, name: str) -> Client:
        """The client of a service, one for all calls: the answer to a new one may come before its way back is known,
        and is lost."""
        if name not in self._clients:
            self._clients[name] = self.node.create_client(kind, name)
        return self._clients[name]

    def total(self, outcome: str) -> int:
        """Images of that outcome since the node's start, as it says itself."""
        return int(self.diagnostics.get(f"{outcome} (since start)", 0))

    def close(self) -> None:
        self._executor.shutdown()
        self.node.destroy_node()
        self._context.try_shutdown()
