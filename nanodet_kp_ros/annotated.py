"""The image with the plates drawn into it, raw and as JPEG: drawn and encoded only for those who listen."""

from __future__ import annotations

import array
from typing import Any

import cv2
import numpy as np
from rclpy.node import Node
from rclpy.publisher import Publisher
from sensor_msgs.msg import CompressedImage, Image
from std_msgs.msg import Header

from nanodet_kp_core.runtime.detection.detector import Detections
from nanodet_kp_core.runtime.detection.draw import draw
from nanodet_kp_core.runtime.images.image_message import ImageView
from nanodet_kp_ros.images import to_image
from nanodet_kp_ros.publishers import create_publisher
from nanodet_kp_ros.qos import image_qos

_FORMAT = "bgr8; jpeg compressed bgr8"  # as image_transport writes it, whose subscribers read the encoding there
_LONGEST_SIDE = 65500  # what libjpeg encodes
_TOLD_EVERY_S = 60.0


class AnnotatedImages:
    """`armors/image` and `armors/image/compressed`. jpeg_quality: 1 to 100."""

    def __init__(self, node: Node, jpeg_quality: int) -> None:
        self._logger = node.get_logger()
        self._quality = jpeg_quality
        # Reliable, because image viewers ask for either kind.
        self._raw = create_publisher(node, Image, "armors/image", image_qos("reliable"))
        self._compressed = create_publisher(node, CompressedImage, _compressed_topic(node), image_qos("reliable"))

    @property
    def publishers(self) -> list[Publisher[Any]]:
        return [self._raw, self._compressed]

    def publish(self, image: ImageView, detections: Detections, header: Header) -> None:
        """Draws once for both. An image that JPEG cannot hold is told and left out there."""
        raw, compressed = (publisher.get_subscription_count() > 0 for publisher in self.publishers)
        if not (raw or compressed):
            return
        drawn = draw(image.bgr, detections)
        if raw:
            self._raw.publish(to_image(drawn, header))
        if not compressed:
            return
        if max(drawn.shape[:2]) > _LONGEST_SIDE:
            self._logger.warning(
                f"{self._compressed.topic_name}: expected sides of at most {_LONGEST_SIDE} pixels, which JPEG can "
                f"hold, got {drawn.shape[1]}x{drawn.shape[0]}; listen to {self._raw.topic_name} instead",
                throttle_duration_sec=_TOLD_EVERY_S,
            )
            return
        self._compressed.publish(to_jpeg(drawn, header, self._quality))


def to_jpeg(image: np.ndarray, header: Header, quality: int) -> CompressedImage:
    """A JPEG message of an image, uint8 [height, width, 3] BGR. quality: 1 to 100."""
    encoded = cv2.imencode(".jpg", image, [cv2.IMWRITE_JPEG_QUALITY, quality])[1]
    data = array.array("B")
    # A ready-made array is taken as it is; any other sequence would be checked byte by byte.
    data.frombytes(encoded.data.cast("B"))
    message = CompressedImage(header=header, format=_FORMAT)
    message.data = data
    return message


def _compressed_topic(node: Node) -> str:
    """Beside the raw one, wherever that is remapped to, unless it is remapped itself."""
    own = node.resolve_topic_name("armors/image/compressed")
    if own != node.resolve_topic_name("armors/image/compressed", only_expand=True):
        return own
    return f"{node.resolve_topic_name('armors/image')}/compressed"
