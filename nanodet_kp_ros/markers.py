"""Plates with a pose as markers, for RViz and Foxglove."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
from builtin_interfaces.msg import Duration
from geometry_msgs.msg import Point, Vector3
from std_msgs.msg import ColorRGBA, Header
from visualization_msgs.msg import Marker, MarkerArray

from nanodet_kp_core.classes import split_label
from nanodet_kp_core.runtime.detection.detector import Detections
from nanodet_kp_core.runtime.poses.pose import Pose, plate_points
from nanodet_kp_ros.messages import to_pose

_LIFETIME = Duration(nanosec=500_000_000)  # a dead node's plates vanish
_LINE_M = 0.006
_TEXT_M = 0.06
_COLORS = {"B": (0.25, 0.5, 1.0), "R": (1.0, 0.25, 0.2), "N": (0.7, 0.7, 0.7), "P": (0.8, 0.35, 1.0)}
_UNKNOWN_COLOR = (0.3, 1.0, 0.3)


def to_markers(detections: Detections, poses: Sequence[Pose | None], header: Header) -> MarkerArray:
    """Outline, outward normal and label of every plate that has a pose, in the header's frame; older ones are deleted.

    poses: one for each plate, or none at all: then nothing is drawn.
    """
    message = MarkerArray(markers=[Marker(header=header, action=Marker.DELETEALL)])
    if not poses:
        return message
    for row, (pose, label) in enumerate(zip(poses, detections.labels, strict=True)):
        if pose is not None:
            text = f"{label} {detections.scores[row]:.2f}\n{pose.distance:.2f} m"
            color = split_label(detections.class_labels[row])[0]
            message.markers += [_outline(pose, color, row, header), _text(pose, color, text, row, header)]
    return message


def _outline(pose: Pose, color: str | None, row: int, header: Header) -> Marker:
    """Lines in the plate's own axes: round its corners, and 10 cm out of its front."""
    marker = _marker("plate", Marker.LINE_LIST, pose, color, row, header)
    marker.scale = Vector3(x=_LINE_M)
    left_top, left_bottom, right_bottom, right_top = plate_points(pose.large)
    middle, front = np.zeros(3), np.array([0, 0, -0.1])
    lines = (
        (left_top, left_bottom), (left_bottom, right_bottom), (right_bottom, right_top), (right_top, left_top),
        (middle, front),
    )  # fmt: skip
    marker.points = [_point(end) for line in lines for end in line]
    return marker


def _text(pose: Pose, color: str | None, text: str, row: int, header: Header) -> Marker:
    marker = _marker("label", Marker.TEXT_VIEW_FACING, pose, color, row, header)
    marker.scale = Vector3(z=_TEXT_M)
    marker.pose.position.y -= 2 * _TEXT_M  # above the plate: y points down
    marker.text = text
    return marker


def _marker(namespace: str, kind: int, pose: Pose, color: str | None, row: int, header: Header) -> Marker:
    red, green, blue = _COLORS.get(color or "", _UNKNOWN_COLOR)
    return Marker(
        header=header, ns=namespace, id=row, type=kind, action=Marker.ADD, pose=to_pose(pose), lifetime=_LIFETIME,
        color=ColorRGBA(r=red, g=green, b=blue, a=1.0),
    )  # fmt: skip


def _point(values: np.ndarray) -> Point:
    x, y, z = (float(value) for value in values)
    return Point(x=x, y=y, z=z)
