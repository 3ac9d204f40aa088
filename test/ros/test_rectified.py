"""Rectified and raw images over real DDS: the pose is that of the camera which the images have."""

import numpy as np
import pytest

pytest.importorskip("rclpy", reason="needs ROS 2: make setup, or source an installation")

from builtin_interfaces.msg import Time
from ros_helpers import DetectorPeer, colored_images, make_image_model
from sensor_msgs.msg import CameraInfo, Image
from std_msgs.msg import Header
from tiny_model import TinyPlate

from nanodet_kp_core.runtime.poses.pose import Camera, solve_poses
from nanodet_kp_ros.images import to_image

SIZE = (160, 120)
K, D = [125.0, 0.0, 80.0, 0.0, 125.0, 60.0, 0.0, 0.0, 1.0], [-0.35, 0.12, 0.0, 0.0, 0.0]
P = [105.0, 0.0, 79.0, 0.0, 0.0, 108.0, 61.0, 0.0, 0.0, 0.0, 1.0, 0.0]
RAW = Camera(np.reshape(K, (3, 3)), np.array(D))
RECTIFIED = Camera(np.reshape(P, (3, 4))[:, :3], np.zeros(0))
AT_THE_EDGE = TinyPlate("B_3", 0.9, [[8, 12], [10, 22], [30, 21], [28, 11]])  # where the lens bends most


@pytest.mark.parametrize(
    ("topic", "geometry", "camera"),
    [
        ("image_rect", "auto", RECTIFIED),
        ("image_rect_color", "auto", RECTIFIED),
        ("image_raw", "auto", RAW),
        ("image_raw", "rectified", RECTIFIED),
        ("image_rect", "raw", RAW),
    ],
)
def test_the_pose_goes_by_the_camera_of_the_images(start, tmp_path, topic, geometry, camera):
    model = make_image_model(tmp_path / "plate.onnx", [AT_THE_EDGE])
    options = ["-p", f"model:={model}", "-p", f"image_geometry:={geometry}", "-r", f"image_raw:=/cam/{topic}"]
    node = start("detector_node", *options)
    peer = DetectorPeer(Image, f"/cam/{topic}")
    infos = peer.node.create_publisher(CameraInfo, "/cam/camera_info", 1)
    info = CameraInfo(width=SIZE[0], height=SIZE[1], distortion_model="plumb_bob", d=D, k=K, p=P)
    numbers = iter(range(1000, 2000))

    def answered():
        infos.publish(info)  # best effort: one may be lost
        (armor,) = peer.ask(to_image(colored_images(1)[0], Header(stamp=Time(sec=next(numbers))))).armors
        return armor.has_pose and armor

    try:
        peer.wait_for_detector()
        assert peer.spin_until(lambda: infos.get_subscription_count() > 0)
        assert peer.spin_until(lambda: bool(answered())), node.output
        armor = answered()
        got = armor.pose.position
        corners = np.array([[corner.x, corner.y] for corner in armor.corners])
        assert nearest([got.x, got.y, got.z], solve_poses(corners, False, camera)) < 1e-4
        other = RAW if camera is RECTIFIED else RECTIFIED
        assert nearest([got.x, got.y, got.z], solve_poses(corners, False, other)) > 0.02, "no difference to be seen"
    finally:
        peer.close()


def nearest(position, poses):
    """Metres from a position to the nearest of these poses."""
    return min(float(np.linalg.norm(pose.position - position)) for pose in poses)
