"""Sizes and mounts as parameters of the running node, and both poses in its answers."""

import pytest

pytest.importorskip("rclpy", reason="needs ROS 2: make setup, or source an installation")

from builtin_interfaces.msg import Time
from ros_helpers import colored_images, make_image_model
from std_msgs.msg import Header
from test_detector_process import CALIBRATION
from tiny_model import TinyPlate

from nanodet_kp_ros.images import to_image

IMAGE = colored_images(1)[0]


def test_what_is_said_of_plates_and_camera_is_live(start, peer, tmp_path):
    file = tmp_path / "camera.yaml"
    file.write_text(CALIBRATION)
    plate = TinyPlate("B_3", 0.9, [[30, 40], [31, 55], [65, 56], [64, 41]])
    model = make_image_model(tmp_path / "plate.onnx", [plate])
    start("detector_node", "-p", f"model:={model}", "-p", f"camera_info_file:={file}", "-p", "large_plates:=1")
    peer.wait_for_detector()
    numbers = iter(range(1000, 2000))

    def armor():
        """A second after the image before, so that no plate is followed."""
        (answer,) = peer.ask(to_image(IMAGE, Header(stamp=Time(sec=next(numbers))))).armors
        assert answer.has_pose and answer.has_other_pose
        return answer

    small = armor()
    assert peer.set_parameters(large_plates="1, 3")[0].successful
    assert armor().pose.position.z != pytest.approx(small.pose.position.z, rel=0.02)
    assert peer.set_parameters(large_plates="1 Bb")[0].successful
    assert armor().pose == small.pose
    assert peer.set_parameters(plate_lean=-40.0, camera_pitch=-20)[1].successful
    turned = armor()
    assert (turned.pose, turned.other_pose) == (small.other_pose, small.pose)
    errors = [small.reprojection_error, small.other_reprojection_error]
    assert [turned.other_reprojection_error, turned.reprojection_error] == errors
    for name, value, reason in [
        ("large_plates", "giant", "parameter large_plates: expected stickers or classes out of G 1 2"),
        ("plate_lean", 120, "parameter plate_lean: expected a number from -90 to 90, got 120"),
        ("camera_pitch", "level", "parameter camera_pitch: expected a number from -90 to 90, got 'level'"),
    ]:
        (result,) = peer.set_parameters(**{name: value})
        assert not result.successful
        assert reason in result.reason
    assert armor().pose == turned.pose
