"""A camera for benchmark/node.py: rendered images at a fixed rate, from the moment that the node listens.

Waits for a subscriber, sends COUNT images, each stamped when it is sent, prints how many and its own processor time.
"""

from __future__ import annotations

import argparse
import array
import sys
import time
from pathlib import Path

import cv2
import rclpy
from sensor_msgs.msg import CompressedImage
from std_msgs.msg import Header

sys.path.insert(0, str(Path(__file__).resolve().parent.parent))

from nanodet_kp_core.synthetic.clip import clip_frames
from nanodet_kp_ros.images import to_image
from nanodet_kp_ros.qos import image_qos

_SETTLE_S = 1.0  # between the discovery of the node and the first image
_PICTURES = 8
_JPEG_QUALITY = 90


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--size", required=True)
    parser.add_argument("--rate", type=float, required=True)
    parser.add_argument("--count", type=int, required=True)
    parser.add_argument("--transport", choices=("raw", "compressed"), required=True)
    parser.add_argument("--qos", choices=("best_effort", "reliable"), required=True)
    parser.add_argument("--seed", type=int, default=5, help="of the clip that it shows (%(default)s)")
    args = parser.parse_args()
    width, height = (int(side) for side in args.size.split("x"))
    header = Header(frame_id="camera_optical_frame")
    pictures = clip_frames(1.0, _PICTURES, args.seed, (width, height))
    messages = [compress(p, header) if args.transport == "compressed" else to_image(p, header) for p in pictures]
    rclpy.init()
    node = rclpy.create_node("camera")
    topic = "image_raw/compressed" if args.transport == "compressed" else "image_raw"
    publisher = node.create_publisher(type(messages[0]), topic, image_qos(args.qos))
    while publisher.get_subscription_count() == 0:
        time.sleep(0.05)
    time.sleep(_SETTLE_S)
    start = time.monotonic()
    before = time.process_time()
    late = 0
    for number in range(args.count):
        wait = start + number / args.rate - time.monotonic()
        late += wait < -1 / args.rate
        time.sleep(max(0.0, wait))
        message = messages[number % len(messages)]
        message.header.stamp = node.get_clock().now().to_msg()
        publisher.publish(message)
    seconds = time.monotonic() - start
    print(f"{args.count} {seconds:.3f} {time.process_time() - before:.3f} {late}", flush=True)
    time.sleep(1.0)  # what is under way may still arrive
    return 0


def compress(picture, header: Header) -> CompressedImage:
    """A JPEG, as a camera with a compressor of its own sends it."""
    data = cv2.imencode(".jpg", picture, [cv2.IMWRITE_JPEG_QUALITY, _JPEG_QUALITY])[1]
    return CompressedImage(header=header, format="jpeg", data=array.array("B", data.tobytes()))


if __name__ == "__main__":
    sys.exit(main())
