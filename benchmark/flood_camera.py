"""The camera of benchmark/flood.py: good images at a steady rate, and between them some that are none.

Before each good image comes a calibration, mostly a wrong one. SIGINT ends it; it then prints what it sent: good
images, malformed ones, calibrations.
"""

from __future__ import annotations

import argparse
import array
import copy
import itertools
import signal
import sys
import time
from collections.abc import Callable
from pathlib import Path

import numpy as np
import rclpy
from rclpy.node import Node
from rclpy.serialization import serialize_message
from sensor_msgs.msg import CameraInfo, CompressedImage, Image
from std_msgs.msg import Header

sys.path.insert(0, str(Path(__file__).resolve().parent.parent))
sys.path.insert(0, str(Path(__file__).resolve().parent))

from node_camera import compress
from soak_camera import ENCODERS, info

from nanodet_kp_ros.images import to_image
from nanodet_kp_ros.qos import image_qos

HUGE = 2**32 - 1
LONG = "x" * 5000
FRAMES = ("camera", "camera", "camera", "", "\u7ea2" * 5000, LONG, "a/b c\n\t", "/")
Message = Image | CompressedImage
Spoil = Callable[[Message, np.random.Generator], Message | bytes]


def changed(**fields: object) -> Spoil:
    """The message with other values."""

    def spoil(message: Message, rng: np.random.Generator) -> Message:
        made = copy.copy(message)
        for name, value in fields.items():
            setattr(made, name, value)
        return made

    return spoil


