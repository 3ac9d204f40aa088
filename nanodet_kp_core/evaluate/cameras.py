"""Camera matrices for the pose figures, from the label file; for a calibration file see runtime.poses.calibration."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

from nanodet_kp_core.errors import ConfigError, DataError
from nanodet_kp_core.runtime.poses.pose import Camera
from nanodet_kp_core.texts import decoded


def label_cameras(ann_path: Path) -> dict[str, Camera]:
    """Cameras by image file name out of a COCO file; empty for any other file and where none is given.

    `"camera": {"matrix": [[fx, 0, cx], [0, fy, cy], [0, 0, 1]], "distortion": [...]}` stands at the top level for all
    images, or in the entry of one image. Raises DataError where it is something else.
    """
    if not ann_path.is_file() or ann_path.suffix != ".json":
        return {}
    document = json.loads(decoded(ann_path.read_bytes()) or "")
    shared = document.get("camera")
    cameras = {}
    for image in document["images"]:
        entry = image.get("camera", shared)
        if entry is not None:
            cameras[image["file_name"]] = _camera(entry, f"{ann_path}: camera of {image['file_name']}")
    return cameras


def _camera(entry: Any, where: str) -> Camera:
    if not isinstance(entry, dict) or "matrix" not in entry:
        raise DataError(f"{where}: expected a mapping with `matrix` and `distortion`, got {entry!r}")
    lens: Any = entry.get("distortion") or []
    try:
        return Camera(entry["matrix"], lens)
    except ConfigError as error:
        raise DataError(f"{where}: {error}") from None
