"""Where a plate is, from its four corners and a calibrated camera (PnP on a plane, both solutions of IPPE).

Camera frame: x right, y down, z forward, metres. Plate frame: origin in the middle of the plate, x to the right and y
down as seen from its front, z into the plate, away from the viewer.
"""

from __future__ import annotations

import math
from dataclasses import dataclass
from functools import lru_cache

import cv2
import numpy as np

from nanodet_kp_core.classes import split_label
from nanodet_kp_core.errors import ConfigError
from nanodet_kp_core.plate import BAR_LENGTH, LARGE_NUMBERS, LARGE_WIDTH, SMALL_WIDTH, corner_points

_NUDGE = np.array([[1e-4, 0], [0, 1e-4], [-1e-4, 0], [0, 0]])  # pixels
_DISTORTION_COUNTS = (0, 4, 5, 8, 12, 14)  # what OpenCV takes


@dataclass(frozen=True)
class Camera:
    """A calibrated camera as OpenCV has it: matrix [3, 3] in pixels, distortion [0, 4, 5, 8, 12 or 14] coefficients.

    Raises ConfigError when the numbers are no pinhole camera.
    """

    matrix: np.ndarray
    distortion: np.ndarray

    def __post_init__(self) -> None:
        matrix, distortion = (_numbers(value) for value in (self.matrix, self.distortion))
        if matrix is None or matrix.shape != (3, 3) or min(matrix[0, 0], matrix[1, 1]) <= 0:
            raise ConfigError(
                "camera matrix: expected three rows of three numbers, the focal lengths (1st and 5th) above 0, "
                f"got {self.matrix!r}"
            )
        if abs(matrix[2] - (0, 0, 1)).max() > 1e-9 or matrix[1, 0] != 0:
            raise ConfigError(f"camera matrix: expected [[fx, s, cx], [0, fy, cy], [0, 0, 1]], got {matrix.tolist()}")
        if distortion is None or distortion.size not in _DISTORTION_COUNTS:
            counts = ", ".join(map(str, _DISTORTION_COUNTS))
            raise ConfigError(f"camera distortion: expected {counts} numbers, got {self.distortion!r}")
        object.__setattr__(self, "matrix", matrix)
        object.__setattr__(self, "distortion", distortion.ravel())


@dataclass(frozen=True)
class Pose:
    """A plate in the camera frame.

    position: [3] middle of the plate, metres.
    rotation: [3, 3] plate to camera; its columns are the plate's right, down and inward directions.
    reprojection_error: root mean square over the four corners, pixels.
    """

    position: np.ndarray
    rotation: np.ndarray
    reprojection_error: float

    @property
    def normal(self) -> np.ndarray:
        """Unit vector [3] out of the plate's front."""
        return -self.rotation[:, 2]

    @property
    def distance(self) -> float:
        """Metres from the camera to the middle of the plate."""
        return float(np.linalg.norm(self.position))

    @property
    def yaw(self) -> float:
        """Turn of the plate about the camera's vertical axis, radians: 0 faces along the optical axis, positive when
        its front looks to the right of the picture."""
        x, _, z = self.normal
        return math.atan2(x, -z)


def is_large(label: str) -> bool | None:
    """Whether the class sits on a large plate; None where the name is no COLOUR_NUMBER and nobody knows."""
    colour, number = split_label(label)
    return None if colour is None else number in LARGE_NUMBERS


@lru_cache(maxsize=2)
def plate_points(large: bool) -> np.ndarray:
    """Corners [4, 3] in the plate frame, metres, in the order of geometry.CORNER_NAMES."""
    flat = corner_points(LARGE_WIDTH if large else SMALL_WIDTH, BAR_LENGTH)
    points = np.column_stack([flat, np.zeros(4)])
    points.setflags(write=False)  # shared between calls
    return points


def solve_poses(
    corners: np.ndarray, large: bool, matrix: np.ndarray, distortion: np.ndarray | None = None
) -> list[Pose]:
    """Both poses that can explain four corners of a plane, the smaller reprojection error first.

    Seen from far, a plate turned by +a and by -a look nearly alike: then the two errors are close, and whoever knows
    more (the pose a moment ago, plates that lean back by 15 degrees) should choose.

    Args:
        corners: [4, 2] pixels of the distorted image, in the order of geometry.CORNER_NAMES.
        large: 230 mm between the bars instead of 135 mm.
        matrix: [3, 3] camera matrix.
        distortion: OpenCV's coefficients; None for none.

    Returns:
        None to two poses in front of the camera; empty where the corners span no plane (on a line, not finite).
    """
    points = plate_points(large)
    image = np.asarray(corners, np.float64).reshape(4, 2)
    if not np.isfinite(image).all() or _flat(image):
        return []
    lens = np.zeros(0) if distortion is None else np.asarray(distortion, np.float64)
    # OpenCV's IPPE gives NaN for some exactly symmetric views; a ten-thousandth of a pixel beside it does not.
    return _ippe(points, image, matrix, lens) or _ippe(points, image + _NUDGE, matrix, lens)


def solve_pose(
    corners: np.ndarray, large: bool, matrix: np.ndarray, distortion: np.ndarray | None = None
) -> Pose | None:
    """The pose with the smaller reprojection error, see `solve_poses`; None where there is none."""
    return next(iter(solve_poses(corners, large, matrix, distortion)), None)


def _ippe(points: np.ndarray, image: np.ndarray, matrix: np.ndarray, lens: np.ndarray) -> list[Pose]:
    try:
        _, turns, shifts, _ = cv2.solvePnPGeneric(points, image[:, None], matrix, lens, flags=cv2.SOLVEPNP_IPPE)
    except cv2.error:  # it asserts on what it cannot solve; the caller learns it from the empty list
        return []
    poses = []
    for turn, shift in zip(turns, shifts):
        rotation, position = cv2.Rodrigues(turn)[0], np.asarray(shift, np.float64).ravel()
        if not (np.isfinite(rotation).all() and np.isfinite(position).all()) or position[2] <= 0:
            continue
        seen = cv2.projectPoints(points, turn, shift, matrix, lens)[0].reshape(4, 2)
        error = float(np.sqrt(((seen - image) ** 2).sum(axis=1).mean()))
        poses.append(Pose(position, rotation, error))
    return sorted(poses, key=lambda pose: pose.reprojection_error)


def _flat(corners: np.ndarray) -> bool:
    """Whether three of the corners lie on a line, to a thousandth of their spread: no plane can be told from them."""
    spread = float(np.linalg.norm(corners.max(axis=0) - corners.min(axis=0)))
    sides = np.roll(corners, -1, axis=0) - corners
    after = np.roll(sides, -1, axis=0)
    turns = sides[:, 0] * after[:, 1] - sides[:, 1] * after[:, 0]
    return bool(np.abs(turns).min() <= 1e-3 * spread**2)


def _numbers(value: object) -> np.ndarray | None:
    try:
        array = np.asarray(value, np.float64)
    except (TypeError, ValueError):
        return None
    return array if np.isfinite(array).all() else None
