"""Poses on the command line: its options, the poses of each frame, and their JSON."""

from __future__ import annotations

import argparse
import math
import time
from collections.abc import Sequence
from typing import Any

import numpy as np

from nanodet_kp_core.runtime.detection.detections import Detections
from nanodet_kp_core.runtime.images.frame_sources import Frame
from nanodet_kp_core.runtime.poses.calibration import read_calibration
from nanodet_kp_core.runtime.poses.mounting import USUAL_LARGE, USUAL_LEAN, make_mounting
from nanodet_kp_core.runtime.poses.plate_poses import PlatePoses
from nanodet_kp_core.runtime.poses.pose import Pose


def add_pose_arguments(parser: argparse.ArgumentParser) -> None:
    """--camera, and what is known of plates and camera before a plate is seen."""
    group = parser.add_argument_group("poses")
    group.add_argument(
        "--camera", metavar="FILE",
        help="calibration file of the camera; the JSON then has the pose of each plate",
    )  # fmt: skip
    group.add_argument(
        "--large-plates", default=USUAL_LARGE, metavar="NAMES",
        help="stickers or classes of large plates, separated by spaces (default: %(default)s)",
    )  # fmt: skip
    group.add_argument(
        "--plate-lean", type=_degrees, default=USUAL_LEAN, metavar="DEGREES",
        help="angle by which plates on a chassis look up (default: %(default)s)",
    )  # fmt: skip
    group.add_argument(
        "--camera-pitch", type=_degrees, default=0.0, metavar="DEGREES",
        help="angle by which the camera looks up; below 0: down (default: %(default)s)",
    )  # fmt: skip


class FramePoses:
    """Poses of the plates of one source's frames, by the arguments of `add_pose_arguments`.

    Raises ConfigError for a calibration or names that cannot be used.
    """

    def __init__(self, args: argparse.Namespace, class_names: Sequence[str]) -> None:
        names = (args.large_plates, args.plate_lean, args.camera_pitch)
        self._mounting = make_mounting(*names, class_names, "--large-plates")
        self._file: str | None = args.camera
        self._calibration = None if self._file is None else read_calibration(self._file)
        self._poses = PlatePoses()
        self._images = 0

    @property
    def warning(self) -> str | None:
        """What the poses of the last plates say about the calibration."""
        return self._poses.warning

    def solve(self, frame: Frame, detections: Detections, live: bool) -> list[Pose | None] | None:
        """One for each plate, None where it has none; None for all without --camera. live: the frame is of this moment.

        Raises ConfigError for a frame of a size that the calibration does not fit.
        """
        if self._calibration is None or self._file is None:
            return None
        height, width = frame.image.shape[:2]
        camera = self._calibration.fitted((width, height), self._file)
        self._images += 1
        stamp_s = frame.time_s
        if stamp_s is None:  # images of a folder have nothing to do with each other: no plate is followed
            stamp_s = time.monotonic() if live else 1e3 * self._images
        return self._poses.solve(detections, camera, stamp_s, self._mounting)


def to_pose_entry(pose: Pose | None) -> dict[str, Any] | None:
    """{"position": [3], "rotation": [[3] * 3], "reprojection_error", "large", "other"}: metres in the camera frame, the
    turn from the plate's axes (right, down, inward) to it, pixels; `other` is the second pose that the same corners
    allow, without `large` and `other`. None where there is none.
    """
    if pose is None:
        return None
    entry = _numbers(pose) | {"large": pose.large}
    return entry | {"other": None if pose.other is None else _numbers(pose.other)}


def _numbers(pose: Pose) -> dict[str, Any]:
    return {
        "position": np.round(pose.position, 6).tolist(),
        "rotation": np.round(pose.rotation, 6).tolist(),
        "reprojection_error": round(pose.reprojection_error, 4),
    }


def _degrees(text: str) -> float:
    try:
        value = float(text)
    except ValueError:
        value = math.nan
    if not -90 <= value <= 90:
        raise argparse.ArgumentTypeError(f"expected degrees from -90 to 90, got {text!r}")
    return value
