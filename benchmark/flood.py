"""A flood of bad input over real DDS: does the node see as before, and is its memory as before?

    python benchmark/flood.py --seconds 120 --json flood.json

Half of the time with raw images, half with compressed ones, each with a node of its own. The flood: good images at a
steady rate, between them malformed ones, wrong calibrations (flood_camera.py), parameters and models, right and
senseless, and the switch (flood_requests.py), over-long texts in all of them; for a part of it the recorder's disk is
full. Before it, in the middle and at the end it is calm: the parameters are the defaults again, and some good images
are sent, each when the one before was answered, and never twice.

Exit code 1 when one of these has no answer, or another one than before the flood, when a request has no answer, when
the node's own memory grew by more than --growth, when the node has died, left a traceback, does not end by itself, or
when its counts do not add up. The node listens with reliable delivery, so that an image that gets lost is its fault.
"""

from __future__ import annotations

import argparse
import json
import resource
import signal
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator
from dataclasses import asdict
from pathlib import Path

import numpy as np

sys.path.insert(0, str(Path(__file__).resolve().parent.parent))
sys.path.insert(0, str(Path(__file__).resolve().parent))

from flood_record import Record, table
from flood_requests import Ask, asked, calm, results_of, switch
from node_camera import compress
from node_processes import ROOT, Listener, prepare_environment, start_node, usage
from rclpy.task import Future
from sensor_msgs.msg import CompressedImage, Image
from std_msgs.msg import Header
from visualization_msgs.msg import MarkerArray

from nanodet_kp_core.command import open_door
from nanodet_kp_core.synthetic.clip import QUICK_SEED, clip_frames
from nanodet_kp_ros.images import to_image
from nanodet_kp_ros.msg import ArmorArray
from nanodet_kp_ros.qos import armors_qos, image_qos

TRANSPORTS = ("raw", "compressed")
IMAGES = "images.npz"
_LIMIT_S = 60.0  # for what must come, on a machine that is busy with other things
_AT_ONCE = 8  # requests under way: a service's queue holds ten
_DISK_FULL = (0.2, 0.7)  # of each half of the flood
_IMAGES = 4
_SIZES = ((640, 480), (320, 240))


