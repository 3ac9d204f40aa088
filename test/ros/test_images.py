"""Image messages of ROS: what is sent, and cv_bridge for what only it knows."""

import array
import sys
from types import SimpleNamespace

import numpy as np
import pytest

pytest.importorskip("rclpy", reason="needs ROS 2: make setup, or source an installation")

from sensor_msgs.msg import Image
from std_msgs.msg import Header

from nanodet_kp_core.errors import ImageError
from nanodet_kp_ros.images import check_image, to_image, unpack_image


def gradient(height=24, width=32):
    y, x = np.mgrid[0:height, 0:width]
    return np.stack([40 + 4 * x, 60 + 5 * y, 200 - 3 * x], axis=2).astype(np.uint8)


def planes(encoding="p010", missing=0):
    """A message of two bytes a pixel in an encoding that is not in the core's table."""
    return Image(width=8, height=6, encoding=encoding, step=16, data=array.array("B", bytes(16 * 6 - missing)))


@pytest.fixture
def bridge(monkeypatch):
    """A cv_bridge that makes everything gray; the messages that it got."""
    seen = []

    class CvBridge:
        def imgmsg_to_cv2(self, message, encoding):
            seen.append(message)
            if message.encoding == "broken":
                raise KeyError("broken")
            assert encoding == "bgr8"
            return np.full((message.height, message.width, 3), 128, np.uint8)

    monkeypatch.setitem(sys.modules, "cv_bridge", SimpleNamespace(CvBridge=CvBridge))
    return seen


def test_there_and_back():
    image = gradient()[:, ::-1]  # not contiguous
    made = to_image(image, Header(frame_id="cam"))
    assert (made.encoding, made.width, made.height, made.step) == ("bgr8", 32, 24, 96)
    assert made.header.frame_id == "cam"
    check_image(made)
    picture = unpack_image(made)
    np.testing.assert_array_equal(picture.bgr, image)
    made.data[0] = 123
    assert picture.pixels.flat[0] == 123  # a view, no copy


def test_what_only_cv_bridge_knows(bridge):
    check_image(planes())
    picture = unpack_image(planes())
    assert (picture.order, picture.pixels.shape, picture.pixels[0, 0, 0]) == ("bgr", (6, 8, 3), 128)
    with pytest.raises(ImageError, match="is truncated: expected step"):
        check_image(planes(missing=1))
    with pytest.raises(ImageError, match="'broken', 8x6, cannot be converted by cv_bridge to bgr8"):
        unpack_image(planes("broken"))
    assert len(bridge) == 2


@pytest.mark.parametrize("encoding", ["16UC1", "32FC1"])
def test_cv_bridge_makes_no_picture_of_depth(bridge, encoding):
    with pytest.raises(ImageError, match="that is depth, not color"):
        check_image(planes(encoding))
    assert bridge == []


def test_common_encodings_never_go_to_cv_bridge(bridge):
    unpack_image(planes("yuv422"))
    unpack_image(planes("mono16"))
    assert bridge == []


def test_without_cv_bridge_it_is_one_sentence(monkeypatch):
    monkeypatch.setitem(sys.modules, "cv_bridge", None)
    with pytest.raises(ImageError, match=r"'p010', 8x6, cannot be used: expected one of bgr8.*set the camera driver"):
        check_image(planes())
