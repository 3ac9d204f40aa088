"""Bags: what is read out of them, and what player_node makes of them."""

import sys

import cv2
import numpy as np
import pytest

rclpy = pytest.importorskip("rclpy", reason="needs ROS 2: make setup, or source an installation")
pytest.importorskip("rosbags", reason="needs ROS 2: rosbags, make setup")

from bag_helpers import MATRIX, PERIOD_NS, START_NS, compressed_entry, image_entry, info_entry, write_bag
from ros_helpers import Peer, colored_images
from sensor_msgs.msg import CameraInfo, CompressedImage, Image

from nanodet_kp_core.errors import SourceError
from nanodet_kp_core.runtime.images.image_message import from_image
from nanodet_kp_core.runtime.images.rosbag_reader import Bag, is_bag
from nanodet_kp_ros.feeds import BagFeed, _to_ros
from nanodet_kp_ros.qos import image_qos

STORAGES = ("sqlite3", "mcap")
IMAGES = colored_images(4)


def entries(kind=image_entry, count=4):
    return [entry for k in range(count) for entry in (info_entry(k), kind(IMAGES[k], k))]


def open_and_close(path, topic=""):
    bag = Bag(path, topic)
    bag.close()
    return bag


@pytest.mark.parametrize("storage", STORAGES)
def test_the_messages_of_a_bag(tmp_path, storage):
    path = write_bag(tmp_path / "bag", entries(), storage)
    (file,) = (file for file in path.iterdir() if file.suffix in (".mcap", ".db3"))
    for source in (path, file):
        assert is_bag(source)
        bag = Bag(source)
        assert (bag.topic, bag.type_name) == ("/front/image_raw", "sensor_msgs/msg/Image")
        assert bag.info_topic == "/front/camera_info"
        for _ in range(2):
            found = list(bag)
            assert [entry.topic for entry in found] == ["/front/camera_info", "/front/image_raw"] * 4
            assert [entry.time_ns for entry in found[1::2]] == [START_NS + k * PERIOD_NS for k in range(4)]
        message = bag.message(found[3])
        np.testing.assert_array_equal(from_image(message), IMAGES[1])
        bag.close()


@pytest.mark.parametrize("storage", STORAGES)
def test_a_recording_without_its_metadata(tmp_path, storage):
    """As a recorder leaves it that was killed."""
    path = write_bag(tmp_path / "bag", entries(), storage)
    (path / "metadata.yaml").unlink()
    assert is_bag(path)
    bag = Bag(path)
    assert len(list(bag)) == 8
    bag.close()


def test_a_recording_of_ros_1(tmp_path):
    from rosbags.rosbag1 import Writer
    from rosbags.typesys import Stores, get_typestore

    store = get_typestore(Stores.ROS1_NOETIC)
    types = store.types
    stamp = types["builtin_interfaces/msg/Time"](sec=7, nanosec=8)
    head = types["std_msgs/msg/Header"](seq=1, stamp=stamp, frame_id="c")
    pixels = IMAGES[0]
    height, width = pixels.shape[:2]
    image = types["sensor_msgs/msg/Image"](head, height, width, "bgr8", 0, 3 * width, pixels.ravel())
    region = types["sensor_msgs/msg/RegionOfInterest"](0, 0, 0, 0, False)
    info = types["sensor_msgs/msg/CameraInfo"](
        head, height, width, "plumb_bob", np.zeros(5), MATRIX, np.eye(3).ravel(), np.zeros(12), 0, 0, region
    )
    with Writer(tmp_path / "old.bag") as writer:
        for topic, message in (("/front/image_raw", image), ("/front/camera_info", info)):
            connection = writer.add_connection(topic, message.__msgtype__, typestore=store)
            writer.write(connection, START_NS, store.serialize_ros1(message, message.__msgtype__))
    bag = Bag(tmp_path / "old.bag")
    assert (bag.topic, bag.info_topic) == ("/front/image_raw", "/front/camera_info")
    found = {entry.topic: bag.message(entry) for entry in bag}
    np.testing.assert_array_equal(from_image(found["/front/image_raw"]), pixels)
    ros = _to_ros(found["/front/camera_info"], CameraInfo)
    assert list(ros.k) == MATRIX.tolist()
    assert ros.header.stamp.sec == 7
    bag.close()


def test_a_broken_recording_says_what_may_repair_it(tmp_path):
    path = write_bag(tmp_path / "bag", entries(), "mcap")
    (file,) = path.glob("*.mcap")
    file.write_bytes(file.read_bytes()[:-200])
    for source in (path, file):
        with pytest.raises(SourceError, match=rf"`mcap recover {file.name} -o repaired.mcap` saves what is in it"):
            list(Bag(source))
    packed = tmp_path / "packed" / "own.db3.zstd"
    packed.parent.mkdir()
    packed.write_bytes(b"\x28\xb5\x2f\xfd")
    for source in (packed, packed.parent):
        assert is_bag(source)
        with pytest.raises(SourceError, match=r"got a compressed file; unpack it with `zstd -d own.db3.zstd`"):
            Bag(source)


