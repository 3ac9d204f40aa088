"""The subscription to the camera. It is given up while nobody needs images: receiving them is a cost of its own."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any, TypeAlias

from rclpy.node import Node
from rclpy.qos_overriding_options import QoSOverridingOptions
from rclpy.subscription import Subscription
from sensor_msgs.msg import CompressedImage, Image

from nanodet_kp_core.runtime.images.image_message import ImageView, check_compressed, unpack_compressed
from nanodet_kp_ros.images import check_image, unpack_image
from nanodet_kp_ros.qos import image_qos

ImageMessage: TypeAlias = Image | CompressedImage
OnImage = Callable[[ImageMessage, int | None, bytes], None]


class ImageInput:
    """Hands every image message to `on_image`: the message, its sequence number (None: not known), its publisher.

    topic: the resolved name. Of compressed images it follows the remapped name of the raw one, as image_transport has
    it, unless that ends in /compressed already or image_raw/compressed itself is remapped. image_topic: without ending.
    check: raises ImageError for a message that holds no image. unpack: the image of a message that was checked.
    """

    def __init__(self, node: Node, transport: str, reliability: str, on_image: OnImage) -> None:
        self._node = node
        self._on_image = on_image
        self._subscription: Subscription | None = None
        self._crowded = False
        compressed = transport == "compressed"
        self.topic = _compressed_topic(node) if compressed else node.resolve_topic_name("image_raw")
        self.image_topic = self.topic.removesuffix("/compressed") if compressed else self.topic
        self._message_type = CompressedImage if compressed else Image
        self.type_name = f"sensor_msgs/msg/{self._message_type.__name__}"
        self.check: Callable[[Any], None] = check_compressed if compressed else check_image
        self.unpack: Callable[[Any], ImageView] = unpack_compressed if compressed else unpack_image
        # Depth 1: the slot holds the latest image, and more of them in the middleware would only be older.
        self.qos = image_qos(reliability)  # after the first subscription: as the user's qos_overrides have it

    @property
    def listening(self) -> bool:
        return self._subscription is not None

    def listen(self, wanted: bool) -> None:
        """Makes or destroys the subscription."""
        if wanted == self.listening:
            return
        if self._subscription is not None:
            self._node.destroy_subscription(self._subscription)
            self._subscription = None
            return
        # rclpy of Humble hands over the message alone.
        informed = hasattr(Subscription, "CallbackType")
        self._subscription = self._node.create_subscription(
            self._message_type,
            self.topic,
            self._on_message if informed else lambda message: self._on_message(message, {}),
            self.qos,
            qos_overriding_options=QoSOverridingOptions.with_default_policies(),
        )

    def pump(self) -> bool:
        """Takes an image that waits, without the executor; whether there was one."""
        if self._subscription is None:
            return False
        with self._subscription.handle:
            taken = self._subscription.handle.take_message(self._message_type, False)
        if taken is None:
            return False
        self._on_message(*taken)
        return True

    def count_publishers(self) -> None:
        """To be called now and then: two publishers without names (Jazzy) cannot be told apart."""
        self._crowded = self._node.count_publishers(self.topic) > 1

    def _on_message(self, message: ImageMessage, info: Mapping[str, Any]) -> None:
        publisher = (info.get("publisher_gid") or {}).get("data", b"")
        numbered = publisher or not self._crowded
        self._on_image(message, info.get("publication_sequence_number") if numbered else None, publisher)


def _compressed_topic(node: Node) -> str:
    remapped = node.resolve_topic_name("image_raw/compressed")
    if remapped != node.resolve_topic_name("image_raw/compressed", only_expand=True):
        return remapped
    base = node.resolve_topic_name("image_raw")
    return base if base.endswith("/compressed") else f"{base}/compressed"
