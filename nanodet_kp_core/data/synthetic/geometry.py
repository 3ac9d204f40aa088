"""Where the plates of a robot are: metres in the camera frame (x right, y down, z forward), then pixels."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

BAR_LENGTH = 0.056
SMALL_WIDTH = 0.135
LARGE_WIDTH = 0.230
"""Distance between the centre lines of the two bars, metres."""


@dataclass(frozen=True)
class Camera:
    """Pinhole: focal length and centre in pixels, rotation [3, 3] from the level frame to the camera's."""

    focal: float
    centre: tuple[float, float]
    rotation: np.ndarray

    def project(self, points: np.ndarray) -> np.ndarray:
        """Pixels [..., 2] of points [..., 3] in the level frame; points behind the camera are pushed before it."""
        local = points @ self.rotation.T
        depth = np.maximum(local[..., 2:], 0.05)
        return local[..., :2] / depth * self.focal + np.asarray(self.centre)

    def back_project(self, pixel: np.ndarray, depth: float) -> np.ndarray:
        """Point [3] in the level frame that is seen at `pixel` at `depth` metres along the optical axis."""
        ray = np.array([*((pixel - np.asarray(self.centre)) / self.focal), 1.0])
        return self.rotation.T @ (ray * depth)


def rotation_xz(pitch: float, roll: float) -> np.ndarray:
    """Rotation [3, 3] by pitch about x, then roll about the optical axis; radians."""
    cp, sp, cr, sr = np.cos(pitch), np.sin(pitch), np.cos(roll), np.sin(roll)
    return np.array([[cr, -sr, 0], [sr, cr, 0], [0, 0, 1]]) @ np.array([[1, 0, 0], [0, cp, -sp], [0, sp, cp]])


@dataclass(frozen=True)
class PlatePose:
    """A plate: centre [3], unit vectors to its right and downward as seen from its front, and its outward normal."""

    centre: np.ndarray
    right: np.ndarray
    down: np.ndarray
    normal: np.ndarray

    def points(self, xy: np.ndarray) -> np.ndarray:
        """Points [..., 3] at plate coordinates xy [..., 2] in metres."""
        return self.centre + xy[..., :1] * self.right + xy[..., 1:] * self.down

    def facing(self) -> float:
        """Cosine of the angle between the normal and the direction to the camera; 1 is frontal."""
        return float(-self.normal @ self.centre / np.linalg.norm(self.centre))


def plate_pose(robot: np.ndarray, yaw: float, radius: float, tilt: float) -> PlatePose:
    """Plate on a robot's side: `yaw` 0 faces the camera, `tilt` leans it back (15 degrees on a chassis)."""
    outward = np.array([np.sin(yaw), 0.0, -np.cos(yaw)])
    right = np.array([np.cos(yaw), 0.0, np.sin(yaw)])
    down_vertical = np.array([0.0, 1.0, 0.0])
    down = down_vertical * np.cos(tilt) + outward * np.sin(tilt)
    normal = outward * np.cos(tilt) - down_vertical * np.sin(tilt)
    return PlatePose(robot + radius * outward, right, down, normal)


def corner_points(width: float, length: float) -> np.ndarray:
    """Ends of the bars on the plate, metres [4, 2]: left-top, left-bottom, right-bottom, right-top."""
    x, y = width / 2, length / 2
    return np.array([[-x, -y], [-x, y], [x, y], [x, -y]])
