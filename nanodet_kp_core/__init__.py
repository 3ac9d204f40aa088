"""Four-corner NanoDet-Plus for armor plates; nothing in here imports ROS, and `runtime` imports no torch.

The names in `__all__` are the public Python API, described in docs/reference/python.md; everything else may change
without notice. Each is loaded when it is first used, so that `import nanodet_kp_core` loads neither torch nor OpenCV.
"""

from importlib import import_module
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from nanodet_kp_core.config.load import load_config
    from nanodet_kp_core.errors import NanodetKpError
    from nanodet_kp_core.evaluate.evaluate_detector import evaluate_detector
    from nanodet_kp_core.evaluate.report import Report
    from nanodet_kp_core.export.onnx_file import export_onnx
    from nanodet_kp_core.runtime.detection.detections import Detections
    from nanodet_kp_core.runtime.detection.detector import Detector
    from nanodet_kp_core.runtime.detection.draw import draw
    from nanodet_kp_core.runtime.detection.options import DetectOptions
    from nanodet_kp_core.runtime.detection.roi import RoiDetector
    from nanodet_kp_core.runtime.images.frame_sources import Frame, open_source
    from nanodet_kp_core.runtime.models.bundled import bundled_model
    from nanodet_kp_core.runtime.models.denormals import flush_denormals
    from nanodet_kp_core.runtime.poses.calibration import read_calibration
    from nanodet_kp_core.runtime.poses.lens import Calibration
    from nanodet_kp_core.runtime.poses.plate_poses import PlatePoses
    from nanodet_kp_core.runtime.poses.pose import Camera, Pose
    from nanodet_kp_core.train.detector_training import train as train_detector

    __version__: str

__all__ = [
    "Calibration",
    "Camera",
    "DetectOptions",
    "Detections",
    "Detector",
    "Frame",
    "NanodetKpError",
    "PlatePoses",
    "Pose",
    "Report",
    "RoiDetector",
    "__version__",
    "bundled_model",
    "draw",
    "evaluate_detector",
    "export_onnx",
    "flush_denormals",
    "load_config",
    "open_source",
    "read_calibration",
    "train_detector",
]

# Where each name is at home. Those of the last block need `pip install '.[train]'`.
_HOMES = {
    "NanodetKpError": "errors",
    "Detections": "runtime.detection.detections",
    "Detector": "runtime.detection.detector",
    "DetectOptions": "runtime.detection.options",
    "draw": "runtime.detection.draw",
    "RoiDetector": "runtime.detection.roi",
    "Frame": "runtime.images.frame_sources",
    "open_source": "runtime.images.frame_sources",
    "bundled_model": "runtime.models.bundled",
    "flush_denormals": "runtime.models.denormals",
    "Calibration": "runtime.poses.lens",
    "read_calibration": "runtime.poses.calibration",
    "PlatePoses": "runtime.poses.plate_poses",
    "Camera": "runtime.poses.pose",
    "Pose": "runtime.poses.pose",
    "load_config": "config.load",
    "train_detector": "train.detector_training",
    "evaluate_detector": "evaluate.evaluate_detector",
    "Report": "evaluate.report",
    "export_onnx": "export.onnx_file",
}
_NAMES_THERE = {"train_detector": "train"}  # the package has a room of that name


def __getattr__(name: str) -> Any:
    if name == "__version__":
        value = import_module("nanodet_kp_core.share").version()
    elif name in _HOMES:
        value = getattr(import_module(f"nanodet_kp_core.{_HOMES[name]}"), _NAMES_THERE.get(name, name))
    else:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    globals()[name] = value  # the next access finds it at once
    return value


def __dir__() -> list[str]:
    return sorted({*globals(), *__all__})
