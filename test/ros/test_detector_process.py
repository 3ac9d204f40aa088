"""`detector_node` as a process over real DDS: what arrives is what the runtime finds in the same images."""

import array
import itertools
import json
import signal
import time

import cv2
import numpy as np
import pytest

rclpy = pytest.importorskip("rclpy", reason="needs ROS 2: make setup, or source an installation")

from builtin_interfaces.msg import Time
from ros_helpers import DEADLINE_S, DetectorPeer, colored_images, make_image_model
from sensor_msgs.msg import CameraInfo, CompressedImage, Image
from std_msgs.msg import Header
from tiny_model import TinyPlate, make_flushed_model, make_tiny_model, tiny_metadata
from visualization_msgs.msg import MarkerArray

from nanodet_kp_core.runtime.detection.detections import NUMBER_THRESHOLD
from nanodet_kp_core.runtime.detection.detector import Detector
from nanodet_kp_core.runtime.detection.draw import draw
from nanodet_kp_core.runtime.images.image_message import from_image
from nanodet_kp_core.runtime.models.bundled import bundled_model
from nanodet_kp_ros.images import to_image
from nanodet_kp_ros.msg import Armor
from nanodet_kp_ros.qos import image_qos

CORNER_TOLERANCE_PX = 0.01
# One of seven of the real frames: all sources, and seconds instead of a minute.
REAL_STEP = 7


def header(number: int) -> Header:
    """A stamp and a frame that a node would not make up by itself."""
    return Header(stamp=Time(sec=1000 + number, nanosec=123456789), frame_id=f"optical_{number}")


def assert_same(message, image, found, sent_header):
    """The message holds exactly these detections, with the image's header and size."""
    assert message.header == sent_header
    assert (message.image_height, message.image_width) == image.shape[:2]
    assert [armor.label for armor in message.armors] == found.labels
    np.testing.assert_allclose([armor.score for armor in message.armors], found.scores, atol=1e-5)
    np.testing.assert_allclose([armor.number_score for armor in message.armors], found.number_scores, atol=1e-5)
    corners = [[[p.x, p.y] for p in armor.corners] for armor in message.armors]
    np.testing.assert_allclose(np.reshape(corners, (-1, 4, 2)), found.corners, atol=CORNER_TOLERANCE_PX)
    boxes = np.reshape([armor.bbox for armor in message.armors], (-1, 4))
    np.testing.assert_allclose(boxes, found.boxes, atol=CORNER_TOLERANCE_PX)


def test_generated_images(start, peer, image_model):
    start("detector_node", "-p", f"model:={image_model}")
    peer.wait_for_detector()
    detector = Detector(image_model)
    seen = []
    for number, image in enumerate(colored_images(6)):
        message = peer.ask(to_image(image, header(number)))
        assert_same(message, image, detector(image), header(number))
        seen.append(message.armors[0].corners[0].x)
    assert np.ptp(seen) > 10 * CORNER_TOLERANCE_PX, "the images give the same plates: the test could not fail"


def test_real_images(start, peer, shared_dir):
    start("detector_node")
    peer.wait_for_detector()
    detector = Detector(bundled_model(), number_threshold=NUMBER_THRESHOLD)
    entries = json.loads((shared_dir / "real" / "dev.json").read_text())["images"][::REAL_STEP]
    plates = 0
    for number, entry in enumerate(entries):
        image = cv2.imread(str(shared_dir / "real" / "images" / entry["file_name"]))
        found = detector(image)
        assert_same(peer.ask(to_image(image, header(number))), image, found, header(number))
        plates += len(found)
    assert plates >= len(entries) / 4, "hardly a plate was found: the comparison says nothing"


@pytest.mark.parametrize(
    ("classes", "armor"),
    [
        (("long", "square"), ("square", Armor.COLOR_UNKNOWN, "")),
        (("1", "2", "3"), ("2", Armor.COLOR_UNKNOWN, "2")),
        (("EU_long", "EU_square", "CH_long", "CH_square"), ("EU_square", Armor.COLOR_UNKNOWN, "")),
    ],
)
def test_models_of_other_targets(start, peer, tmp_path, classes, armor):
    """docs/other_targets.md: the label is the class's name; a color and a number where the names have them."""
    target = TinyPlate(classes[1], 0.9, [[12, 20], [14, 31], [40.5, 33], [38, 22.25]])
    model = make_tiny_model(tmp_path / "m.onnx", [target], tiny_metadata(class_names=classes))
    start("detector_node", "-p", f"model:={model}")
    peer.wait_for_detector()
    found = peer.ask(to_image(colored_images(1)[0], header(0))).armors
    assert [(one.label, one.color, one.number) for one in found] == [armor]


