"""Recordings for the tests, written as `ros2 bag record` does."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Literal

import cv2
import numpy as np
from rosbags.rosbag2 import StoragePlugin, Writer
from rosbags.typesys import Stores, get_typestore

STORE = get_typestore(Stores.ROS2_HUMBLE)
TYPES = STORE.types
START_NS = 1_700_000_000_000_000_000
PERIOD_NS = 50_000_000
MATRIX = np.array([900.0, 0, 80, 0, 900, 60, 0, 0, 1])


@dataclass(frozen=True)
class Entry:
    """A message of a bag: as an object of rosbags' types, or as bytes."""

    topic: str
    type_name: str
    time_ns: int
    message: Any


def header(time_ns: int, frame: str = "camera") -> Any:
    stamp = TYPES["builtin_interfaces/msg/Time"](sec=time_ns // 10**9, nanosec=time_ns % 10**9)
    return TYPES["std_msgs/msg/Header"](stamp=stamp, frame_id=frame)


def image_entry(image: np.ndarray, number: int, topic: str = "/front/image_raw") -> Entry:
    """A bgr8 image, stamped 10 ms before it came to the recorder."""
    time_ns = START_NS + number * PERIOD_NS
    height, width = image.shape[:2]
    message = TYPES["sensor_msgs/msg/Image"](
        header=header(time_ns - 10_000_000), height=height, width=width, encoding="bgr8", is_bigendian=0,
        step=3 * width, data=image.ravel(),
    )  # fmt: skip
    return Entry(topic, "sensor_msgs/msg/Image", time_ns, message)


def compressed_entry(image: np.ndarray, number: int, topic: str = "/front/image_raw/compressed") -> Entry:
    """A JPEG."""
    time_ns = START_NS + number * PERIOD_NS
    data = cv2.imencode(".jpg", image, [cv2.IMWRITE_JPEG_QUALITY, 80])[1].ravel()
    message = TYPES["sensor_msgs/msg/CompressedImage"](header=header(time_ns - 10_000_000), format="jpeg", data=data)
    return Entry(topic, "sensor_msgs/msg/CompressedImage", time_ns, message)


def info_entry(number: int, topic: str = "/front/camera_info") -> Entry:
    time_ns = START_NS + number * PERIOD_NS
    region = TYPES["sensor_msgs/msg/RegionOfInterest"](x_offset=0, y_offset=0, height=0, width=0, do_rectify=False)
    message = TYPES["sensor_msgs/msg/CameraInfo"](
        header=header(time_ns - 10_000_000), height=120, width=160, distortion_model="plumb_bob", d=np.zeros(5),
        k=MATRIX, r=np.eye(3).ravel(), p=np.zeros(12), binning_x=0, binning_y=0, roi=region,
    )  # fmt: skip
    return Entry(topic, "sensor_msgs/msg/CameraInfo", time_ns, message)


def write_bag(path: Path, entries: Sequence[Entry], storage: Literal["sqlite3", "mcap"] = "sqlite3") -> Path:
    """Writes the recording; returns its folder."""
    plugin = StoragePlugin.MCAP if storage == "mcap" else StoragePlugin.SQLITE3
    with Writer(path, version=9, storage_plugin=plugin) as writer:
        topics = {}
        for entry in entries:
            if entry.topic not in topics:
                topics[entry.topic] = writer.add_connection(entry.topic, entry.type_name, typestore=STORE)
            raw = isinstance(entry.message, bytes)
            data = entry.message if raw else STORE.serialize_cdr(entry.message, entry.type_name)
            writer.write(topics[entry.topic], entry.time_ns, data)
    return path
