"""The whole path on one machine: player and detector as processes of their own, over real DDS, for some seconds.

Prints what arrives on `armors`, writes annotated frames to a folder, and ends with the rate and the latency.
"""

from __future__ import annotations

import argparse
import os
import random
import signal
import subprocess
import sys
import time
from dataclasses import dataclass, field
from pathlib import Path

import cv2
import numpy as np

from nanodet_kp_ros.transports import choose_transports

ROOT = Path(__file__).resolve().parent.parent
NODES = Path(sys.prefix) / "lib" / "nanodet_kp_ros"
CLIP_SEED = "30"  # QUICK_SEED of nanodet_kp_core/synthetic/clip.py, which the installed package lacks
FRAME_PERIOD_S = 0.5
START_LIMIT_S = 30.0
COLUMNS = "on /armors: stamp [s], age [ms]; of each plate label, score, left-top and right-bottom corner"


@dataclass
class Record:
    """What the demo saw: receipt times [s] and ages [ms] (image stamp to receipt) of the arrays, plates, frames."""

    received_s: list[float] = field(default_factory=list)
    ages_ms: list[float] = field(default_factory=list)
    plates: int = 0
    frames: int = 0
    last_frame_s: float = 0.0

    def summary(self) -> str:
        span = self.received_s[-1] - self.received_s[0]
        rate = (len(self.received_s) - 1) / span if span > 0 else 0.0
        p50, p95 = np.percentile(self.ages_ms, [50, 95])
        return (
            f"{len(self.received_s)} arrays with {self.plates} plates, {rate:.1f} arrays/s, "
            f"image stamp to receipt {p50:.1f} ms (p50), {p95:.1f} ms (p95)"
        )


class DemoError(Exception):
    """The demo cannot go on; the message says why."""


def prepare_environment() -> None:
    """A DDS domain of our own, so that several demos do not hear each other; shared memory for large images."""
    os.environ.setdefault("ROS_DOMAIN_ID", str(random.randint(1, 100)))
    choose_transports()


def make_clip(folder: Path, seconds: float) -> str:
    """Draws a clip of plates; its path."""
    path = folder / "clip.avi"
    print(f"drawing a clip of {seconds:g} s, played in a loop: {path}", flush=True)
    script = [sys.executable, str(ROOT / "training" / "synthesize.py"), "clip", str(path)]
    options = ["--seconds", str(seconds), "--seed", CLIP_SEED, "--size", "640x480"]
    if subprocess.run([*script, *options], cwd=ROOT).returncode != 0:
        raise DemoError("the clip could not be drawn, see above; give a source of your own: make demo SOURCE=PATH")
    return str(path)


def start(name: str, parameters: dict[str, str]) -> subprocess.Popen:
    """Starts a node of the installed package."""
    command = [str(NODES / name), "--ros-args"]
    for key, value in parameters.items():
        command += ["-p", f"{key}:={value}"]
    return subprocess.Popen(command)


def stop(processes: list[subprocess.Popen]) -> None:
    """Asks the nodes to end, and ends those that do not."""
    for process in processes:
        if process.poll() is None:
            process.send_signal(signal.SIGINT)
    for process in processes:
        try:
            process.wait(timeout=5)
        except subprocess.TimeoutExpired:
            process.kill()
            process.wait()


def watch(processes: list[subprocess.Popen], seconds: float, out: Path) -> Record:
    """Receives for `seconds` from the first array on. Raises DemoError when a node ends or nothing arrives."""
    import rclpy
    from sensor_msgs.msg import Image

    from nanodet_kp_core.runtime.images.image_message import from_image
    from nanodet_kp_ros.msg import ArmorArray
    from nanodet_kp_ros.qos import armors_qos, image_qos

    record = Record()
    rclpy.init(signal_handler_options=rclpy.signals.SignalHandlerOptions.NO)
    node = rclpy.create_node("demo")

    def on_armors(message: ArmorArray) -> None:
        stamp = message.header.stamp
        age_ms = 1e3 * (node.get_clock().now().nanoseconds / 1e9 - stamp.sec - stamp.nanosec / 1e9)
        record.received_s.append(time.monotonic())
        record.ages_ms.append(age_ms)
        record.plates += len(message.armors)
        print(describe(message, age_ms), flush=True)

    def on_annotated(message: Image) -> None:
        now = time.monotonic()
        if now - record.last_frame_s < FRAME_PERIOD_S:
            return
        record.last_frame_s = now
        cv2.imwrite(str(out / f"frame_{record.frames:04d}.jpg"), from_image(message))
        record.frames += 1

    node.create_subscription(ArmorArray, "armors", on_armors, armors_qos())
    node.create_subscription(Image, "armors/image", on_annotated, image_qos("best_effort"))
    print(COLUMNS, flush=True)
    started = time.monotonic()
    try:
        while not record.received_s or time.monotonic() - record.received_s[0] < seconds:
            rclpy.spin_once(node, timeout_sec=0.2)
            dead = [process for process in processes if process.poll() is not None]
            if dead:
                raise DemoError(f"{Path(dead[0].args[0]).name} ended with exit code {dead[0].returncode}, see above")
            if not record.received_s and time.monotonic() - started > START_LIMIT_S:
                raise DemoError(f"nothing arrived on armors within {START_LIMIT_S:.0f} s, see the warnings above")
    except KeyboardInterrupt:
        print("stopped")
    finally:
        node.destroy_node()
        rclpy.shutdown()
    return record


def describe(message, age_ms: float) -> str:
    """One array in one line."""
    plates = [
        f"{armor.label} {armor.score:.2f} ({armor.corners[0].x:.0f},{armor.corners[0].y:.0f})"
        f"-({armor.corners[2].x:.0f},{armor.corners[2].y:.0f})"
        for armor in message.armors
    ]
    stamp = message.header.stamp
    return f"/armors {stamp.sec % 1000:03d}.{stamp.nanosec // 1000000:03d} {age_ms:5.1f} ms  {'  '.join(plates) or '-'}"


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--source", default="", help="image, folder, video or camera index; empty: a drawn clip")
    parser.add_argument("--seconds", type=float, default=20.0)
    parser.add_argument("--clip-seconds", type=float, default=6.0, help="length of the drawn clip, which is repeated")
    parser.add_argument("--out", type=Path, default=Path("demo_out"))
    arguments = parser.parse_args()
    signal.signal(signal.SIGTERM, signal.default_int_handler)
    prepare_environment()
    processes: list[subprocess.Popen] = []
    try:
        arguments.out.mkdir(parents=True, exist_ok=True)
        for old in arguments.out.glob("frame_*.jpg"):
            old.unlink()
        source = arguments.source or make_clip(arguments.out, arguments.clip_seconds)
        processes.append(start("detector_node", {}))
        # Quoted as a YAML string: a camera's index would be an integer, and a path may hold anything.
        processes.append(start("player_node", {"source": "'" + source.replace("'", "''") + "'"}))
        record = watch(processes, arguments.seconds, arguments.out)
    except DemoError as error:
        print(f"demo: {error}", file=sys.stderr)
        return 1
    except KeyboardInterrupt:
        return 130
    finally:
        stop(processes)
    if not record.received_s:
        return 1
    print(f"\n{record.frames} annotated frames lie in {arguments.out}/\n{record.summary()}")
    return 0


if __name__ == "__main__":
    sys.exit(main())
