"""Why no image comes: each piece of advice, followed exactly, brings the images."""

import array
import re

import cv2
import pytest

rclpy = pytest.importorskip("rclpy", reason="needs ROS 2: make setup, or source an installation")

from ros_helpers import DetectorPeer, Peer, colored_images
from sensor_msgs.msg import CompressedImage, Image
from std_msgs.msg import Header

from nanodet_kp_ros.images import to_image
from nanodet_kp_ros.qos import image_qos
from nanodet_kp_ros.silence import COMPRESSED, RAW, Silence, discovery_advice

PICTURE = colored_images(1)[0]


def said(topic="/image_raw", wanted=RAW, reliable=False, types=(), others=(), came=False, environment=None):
    return Silence(topic, wanted, reliable, types, others, came, environment or {}).advice()


@pytest.mark.parametrize(
    ("known", "words"),
    [
        ({"others": [("/a/image", RAW)]}, "-r image_raw:=/a/image -p image_transport:=raw"),
        ({"others": [("/a/image/compressed", COMPRESSED)]}, "-r image_raw:=/a/image -p image_transport:=compressed"),
        ({"others": [("/a/jpeg", COMPRESSED)]}, "-r image_raw/compressed:=/a/jpeg -p image_transport:=compressed"),
        ({"others": [("/a", RAW), ("/b", RAW)]}, "Remap image_raw to one of them, for the first: start the node"),
        ({"others": [("/image_raw/compressed", COMPRESSED), ("/b", RAW)]}, "The camera sends /image_raw/compressed: "),
        (
            {"topic": "/image_raw/compressed", "wanted": COMPRESSED, "others": [("/image_raw", RAW)]},
            "The camera sends /image_raw: start the node with -r image_raw:=/image_raw -p image_transport:=raw",
        ),
        ({"types": [COMPRESSED]}, "-r image_raw/compressed:=/image_raw -p image_transport:=compressed"),
        ({"types": ["std_msgs/msg/String"]}, "That is no image: remap image_raw to the camera's image"),
        ({"types": ["std_msgs/msg/String"], "others": [("/a", RAW)]}, "That is no image: start the node with"),
        ({"types": [RAW], "reliable": True}, "Set image_qos to best_effort"),
        ({"types": [RAW]}, "It may not have sent anything yet"),
        ({"types": [RAW], "came": True}, "It has stopped, or large images are lost on the way"),
        ({}, "Start the camera with the same ROS_DOMAIN_ID as this node (0)"),
        ({"environment": {"ROS_DOMAIN_ID": "7"}}, "ROS_DOMAIN_ID as this node (7)"),
    ],
)
def test_advice(known, words):
    assert words in said(**known)


@pytest.mark.parametrize(
    ("environment", "words"),
    [
        ({"ROS_LOCALHOST_ONLY": "1"}, "ROS_LOCALHOST_ONLY is 1 here: other machines are not seen"),
        ({"ROS_AUTOMATIC_DISCOVERY_RANGE": "off"}, "is OFF here: no other node is found; set it to SUBNET"),
        ({"ROS_AUTOMATIC_DISCOVERY_RANGE": "LOCALHOST"}, "is LOCALHOST here: other machines are not seen"),
        ({"ROS_DISCOVERY_SERVER": "10.0.0.1:11811"}, "ROS_DISCOVERY_SERVER is set here"),
    ],
)
def test_settings_that_hide_others_are_named(environment, words):
    assert words in discovery_advice(environment)
    assert not [name for name in environment if name in discovery_advice({})]


def compressed(number):
    message = CompressedImage(format="bgr8; jpeg compressed bgr8", header=Header(frame_id="optical"))
    message.header.stamp.sec = 100 + number
    message.data = array.array("B", cv2.imencode(".png", PICTURE)[1].tobytes())
    return message


def raw(number):
    message = to_image(PICTURE, Header(frame_id="optical"))
    message.header.stamp.sec = 100 + number
    return message


