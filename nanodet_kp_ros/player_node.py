"""Publishes an image, a folder, a video or a camera as `image_raw`, to try the detector without a robot."""

from __future__ import annotations

import sys
from collections.abc import Iterator, Sequence

from rclpy.duration import Duration
from rclpy.node import Node
from sensor_msgs.msg import Image
from std_msgs.msg import Header

from nanodet_kp_core.errors import ConfigError
from nanodet_kp_core.runtime.sources import Frame, open_source
from nanodet_kp_ros.images import to_image
from nanodet_kp_ros.parameters import Setting, declare
from nanodet_kp_ros.qos import image_qos
from nanodet_kp_ros.runner import run

SETTINGS = (
    Setting("source", "", "an image, a folder of images, a video or the index of a camera"),
    Setting("fps", 0.0, "images per second; 0: as the source says, else 30", 0.0, 1000.0),
    Setting("loop", True, "start again at the end; else the node ends there"),
    Setting("frame_id", "camera_optical_frame", "frame of the images' headers"),
    Setting("image_qos", "reliable", "reliable serves both kinds of subscriber", choices=("best_effort", "reliable")),
)

_DEFAULT_FPS = 30.0


class PlayerNode(Node):
    """Publishes the source's frames, paced, stamped with the time of sending.

    Without `loop` it waits for the first subscriber, so that no frame of the only pass is lost, and ends the process
    after the last frame. Raises ConfigError for a parameter and SourceError for a source that cannot be read.
    """

    def __init__(self) -> None:
        super().__init__("player_node")
        values = declare(self, SETTINGS)
        if not values["source"]:
            raise ConfigError("parameter source is empty: expected an image, a folder, a video or a camera index")
        self._path = str(values["source"])
        self._loop = bool(values["loop"])
        self._frame_id = str(values["frame_id"])
        self._source = open_source(self._path)
        self._frames: Iterator[Frame] = iter(self._source)
        self._sent = 0
        self._publisher = self.create_publisher(Image, "image_raw", image_qos(str(values["image_qos"])))
        fps = float(values["fps"]) or self._source.fps or _DEFAULT_FPS
        self._timer = self.create_timer(1.0 / fps, self._send_next)
        self.get_logger().info(f"playing {self._path} on {self._publisher.topic_name} at {fps:g} images/s")

    def _send_next(self) -> None:
        if not self._loop and self._sent == 0 and self._publisher.get_subscription_count() == 0:
            return
        frame = self._next_frame()
        header = Header(stamp=self.get_clock().now().to_msg(), frame_id=self._frame_id)
        self._publisher.publish(to_image(frame.image, header))
        self._sent += 1

    def _next_frame(self) -> Frame:
        frame = next(self._frames, None)
        if frame is not None:
            return frame
        if not self._loop:
            self._finish()
        self._frames = iter(self._source)
        return next(self._frames)

    def _finish(self) -> None:
        self._publisher.wait_for_all_acked(Duration(seconds=1))
        self.get_logger().info(f"end of {self._path} after {self._sent} images")
        raise SystemExit(0)

    def destroy_node(self) -> None:
        """Releases the camera or file as well."""
        if hasattr(self, "_source"):
            self._source.close()
        super().destroy_node()


def main(arguments: Sequence[str] | None = None) -> int:
    """Runs the node; returns the exit code."""
    return run("player_node", PlayerNode, arguments)


if __name__ == "__main__":
    sys.exit(main())
