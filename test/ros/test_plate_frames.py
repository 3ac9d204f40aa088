"""Frames of tf: their names, what they hold, and a machine without tf2_msgs.

tf2_msgs is no wheel: a stand-in has its one field, and a process without it says so.
"""

import importlib
import sys
import types
from types import SimpleNamespace

import numpy as np
import pytest

pytest.importorskip("rclpy", reason="needs ROS 2: make setup, or source an installation")

from builtin_interfaces.msg import Time
from ros_helpers import colored_images
from std_msgs.msg import Header
from test_vision import stand_in

from nanodet_kp_core.runtime.detection.detector import Detections
from nanodet_kp_core.runtime.poses.pose import Pose
from nanodet_kp_ros import plate_frames
from nanodet_kp_ros.images import to_image
from nanodet_kp_ros.messages import to_pose
from nanodet_kp_ros.plate_frames import frame_names

HEADER = Header(stamp=Time(sec=3), frame_id="optical")
TURN = np.array([[0.0, 0, 1], [0, 1, 0], [-1, 0, 0]])


@pytest.fixture
def installed(monkeypatch):
    """nanodet_kp_ros.plate_frames where tf2_msgs is installed."""
    messages = types.ModuleType("tf2_msgs.msg")
    messages.TFMessage = stand_in("TFMessage", transforms=list)
    package = types.ModuleType("tf2_msgs")
    package.msg = messages
    monkeypatch.setitem(sys.modules, "tf2_msgs", package)
    monkeypatch.setitem(sys.modules, "tf2_msgs.msg", messages)
    yield importlib.reload(plate_frames)
    monkeypatch.undo()
    importlib.reload(plate_frames)


def corners(*columns):
    """[K, 4, 2] of plates at these columns."""
    square = np.array([[0, 0], [0, 5], [9, 5], [9, 0]])
    return np.array([square + [column, 7] for column in columns]).reshape(-1, 4, 2)


def detections(*labels):
    count = len(labels)
    places = corners(*range(100, 100 - count, -1))  # from right to left
    return Detections(np.full(count, 0.75), np.arange(count), np.zeros((count, 4)), places, labels)


def pose(z=2.0):
    return Pose(np.array([0.5, 0.25, z]), TURN, 0.3, False)


@pytest.mark.parametrize(
    ("labels", "columns", "names"),
    [
        ([], [], []),
        (["B_3", "R_1"], [9, 2], ["armor_B_3", "armor_R_1"]),
        # Their order by score may change, that from left to right does not.
        (["B_3", "B_3"], [10, 90], ["armor_B_3", "armor_B_3:1"]),
        (["B_3", "B_3"], [90, 10], ["armor_B_3:1", "armor_B_3"]),
        (["B_3", "R_1", "B_3", "B_3"], [30, 0, 20, 40], ["armor_B_3:1", "armor_R_1", "armor_B_3", "armor_B_3:2"]),
        # An unknown number, repeated, is not the number 1.
        (["B", "B", "B_1"], [1, 2, 3], ["armor_B", "armor_B:1", "armor_B_1"]),
    ],
)
def test_names(labels, columns, names):
    assert frame_names(labels, corners(*columns)) == names


def test_a_transform_for_each_plate_with_a_pose(installed):
    assert installed.AVAILABLE
    frames = installed.PlateFrames("/", None)
    message = frames.message(detections("B_3", "R_1", "B_3"), [pose(2.0), None, pose(4.0)], HEADER)
    first, second = message.transforms
    assert (first.child_frame_id, second.child_frame_id) == ("armor_B_3:1", "armor_B_3")
    assert first.header == second.header == HEADER
    place, wanted = first.transform.translation, to_pose(pose(2.0))
    assert (place.x, place.y, place.z) == (0.5, 0.25, 2.0)
    assert first.transform.rotation == wanted.orientation
    assert second.transform.translation.z == 4.0


@pytest.mark.parametrize(
    ("namespace", "name"), [("/", "armor_B_3"), ("/front", "front/armor_B_3"), ("/red/front", "red/front/armor_B_3")]
)
def test_cameras_do_not_share_frames(installed, namespace, name):
    message = installed.PlateFrames(namespace, None).message(detections("B_3"), [pose()], HEADER)
    assert message.transforms[0].child_frame_id == name


@pytest.mark.parametrize("poses", [[], [None, None]])
def test_without_poses_nothing_is_published(installed, poses):
    assert installed.PlateFrames("/", None).message(detections("B_3", "R_1"), poses, HEADER) is None


def test_images_without_a_frame_are_told(installed):
    said = []
    frames = installed.PlateFrames("/", SimpleNamespace(warning=lambda text, **_: said.append(text)))
    assert frames.message(detections("B_3"), [pose()], Header()) is None
    assert said == [
        "parameter publish_tf: expected images with a frame_id, got an empty one; set the frame of the camera driver"
    ]


@pytest.mark.skipif(plate_frames.AVAILABLE, reason="tf2_msgs is installed here")
def test_without_tf2_msgs_the_node_says_so_and_goes_on(start, peer, image_model):
    node = start("detector_node", "-p", f"model:={image_model}", "-p", "publish_tf:=true")
    peer.wait_for_detector()
    assert len(peer.ask(to_image(colored_images(1)[0], HEADER)).armors) == 2
    assert node.output.count("expected the package tf2_msgs, which is not installed here") == 1
    assert peer.node.count_publishers("/tf") == 0


@pytest.mark.parametrize("wanted", [True, False])
@pytest.mark.skipif(not plate_frames.AVAILABLE, reason="tf2_msgs is no wheel: it comes with a ROS installation")
def test_with_tf2_msgs(start, peer, image_model, tmp_path, wanted):
    from test_detector_process import CALIBRATION

    file, got = tmp_path / "camera.yaml", []
    file.write_text(CALIBRATION)
    peer.node.create_subscription(plate_frames.TFMessage, "/tf", got.append, 100)
    arguments = ("-p", f"camera_info_file:={file}", "-p", f"publish_tf:={str(wanted).lower()}")
    start("detector_node", "-p", f"model:={image_model}", *arguments)
    peer.wait_for_detector()
    assert peer.spin_until(lambda: (peer.node.count_publishers("/tf") > 0) == wanted)
    for _ in range(10):
        peer.ask(to_image(colored_images(1)[0], HEADER))
    assert peer.spin_until(lambda: bool(got) == wanted, 5)
    if wanted:
        assert {transform.child_frame_id for transform in got[-1].transforms} == {"armor_B_3", "armor_R_Bb"}