def test_an_image_without_plates_is_answered_too(start, peer, image_model):
    start("detector_node", "-p", f"model:={image_model}", "-p", "score_threshold:=0.95")
    peer.wait_for_detector()
    assert peer.ask(to_image(colored_images(1)[0], header(0))).armors == []


def test_denormals_are_zero_where_the_network_runs(start, peer, tmp_path):
    """The model finds its plate only so; the node loads it on one thread and runs it on another."""
    plate = TinyPlate("B_3", 0.9, [[12, 20], [14, 31], [40.5, 33], [38, 22.25]])
    start("detector_node", "-p", f"model:={make_flushed_model(tmp_path / 'm.onnx', [plate])}")
    peer.wait_for_detector()
    assert len(peer.ask(to_image(colored_images(1)[0], header(0))).armors) == 1


def test_compressed_images_on_a_remapped_topic(start, image_model):
    peer = DetectorPeer(CompressedImage, "/front/image/compressed", "best_effort")
    start(
        "detector_node",
        "-p",
        f"model:={image_model}",
        "-p",
        "image_transport:=compressed",
        "-r",
        "image_raw:=/front/image",
    )
    try:
        peer.wait_for_detector()
        image = colored_images(1)[0]
        data = array.array("B", cv2.imencode(".png", image)[1].tobytes())
        message = peer.ask(CompressedImage(header=header(0), format="png", data=data))
        assert_same(message, image, Detector(image_model)(image), header(0))
    finally:
        peer.close()


def test_annotated_image_for_a_listener(start, peer, image_model):
    node = start("detector_node", "-p", f"model:={image_model}")
    peer.wait_for_detector()
    annotated = []
    peer.node.create_subscription(Image, "armors/image", annotated.append, image_qos("best_effort"))
    peer.spin_until(lambda: peer.node.count_publishers("armors/image") > 0)
    image = colored_images(1)[0]
    for number in range(8):  # the publisher sees its first listener a moment later
        peer.ask(to_image(image, header(number)))
        if peer.spin_until(lambda: bool(annotated), timeout_s=1.0):
            break
    assert annotated, node.output
    expected = draw(image, Detector(image_model)(image))
    assert (expected != image).any()
    np.testing.assert_array_equal(from_image(annotated[-1]), expected)
    assert annotated[-1].header.frame_id.startswith("optical_")


CALIBRATION = """
image_width: 160
image_height: 120
camera_matrix: {rows: 3, cols: 3, data: [200.0, 0.0, 80.0, 0.0, 200.0, 60.0, 0.0, 0.0, 1.0]}
distortion_model: plumb_bob
distortion_coefficients: {rows: 1, cols: 5, data: [0.0, 0.0, 0.0, 0.0, 0.0]}
"""


def test_poses_and_markers_with_a_calibration_file(start, peer, image_model, tmp_path):
    """Every plate has its pose; an image of another shape, for which there is no calibration, still has its plates."""
    file = tmp_path / "camera.yaml"
    file.write_text(CALIBRATION)
    node = start("detector_node", "-p", f"model:={image_model}", "-p", f"camera_info_file:={file}")
    peer.wait_for_detector()
    arrays = []
    peer.node.create_subscription(MarkerArray, "armors/markers", arrays.append, 10)
    assert peer.spin_until(lambda: peer.node.count_publishers("armors/markers") > 0)

    def marked():
        answer = peer.ask(to_image(colored_images(1)[0], header(len(peer.answers))))
        assert all(armor.has_pose and armor.pose.position.z > 0 for armor in answer.armors)
        assert len(answer.armors) == 2
        return arrays

    assert peer.spin_until(marked)
    assert {marker.ns for marker in arrays[-1].markers if marker.ns} == {"plate", "label"}
    other = peer.ask(to_image(colored_images(1, 100, 100)[0], header(500)))
    assert [armor.has_pose for armor in other.armors] == [False, False]
    node.wait_for("camera.yaml: expected the calibration of a 100x100 image")