@pytest.mark.parametrize(
    ("kind", "topic", "first"),
    [
        (CompressedImage, "/cam/image_raw/compressed", ["-r", "image_raw:=/cam/image_raw"]),
        (CompressedImage, "/cam/image_raw/compressed", ["-r", "image_raw:=/cam/image_raw/compressed"]),
        (CompressedImage, "/cam/image_raw/compressed", []),
        (CompressedImage, "/cam/jpeg", ["-r", "image_raw:=/cam/jpeg"]),
        (CompressedImage, "/image_raw", []),
        (Image, "/cam/image_raw", ["-r", "image_raw:=/cam/image_raw", "-p", "image_transport:=compressed"]),
        (Image, "/cam/image_color", []),
    ],
)
def test_the_advice_leads_out(start, image_model, kind, topic, first):
    """The node is started wrongly, and then with just the arguments that its warning names."""
    own = ["-p", f"model:={image_model}", "-p", "image_timeout:=0.5"]
    peer = DetectorPeer(kind, topic)
    try:
        node = start("detector_node", *own, *first)
        for number in range(40):
            peer.publisher.publish((raw if kind is Image else compressed)(number))
            peer.spin_until(lambda: False, timeout_s=0.2)
            if "start the node with" in node.output:
                break
        advice = re.search(r"start the node with ((?:-[rp] \S+ ?)+)", node.wait_for("start the node with"))
        node.stop()
        start("detector_node", *own, *advice[1].split())
        assert len(peer.ask((raw if kind is Image else compressed)(99)).armors) == 2
    finally:
        peer.close()


def test_a_topic_that_ends_in_compressed_is_taken_as_it_is(start, image_model):
    arguments = ["-r", "image_raw:=/cam/image_raw/compressed", "-p", "image_transport:=compressed"]
    node = start("detector_node", "-p", f"model:={image_model}", *arguments)
    peer = DetectorPeer(CompressedImage, "/cam/image_raw/compressed")
    try:
        peer.wait_for_detector()
        assert len(peer.ask(compressed(1)).armors) == 2
        node.wait_for("/cam/image_raw/compressed -> /armors")
        assert peer.node.count_subscribers("/cam/camera_info") == 1
    finally:
        peer.close()


def test_a_remapped_compressed_topic_is_named(start, image_model):
    arguments = ["-r", "image_raw/compressed:=/own/jpeg", "-p", "image_transport:=compressed"]
    node = start("detector_node", "-p", f"model:={image_model}", "-p", "image_timeout:=0.5", *arguments)
    node.wait_for("no image on /own/jpeg for 0.5 s")


def test_a_publisher_that_has_not_begun_is_given_time(start, image_model):
    """A camera is there and takes its time to open: no word about lost images before it had as long as the rest."""
    peer = DetectorPeer(Image)
    try:
        node = start("detector_node", "-p", f"model:={image_model}", "-p", "image_timeout:=1.0")
        output = node.wait_for("It may not have sent anything yet")
        # Twice the time, by the node's own clock; what came before is about a publisher that it had not seen yet.
        assert logged_s(output, "It may not have sent") - logged_s(output, "-> /armors") > 1.5
        assert len(peer.ask(raw(1)).armors) == 2
    finally:
        peer.close()


def logged_s(output, words):
    """When the node wrote the line with these words: `[INFO] [1700000000.123456789] [detector_node]: ...`."""
    (line,) = (line for line in output.splitlines() if words in line)
    return float(re.search(r"\[(\d+\.\d+)\]", line)[1])


def test_the_drawing_of_another_detector_is_no_camera(start, image_model):
    start("detector_node", "-p", f"model:={image_model}", "-r", "__ns:=/front")
    waiting = Peer("waiting")
    try:
        assert waiting.spin_until(lambda: waiting.node.count_publishers("/front/armors/image") == 1)
        node = start("detector_node", "-p", f"model:={image_model}", "-p", "image_timeout:=1.0")
        output = node.wait_for("no image on /image_raw")
        assert "Other topics that carry images: none" in output
        waiting.node.create_publisher(Image, "/camera/color", image_qos("reliable"))
        node.wait_for("Other topics that carry images: /camera/color (sensor_msgs/msg/Image)")
    finally:
        waiting.close()
