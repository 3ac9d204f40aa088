"""What pains of other systems the node promises not to have (docs/pains.md). The name of each test says which."""

import json
import re
import subprocess
import sys

import numpy as np
import onnx
import onnxruntime
import pytest

rclpy = pytest.importorskip("rclpy", reason="needs ROS 2: make setup, or source an installation")

from builtin_interfaces.msg import Time
from rclpy.qos import ReliabilityPolicy
from ros_helpers import PLATES, ROOT, DetectorPeer, colored_images
from sensor_msgs.msg import CompressedImage, Image
from speed import processor_s, spinning
from std_msgs.msg import Header
from std_msgs.msg import String as Text
from tiny_model import TinyPlate, encode, make_tiny_model, tiny_metadata

from nanodet_kp_core.runtime.models.session import usable_cores
from nanodet_kp_ros import detector_node
from nanodet_kp_ros.images import to_image


def good(number, stamp_s=100.0):
    stamp_s += number
    header = Header(stamp=Time(sec=int(stamp_s), nanosec=int(stamp_s % 1 * 1e9)), frame_id="optical")
    return to_image(colored_images(1)[0], header)


def now_header(peer):
    return Header(stamp=peer.node.get_clock().now().to_msg(), frame_id="optical")


# The node is silent.


def test_promise_silence_is_explained_when_nothing_sends(start, image_model):
    node = start("detector_node", "-p", f"model:={image_model}", "-p", "image_timeout:=0.5")
    node.wait_for("no image on /image_raw for 0.5 s: expected sensor_msgs/msg/Image, best effort; it has 0 publishers")
    node.wait_for("Other topics that carry images: none")


def test_promise_silence_is_explained_when_the_topic_is_wrong(start, image_model):
    node = start("detector_node", "-p", f"model:={image_model}", "-p", "image_timeout:=0.3")
    node.wait_for("it has 0 publishers. Other topics that carry images: none. Start the camera")
    peer = DetectorPeer(Image, "/camera/image_color")
    try:
        output = node.wait_for(
            "Other topics that carry images: /camera/image_color (sensor_msgs/msg/Image). Remap image_raw"
        )
        peer.figures()
        peer.figures()  # the node's clock went on by a second: it looked again at least twice
        assert node.output == output, "the same sentence twice for one silence"
    finally:
        peer.close()


def test_promise_silence_is_explained_when_the_quality_of_service_does_not_fit(start, image_model):
    peer = DetectorPeer(Image, "image_raw", "best_effort")
    try:
        node = start(
            "detector_node", "-p", f"model:={image_model}", "-p", "image_qos:=reliable", "-p", "image_timeout:=1.0"
        )
        output = node.wait_for("expected sensor_msgs/msg/Image, reliable; it has 1 publisher (/peer sends")
        assert "sensor_msgs/msg/Image, best effort)" in output
        assert "Set image_qos to best_effort" in output
        assert "offering incompatible QoS" in output, "the middleware's own word on it"
    finally:
        peer.close()


def test_promise_silence_is_explained_again_after_images_came(start, image_model):
    peer = DetectorPeer(Image)
    try:
        node = start("detector_node", "-p", f"model:={image_model}", "-p", "image_timeout:=0.5")
        peer.wait_for_detector()
        for number in range(2):
            peer.ask(good(number))
            assert peer.spin_until(lambda number=number: node.output.count("no image on") > number), node.output
    finally:
        peer.close()


def test_promise_silence_is_explained_when_the_type_is_another(start, image_model):
    """Compressed images, and no images at all, on the very topic."""
    compressed = DetectorPeer(CompressedImage, "image_raw")
    text = DetectorPeer(Text, "/other")
    try:
        node = start("detector_node", "-p", f"model:={image_model}", "-p", "image_timeout:=0.5")
        node.wait_for("-r image_raw/compressed:=/image_raw -p image_transport:=compressed")
        # Its name may come later than its topic; the sentence is then said again.
        node.wait_for("/peer sends sensor_msgs/msg/CompressedImage, reliable")
        node = start(
            "detector_node", "-p", f"model:={image_model}", "-p", "image_timeout:=0.5", "-r", "image_raw:=/other"
        )
        node.wait_for("/peer sends std_msgs/msg/String, reliable")
        node.wait_for("That is no image: start the node with -r image_raw")
    finally:
        compressed.close()
        text.close()


