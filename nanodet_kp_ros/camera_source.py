"""Where the calibrated camera comes from: the topic camera_info, or a file."""

from __future__ import annotations

from rclpy.node import Node
from sensor_msgs.msg import CameraInfo

from nanodet_kp_core.errors import ConfigError
from nanodet_kp_core.runtime.poses.calibration import read_calibration
from nanodet_kp_core.runtime.poses.pose import Camera
from nanodet_kp_ros.camera import camera_from_info, is_rectified
from nanodet_kp_ros.qos import image_qos
from nanodet_kp_ros.throttled_log import ThrottledLog

_MOST_SIZES = 8  # a camera that changes its size with every image must not fill the memory


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
            if len(cameras) >= _MOST_SIZES:
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
