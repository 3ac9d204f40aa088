"""Bad input over real DDS: one clear sentence each; the node lives where it can, else its exit code is not 0."""

import array

import pytest

rclpy = pytest.importorskip("rclpy", reason="needs ROS 2: make setup, or source an installation")

from ros_helpers import DetectorPeer, colored_images
from sensor_msgs.msg import CompressedImage, Image
from std_msgs.msg import Header
from tiny_model import encode, make_tiny_model, tiny_metadata

from nanodet_kp_ros.images import to_image


def no_such_file(folder):
    return folder / "none.onnx"


def no_onnx(folder):
    path = folder / "text.onnx"
    path.write_text("this is no model")
    return path


def no_metadata(folder):
    return make_tiny_model(folder / "plain.onnx", with_entry=False)


def other_classes(folder):
    metadata = tiny_metadata(class_names=("B_1", "R_1"))
    output = encode(tiny_metadata(), [])
    return make_tiny_model(folder / "classes.onnx", metadata=metadata, output=output)


@pytest.mark.parametrize(
    ("make", "parts"),
    [
        (no_such_file, ["none.onnx", "no such file"]),
        (no_onnx, ["text.onnx", "expected an ONNX model"]),
        (no_metadata, ["plain.onnx", "'nanodet_kp' metadata", "training/export.py"]),
        (other_classes, ["classes.onnx", "output does not fit its metadata", "expected"]),
    ],
)
def test_bad_model(start, tmp_path, make, parts):
    assert_refused(start("detector_node", "-p", f"model:={make(tmp_path)}"), "detector_node: ", parts)


@pytest.mark.parametrize(
    ("name", "parameter", "parts"),
    [
        ("detector_node", "score_threshold:=7", ["score_threshold", "a number from 0 to 1", "7"]),
        ("detector_node", "score_threshold:=7.5", ["score_threshold", "a number from 0 to 1", "7.5"]),
        ("detector_node", "threads:=two", ["threads", "an integer from 1 to 64", "'two'"]),
        ("detector_node", "image_qos:=fast", ["image_qos", "'best_effort' or 'reliable'", "'fast'"]),
        ("player_node", "source:=''", ["source is empty", "a folder"]),
        ("player_node", "source:=/no/such/clip.avi", ["/no/such/clip.avi", "no such file"]),
        ("player_node", "fps:=-1.0", ["fps", "a number from 0 to 1000"]),
    ],
)
def test_bad_parameter(start, name, parameter, parts):
    assert_refused(start(name, "-p", parameter), f"{name}: ", parts)


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
            peer.spin_until(lambda: False, timeout_s=0.05)
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
            peer.spin_until(lambda: False, timeout_s=0.05)
        node.wait_for("compressed image cannot be decoded: expected JPEG or PNG data, got 7 bytes marked 'jpeg'")
        assert node.running
    finally:
        peer.close()


def test_nothing_sends(start, image_model):
    node = start("detector_node", "-p", f"model:={image_model}", "-p", "image_timeout:=0.5")
    node.wait_for("no image on /image_raw for 0.5 s: expected sensor_msgs/msg/Image, best effort; it has 0 publishers")
    node.wait_for("Other topics that carry images: none")


def test_wrong_topic(start, image_model):
    node = start("detector_node", "-p", f"model:={image_model}", "-p", "image_timeout:=1.0")
    node.wait_for("it has 0 publishers. Other topics that carry images: none. Start the camera")
    peer = DetectorPeer(Image, "/camera/image_color")
    try:
        output = node.wait_for(
            "Other topics that carry images: /camera/image_color (sensor_msgs/msg/Image). Remap image_raw"
        )
        peer.spin_until(lambda: False, timeout_s=3.0)
        assert node.output == output, "the same sentence twice for one silence"
    finally:
        peer.close()


def test_quality_of_service_that_does_not_fit(start, image_model):
    peer = DetectorPeer(Image, "image_raw", "best_effort")
    try:
        node = start(
            "detector_node", "-p", f"model:={image_model}", "-p", "image_qos:=reliable", "-p", "image_timeout:=2.0"
        )
        output = node.wait_for("expected sensor_msgs/msg/Image, reliable; it has 1 publisher (/peer sends")
        assert "sensor_msgs/msg/Image, best effort)" in output
        assert "Set image_qos to best_effort" in output
        assert "offering incompatible QoS" in output, "the middleware's own word on it"
    finally:
        peer.close()


def test_another_silence_is_another_warning(start, image_model):
    peer = DetectorPeer(Image)
    try:
        node = start("detector_node", "-p", f"model:={image_model}", "-p", "image_timeout:=1.0")
        peer.wait_for_detector()
        for number in range(2):
            peer.ask(good(number))
            assert peer.spin_until(lambda number=number: node.output.count("no image on") > number), node.output
    finally:
        peer.close()
