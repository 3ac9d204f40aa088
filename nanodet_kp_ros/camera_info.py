"""The calibrated camera: from the topic camera_info, or from a file (runtime.poses.calibration)."""

from __future__ import annotations

import re

from rclpy.node import Node
from sensor_msgs.msg import CameraInfo

from nanodet_kp_core.errors import ConfigError
from nanodet_kp_core.runtime.poses.calibration import (
    MAX_SIDE,
    Calibration,
    check_plausible,
    lens_camera,
    read_calibration,
)
from nanodet_kp_core.runtime.poses.pose import Camera
from nanodet_kp_ros.qos import image_qos
from nanodet_kp_ros.throttled_log import ThrottledLog

_MAX_BINNING = 64
_MAX_SIZES = 8  # a camera that changes its size with every image must not fill the memory
_RECTIFIED = re.compile(r"(^|_)(rect|rectified|undist|undistorted)(_|$)", re.IGNORECASE)


class CameraSource:
    """Knows the camera for images of a size, or says once in a while why it does not.

    The topic lies beside that of the images (/front/image_raw -> /front/camera_info) unless it is remapped.
    Raises ConfigError for a file that holds no camera.
    """

    def __init__(self, node: Node, image_topic: str, file: str, log: ThrottledLog, geometry: str) -> None:
        """geometry: "raw" or "rectified", which the images are; "auto" goes by the name of their topic."""
        self._rectified = geometry == "rectified" or (geometry == "auto" and is_rectified(image_topic))
        self._log = log
        self._cameras: dict[tuple[int, int], Camera | None] = {}
        self._file = file
        self._calibration = read_calibration(file, self._rectified) if file else None
        self._info: CameraInfo | None = None
        self._known: tuple | None = None
        self.topic = ""
        if self._calibration is not None:
            return
        self.topic = node.resolve_topic_name("camera_info")
        if self.topic == node.resolve_topic_name("camera_info", only_expand=True):
            self.topic = f"{image_topic.rpartition('/')[0]}/camera_info"
        self._subscription = node.create_subscription(CameraInfo, self.topic, self._on_info, image_qos("best_effort"))

    def _on_info(self, message: CameraInfo) -> None:
        roi = message.roi
        known = (
            message.width, message.height, message.distortion_model, tuple(message.k), tuple(message.d),
            tuple(message.p),
            message.binning_x, message.binning_y, roi.x_offset, roi.y_offset, roi.width, roi.height,
        )  # fmt: skip
        if known == self._known:  # as nearly always; NaN is never equal, and is refused each time
            return
        self._known = known
        self._info = message
        self._cameras = {}

    def camera_for(self, width: int, height: int) -> Camera | None:
        """The camera of images of this size; None where there is no calibration for it."""
        cameras, size = self._cameras, (width, height)
        if size not in cameras:
            if len(cameras) >= _MAX_SIZES:
                cameras.clear()
            cameras[size] = self._make(size)
        return cameras[size]

    def _make(self, size: tuple[int, int]) -> Camera | None:
        try:
            if self._calibration is not None:
                return self._calibration.fitted(size, self._file)
            return None if self._info is None else camera_from_info(self._info, size, self._rectified)
        except ConfigError as error:
            self._log.warning("calibration", str(error))
            return None


def camera_from_info(message: CameraInfo, size: tuple[int, int] | None = None, rectified: bool = False) -> Camera:
    """The camera of the images that come with this message.

    The message's matrix holds for the whole sensor, before the region of interest is cut out and the pixels are binned.

    size: (width, height) of the image, where it is known. An image of the whole sensor's size is taken as that, and one
    with the same ratio of the sides as a scaled image.
    rectified: of the images that image_proc makes; they have the projection matrix and no distortion.
    Raises ConfigError, one sentence that begins with `camera_info`, when there is no such camera. A camera that is not
    calibrated publishes zeros.
    """
    if not any(message.k):
        raise ConfigError(
            "camera_info: expected a calibration, got a matrix k of zeros, which says that the camera is not "
            "calibrated; plates are published without pose until it is (ros2 run camera_calibration cameracalibrator)"
        )
    if not (0 < message.width <= MAX_SIDE and 0 < message.height <= MAX_SIDE):
        raise ConfigError(
            f"camera_info: expected a width and a height of 1 to {MAX_SIDE} pixels, "
            f"got {message.width}x{message.height}; calibrate again, or correct the camera driver"
        )
    camera = _rectified(message) if rectified else _raw(message)
    whole = (message.width, message.height)
    check_plausible("camera_info", camera, whole)
    if size == whole:
        return camera
    window, seen = _window(message)
    camera = camera.window(*window, (max(1, message.binning_x), max(1, message.binning_y)))
    return camera if size is None else Calibration(camera, seen).fitted(size, "camera_info")


def _raw(message: CameraInfo) -> Camera:
    matrix, lens = [float(value) for value in message.k], [float(value) for value in message.d]
    return lens_camera("camera_info", matrix, lens, message.distortion_model)


def _rectified(message: CameraInfo) -> Camera:
    projection = [float(value) for value in message.p]
    if not any(projection) and not any(message.d):  # a simulator's, whose raw images are rectified
        return _raw(message)
    if not any(projection):
        raise ConfigError(
            "camera_info: expected the projection matrix p, which rectified images are made with, got zeros; calibrate "
            "with camera_calibration, or remap image_raw to the image that is not rectified"
        )
    return lens_camera("camera_info", [projection[4 * row + column] for row in range(3) for column in range(3)], [], "")


def is_rectified(topic: str) -> bool:
    """Whether images of this topic are rectified, going by its name: image_rect of image_proc, and the like."""
    return any(_RECTIFIED.search(part) for part in topic.split("/"))


def _window(message: CameraInfo) -> tuple[tuple[int, int], tuple[int, int]]:
    """First pixel (x, y) of the region of interest on the sensor, and the size (width, height) of the image."""
    binning = (max(1, message.binning_x), max(1, message.binning_y))
    roi = message.roi
    width, height = roi.width or message.width, roi.height or message.height
    fits = roi.x_offset + width <= message.width and roi.y_offset + height <= message.height
    if not fits or max(binning) > _MAX_BINNING or width < binning[0] or height < binning[1]:
        raise ConfigError(
            f"camera_info: expected a region of interest inside {message.width}x{message.height} and a binning of at "
            f"most {_MAX_BINNING}, got {width}x{height} at ({roi.x_offset}, {roi.y_offset}) binned by "
            f"{binning[0]}x{binning[1]}"
        )
    return (roi.x_offset, roi.y_offset), (width // binning[0], height // binning[1])
