"""What comes over topics: images of any header over any data, compressed ones, and camera_info."""

import array
import math

import cv2
import numpy as np
import pytest
from fuzz import fuzz
from mutate import damaged_bytes

pytest.importorskip("rclpy", reason="needs ROS 2: make setup, or source an installation")

from sensor_msgs.msg import CameraInfo, CompressedImage, Image, RegionOfInterest

from nanodet_kp_core.runtime.images.image_message import check_compressed, from_compressed
from nanodet_kp_ros.camera_info import camera_from_info
from nanodet_kp_ros.images import check_image, unpack_image

ENCODINGS = {
    "bgr8": 3, "8UC3": 3, "rgb8": 3, "mono8": 1, "8UC1": 1, "bgra8": 4, "8UC4": 4, "rgba8": 4, "bayer_rggb8": 1,
    "bayer_bggr8": 1, "bayer_gbrg8": 1, "bayer_grbg8": 1, "yuv422": 2, "uyvy": 2, "yuv422_yuy2": 2, "yuyv": 2,
    "mono16": 2, "bgr16": 6, "rgb16": 6, "bgra16": 8, "rgba16": 8, "bayer_rggb16": 2, "bayer_grbg16": 2, "16UC1": 2,
    "32FC1": 4, "nv12": 2, "": 1, "bgr8\0": 3, "BGR8": 3, "\u2028": 1, "\n": 1, "x" * 3000: 1,
}  # fmt: skip
"""Bytes per pixel."""

CLAIMS = (0, 1, 2, 3, 7, 2**15, 2**16, 2**24, 2**31 - 1, 2**31, 2**32 - 1)
SIZES = ((64, 48), (1, 1), (17, 9), (640, 2))
NUMBERS = (0.0, -0.0, 1.0, -1.0, 1e-320, 1e300, -1e300, math.nan, math.inf, -math.inf, 320.0, 1e6)


def damaged_image(rng):
    """Mostly a header that fits or nearly fits its data; else one that claims anything, up to gigabytes."""
    encoding = rng.choice(list(ENCODINGS))
    width, height = rng.randrange(1, 24), rng.randrange(1, 24)
    step = width * ENCODINGS[encoding] + rng.choice((0, 0, 0, 0, 1, 5, -1))
    size = max(0, step * height + rng.choice((0, 0, 0, 0, 0, 0, 1, -1, 7)))
    values = {"width": width, "height": height, "step": max(0, step)}
    for _ in range(rng.choice((0, 0, 0, 1, 2))):
        values[rng.choice(list(values))] = rng.choice(CLAIMS)
    message = Image(encoding=encoding, is_bigendian=rng.choice((0, 1, 255)), **values)
    message.data = array.array("B", rng.randbytes(size) if rng.random() < 0.95 else b"")
    return message


def test_images():
    def use(message):
        check_image(message)
        picture = unpack_image(message)
        assert picture.pixels.dtype == np.uint8
        assert picture.pixels.shape[:2] == picture.bgr.shape[:2] == (message.height, message.width)
        assert picture.bgr.shape[2] == 3

    fuzz("images", damaged_image, use)


def test_compressed_images():
    pictures = [np.random.default_rng(k).integers(0, 256, (h, w, 3), np.uint8) for k, (w, h) in enumerate(SIZES)]
    whole = [cv2.imencode(kind, picture)[1].tobytes() for picture in pictures for kind in (".jpg", ".png")]
    whole += [cv2.imencode(kind, pictures[0][..., 0])[1].tobytes() for kind in (".jpg", ".png", ".bmp", ".tiff")]

    def make(rng):
        data = damaged_bytes(rng, rng.choice(whole))
        return CompressedImage(format=rng.choice(("jpeg", "png", "", "\n")), data=array.array("B", data))

    def use(message):
        check_compressed(message)
        image = from_compressed(message)
        assert image.dtype == np.uint8 and image.ndim == 3 and image.shape[2] == 3

    fuzz("compressed images", make, use)


def damaged_camera(rng):
    k = [600.0, 0.0, 320.0, 0.0, 600.0, 240.0, 0.0, 0.0, 1.0]
    lens = [rng.uniform(-0.3, 0.3) for _ in range(rng.choice((0, 4, 5, 5, 5, 8, 12, 14, 3, 40)))]
    values = {"width": 640, "height": 480, "binning_x": 0, "binning_y": 0}
    region = {"x_offset": 0, "y_offset": 0, "width": 0, "height": 0}
    for _ in range(rng.choice((0, 1, 1, 2, 4))):
        kind = rng.random()
        if kind < 0.4:
            k[rng.randrange(9)] = rng.choice(NUMBERS)
        elif kind < 0.6 and lens:
            lens[rng.randrange(len(lens))] = rng.choice(NUMBERS)
        else:
            changed = rng.choice((values, region))
            changed[rng.choice(list(changed))] = rng.choice((*CLAIMS, 320, 240, 100))
    known = ("plumb_bob", "plumb_bob", "rational_polynomial", "equidistant", "fisheye")
    model = rng.choice((*known, *known, "", "\n", "x" * 3000, "\0"))
    info = CameraInfo(k=k, d=lens, distortion_model=model, roi=RegionOfInterest(**region), **values)
    return info, rng.choice((None, (640, 480), (320, 240), (100, 100), (1, 1), (65536, 3)))


def test_camera_info():
    def use(made):
        camera = camera_from_info(*made)
        assert np.isfinite(camera.matrix).all()

    fuzz("camera_info", damaged_camera, use)