def test_what_is_no_bag(tmp_path):
    (tmp_path / "clip.avi").write_bytes(b"x")
    assert not is_bag(tmp_path / "clip.avi")
    assert not is_bag(tmp_path)
    assert not is_bag(tmp_path / "none.mcap")
    with pytest.raises(SourceError, match=r"expected a folder with metadata.yaml, a .mcap, .db3 or .bag file"):
        Bag(tmp_path)


def test_the_topic_must_be_chosen_among_several(tmp_path):
    images = [image_entry(IMAGES[0], 0, "/left/image"), compressed_entry(IMAGES[0], 0)]
    path = write_bag(tmp_path / "bag", [*images, info_entry(0, "/left/camera_info")])
    listed = "/front/image_raw/compressed, /left/image"
    with pytest.raises(SourceError, match=f"the name of one topic with images, got several: {listed}"):
        Bag(path)
    with pytest.raises(SourceError, match=f"expected images on /right, got images on: {listed}"):
        Bag(path, "/right")
    with pytest.raises(SourceError, match="expected images on /left/camera_info"):
        Bag(path, "/left/camera_info")
    assert open_and_close(path, "/left/image").info_topic == "/left/camera_info"
    # The only camera_info of a bag is taken for whatever camera there is.
    assert open_and_close(path, "/front/image_raw/compressed").info_topic == "/left/camera_info"


def test_the_camera_of_each_topic(tmp_path):
    infos = [info_entry(0, f"/{name}/camera_info") for name in ("left", "front")]
    path = write_bag(tmp_path / "bag", [*infos, compressed_entry(IMAGES[0], 0), image_entry(IMAGES[0], 0, "/up/image")])
    assert open_and_close(path, "/front/image_raw/compressed").info_topic == "/front/camera_info"
    assert open_and_close(path, "/up/image").info_topic is None


def test_a_bag_without_images(tmp_path):
    with pytest.raises(SourceError, match="expected images on a topic, got images on: none"):
        Bag(write_bag(tmp_path / "bag", [info_entry(0)]))


def test_without_the_library(tmp_path, monkeypatch):
    path = write_bag(tmp_path / "bag", entries())
    monkeypatch.setitem(sys.modules, "rosbags.highlevel", None)
    with pytest.raises(SourceError, match="expected the Python library that reads bags, got none: pip install rosbags"):
        Bag(path)


def sentence_of(path):
    """What is said when all of a bag is read; empty when nothing is wrong."""
    try:
        bag = Bag(path)
    except SourceError as error:
        return str(error)
    try:
        for recorded in bag:
            bag.message(recorded)
    except SourceError as error:
        return str(error)
    finally:
        bag.close()
    return ""


@pytest.mark.parametrize("storage", STORAGES)
def test_broken_bags_are_one_sentence(tmp_path, storage):
    """Cut off, or with bytes changed: it opens and ends cleanly, or says that it is broken."""
    path = write_bag(tmp_path / "bag", entries(), storage)
    (file,) = (file for file in path.iterdir() if file.suffix in (".mcap", ".db3"))
    whole, rng, refused = file.read_bytes(), np.random.default_rng(1), 0
    for number in range(60):
        data = bytearray(whole)
        for at in rng.integers(0, len(data), 20):
            data[at] = rng.integers(256)
        file.write_bytes(data[: rng.integers(len(data))] if number % 2 else data)
        said = sentence_of(path)
        refused += bool(said)
        assert not said or (said.startswith(f"bag {path}: expected ") and "\n" not in said)
    assert 20 < refused < 60


INFORMATION = "rosbag2_bagfile_information: "


@pytest.mark.parametrize("text", ["", "[", INFORMATION + "3", INFORMATION + "{version: 99}"])
def test_broken_metadata(tmp_path, text):
    path = write_bag(tmp_path / "bag", entries())
    (path / "metadata.yaml").write_text(text)
    with pytest.raises(SourceError, match="expected a complete rosbag2 recording, got: "):
        Bag(path)


class StubNode:
    """What BagFeed needs of a node; keeps the warnings."""

    def __init__(self):
        self.warnings = []
        self.topics = []

    def get_logger(self):
        return self

    def warning(self, text, **_):
        self.warnings.append(text)

    def resolve_topic_name(self, name):
        return f"/ns/{name}"

    def create_publisher(self, message_type, topic, _qos, **_):
        self.topics.append((message_type, topic))
        return topic


