"""The parameters of detector_node. Tests compare config/detector.yaml and docs/reference/parameters.md with this."""

from __future__ import annotations

from dataclasses import dataclass

from nanodet_kp_core.runtime.detection.detections import NUMBER_THRESHOLD
from nanodet_kp_core.runtime.poses.mounting import USUAL_LARGE, USUAL_LEAN
from nanodet_kp_ros.parameters import setting


@dataclass(frozen=True)
class NodeSettings:
    """One value for each parameter. What `setting` says of a field is all that declaration and checks know of it."""

    model: str = setting("", "ONNX model with nanodet_kp metadata; empty: the bundled one", live=True, reloads=True)
    score_threshold: float = setting(0.5, "lowest score of a published plate", 0.0, 1.0, live=True)
    number_threshold: float = setting(
        NUMBER_THRESHOLD, "a plate with a lower number score has a color and no number", 0.0, 1.0, live=True
    )
    nms_threshold: float = setting(
        0.5, "of two plates that overlap more (IoU), the one with the higher score stays", 0.0, 1.0, live=True
    )
    max_detections: int = setting(50, "maximum plates per message", 1, 1000, live=True)
    keep: str = setting("", "colors or classes to publish, such as 'R' or 'B_1 B_3'; empty: all", live=True)
    threads: int = setting(1, "threads of onnxruntime for one image", 1, 64, live=True, reloads=True)
    spin: bool = setting(
        False, "threads stay awake within an image: less latency, more processor time", live=True, reloads=True
    )
    scout: bool = setting(
        True,
        "also propose pairs of light bars: finds far plates, for 1 to 2.5 ms of a processor; not for other targets",
        live=True,
        reloads=True,
    )
    roi_every: int = setting(
        0,
        "run on the full image every N images, and around the last plates in between; 0: always the full image",
        0,
        1000,
        live=True,
        reloads=True,
    )
    image_transport: str = setting("raw", "what the camera sends", choices=("raw", "compressed"))
    image_qos: str = setting(
        "best_effort", "best_effort receives from both kinds of publisher", choices=("best_effort", "reliable")
    )
    image_timeout: float = setting(3.0, "seconds without an image until the warning", 0.1, 3600.0, live=True)
    lazy: bool = setting(False, "receive and compute only while somebody listens to an output", live=True)
    camera_info_file: str = setting("", "calibration YAML; empty: the topic camera_info")
    image_geometry: str = setting(
        "auto",
        "auto: image_rect is rectified and has the pose of the projection matrix",
        choices=("auto", "raw", "rectified"),
    )
    large_plates: str = setting(USUAL_LARGE, "stickers or classes of large plates, for the pose", live=True)
    plate_lean: float = setting(
        USUAL_LEAN, "degrees by which plates on a chassis look up, for the pose", -90.0, 90.0, live=True
    )
    camera_pitch: float = setting(
        0.0, "degrees by which the camera looks up (below 0: down), for the pose", -90.0, 90.0, live=True
    )
    publish_tf: bool = setting(False, "plates with a pose as frames of tf too, such as armor_B_3")
    jpeg_quality: int = setting(80, "of armors/image/compressed", 1, 100)
    record_folder: str = setting("", "folder for images that the model is unsure about; empty: none are saved")
    record_max_mb: int = setting(1000, "maximum megabytes in that folder", 1, 100_000)
    record_per_second: float = setting(1.0, "maximum images saved per second", 0.01, 30.0)
    debug: bool = setting(False, "one log line for each image: its stages and plates", live=True)
