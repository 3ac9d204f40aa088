"""All that the node publishes about an image. Everything but `armors` is only made while somebody listens."""

from __future__ import annotations

from collections.abc import Sequence

from rclpy.node import Node
from std_msgs.msg import Header
from visualization_msgs.msg import MarkerArray

from nanodet_kp_core.runtime.detection.detector import Detections
from nanodet_kp_core.runtime.images.image_message import ImageView
from nanodet_kp_core.runtime.poses.pose import Pose
from nanodet_kp_ros import vision
from nanodet_kp_ros.annotated import AnnotatedImages
from nanodet_kp_ros.markers import to_markers
from nanodet_kp_ros.messages import to_armor_array
from nanodet_kp_ros.msg import ArmorArray
from nanodet_kp_ros.publishers import create_publisher
from nanodet_kp_ros.qos import armors_qos


class Outputs:
    """The publishers."""

    def __init__(self, node: Node, jpeg_quality: int) -> None:
        self._armors = create_publisher(node, ArmorArray, "armors", armors_qos())
        self._annotated = AnnotatedImages(node, jpeg_quality)
        self._markers = create_publisher(node, MarkerArray, "armors/markers", armors_qos())
        self._all = [self._armors, *self._annotated.publishers, self._markers]
        self._boxes = None
        if vision.AVAILABLE:
            self._boxes = create_publisher(node, vision.Detection2DArray, "armors/detections", armors_qos())
            self._all.append(self._boxes)

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
        self, picture: ImageView, detections: Detections, poses: Sequence[Pose | None], header: Header
    ) -> None:
        """The same for other nodes and for people, as far as they listen."""
        if self._boxes is not None and self._boxes.get_subscription_count() > 0:
            self._boxes.publish(vision.to_detection2d_array(detections, poses, header))
        if self._markers.get_subscription_count() > 0:
            self._markers.publish(to_markers(detections, poses, header))
        self._annotated.publish(picture, detections, header)