class Flood:
    """A node, a listener that asks and looks, and the camera."""

    def __init__(self, transport: str, rates: tuple[float, float], malformed: int, seed: int, folder: Path) -> None:
        """rates: good images and requests a second. malformed: images that are none, between two good ones.

        folder: holds IMAGES, and takes all that is written.
        """
        self.record = Record(transport=transport)
        self._rates, self._malformed, self._seed = rates, malformed, seed
        self._folder = folder
        self._log = folder / "node.log"
        self._listener = Listener()
        node = self._listener.node
        self._answers: dict[tuple[int, int], ArmorArray] = {}
        self._first: dict[int, list] = {}  # what was found in each image before the flood
        node.create_subscription(ArmorArray, "armors", self._on_armors, armors_qos())
        node.create_subscription(MarkerArray, "armors/markers", lambda message: None, 1)
        node.create_subscription(CompressedImage, "armors/image/compressed", lambda message: None, 1)
        header = Header(frame_id="calm")
        with np.load(folder / IMAGES) as file:
            images = next(iter(file.values()))
        make = compress if transport == "compressed" else to_image
        self._messages = [make(image, header) for image in images]
        topic = "image_raw/compressed" if transport == "compressed" else "image_raw"
        self._publisher = node.create_publisher(type(self._messages[0]), topic, image_qos("reliable"))
        self._requests: Iterator[Ask] = asked(seed, folder)
        self._pending: dict[Future, Ask] = {}
        self._camera: subprocess.Popen | None = None
        # A file could not grow either while the disk is full.
        with open(self._log, "wb") as file:
            self._tee = subprocess.Popen(["cat"], stdin=subprocess.PIPE, stdout=file)
        settings = {
            "image_transport": transport, "image_qos": "reliable", "image_timeout": 2.0, "score_threshold": 0.8,
            "record_folder": folder / "kept", "record_per_second": 2.0,
        }  # fmt: skip
        assert self._tee.stdin is not None
        self.node = start_node(settings, self._tee.stdin)
        self._tee.stdin.close()

    def _on_armors(self, message: ArmorArray) -> None:
        if message.header.frame_id == "calm":
            self._answers[message.header.stamp.sec, message.header.stamp.nanosec] = message

    def run(self, seconds: float, count: int) -> Record:
        """Calm, flood, calm, flood, calm. Raises RuntimeError when the node never comes up."""
        self.record.seconds = seconds
        if not self._listener.spin(_LIMIT_S, lambda: self._publisher.get_subscription_count() > 0 or self._died):
            raise RuntimeError(f"no node within {_LIMIT_S:.0f} s:\n{self._log.read_text()}")
        self._calm(count, warm=True)
        for half in range(2):
            self._flood(seconds / 2, self._seed + half)
            self._calm(count)
        self.record.own_start_mb = self.record.own_mb[0] if self.record.own_mb else 0.0
        self.record.finish(self.node, self._listener, self._log)
        self._tee.wait()
        self._read_log()
        return self.record

    def close(self) -> None:
        """Ends whatever is left of it."""
        for process in (self.node, self._camera):
            if process is not None and process.poll() is None:
                process.kill()
        self._listener.close()

    def _read_log(self) -> None:
        lines = self._log.read_text(errors="replace").splitlines()
        self.record.log_lines = len(lines)
        self.record.disk_lines = sum("recorder: expected to write" in line for line in lines)
        self.record.tracebacks = sum("Traceback" in line for line in lines)

    def _flood(self, seconds: float, seed: int) -> None:
        options = {
            "--transport": self.record.transport, "--rate": self._rates[0], "--malformed": self._malformed,
            "--images": self._folder / IMAGES, "--seed": seed,
        }  # fmt: skip
        command = [sys.executable, str(ROOT / "benchmark" / "flood_camera.py")]
        command += [str(word) for pair in options.items() for word in pair]
        self._camera = camera = subprocess.Popen(command, cwd=ROOT, stdout=subprocess.PIPE, text=True)
        self._listener.spin(_LIMIT_S, lambda: self._listener.node.count_publishers("camera_info") > 0)
        start, sent = time.monotonic(), 0
        while (now := time.monotonic() - start) < seconds and not self._died:
            self._set_disk_full(_DISK_FULL[0] * seconds < now < _DISK_FULL[1] * seconds)
            if sent <= now * self._rates[1] and len(self._pending) < _AT_ONCE:
                self._ask(next(self._requests))
                sent += 1
            self._listener.spin(0.002)
            self._collect()
        self._set_disk_full(False)
        camera.send_signal(signal.SIGINT)
        good, malformed, calibrations = (int(word) for word in camera.communicate(timeout=_LIMIT_S)[0].split())
        self.record.sent += good + malformed
        self.record.sent_good += good
        self.record.malformed += malformed
        self.record.calibrations += calibrations
        self._listener.spin(_LIMIT_S, self._all_answered)

    def _set_disk_full(self, full: bool) -> None:
        """As a full disk: no file of the node may grow."""
        hard = resource.getrlimit(resource.RLIMIT_FSIZE)[1]
        if not self._died:
            resource.prlimit(self.node.pid, resource.RLIMIT_FSIZE, (0 if full else hard, hard))

    def _ask(self, ask: Ask) -> None:
        client = self._listener.client(ask.kind, ask.name)
        self._listener.spin(_LIMIT_S, lambda: client.service_is_ready() or self._died)
        future = client.call_async(ask.request)
        self.record.requests += ask.answered
        self.record.senseless += not ask.answered
        if ask.answered:
            self._pending[future] = ask

    def _all_answered(self) -> bool:
        self._collect()
        return not self._pending or self._died

    @property
    def _died(self) -> bool:
        return self.node.poll() is not None

    def _collect(self) -> None:
        for future in [future for future in self._pending if future.done()]:
            ask, results = self._pending.pop(future), results_of(future.result())
            self.record.wrongly_refused += [result.reason for result in results if ask.right and not result.successful]
            self.record.answered_requests += 1
            self.record.accepted += sum(result.successful for result in results)
            self.record.refused += sum(not result.successful for result in results)

    def _calm(self, count: int, warm: bool = False) -> None:
        """Good images, one at a time. warm: some before them, which do not count."""
        for ask in (switch(True), calm()):
            self._ask(ask)
            self._listener.spin(_LIMIT_S, self._all_answered)
        self._listener.spin(_LIMIT_S, lambda: self._publisher.get_subscription_count() > 0 or self._died)
        if warm:
            self._listener.spin(_LIMIT_S, self._comes_through)
        answered = same = 0
        for number in range(count):
            message = self._messages[number % _IMAGES]
            answer = self._answer(message, _LIMIT_S)
            answered += answer is not None
            if answer is not None:
                found = [(armor.label, [(p.x, p.y) for p in armor.corners]) for armor in answer.armors]
                same += found == self._first.setdefault(number % _IMAGES, found)
        self.record.calm_sent.append(count)
        self.record.calm_answered.append(answered)
        self.record.calm_same.append(same)
        diagnosed = self._listener.diagnosed + 2  # then it has given back the memory of replaced models
        self._listener.spin(_LIMIT_S, lambda: self._listener.diagnosed >= diagnosed or self._died)
        if not self._died:
            now = usage(self.node.pid)
            self.record.own_mb.append(now.own_mb)
            self.record.resident_mb.append(now.memory_mb)

    def _comes_through(self) -> bool:
        return self._answer(self._messages[0], 0.5) is not None

    def _answer(self, message: Image | CompressedImage, limit_s: float) -> ArmorArray | None:
        """Sends it once; its answer, None when none comes."""
        message.header.stamp = self._listener.node.get_clock().now().to_msg()
        key = message.header.stamp.sec, message.header.stamp.nanosec
        self._publisher.publish(message)
        self.record.sent += 1
        self.record.sent_good += 1
        self._listener.spin(limit_s, lambda: key in self._answers or self._died)
        return self._answers.pop(key, None)


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--seconds", type=float, default=120.0, help="of flood, all together")
    parser.add_argument("--transport", nargs="+", choices=TRANSPORTS, default=TRANSPORTS)
    parser.add_argument("--rate", type=float, default=30.0, help="good images a second")
    parser.add_argument("--malformed", type=int, default=3, help="malformed images between two good ones")
    parser.add_argument("--requests", type=float, default=100.0, help="requests a second, where the node keeps up")
    parser.add_argument(
        "--calm", type=int, default=200, help="good images before, in the middle of and after the flood"
    )
    parser.add_argument("--growth", type=float, default=30.0, help="megabytes")
    parser.add_argument("--seed", type=int, default=1)
    parser.add_argument("--json", type=Path)
    args = parser.parse_args()
    prepare_environment(True)
    images = [np.stack(list(clip_frames(1.0, _IMAGES, QUICK_SEED, size))) for size in _SIZES]
    records = []
    for transport in args.transport:
        rates = args.rate, args.requests
        with tempfile.TemporaryDirectory() as folder:
            np.savez(Path(folder) / IMAGES, *images)
            flood = Flood(transport, rates, args.malformed, args.seed, Path(folder))
            try:
                records.append(flood.run(args.seconds / len(args.transport), args.calm))
            finally:
                flood.close()
    print(table(records))
    if args.json:
        args.json.write_text(json.dumps([asdict(record) for record in records], indent=1) + "\n")
    wrong = [sentence for record in records for sentence in record.wrong(args.growth)]
    print("\n".join(wrong) if wrong else "all as promised")
    return 1 if wrong else 0


if __name__ == "__main__":
    open_door(main)
