"""The parameters of detector_node. Tests check docs/reference.md and config/detector.yaml against this table."""

from __future__ import annotations

from nanodet_kp_core.runtime.detection.detections import NUMBER_THRESHOLD
from nanodet_kp_core.runtime.poses.mounting import USUAL_LARGE, USUAL_LEAN
from nanodet_kp_ros.parameters import Setting

SETTINGS = (
    Setting("model", "", "ONNX model with nanodet_kp metadata; empty: the bundled one", live=True),
    Setting("score_threshold", 0.5, "plates with a lower score are left out", 0.0, 1.0, live=True),
    Setting("number_threshold", NUMBER_THRESHOLD, "plates with a lower number score have a color and no number",
            0.0, 1.0, live=True),
    Setting("nms_threshold", 0.5, "of two plates that overlap more (IoU), the better one stays", 0.0, 1.0, live=True),
    Setting("max_detections", 50, "most plates in one message", 1, 1000, live=True),
    Setting("keep", "", "colors or classes to publish, such as 'R' or 'B_1 B_3'; empty: all", live=True),
    Setting("threads", 1, "threads of onnxruntime for one image", 1, 64, live=True),
    Setting("spin", False, "threads stay awake within an image: sooner done, for more processor time", live=True),
    Setting("scout", True, "proposals from light bars as well: far plates, for 1 to 2.5 ms", live=True),
    Setting("roi_every", 0, "of so many images one is whole, the others parts round the plates; 0: off",
            0, 1000, live=True),
    Setting("image_transport", "raw", "what the camera sends", choices=("raw", "compressed")),
    Setting("image_qos", "best_effort", "best_effort receives from both kinds of publisher",
            choices=("best_effort", "reliable")),
    Setting("image_timeout", 3.0, "seconds without an image until the warning", 0.1, 3600.0, live=True),
    Setting("lazy", False, "receive and compute only while somebody listens to an output", live=True),
    Setting("camera_info_file", "", "calibration YAML; empty: the topic camera_info"),
    Setting("image_geometry", "auto", "auto: image_rect is rectified and has the pose of the projection matrix",
            choices=("auto", "raw", "rectified")),
    Setting("large_plates", USUAL_LARGE, "stickers or classes of large plates, for the pose", live=True),
    Setting("plate_lean", USUAL_LEAN, "degrees by which plates on a chassis look up, for the pose",
            -90.0, 90.0, live=True),
    Setting("camera_pitch", 0.0, "degrees by which the camera looks up (below 0: down), for the pose",
            -90.0, 90.0, live=True),
    Setting("publish_tf", False, "plates with a pose as frames of tf too, such as armor_B_3"),
    Setting("jpeg_quality", 80, "of armors/image/compressed", 1, 100),
    Setting("record_folder", "", "where to save images that the model is unsure about; empty: nowhere"),
    Setting("record_max_mb", 1000, "most megabytes in that folder", 1, 100_000),
    Setting("record_per_second", 1.0, "most images saved in a second", 0.01, 30.0),
    Setting("debug", False, "one log line for each image: its stages and plates", live=True),
)  # fmt: skip

DETECTOR = (
    "score_threshold", "number_threshold", "nms_threshold", "max_detections", "keep",
    "large_plates", "plate_lean", "camera_pitch",
)  # fmt: skip
"""Those that only change what is done with the network's output."""

MODEL = ("model", "threads", "spin", "scout", "roi_every")
"""Those for which the network has to be loaded again."""
