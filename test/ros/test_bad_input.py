"""Bad input over real DDS: one clear sentence each; the node lives where it can, else its exit code is not 0."""

import array

import cv2
import numpy as np
import pytest

rclpy = pytest.importorskip("rclpy", reason="needs ROS 2: make setup, or source an installation")

from ros_helpers import DetectorPeer, colored_images
from sensor_msgs.msg import CompressedImage, Image
from std_msgs.msg import Header

from nanodet_kp_core.runtime.detection.detector import Detector
from nanodet_kp_ros.images import to_image


def no_such_file(folder):
    return folder / "none.onnx"


def no_onnx(folder):
    path = folder / "text.onnx"
    path.write_text("this is no model")
    return path


@pytest.mark.parametrize(
    ("make", "parts"),
    [
        (no_such_file, ["none.onnx", "no such file"]),
        (no_onnx, ["text.onnx", "expected an ONNX model"]),
    ],
)
def test_bad_model(start, tmp_path, make, parts):
    assert_refused(start("detector_node", "-p", f"model:={make(tmp_path)}"), "detector_node: ", parts)


@pytest.mark.parametrize(
    ("name", "parameter", "parts"),
    [
        ("detector_node", "score_threshold:=7", ["score_threshold", "a number from 0 to 1", "7"]),
        ("detector_node", "threads:=two", ["threads", "an integer from 1 to 64", "'two'"]),
        ("detector_node", "spin:=true -p threads:=64", ["threads: expected at most", "with spin", "got 64"]),
        ("detector_node", "image_qos:=fast", ["image_qos", "'best_effort' or 'reliable'", "'fast'"]),
        ("player_node", "source:=''", ["source is empty", "folder"]),
        ("player_node", "source:=/no/such/clip.avi", ["/no/such/clip.avi", "no such file"]),
        ("player_node", "fps:=-1.0", ["fps", "a number from 0 to 1000"]),
    ],
)
def test_bad_parameter(start, name, parameter, parts):
    assert_refused(start(name, "-p", *parameter.split()), f"{name}: ", parts)


def assert_refused(node, prefix, parts):
    """Ends by itself with exit code 2 and one line that says it all."""
    assert node.wait() == 2, node.output
    (line,) = [line for line in node.output.splitlines() if line.startswith(prefix)]
    for part in parts:
        assert part in line
    assert "Traceback" not in node.output


def unknown_encoding():
    message = good(1)
    message.encoding = "purple8"
    return message


def truncated():
    message = good(1)
    message.data = message.data[:1000]
    return message


def good(number):
    message = to_image(colored_images(1)[0], Header(frame_id="optical"))
    message.header.stamp.sec = 100 + number
    return message


@pytest.mark.parametrize(
    ("make", "sentence"),
    [
        (unknown_encoding, "image of encoding 'purple8', 160x120, cannot be used: expected one of bgr8"),
        (truncated, "is truncated: expected step * height = 57600 bytes of data, got 1000"),
        (lambda: Image(encoding="bgr8"), "image is empty: expected a width and a height above 0, got 0x0"),
    ],
    ids=["unknown encoding", "truncated", "empty"],
)
def test_bad_image(start, image_model, make, sentence):
    node = start("detector_node", "-p", f"model:={image_model}")
    peer = DetectorPeer(Image)
    try:
        peer.wait_for_detector()
        for _ in range(20):
            peer.publisher.publish(make())
            peer.spin_until(lambda: False, timeout_s=0.02)
        output = node.wait_for(sentence)
        assert len(peer.ask(good(2)).armors) == 2, "the node must go on after it"
        assert output.count(sentence) == 1, "said more than once within five seconds"
        assert "Traceback" not in node.output
    finally:
        peer.close()


def test_bad_compressed_image(start, image_model):
    node = start("detector_node", "-p", f"model:={image_model}", "-p", "image_transport:=compressed")
    peer = DetectorPeer(CompressedImage, "image_raw/compressed")
    try:
        peer.wait_for_detector()
        for _ in range(20):
            peer.publisher.publish(CompressedImage(format="jpeg", data=array.array("B", b"rubbish")))
            peer.spin_until(lambda: False, timeout_s=0.02)
        node.wait_for(
            "compressed image cannot be decoded: expected JPEG or PNG data of at most 67108864 pixels, got 7 bytes"
        )
        assert node.running
    finally:
        peer.close()


def test_bits_that_nobody_shifted(start, image_model):
    """12 bits in 16: a black image, which is said once; each is answered all the same."""
    node = start("detector_node", "-p", f"model:={image_model}")
    peer = DetectorPeer(Image)
    gray = colored_images(1)[0][..., 0].astype("<u2")
    try:
        peer.wait_for_detector()
        for number, bits in enumerate((12, 12, 16, 12)):
            sent = good(number)
            sent.encoding, sent.step = "mono16", 320
            sent.data = array.array("B", (gray << (bits - 8)).tobytes())
            assert len(peer.ask(sent).armors) == 2
        output = node.wait_for("of which only 12 are used so far")
        assert output.count("of which only") == 1
        assert node.wait_for("images are gray: the color of a plate is a guess").count("images are gray") == 1
    finally:
        peer.close()


def test_a_mosaic_in_a_compressed_message_is_seen_as_the_raw_one(start, image_model):
    start("detector_node", "-p", f"model:={image_model}", "-p", "image_transport:=compressed")
    peer = DetectorPeer(CompressedImage, "image_raw/compressed")
    mosaic = np.tile(np.array([[200, 120], [120, 40]], np.uint8), (60, 80))  # red, green; green, blue
    found = Detector(image_model)(np.full((120, 160, 3), (40, 120, 200), np.uint8))
    try:
        peer.wait_for_detector()
        sent = CompressedImage(format="bayer_rggb8; png compressed ")
        sent.data = array.array("B", cv2.imencode(".png", mosaic)[1].tobytes())
        sent.header.stamp.sec = 5
        answer = peer.ask(sent)
        corners = [[[p.x, p.y] for p in armor.corners] for armor in answer.armors]
        np.testing.assert_allclose(np.reshape(corners, (-1, 4, 2)), found.corners, atol=0.05)
    finally:
        peer.close()