@pytest.mark.parametrize("storage", STORAGES)
def test_the_steps_of_a_bag(tmp_path, storage):
    node, bag = StubNode(), Bag(write_bag(tmp_path / "bag", entries(compressed_entry), storage))
    feed = BagFeed(node, bag, 0.0, "reliable")
    assert node.topics == [(CompressedImage, "/ns/image_raw/compressed"), (CameraInfo, "camera_info")]
    steps = list(feed)
    assert [step.publisher for step in steps] == ["camera_info", feed.main] * 4
    # The pause goes from a message to the next: none between an info and its image.
    assert [step.pause_s for step in steps] == pytest.approx([0, 0.05, 0, 0.05, 0, 0.05, 0, 0])
    info, image = steps[2].message, steps[3].message
    assert isinstance(info, CameraInfo) and isinstance(image, CompressedImage)
    assert info.k.tolist() == MATRIX.tolist()
    assert (info.width, info.height, info.distortion_model, info.header.frame_id) == (160, 120, "plumb_bob", "camera")
    assert image.format == "jpeg"
    stamp = image.header.stamp.sec * 10**9 + image.header.stamp.nanosec
    assert stamp == START_NS + PERIOD_NS - 10_000_000
    decoded = cv2.imdecode(np.frombuffer(image.data, np.uint8), cv2.IMREAD_COLOR)
    assert np.abs(decoded.astype(int).mean(axis=(0, 1)) - IMAGES[1].mean(axis=(0, 1))).max() < 3
    assert [step.pause_s for step in BagFeed(node, bag, 10.0, "reliable")] == pytest.approx([0, 0.1] * 4)
    feed.close()


def test_messages_that_are_none_are_left_out(tmp_path):
    good, none = image_entry(IMAGES[0], 0), image_entry(IMAGES[1], 1)
    garbage = type(none)(none.topic, none.type_name, none.time_ns, b"\x00\x01\x00\x00" + b"\xff" * 40)
    empty = type(none)(none.topic, none.type_name, none.time_ns + 1, b"")
    node = StubNode()
    bag = Bag(write_bag(tmp_path / "bag", [good, garbage, empty, image_entry(IMAGES[2], 2)]))
    steps = list(BagFeed(node, bag, 0.0, "reliable"))
    assert len(steps) == 2
    np.testing.assert_array_equal(from_image(steps[1].message), IMAGES[2])
    assert len(node.warnings) == 2
    assert "44 bytes that are none" in node.warnings[0]
    bag.close()


def test_a_clock_that_was_set_back_or_forth_does_not_stop_the_player(tmp_path):
    first, second, third = (image_entry(IMAGES[k], k) for k in range(3))
    far = [type(e)(e.topic, e.type_name, t, e.message) for e, t in ((first, 0), (second, 10**18), (third, 5))]
    bag = Bag(write_bag(tmp_path / "bag", far))
    assert all(0 <= step.pause_s <= 3600 for step in BagFeed(StubNode(), bag, 0.0, "reliable"))
    bag.close()


@pytest.mark.parametrize("storage", STORAGES)
def test_the_player_plays_a_bag(start, tmp_path, storage):
    """Over real DDS, twice as fast: the same headers and bytes, at their times."""
    path = write_bag(tmp_path / "bag", entries(), storage)
    peer, images, infos = Peer(), [], []
    node_clock = peer.node.get_clock()
    peer.node.create_subscription(Image, "image_raw", lambda m: images.append((m, node_clock.now().nanoseconds)),
                                  image_qos("reliable"))  # fmt: skip
    peer.node.create_subscription(CameraInfo, "camera_info", infos.append, image_qos("reliable"))
    node = start("player_node", "-p", f"source:={path}", "-p", "loop:=false", "-p", "rate:=0.5")
    assert peer.spin_until(lambda: len(images) == 4), node.output
    assert node.wait() == 0
    assert "on /image_raw at the recorded times, 0.5 times as fast" in node.output
    assert f"end of {path} after 4 images" in node.output
    for number, (message, _) in enumerate(images):
        np.testing.assert_array_equal(from_image(message), IMAGES[number])
        assert message.header.frame_id == "camera"
        stamp = message.header.stamp.sec * 10**9 + message.header.stamp.nanosec
        assert stamp == START_NS + number * PERIOD_NS - 10_000_000
    assert (images[-1][1] - images[0][1]) / 1e9 > 0.2  # 0.3 s; a loaded machine delivers the first ones late
    assert peer.spin_until(lambda: len(infos) >= 1)
    assert infos[-1].k.tolist() == MATRIX.tolist()
    peer.close()


def test_the_player_refuses_a_broken_bag(start, tmp_path):
    path = write_bag(tmp_path / "bag", entries())
    (path / "metadata.yaml").write_text("nothing")
    node = start("player_node", "-p", f"source:={path}")
    assert node.wait() == 2
    assert f"player_node: bag {path}: expected a complete rosbag2 recording" in node.output
    assert "Traceback" not in node.output