@pytest.mark.parametrize("reliability", ["best_effort", "reliable"])
def test_promise_silence_is_not_by_default_it_receives_from_both_kinds_of_publisher(start, image_model, reliability):
    start("detector_node", "-p", f"model:={image_model}")
    peer = DetectorPeer(Image, "image_raw", reliability)
    try:
        peer.wait_for_detector()
        (info,) = peer.node.get_subscriptions_info_by_topic("/image_raw")
        assert info.qos_profile.reliability == ReliabilityPolicy.BEST_EFFORT
        assert len(peer.ask(good(1)).armors) == 2
    finally:
        peer.close()


# Images in Python are slow and stale.


def test_promise_the_latest_frame_wins_and_drops_are_counted(start, peer, slow_model):
    """A camera of 50 images/s and a detector of a few: no backlog, and every image is accounted for."""
    start("detector_node", "-p", f"model:={slow_model}")
    peer.wait_for_detector()
    peer.ask(to_image(colored_images(1)[0], now_header(peer)))
    sent = []
    for _ in range(75):
        message = to_image(colored_images(1)[0], now_header(peer))
        sent.append((message.header.stamp.sec, message.header.stamp.nanosec))
        peer.publisher.publish(message)
        peer.spin_until(lambda: False, timeout_s=0.02)
    answered = peer.arrays
    newest = set(sent[-25:])
    assert peer.spin_until(lambda: newest & peer.answers.keys()), "none of the last images was answered"
    for _ in range(20):  # until the last one in hand is done
        figures = peer.figures()
        count = {outcome: int(figures[f"{outcome} (since start)"]) for outcome in ("received", "answered", "replaced")}
        if count["received"] == count["answered"] + count["replaced"]:
            break
    assert count["received"] == count["answered"] + count["replaced"]
    assert count["answered"] == peer.arrays
    assert count["replaced"] > 0
    assert peer.arrays - answered <= 5, "images were queued"


def test_promise_latency_and_drops_are_in_the_log_and_in_diagnostics(start, peer, image_model):
    """Images in bursts, of which the middleware keeps one, and such as are none."""
    assert detector_node._REPORT_EVERY == 10  # seconds, for which a test does not wait
    node = start("detector_node", "-p", f"model:={image_model}", _REPORT_EVERY=2)
    peer.wait_for_detector()
    truncated = good(0)
    truncated.data = truncated.data[:100]

    def sent_until_said():
        message = to_image(colored_images(1)[0], now_header(peer))
        for _ in range(30):
            peer.publisher.publish(message)
        peer.spin_until(lambda: False, timeout_s=0.05)
        peer.publisher.publish(truncated)
        peer.spin_until(lambda: False, timeout_s=0.05)
        return "did not arrive" in node.output

    assert peer.spin_until(sent_until_said), node.output
    assert re.search(
        r"\d+\.\d images/s, detector \d+\.\d ms, image stamp to publish \d+\.\d ms \(medians\); "
        r"of \d+ images \d+ lost.*, \d+ malformed",
        node.output,
    )
    assert re.search(r"/image_raw: of \d+ images sent in \d+ s \d+ did not arrive \(\d\d%\)", node.output)
    assert "fastdds_images.xml" in node.output
    figures = peer.figures()
    assert float(figures["latency ms (median)"]) > 0
    assert float(figures["network ms (median)"]) > 0
    assert int(figures["malformed (last 10 s)"]) > 0
    assert int(figures["lost (since start)"]) > 0

    def last_error():
        """Of a bad image that comes after the word about the loss, which is said once a minute."""
        peer.publisher.publish(truncated)
        return peer.figures()["last error"]

    assert peer.spin_until(lambda: "is truncated" in last_error()), node.output


# cv_bridge, NumPy 2, OpenCV versions.


def test_promise_no_cv_bridge_is_needed():
    """One conversion module, and all usual encodings are in it."""
    code = (
        "import sys; sys.modules['cv_bridge'] = None; import array; from sensor_msgs.msg import Image;"
        "from nanodet_kp_ros.images import unpack_image;"
        "sizes = dict(bgr8=3, rgb8=3, mono8=1, bgra8=4, rgba8=4, bayer_rggb8=1, bayer_bggr8=1, bayer_gbrg8=1,"
        " bayer_grbg8=1, yuv422=2, yuv422_yuy2=2, mono16=2);"
        "[unpack_image(Image(width=8, height=8, encoding=e, step=8 * n, data=array.array('B', bytes(64 * n))))"
        " for e, n in sizes.items()]; print(len(sizes))"
    )
    run = subprocess.run([sys.executable, "-c", code], cwd=ROOT, capture_output=True, text=True)
    assert run.stdout.strip() == "12", run.stderr


# CPU burnt by spinning threads.


