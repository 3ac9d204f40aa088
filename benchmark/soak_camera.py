"""The camera of benchmark/soak.py: it changes its size, encoding and frame, pauses, sends rubbish, and its clock jumps.

Prints a line with what it sent so far, once a second: images, good ones among them. flood_camera.py takes its parts.
"""

from __future__ import annotations

import argparse
import array
import sys
import time
from collections.abc import Callable
from pathlib import Path

import cv2
import numpy as np
import rclpy
from rclpy.node import Node
from rclpy.publisher import Publisher
from sensor_msgs.msg import CameraInfo, Image
from std_msgs.msg import Header

sys.path.insert(0, str(Path(__file__).resolve().parent.parent))

from nanodet_kp_core.synthetic.clip import QUICK_SEED, clip_frames
from nanodet_kp_ros.images import to_image
from nanodet_kp_ros.qos import image_qos

SIZES = ((640, 480), (320, 240), (1280, 1024), (736, 576))
_SCENE_S = 2.0  # how long the camera stays as it is, at a pace of 1


def write_pictures(path: Path) -> None:
    """Draws what the camera shows. A camera that is started again reads it: to draw it takes seconds."""
    np.savez(path, *[np.stack(list(clip_frames(1.0, 4, QUICK_SEED, size))) for size in SIZES])


class Camera:
    """Sends for ever."""

    def __init__(self, node: Node, rate: float, seed: int, pace: float, pictures: list[np.ndarray]) -> None:
        """pictures: uint8 [4, height, width, 3] BGR of each of SIZES."""
        self._node = node
        self._scene_s = _SCENE_S / pace
        self._rate = rate
        self._rng = np.random.default_rng(seed)
        self._pictures = dict(zip(SIZES, pictures, strict=True))
        self._images: Publisher = node.create_publisher(Image, "image_raw", image_qos("reliable"))
        self._infos: Publisher = node.create_publisher(CameraInfo, "camera_info", 1)
        self.sent = self.good = 0

    def scene(self) -> None:
        """Some time with one size, encoding and frame, and perhaps a fault."""
        size = SIZES[self._rng.integers(len(SIZES))]
        encode: Callable[[Image], None] = self._rng.choice(ENCODERS)
        fault = self._rng.choice(["none", "none", "rubbish", "pause", "burst", "clock", "still", "calibration"])
        header = Header(frame_id=f"camera_{self._rng.integers(4)}")
        messages = [to_image(picture, header) for picture in self._pictures[size]]
        for message in messages:
            encode(message)
        if fault == "pause":
            time.sleep(self._scene_s)
            return
        offset = self._rng.uniform(-20, 20) if fault == "clock" else 0.0
        ended = time.monotonic() + self._scene_s
        while time.monotonic() < ended:
            message = messages[self.sent % len(messages)]
            if fault != "still":
                now = self._node.get_clock().now().nanoseconds + int(offset * 1e9)
                message.header.stamp.sec, message.header.stamp.nanosec = divmod(now, 10**9)
            self._send(message, True)
            self._infos.publish(info(size, fault == "calibration", message.header))
            if fault == "rubbish":
                self._send(_rubbish(message, self._rng), False)
            if fault == "burst":
                for _ in range(5):
                    self._send(message, True)
            time.sleep(1 / self._rate)

    def _send(self, message: Image, good: bool) -> None:
        self._images.publish(message)
        self.sent += 1
        self.good += good


def as_bgr(message: Image) -> None:
    """It is that already."""


def as_rgb(message: Image) -> None:
    message.encoding = "rgb8"


def as_mono(message: Image) -> None:
    message.encoding, message.step = "mono8", message.width
    message.data = message.data[: message.width * message.height]


def as_bgra(message: Image) -> None:
    pixels = np.frombuffer(message.data, np.uint8).reshape(message.height, message.width, 3)
    message.encoding, message.step = "bgra8", 4 * message.width
    message.data = array.array("B", cv2.cvtColor(pixels, cv2.COLOR_BGR2BGRA).tobytes())


ENCODERS = (as_bgr, as_rgb, as_mono, as_bgra)


def _rubbish(message: Image, rng: np.random.Generator) -> Image:
    """A message that is no image, of the same stamp."""
    made = Image(header=message.header, height=message.height, width=message.width, step=message.step)
    made.encoding = message.encoding
    made.data = message.data[: rng.integers(0, len(message.data))]
    kind = rng.integers(4)
    if kind == 0:
        made.width = int(rng.integers(2**32))
    elif kind == 1:
        made.encoding = "purple8"
    elif kind == 2:
        made.step = int(rng.integers(2**32))
    return made


def info(size: tuple[int, int], broken: bool, header: Header) -> CameraInfo:
    made = CameraInfo(header=header, width=size[0], height=size[1], distortion_model="plumb_bob", d=[0.0] * 5)
    focal = float("nan") if broken else size[0] * 1.2
    made.k = [focal, 0.0, size[0] / 2, 0.0, focal, size[1] / 2, 0.0, 0.0, 1.0]
    return made


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--rate", type=float, required=True)
    parser.add_argument("--seed", type=int, required=True)
    parser.add_argument("--pace", type=float, default=1.0, help="how many times as fast one fault follows another")
    parser.add_argument("--pictures", type=Path, required=True, help="file of write_pictures")
    args = parser.parse_args()
    with np.load(args.pictures) as file:
        pictures = list(file.values())
    rclpy.init()
    camera = Camera(rclpy.create_node("camera"), args.rate, args.seed, args.pace, pictures)
    while True:
        camera.scene()
        print(camera.sent, camera.good, flush=True)


if __name__ == "__main__":
    sys.exit(main())
