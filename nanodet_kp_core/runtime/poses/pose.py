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
from nanodet_kp_core.errors import ConfigError, shown
from nanodet_kp_core.geometry import corner_turns
from nanodet_kp_core.plate import BAR_LENGTH, LARGE_NUMBERS, LARGE_WIDTH, SMALL_WIDTH, corner_points

_NUDGE = np.array([[1e-4, 0], [0, 1e-4], [-1e-4, 0], [0, 0]])  # pixels
_DISTORTION_COUNTS = (0, 4, 5, 8, 12, 14)  # what OpenCV takes
_UNDISTORTED_PX = 1e-3  # a ray that is projected again comes back to its pixel to this


@dataclass(frozen=True)
class Camera:
    """A calibrated camera as OpenCV has it: matrix [3, 3] in pixels, distortion [0, 4, 5, 8, 12 or 14] coefficients.

    fisheye: the 4 coefficients are those of OpenCV's fisheye model (ROS: equidistant).
    Raises ConfigError when the numbers are no such camera.
    """

    matrix: np.ndarray
    distortion: np.ndarray
    fisheye: bool = False

    def __post_init__(self) -> None:
        matrix, distortion = (_numbers(value) for value in (self.matrix, self.distortion))
        if matrix is None or matrix.shape != (3, 3) or min(matrix[0, 0], matrix[1, 1]) <= 0:
            raise ConfigError(
                "camera matrix: expected three rows of three numbers, the focal lengths (1st and 5th) above 0, "
                f"got {shown(_plain(self.matrix))}"
            )
        if abs(matrix[2] - (0, 0, 1)).max() > 1e-9 or matrix[1, 0] != 0:
            raise ConfigError(f"camera matrix: expected [[fx, s, cx], [0, fy, cy], [0, 0, 1]], got {matrix.tolist()}")
        counts = (4,) if self.fisheye else _DISTORTION_COUNTS
        if distortion is None or distortion.size not in counts:
            listed = ", ".join(map(str, counts))
            raise ConfigError(f"camera distortion: expected {listed} numbers, got {shown(_plain(self.distortion))}")
        object.__setattr__(self, "matrix", matrix)
        object.__setattr__(self, "distortion", distortion.ravel())

    def project(self, points: np.ndarray) -> np.ndarray:
        """Pixels [N, 2] of points [N, 3] in the camera frame, metres."""
        zero, shaped = np.zeros(3), np.asarray(points, np.float64).reshape(-1, 1, 3)
        if self.fisheye:
            pixels = cv2.fisheye.projectPoints(shaped, zero, zero, self.matrix, self.distortion)[0]
        else:
            pixels = cv2.projectPoints(shaped, zero, zero, self.matrix, self.distortion)[0]
        return pixels.reshape(-1, 2)

    def rays(self, pixels: np.ndarray) -> np.ndarray:
        """Where the rays of pixels [N, 2] cross the plane at depth 1, [N, 2]; NaN where the lens model has no such ray.

        It has none beyond the radius where its polynomial folds back, and, for a fisheye, from 90 degrees on.
        """
        pixels = np.asarray(pixels, np.float64).reshape(-1, 2)
        undistort = cv2.fisheye.undistortPoints if self.fisheye else cv2.undistortPoints
        flat = undistort(pixels[:, None], self.matrix, self.distortion).reshape(-1, 2)
        focal = np.diag(self.matrix)[:2]
        for _ in range(20):  # OpenCV stops after five steps, tenths of a pixel away for a strong lens
            off = pixels - self.project(np.column_stack([flat, np.ones(len(flat))]))
            if np.abs(off).max(initial=0.0) <= _UNDISTORTED_PX:
                break
            flat = flat + off / focal
        return np.where(np.abs(off).max(axis=1, keepdims=True) <= _UNDISTORTED_PX, flat, np.nan)

    def window(self, x: float, y: float, binning: tuple[float, float]) -> Camera:
        """The camera of a part of the image that begins at pixel (x, y) and then is shrunk by `binning` (x, y)."""
        shrink = np.array([[1 / binning[0], 0, 0.5 / binning[0] - 0.5], [0, 1 / binning[1], 0.5 / binning[1] - 0.5]])
        shift = np.array([[1, 0, -x], [0, 1, -y], [0, 0, 1.0]])
        return Camera(np.vstack([shrink, [0, 0, 1]]) @ shift @ self.matrix, self.distortion, self.fisheye)