def test_poses_with_camera_info_and_without(start, tmp_path):
    """A calibration that is wrong is said and costs the poses, not the plates."""
    plate = TinyPlate("B_3", 0.9, [[30, 40], [31, 55], [65, 56], [64, 41]])
    model = make_image_model(tmp_path / "plate.onnx", [plate])
    node = start("detector_node", "-p", f"model:={model}", "-r", "image_raw:=/front/image_raw")
    peer = DetectorPeer(Image, "/front/image_raw")
    infos = peer.node.create_publisher(CameraInfo, "/front/camera_info", 10)
    try:
        peer.wait_for_detector()
        assert peer.spin_until(lambda: infos.get_subscription_count() > 0)
        assert not peer.ask(to_image(colored_images(1)[0], header(0))).armors[0].has_pose
        info = CameraInfo(width=160, height=120, distortion_model="plumb_bob", d=[0.0] * 5)
        info.k = [float("nan"), 0.0, 80.0, 0.0, 200.0, 60.0, 0.0, 0.0, 1.0]
        ask_with(peer, infos, info, lambda: "camera_info: " in node.output)
        assert not peer.ask(to_image(colored_images(1)[0], header(1))).armors[0].has_pose
        info.k[0] = 200.0
        ask_with(peer, infos, info, lambda: peer.answers[max(peer.answers)].armors[0].has_pose)
        (armor,) = peer.answers[max(peer.answers)].armors
        assert 0.2 < armor.pose.position.z < 1.0  # 135 mm over some 60 pixels, at a focal length of 200
        assert armor.reprojection_error < 10
    finally:
        peer.close()


def ask_with(peer, infos, info, condition):
    """Sends both until the condition holds."""
    deadline = time.monotonic() + DEADLINE_S
    for number in itertools.count(100):
        assert time.monotonic() < deadline
        infos.publish(info)
        peer.ask(to_image(colored_images(1)[0], header(number)))
        if condition():
            return


def test_a_calibration_file_without_a_camera_is_refused(start, image_model, tmp_path):
    (tmp_path / "camera.yaml").write_text("camera: [1, 2]")
    node = start("detector_node", "-p", f"model:={image_model}", "-p", f"camera_info_file:={tmp_path}/camera.yaml")
    assert node.wait() == 2
    assert "camera.yaml: expected" in node.output
    assert "Traceback" not in node.output


def test_parameter_file_namespace_and_remapping(start, image_model, tmp_path):
    file = tmp_path / "detector.yaml"
    file.write_text(f"/**:\n  ros__parameters:\n    model: {image_model}\n    score_threshold: 0.8\n")
    start(
        "detector_node",
        "--params-file",
        str(file),
        "-r",
        "__ns:=/red",
        "-r",
        "image_raw:=/camera/image",
        "-r",
        "armors:=/armors",
    )
    peer = DetectorPeer(Image, "/camera/image", "best_effort")
    try:
        peer.wait_for_detector()
        assert peer.spin_until(lambda: ("detector_node", "/red") in peer.node.get_node_names_and_namespaces())
        assert [armor.label for armor in peer.ask(to_image(colored_images(1)[0], header(0))).armors] == ["B_3"]
    finally:
        peer.close()


@pytest.mark.parametrize("signal_number", [signal.SIGINT, signal.SIGTERM])
def test_ends_cleanly(start, image_model, signal_number):
    node = start("detector_node", "-p", f"model:={image_model}")
    node.wait_for("-> /armors")
    assert node.stop(signal_number) == 0, node.output
    assert "Traceback" not in node.output


@pytest.mark.parametrize("delay_s", [0.0, 0.002, 0.02])
def test_a_second_interrupt_is_no_traceback(start, image_model, delay_s):
    """Ctrl-C reaches a launched node twice."""
    node = start("detector_node", "-p", f"model:={image_model}")
    node.wait_for("-> /armors")
    node.interrupt()
    time.sleep(delay_s)
    assert node.stop(signal.SIGINT) == 0, node.output
    assert "Traceback" not in node.output
