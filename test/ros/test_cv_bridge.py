"""cv_bridge and our own conversion give the same pixels; runs where cv_bridge is installed."""

import array

import numpy as np
import pytest

pytest.importorskip("rclpy", reason="needs ROS 2: make setup, or source an installation")
cv_bridge = pytest.importorskip(
    "cv_bridge", reason="cv_bridge is missing: it comes with a ROS installation (ros-DISTRO-cv-bridge), not as a wheel"
)

from ament_index_python import has_resource
from sensor_msgs.msg import Image

from nanodet_kp_core.runtime.images.encodings import EIGHT_BITS, PLANES, SIXTEEN_BITS, pixel_bytes, rows_of
from nanodet_kp_ros.images import view_image

if not has_resource("packages", "cv_bridge"):
    pytest.skip("the cv_bridge here is ROS 1's from PyPI, which ignores padding", allow_module_level=True)

BASIC = ("bgr8", "rgb8", "mono8", "bgra8", "rgba8", *(name for name in EIGHT_BITS if name.startswith("bayer_")))
"""What every cv_bridge knows."""


def message(encoding: str, padding: int, seed: int = 0) -> Image:
    """Random bytes as an image of 48x32."""
    step = 48 * pixel_bytes(encoding) + padding
    rows = np.random.default_rng(seed).integers(0, 256, (rows_of(encoding, 32), step), np.uint8)
    return Image(width=48, height=32, encoding=encoding, step=step, data=array.array("B", rows.tobytes()))


def theirs(sent: Image) -> np.ndarray:
    """cv_bridge's image, int [32, 48, 3] BGR. Skips where this cv_bridge refuses the encoding."""
    try:
        image = cv_bridge.CvBridge().imgmsg_to_cv2(sent, "bgr8")
    except Exception as error:  # its versions raise CvBridgeError, KeyError, RuntimeError and cv2.error
        if sent.encoding in BASIC:
            raise
        pytest.skip(f"this cv_bridge does not convert {sent.encoding}: {type(error).__name__} {str(error)[:60]}")
    if image.shape != (32, 48, 3):
        pytest.skip(f"this cv_bridge takes {sent.encoding} for an image of {image.shape}")
    return image.astype(int)


@pytest.mark.parametrize("padding", [0, 8])
@pytest.mark.parametrize("encoding", [*EIGHT_BITS, *PLANES])
def test_eight_bits_are_equal(encoding, padding):
    sent = message(encoding, padding)
    assert np.array_equal(view_image(sent).bgr, theirs(sent))


@pytest.mark.parametrize("encoding", SIXTEEN_BITS)
def test_sixteen_bits_are_equal_to_a_gray_level(encoding):
    sent = message(encoding, padding=0)
    assert np.abs(view_image(sent).bgr - theirs(sent)).max() <= 1