@pytest.mark.parametrize("spin", ["false", "true"])
def test_promise_an_idle_node_burns_no_processor(start, peer, image_model, spin):
    """Threads of onnxruntime that spin would take whole cores between the images: as much as a process that computes
    all the time gets of this machine meanwhile, however busy it is.
    """
    threads = usable_cores() if spin == "true" else 4  # more than cores are refused with it
    node = start("detector_node", "-p", f"model:={image_model}", "-p", f"threads:={threads}", "-p", f"spin:={spin}")
    peer.wait_for_detector()
    peer.ask(good(0))
    before = node.processor_s
    with spinning() as busy:
        for number in range(1, 11):
            peer.publisher.publish(good(number))
            peer.spin_until(lambda: False, timeout_s=0.2)
        assert node.processor_s - before < 0.3 * processor_s(busy.pid)
    assert peer.figures()["threads"] == str(threads)


# Corner order; corners outside the image.


def test_promise_corners_in_one_order_and_outside_the_image_as_they_are(start, peer, tmp_path):
    plate = TinyPlate("R_1", 0.9, [[-9, 20], [-8, 40], [30, 41], [31, 19]])
    model = make_tiny_model(tmp_path / "edge.onnx", [plate])
    start("detector_node", "-p", f"model:={model}")
    peer.wait_for_detector()
    image = np.zeros((64, 64, 3), np.uint8)  # the size of the model's input: nothing is scaled
    (armor,) = peer.ask(to_image(image, Header(stamp=Time(sec=3)))).armors
    np.testing.assert_allclose([[p.x, p.y] for p in armor.corners], plate.corners, atol=0.01)
    assert armor.bbox[0] < -8


# Class lists differ; ids shifted.


def test_promise_classes_go_by_their_names(start, peer, tmp_path):
    """The same plate from a model whose list begins elsewhere is still a red 3."""
    names = ("R_3", "B_1", "N_5", "P_Bb")
    model = make_tiny_model(
        tmp_path / "short.onnx",
        [TinyPlate("R_3", 0.9, PLATES[0].corners)],
        tiny_metadata(width=96, height=96, class_names=names),
    )
    start("detector_node", "-p", f"model:={model}")
    peer.wait_for_detector()
    (armor,) = peer.ask(good(1)).armors
    assert (armor.label, armor.color, armor.number) == ("R_3", armor.COLOR_RED, "3")


def test_promise_a_class_list_that_does_not_fit_the_model_is_refused_at_start(start, tmp_path):
    path = make_tiny_model(
        tmp_path / "c.onnx", metadata=tiny_metadata(class_names=("B_1", "R_1")), output=encode(tiny_metadata(), [])
    )
    node = start("detector_node", "-p", f"model:={path}")
    assert node.wait() == 2
    assert "output does not fit its metadata" in node.output


# ONNX undocumented; model or runtime version mismatch.


def test_promise_a_model_without_a_description_is_refused_with_the_way_out(start, tmp_path):
    node = start("detector_node", "-p", f"model:={make_tiny_model(tmp_path / 'm.onnx', with_entry=False)}")
    assert node.wait() == 2
    assert "'nanodet_kp' metadata entry, got one without: a model of another program" in node.output
    assert "own ones through `nanodet-kp export`" in node.output


def test_promise_a_model_of_a_later_version_names_both_versions(start, image_model, tmp_path):
    model = onnx.load(str(image_model))
    model.ir_version = 99
    onnx.save(model, str(tmp_path / "later.onnx"))
    node = start("detector_node", "-p", f"model:={tmp_path / 'later.onnx'}")
    assert node.wait() == 2
    assert f"onnxruntime {onnxruntime.__version__}" in node.output
    assert re.search(r"IR version:? ?99", node.output, re.IGNORECASE)


def test_promise_a_newer_description_is_refused(start, tmp_path):
    entry = json.loads(tiny_metadata().to_json()) | {"format_version": 99}
    node = start("detector_node", "-p", f"model:={make_tiny_model(tmp_path / 'm.onnx', entry=json.dumps(entry))}")
    assert node.wait() == 2
    assert "format_version: this package reads version 1, the model has 99; export the model again" in node.output
    assert "Traceback" not in node.output


# Parameters: integers for floats, live, validated. See also test_live.py.


def test_promise_an_integer_for_a_number_does_not_kill_the_node(start, peer, image_model):
    start("detector_node", "-p", f"model:={image_model}", "-p", "score_threshold:=1", "-p", "image_timeout:=3")
    peer.wait_for_detector()
    assert peer.ask(good(0)).armors == []
    assert peer.set_parameters(score_threshold=0)[0].successful
    assert len(peer.ask(good(1)).armors) >= 2
