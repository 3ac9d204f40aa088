"""What player_node sends: frames of a source, or the messages of a bag as they were recorded."""

from __future__ import annotations

import array
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any, Protocol

import numpy as np
from rclpy.node import Node
from rclpy.publisher import Publisher
from sensor_msgs.msg import CameraInfo, CompressedImage, Image
from std_msgs.msg import Header

from nanodet_kp_core.errors import SourceError
from nanodet_kp_core.runtime.images.frame_sources import Source
from nanodet_kp_core.runtime.images.rosbag_reader import IMAGE_TYPES, INFO_TYPE, Bag, Recorded
from nanodet_kp_ros.images import to_image
from nanodet_kp_ros.publishers import create_publisher
from nanodet_kp_ros.qos import image_qos

_MESSAGES = {IMAGE_TYPES[0]: Image, IMAGE_TYPES[1]: CompressedImage, INFO_TYPE: CameraInfo}
_DEFAULT_FPS = 30.0
_LONGEST_PAUSE_S = 3600.0  # a recorder's clock that was set must not stop the player for days
_INFO_TOPIC = "camera_info"


@dataclass(frozen=True)
class Step:
    """Something to send, and the seconds until the next is due."""

    publisher: Publisher
    message: Any
    pause_s: float


class Feed(Protocol):
    """What there is to send; each iteration begins anew. main: the publisher of the images; pace: in words."""

    main: Publisher
    pace: str

    def __iter__(self) -> Iterator[Step]: ...

    def close(self) -> None:
        """Release the camera or the files."""


class FrameFeed:
    """Images of a source, stamped with the time of sending. fps: images a second; 0: as the source says, else 30."""

    def __init__(self, node: Node, source: Source, fps: float, frame_id: str, reliability: str) -> None:
        self._clock = node.get_clock()
        self._source = source
        self._frame_id = frame_id
        fps = fps or source.fps or _DEFAULT_FPS
        self._period_s = 1 / fps
        self.pace = f"{fps:g} images/s"
        self.main = create_publisher(node, Image, "image_raw", image_qos(reliability))

    def __iter__(self) -> Iterator[Step]:
        for frame in self._source:
            header = Header(stamp=self._clock.now().to_msg(), frame_id=self._frame_id)
            yield Step(self.main, to_image(frame.image, header), self._period_s)

    def close(self) -> None:
        self._source.close()


class BagFeed:
    """Images of a bag and their camera_info, at the times and with the headers of the recording.

    fps: images a second; 0: as recorded. A message that cannot be read is told and left out.
    """

    def __init__(self, node: Node, bag: Bag, fps: float, reliability: str) -> None:
        self._logger = node.get_logger()
        self._bag = bag
        self._fps = fps
        self.pace = f"{fps:g} images/s" if fps else "the recorded times"
        image_type = _MESSAGES[bag.type_name]
        # As image_transport names them.
        topic = "image_raw" if image_type is Image else f"{node.resolve_topic_name('image_raw')}/compressed"
        self.main = create_publisher(node, image_type, topic, image_qos(reliability))
        self._publishers = {bag.topic: self.main}
        if bag.info_topic is not None:
            self._publishers[bag.info_topic] = create_publisher(node, CameraInfo, _INFO_TOPIC, image_qos(reliability))

    def __iter__(self) -> Iterator[Step]:
        recorded = iter(self._bag)
        this = next(recorded, None)
        while this is not None:
            following = next(recorded, None)
            message = self._message(this)
            if message is not None:
                yield Step(self._publishers[this.topic], message, self._pause(this, following))
            this = following

    def close(self) -> None:
        self._bag.close()

    def _pause(self, this: Recorded, following: Recorded | None) -> float:
        if self._fps:
            return 1 / self._fps if this.topic == self._bag.topic else 0.0
        if following is None:
            return 0.0
        return min(max(0.0, (following.time_ns - this.time_ns) / 1e9), _LONGEST_PAUSE_S)

    def _message(self, recorded: Recorded) -> Any:
        try:
            return _to_ros(self._bag.message(recorded), _MESSAGES[recorded.type_name])
        except (SourceError, AttributeError, AssertionError, TypeError, ValueError, OverflowError) as error:
            self._logger.warning(
                f"bag {self._bag.path}: expected a {recorded.type_name} on {recorded.topic}, got {len(recorded.data)} "
                f"bytes that are none ({' '.join(str(error).split())[:150]}); left out",
                throttle_duration_sec=5.0,
            )
            return None


def _to_ros(found: Any, message_type: type) -> Any:
    """A message with the fields of one that `rosbags` has read. rclpy's own reader crashes on bytes that are none.

    Raises AttributeError and what rclpy's setters raise when the fields are not those of the type.
    """
    message = message_type()
    for name in message.get_fields_and_field_types():
        # ROS 1 has capital letters in CameraInfo.
        value, current = getattr(found, name if hasattr(found, name) else name.upper()), getattr(message, name)
        if hasattr(current, "get_fields_and_field_types"):
            value = _to_ros(value, type(current))
        elif isinstance(current, array.array):
            filled = array.array(current.typecode)
            filled.frombytes(np.ascontiguousarray(value, current.typecode).tobytes())
            value = filled
        setattr(message, name, value)
    return message
