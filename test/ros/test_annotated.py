"""armors/image and armors/image/compressed: the same drawing, made for those who listen."""

from types import SimpleNamespace

import cv2
import numpy as np
import pytest

rclpy = pytest.importorskip("rclpy", reason="needs ROS 2: make setup, or source an installation")

from builtin_interfaces.msg import Time
from ros_helpers import colored_images
from sensor_msgs.msg import CompressedImage, Image
from std_msgs.msg import Header

from nanodet_kp_core.runtime.detection.detector import Detections
from nanodet_kp_core.runtime.images.image_message import ImageView
from nanodet_kp_ros import annotated
from nanodet_kp_ros.annotated import AnnotatedImages, to_jpeg
from nanodet_kp_ros.images import to_image
from nanodet_kp_ros.qos import image_qos

HEADER = Header(stamp=Time(sec=7, nanosec=8), frame_id="optical")
FOUND = Detections(
    np.array([0.9], np.float32),
    np.array([0]),
    np.array([[20, 20, 60, 40]], np.float32),
    np.array([[[20, 20], [21, 40], [60, 41], [59, 21]]], np.float32),
    ("B_3",),
)


class StubNode:
    """Publishers with as many listeners as said; `remapped` are names that a rule replaces."""

    def __init__(self, raw=0, compressed=0, remapped=None):
        self.listeners, self.remapped = [raw, compressed], remapped or {}
        self.sent, self.topics, self.warnings = [], [], []

    def get_logger(self):
        return SimpleNamespace(warning=lambda text, **_: self.warnings.append(text))

    def resolve_topic_name(self, name, *, only_expand=False):
        return f"/{name}" if only_expand else self.remapped.get(name, f"/{name}")

    def create_publisher(self, message_type, topic, qos, **_):
        count = self.listeners[len(self.topics)]
        self.topics.append(topic)
        return SimpleNamespace(
            topic_name=topic, publish=self.sent.append, get_subscription_count=lambda: count, qos=qos
        )


@pytest.fixture
def drawn(monkeypatch):
    """How often something was drawn."""
    calls = []
    real = annotated.draw
    monkeypatch.setattr(annotated, "draw", lambda *values: calls.append(1) or real(*values))
    return calls


@pytest.mark.parametrize(
    ("raw", "compressed", "types"),
    [(0, 0, []), (1, 0, [Image]), (0, 2, [CompressedImage]), (1, 1, [Image, CompressedImage])],
)
def test_only_what_is_listened_to_and_drawn_once(drawn, raw, compressed, types):
    node = StubNode(raw, compressed)
    AnnotatedImages(node, 80).publish(ImageView(np.zeros((60, 80, 3), np.uint8), "bgr"), FOUND, HEADER)
    assert [type(message) for message in node.sent] == types
    assert all(message.header == HEADER for message in node.sent)
    assert len(drawn) == bool(types)


def test_the_jpeg_shows_the_drawing(drawn):
    node = StubNode(1, 1)
    image = np.full((60, 80, 3), (200, 90, 30), np.uint8)
    AnnotatedImages(node, 95).publish(ImageView(image, "bgr"), FOUND, HEADER)
    raw, compressed = node.sent
    assert compressed.format == "bgr8; jpeg compressed bgr8"
    decoded = cv2.imdecode(np.frombuffer(compressed.data, np.uint8), cv2.IMREAD_COLOR)
    wanted = np.frombuffer(raw.data, np.uint8).reshape(60, 80, 3)
    assert np.abs(decoded[50:].astype(int) - image[50:]).max() <= 3  # its colors in the order of OpenCV
    assert np.abs(decoded.astype(int) - wanted).mean() < np.abs(decoded.astype(int) - image).mean() / 3


def test_quality():
    image = colored_images(1)[0]
    assert len(to_jpeg(image, HEADER, 10).data) < len(to_jpeg(image, HEADER, 80).data) / 2


@pytest.mark.parametrize(
    ("remapped", "topic"),
    [
        ({}, "/armors/image/compressed"),
        ({"armors/image": "/debug/plates"}, "/debug/plates/compressed"),
        ({"armors/image": "/debug/plates", "armors/image/compressed": "/small"}, "/small"),
    ],
)
def test_the_topic_follows_the_raw_one(remapped, topic):
    node = StubNode(remapped=remapped)
    AnnotatedImages(node, 80)
    assert node.topics == ["armors/image", topic]


def test_an_image_that_no_jpeg_can_hold(drawn, monkeypatch):
    monkeypatch.setattr(annotated, "_LONGEST_SIDE", 79)
    node = StubNode(1, 1)
    AnnotatedImages(node, 80).publish(ImageView(np.zeros((60, 80, 3), np.uint8), "bgr"), FOUND, HEADER)
    assert [type(message) for message in node.sent] == [Image]
    assert node.warnings == [
        "/armors/image/compressed: expected sides of at most 79 pixels, which JPEG can hold, got 80x60; listen to "
        "armors/image instead"
    ]


def test_the_longest_side_is_encoded():
    side = annotated._LONGEST_SIDE
    assert len(to_jpeg(np.zeros((1, side, 3), np.uint8), HEADER, 80).data) > 0


def test_over_the_wire_with_the_quality_that_is_set(start, peer, image_model):
    node, got = start("detector_node", "-p", f"model:={image_model}", "-p", "jpeg_quality:=10"), []
    peer.node.create_subscription(CompressedImage, "armors/image/compressed", got.append, image_qos("best_effort"))
    peer.wait_for_detector()
    image = colored_images(1)[0]
    for _ in range(60):
        peer.ask(to_image(image, HEADER))
        if peer.spin_until(lambda: bool(got), 0.5):
            break
    assert got, node.output
    assert got[-1].header == HEADER
    assert 0 < len(got[-1].data) < len(to_jpeg(image, HEADER, 80).data) / 2


@pytest.mark.parametrize("topic", ["armors", "armors/image", "armors/image/compressed", "armors/markers"])
def test_quality_of_service_of_the_publishers_by_the_usual_overrides(start, peer, image_model, topic):
    name = f"qos_overrides./{topic}.publisher"
    start("detector_node", "-p", f"model:={image_model}", "-p", f"{name}.reliability:=best_effort")
    assert peer.spin_until(lambda: peer.node.count_publishers(topic) > 0)
    (info,) = peer.node.get_publishers_info_by_topic(topic)
    assert info.qos_profile.reliability == rclpy.qos.ReliabilityPolicy.BEST_EFFORT
