"""Camera matrices for the pose figures: from the label file, or from a calibration file."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import yaml

from nanodet_kp_core.errors import ConfigError, DataError
from nanodet_kp_core.runtime.pose import Camera


def label_cameras(ann_path: Path) -> dict[str, Camera]:
    """Cameras by image file name out of a COCO file; empty for any other file and where none is given.

    `"camera": {"matrix": [[fx, 0, cx], [0, fy, cy], [0, 0, 1]], "distortion": [...]}` stands at the top level for all
    images, or in the entry of one image. Raises DataError where it is something else.
    """
    if not ann_path.is_file() or ann_path.suffix != ".json":
        return {}
    document = json.loads(ann_path.read_text(encoding="utf-8-sig"))
    shared = document.get("camera")
    cameras = {}
    for image in document["images"]:
        entry = image.get("camera", shared)
        if entry is not None:
            cameras[image["file_name"]] = _camera(entry, f"{ann_path}: camera of {image['file_name']}", DataError)
    return cameras


def calibration_camera(path: Path) -> Camera:
    """Camera out of a calibration file: YAML of ROS's camera_calibration, or our own keys `matrix`, `distortion`.

    Raises ConfigError when the file cannot be read or holds no camera.
    """
    try:
        document = yaml.safe_load(path.read_text(encoding="utf-8"))
    except OSError as error:
        raise ConfigError(f"{path}: expected a calibration file, got: {error.strerror}") from None
    except (yaml.YAMLError, UnicodeDecodeError) as error:
        raise ConfigError(f"{path}: expected YAML, got: {' '.join(str(error).split())}") from None
    if isinstance(document, dict) and isinstance(document.get("camera_matrix"), dict):
        values = document["camera_matrix"].get("data")
        rows = [values[k : k + 3] for k in (0, 3, 6)] if isinstance(values, list) and len(values) == 9 else values
        lens = document.get("distortion_coefficients")
        document = {"matrix": rows, "distortion": lens.get("data", []) if isinstance(lens, dict) else []}
    return _camera(document, str(path), ConfigError)


def _camera(entry: Any, where: str, fault: type[ConfigError | DataError]) -> Camera:
    if not isinstance(entry, dict) or "matrix" not in entry:
        raise fault(f"{where}: expected a mapping with `matrix` and `distortion`, got {entry!r}")
    lens: Any = entry.get("distortion") or []
    try:
        return Camera(entry["matrix"], lens)
    except ConfigError as error:
        raise fault(f"{where}: {error}") from None