@dataclass(frozen=True)
class Pose:
    """A plate in the camera frame.

    position: [3] middle of the plate, metres.
    rotation: [3, 3] plate to camera; its columns are the plate's right, down and inward directions.
    reprojection_error: root mean square over the four corners, pixels.
    large: the size with which it was solved, 230 mm between the bars instead of 135 mm.
    other: of one that was chosen, the second pose that explains the same corners, with its own reprojection error;
        None where there is none in front of the camera.
    """

    position: np.ndarray
    rotation: np.ndarray
    reprojection_error: float
    large: bool
    other: Pose | None = None

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
        its front looks to the right of the image."""
        x, _, z = self.normal
        return math.atan2(x, -z)


def is_large(label: str) -> bool | None:
    """Whether the class sits on a large plate; None where the name has no sticker and nobody knows."""
    number = split_label(label)[1]
    return number in LARGE_NUMBERS if number else None


@lru_cache(maxsize=2)
def plate_points(large: bool) -> np.ndarray:
    """Corners [4, 3] in the plate frame, metres, in the order of geometry.CORNER_NAMES."""
    flat = corner_points(LARGE_WIDTH if large else SMALL_WIDTH, BAR_LENGTH)
    points = np.column_stack([flat, np.zeros(4)])
    points.setflags(write=False)  # shared between calls
    return points


def solve_poses(corners: np.ndarray, large: bool, camera: Camera) -> list[Pose]:
    """Both poses that can explain four corners of a plane, the smaller reprojection error first.

    Seen from far, a plate turned by +a and by -a look nearly alike: then the two errors are close, and whoever knows
    more should choose: see plate_poses.PlatePoses.

    Args:
        corners: [4, 2] pixels of the distorted image, in the order of geometry.CORNER_NAMES.
        large: 230 mm between the bars instead of 135 mm.

    Returns:
        None to two poses in front of the camera whose front it sees; empty where the corners cannot be those of a plate
        (on a line, crossed, the wrong way round, not finite) or lie where the lens sees nothing.
    """
    image = np.asarray(corners, np.float64).reshape(4, 2)
    if not np.isfinite(image).all() or not _is_view(image):
        return []
    # OpenCV's IPPE gives NaN for some exactly symmetric views; a ten-thousandth of a pixel beside it does not.
    return _ippe(large, image, camera) or _ippe(large, image + _NUDGE, camera)


def solve_pose(corners: np.ndarray, large: bool, camera: Camera) -> Pose | None:
    """The pose with the smaller reprojection error, see `solve_poses`; None where there is none."""
    return next(iter(solve_poses(corners, large, camera)), None)


def _ippe(large: bool, image: np.ndarray, camera: Camera) -> list[Pose]:
    points, rays = plate_points(large), camera.rays(image)
    if np.isnan(rays).any():
        return []
    try:
        _, turns, shifts, _ = cv2.solvePnPGeneric(points, rays[:, None], np.eye(3), None, flags=cv2.SOLVEPNP_IPPE)
    except cv2.error:  # it asserts on what it cannot solve; the caller learns it from the empty list
        return []
    poses = []
    for turn, shift in zip(turns, shifts):
        rotation, position = cv2.Rodrigues(turn)[0], np.asarray(shift, np.float64).ravel()
        if not (np.isfinite(rotation).all() and np.isfinite(position).all()) or position[2] <= 0:
            continue
        seen = camera.project(points @ rotation.T + position)
        error = float(np.sqrt(((seen - image) ** 2).sum(axis=1).mean()))
        poses.append(Pose(position, rotation, error, large))
    return sorted(poses, key=lambda pose: pose.reprojection_error)


def _is_view(corners: np.ndarray) -> bool:
    """Whether a plate seen from its front can have such corners: a convex outline, counter-clockwise in the image.

    Three of them on a line, to a thousandth of their spread, tell no plane.
    """
    spread = float(np.linalg.norm(corners.max(axis=0) - corners.min(axis=0)))
    return bool(corner_turns(corners).min() > 1e-3 * spread**2)


def _plain(value: object) -> object:
    return value.tolist() if isinstance(value, np.ndarray) else value


def _numbers(value: object) -> np.ndarray | None:
    try:
        array = np.asarray(value, np.float64)
    except (TypeError, ValueError):
        return None
    return array if np.isfinite(array).all() else None
