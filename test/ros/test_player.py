"""`player_node` as a process over real DDS."""

import cv2
import numpy as np
import pytest

rclpy = pytest.importorskip("rclpy", reason="needs ROS 2: make setup, or source an installation")

from ros_helpers import Peer, colored_images
from sensor_msgs.msg import Image

from nanodet_kp_core.runtime.images.image_message import from_image
from nanodet_kp_ros.qos import image_qos


@pytest.fixture
def received():
    """A peer and the list of (image message, seconds of the peer's clock) that it received on image_raw."""
    peer = Peer()
    messages = []
    peer.node.create_subscription(
        Image,
        "image_raw",
        lambda message: messages.append((message, peer.node.get_clock().now().nanoseconds / 1e9)),
        image_qos("reliable"),
    )
    yield peer, messages
    peer.close()


@pytest.fixture
def folder(tmp_path):
    images = colored_images(4)
    for number, image in enumerate(images):
        cv2.imwrite(str(tmp_path / f"image {number}.png"), image)
    return tmp_path, images


def test_a_folder_once(start, received, folder):
    peer, messages = received
    path, images = folder
    node = start("player_node", "-p", f"source:='{path}'", "-p", "fps:=10", "-p", "loop:=false", "-p", "frame_id:=cam")
    assert peer.spin_until(lambda: len(messages) == len(images)), node.output
    assert node.wait() == 0
    assert f"end of {path} after 4 images" in node.output
    for (message, arrived), image in zip(messages, images, strict=True):
        np.testing.assert_array_equal(from_image(message), image)
        assert message.encoding == "bgr8"
        assert message.header.frame_id == "cam"
        stamp = message.header.stamp.sec + message.header.stamp.nanosec / 1e9
        assert 0 <= arrived - stamp < 1.0
    stamps = [message.header.stamp.sec + message.header.stamp.nanosec / 1e9 for message, _ in messages]
    assert np.diff(stamps).max() > 0.05
    assert stamps[-1] - stamps[0] > 0.25  # not faster, however late the first one came


@pytest.mark.alone
def test_images_come_at_the_rate_that_was_asked_for(start, received, folder):
    """The median: on a busy machine some are late, and the player goes on from there."""
    peer, messages = received
    start("player_node", "-p", f"source:={folder[0]}", "-p", "fps:=25.0")
    assert peer.spin_until(lambda: len(messages) >= 25)
    stamps = [message.header.stamp.sec + message.header.stamp.nanosec / 1e9 for message, _ in messages]
    assert np.median(np.diff(stamps)) == pytest.approx(0.04, rel=0.25)


def test_a_video_again_and_again_at_its_own_rate(start, received, tmp_path):
    peer, messages = received
    path = tmp_path / "clip.avi"
    writer = cv2.VideoWriter(str(path), cv2.VideoWriter_fourcc(*"MJPG"), 20, (160, 120))
    for image in colored_images(5):
        writer.write(cv2.GaussianBlur(image, (0, 0), 8))
    writer.release()
    node = start("player_node", "-p", f"source:={path}")
    node.wait_for("on /image_raw at 20 images/s")
    assert peer.spin_until(lambda: len(messages) >= 13), node.output
    images = [from_image(message).astype(int).mean(axis=(0, 1)) for message, _ in messages[:13]]
    np.testing.assert_allclose(images[5:8], images[:3], atol=0.5)
    assert np.abs(images[0] - images[1]).max() > 5
    assert node.running


def test_a_broken_image_is_skipped(start, received, folder):
    peer, messages = received
    path, images = folder
    (path / "image 1.png").write_bytes(b"no image")
    node = start("player_node", "-p", f"source:={path}", "-p", "fps:=20.0", "-p", "loop:=false")
    assert peer.spin_until(lambda: len(messages) == len(images) - 1), node.output
    assert "image 1.png: not a readable image, skipped" in node.wait_for("end of")
    assert node.wait() == 0


def test_only_broken_images_end_it(start, received, tmp_path):
    (tmp_path / "broken.png").write_bytes(b"no image")
    node = start("player_node", "-p", f"source:={tmp_path}")
    assert node.wait() == 2
    assert "player_node: source" in node.output
    assert "Traceback" not in node.output
