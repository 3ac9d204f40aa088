"""All that the node publishes about an image. Everything but `armors` is only made while somebody listens."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any, TypeAlias

from rclpy.node import Node
from rclpy.publisher import Publisher
from std_msgs.msg import Header
from visualization_msgs.msg import MarkerArray

from nanodet_kp_core.runtime.detection.detector import Detections
from nanodet_kp_core.runtime.images.image_message import ImageView
from nanodet_kp_core.runtime.poses.pose import Pose
from nanodet_kp_ros import plate_frames, vision, vision3d
from nanodet_kp_ros.annotated import AnnotatedImages
from nanodet_kp_ros.markers import to_markers
from nanodet_kp_ros.messages import to_armor_array
from nanodet_kp_ros.msg import ArmorArray
from nanodet_kp_ros.publishers import create_publisher
from nanodet_kp_ros.qos import armors_qos

MakeView: TypeAlias = Callable[[Detections, Sequence[Pose | None], Header], Any]
"""The message of a view, or None where nothing is to be published."""


class Outputs:
    """The publishers."""

    def __init__(self, node: Node, jpeg_quality: int, publish_tf: bool) -> None:
        self._armors = create_publisher(node, ArmorArray, "armors", armors_qos())
        self._annotated = AnnotatedImages(node, jpeg_quality)
        markers = create_publisher(node, MarkerArray, "armors/markers", armors_qos())
        self._views: list[tuple[Publisher[Any], MakeView]] = [(markers, to_markers)]
        if vision.AVAILABLE:
            boxes = create_publisher(node, vision.Detection2DArray, "armors/detections", armors_qos())
            self._views.append((boxes, vision.to_detection2d_array))
        if vision3d.AVAILABLE:
            boxes = create_publisher(node, vision3d.Detection3DArray, "armors/detections3d", armors_qos())
            self._views.append((boxes, vision3d.to_detection3d_array))
        if publish_tf and plate_frames.AVAILABLE:
            frames = plate_frames.PlateFrames(node.get_namespace(), node.get_logger())
            tf = create_publisher(node, plate_frames.TFMessage, plate_frames.TOPIC, plate_frames.tf_qos())
            self._views.append((tf, frames.message))
        elif publish_tf:
            node.get_logger().warning(plate_frames.MISSING)
        self._all = [self._armors, *self._annotated.publishers, *(publisher for publisher, _ in self._views)]

    @property
    def topic(self) -> str:
        """Name of the main one."""
        return self._armors.topic_name

    def wanted(self) -> bool:
        """Whether anybody listens to any of them."""
        return any(publisher.get_subscription_count() > 0 for publisher in self._all)

    def publish(
        self, detections: Detections, poses: Sequence[Pose | None], header: Header, width: int, height: int
    ) -> None:
        """The plates. width, height: of the image, pixels. poses: one for each plate, or none at all."""
        self._armors.publish(to_armor_array(detections, header, width, height, poses))

    def publish_views(
        self, image: ImageView, detections: Detections, poses: Sequence[Pose | None], header: Header
    ) -> None:
        """The same for other nodes and for people, as far as they listen."""
        for publisher, make in self._views:
            message = make(detections, poses, header) if publisher.get_subscription_count() > 0 else None
            if message is not None:
                publisher.publish(message)
        self._annotated.publish(image, detections, header)