def cut(message: Message, rng: np.random.Generator) -> Message:
    return changed(data=message.data[: rng.integers(0, len(message.data) // 2)])(message, rng)


def noise(message: Message, rng: np.random.Generator) -> Message:
    return changed(data=array.array("B", rng.bytes(int(rng.integers(1, 5000)))))(message, rng)


def cut_on_the_wire(message: Message, rng: np.random.Generator) -> bytes:
    """As another program's broken writer sends it: the middleware itself cannot read it."""
    data = serialize_message(message)
    return data[: rng.integers(4, 200)]


def noise_on_the_wire(message: Message, rng: np.random.Generator) -> bytes:
    return b"\x00\x01\x00\x00" + rng.bytes(int(rng.integers(0, 5000)))


def odd_yuv(message: Message, rng: np.random.Generator) -> Message:
    data = array.array("B", bytes(2 * 3 * 4))
    return changed(encoding="yuv422", width=3, height=4, step=6, data=data)(message, rng)


RAW: tuple[Spoil, ...] = (
    cut, noise, cut_on_the_wire, noise_on_the_wire, odd_yuv,
    changed(data=array.array("B")),
    changed(data=array.array("B"), width=0, height=0, step=0),
    changed(width=HUGE), changed(height=HUGE), changed(step=HUGE), changed(step=1), changed(width=0), changed(height=0),
    changed(width=40_000, height=40_000, step=120_000),
    changed(encoding="purple8"), changed(encoding=LONG), changed(encoding=""), changed(encoding="\u7ea2\u8272"),
    changed(encoding="32FC1"), changed(encoding="nv12", height=7), changed(encoding="bgr16"),
)  # fmt: skip

_PNG_OF_GIGABYTES = b"\x89PNG\r\n\x1a\n\x00\x00\x00\rIHDR\x00\x00\xff\xff\x00\x00\xff\xff\x08\x02\x00\x00\x00"
COMPRESSED: tuple[Spoil, ...] = (
    cut, noise, cut_on_the_wire, noise_on_the_wire,
    changed(data=array.array("B")),
    changed(data=array.array("B", b"\xff\xd8")),
    changed(data=array.array("B", b"\xff\xd8\xff\xc0\x00\x11\x08\xff\xff\xff\xff\x03" + bytes(50))),
    changed(data=array.array("B", _PNG_OF_GIGABYTES)),
    changed(data=array.array("B", b"rubbish" * 100), format=LONG),
    changed(format="32FC1; compressedDepth png"),
)  # fmt: skip


def calibrations(header: Header, size: tuple[int, int]) -> list[CameraInfo | bytes]:
    """One that is right, and many that are not."""
    numbers: dict[str, list] = {
        "k": [[float("nan")] * 9, [float("inf")] * 9, [0.0] * 9, [-1e308] * 9, [1e-320] * 9],
        "d": [[float("nan")] * 5, [1e300] * 14, [0.1] * 3, [0.1] * 10_000],
        "p": [[float("nan")] * 12],
        "distortion_model": [LONG, "", "equidistant", "\u7ea2"],
        "width": [0, HUGE],
        "height": [0, HUGE],
        "binning_x": [HUGE],
    }
    made: list[CameraInfo | bytes] = [info(size, False, header)]
    for name, values in numbers.items():
        for value in values:
            made.append(info(size, False, header))
            setattr(made[-1], name, value)
    made.append(info(size, False, header))
    made[-1].roi.x_offset = made[-1].roi.width = HUGE
    return [*made, serialize_message(made[0])[:60]]


class FloodCamera:
    """Sends until it is told to stop. good, malformed, calibrations: how many it has sent."""

    def __init__(self, node: Node, transport: str, images: list[np.ndarray], seed: int) -> None:
        """images: uint8 [4, height, width, 3] BGR of each size."""
        self.good = self.malformed = self.calibrations = 0
        self._node = node
        self._compressed = transport == "compressed"
        self._rng = np.random.default_rng(seed)
        self._messages = [message for same in images for message in self._made(same)]
        self._calibrations = calibrations(Header(frame_id=LONG), images[0].shape[2:0:-1])
        kind, topic = (CompressedImage, "image_raw/compressed") if self._compressed else (Image, "image_raw")
        self._images = node.create_publisher(kind, topic, image_qos("reliable"))
        self._infos = node.create_publisher(CameraInfo, "camera_info", 1)  # the last: who sees it sees a ready camera

    def _made(self, images: np.ndarray) -> list[Message]:
        if self._compressed:
            return [compress(image, Header()) for image in images]
        messages = [to_image(image, Header()) for image in images]
        for encode, message in zip(ENCODERS, messages, strict=True):
            encode(message)
        return messages

    def good_one(self) -> None:
        """A calibration and an image."""
        self._infos.publish(self._calibrations[self.calibrations % len(self._calibrations)])
        self.calibrations += 1
        message = self._messages[self.good % len(self._messages)]
        message.header.stamp = self._node.get_clock().now().to_msg()
        message.header.frame_id = str(self._rng.choice(FRAMES))
        self._images.publish(message)
        self.good += 1

    def malformed_one(self) -> None:
        kinds = COMPRESSED if self._compressed else RAW
        message = self._messages[self.malformed % len(self._messages)]
        self._images.publish(kinds[self.malformed % len(kinds)](message, self._rng))
        self.malformed += 1


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--transport", choices=("raw", "compressed"), required=True)
    parser.add_argument("--rate", type=float, required=True, help="good images a second")
    parser.add_argument("--malformed", type=int, required=True, help="malformed ones between two good ones")
    parser.add_argument("--images", type=Path, required=True, help="a file of numpy, an array for each size")
    parser.add_argument("--seed", type=int, required=True)
    args = parser.parse_args()
    rclpy.init(signal_handler_options=rclpy.signals.SignalHandlerOptions.NO)
    stopped: list[int] = []
    signal.signal(signal.SIGINT, lambda number, _: stopped.append(number))
    with np.load(args.images) as file:
        images = list(file.values())
    camera = FloodCamera(rclpy.create_node("camera"), args.transport, images, args.seed)
    start, turns = time.monotonic(), itertools.cycle([camera.good_one, *[camera.malformed_one] * args.malformed])
    for number in itertools.count():
        if stopped:
            break
        time.sleep(max(0.0, start + number / (args.rate * (1 + args.malformed)) - time.monotonic()))
        next(turns)()
    print(camera.good, camera.malformed, camera.calibrations, flush=True)
    return 0


if __name__ == "__main__":
    sys.exit(main())
