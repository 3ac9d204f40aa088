"""What image messages need ROS for: cv_bridge for the rare encodings, and the messages that are sent."""

from __future__ import annotations

import array

import numpy as np
from sensor_msgs.msg import Image
from std_msgs.msg import Header

from nanodet_kp_core.errors import ImageError
from nanodet_kp_core.runtime.images import image_message
from nanodet_kp_core.runtime.images.image_message import DEPTH_ENCODINGS, ENCODINGS, ImageView, check_size, describe


def check_image(message: Image) -> None:
    """As image_message.check_image; encodings that are not known there are taken where cv_bridge is installed."""
    if _bridge(message.encoding) is None:
        image_message.check_image(message)
    else:
        check_size(message)


def unpack_image(message: Image) -> ImageView:
    """The image of a message that `check_image` has accepted, as image_message.unpack_image makes it.

    Encodings that are not known there go through cv_bridge. Raises ImageError when the conversion fails.
    """
    bridge = _bridge(message.encoding)
    if bridge is None:
        return image_message.unpack_image(message)
    try:
        return ImageView(np.ascontiguousarray(bridge().imgmsg_to_cv2(message, "bgr8")), "bgr")
    except Exception as error:  # its several versions raise CvBridgeError, KeyError, TypeError and cv2.error
        raise ImageError(f"{describe(message)} cannot be converted by cv_bridge to bgr8: {error}") from None


def to_image(image: np.ndarray, header: Header) -> Image:
    """A bgr8 message of an image, uint8 [height, width, 3] BGR."""
    height, width = image.shape[:2]
    data = array.array("B")
    # A ready-made array is taken as it is; any other sequence would be checked byte by byte.
    data.frombytes(np.ascontiguousarray(image).data.cast("B"))
    message = Image(header=header, height=height, width=width, encoding="bgr8", step=3 * width)
    message.data = data
    return message


def _bridge(encoding: str) -> type | None:
    """cv_bridge's class for encodings that only it knows; None where it is missing, and for depth, which it would make
    gray."""
    if encoding in ENCODINGS or encoding in DEPTH_ENCODINGS:
        return None
    try:
        from cv_bridge import CvBridge  # only here: it is not needed for the common encodings, and not everywhere
    except ImportError:
        return None
    return CvBridge
