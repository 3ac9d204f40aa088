"""Where the plates of a robot are: metres in the camera frame (x right, y down, z forward), then pixels."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

_NEAR = 0.05  # metres; what is nearer is pushed away, so that nothing is divided by zero


@dataclass(frozen=True)
class Camera:
    """Pinhole with a lens: focal length and center in pixels, rotation [3, 3] from the level frame to the camera's.

    distortion: OpenCV's k1, k2, p1, p2, k3. reach: squared radius (on the plane at depth 1) up to which the lens is
    distorted as OpenCV says; beyond it, far outside the image, its strength stays what it is there, because the
    polynomial would fold back into the image.
    """

    focal: float
    center: tuple[float, float]
    rotation: np.ndarray
    distortion: tuple[float, ...] = (0.0, 0.0, 0.0, 0.0, 0.0)
    reach: float = np.inf

    @property
    def matrix(self) -> np.ndarray:
        """Camera matrix [3, 3]."""
        return np.array([[self.focal, 0, self.center[0]], [0, self.focal, self.center[1]], [0, 0, 1.0]])

    def project(self, points: np.ndarray) -> np.ndarray:
        """Pixels [..., 2] of points [..., 3] in the level frame; points behind the camera are pushed before it."""
        local = points @ self.rotation.T
        flat = local[..., :2] / np.maximum(local[..., 2:], _NEAR)
        if any(self.distortion):
            flat = self._distorted(flat)
        return flat * self.focal + np.asarray(self.center)

    def back_project(self, pixel: np.ndarray, depth: float) -> np.ndarray:
        """Point [3] in the level frame that is seen at `pixel` at `depth` metres along the optical axis."""
        wanted = (pixel - np.asarray(self.center)) / self.focal
        flat = wanted
        for _ in range(8 if any(self.distortion) else 0):  # a fixed point: the lens moves points by little
            flat = flat + wanted - self._distorted(flat)
        return self.rotation.T @ (np.array([*flat, 1.0]) * depth)

    def _distorted(self, flat: np.ndarray) -> np.ndarray:
        k1, k2, p1, p2, k3 = self.distortion
        x, y = flat[..., :1], flat[..., 1:]
        r2 = np.minimum(x * x + y * y, self.reach)
        radial = 1 + r2 * (k1 + r2 * (k2 + r2 * k3))
        if p1 == 0 == p2:
            return np.asarray(flat * radial)
        across = np.concatenate([2 * p1 * x * y + p2 * (r2 + 2 * x * x), p1 * (r2 + 2 * y * y) + 2 * p2 * x * y], -1)
        return flat * radial + across


def rotation_xz(pitch: float, roll: float) -> np.ndarray:
    """Rotation [3, 3] by pitch about x, then roll about the optical axis; radians."""
    cp, sp, cr, sr = np.cos(pitch), np.sin(pitch), np.cos(roll), np.sin(roll)
    return np.array([[cr, -sr, 0], [sr, cr, 0], [0, 0, 1]]) @ np.array([[1, 0, 0], [0, cp, -sp], [0, sp, cp]])


def turned(points: np.ndarray, yaw: float) -> np.ndarray:
    """Points [..., 3] turned about the vertical as `plate_pose` turns a plate."""
    c, s = np.cos(yaw), np.sin(yaw)
    return points @ np.array([[c, 0, s], [0, 1, 0], [-s, 0, c]])


@dataclass(frozen=True)
class PlatePose:
    """A plate: center [3], unit vectors to its right and downward as seen from its front, and its outward normal."""

    center: np.ndarray
    right: np.ndarray
    down: np.ndarray
    normal: np.ndarray

    def points(self, xy: np.ndarray) -> np.ndarray:
        """Points [..., 3] at plate coordinates xy [..., 2] in metres."""
        return self.center + xy[..., :1] * self.right + xy[..., 1:] * self.down

    def facing(self) -> float:
        """Cosine of the angle between the normal and the direction to the camera; 1 is frontal."""
        return float(-self.normal @ self.center / np.linalg.norm(self.center))

    def in_camera(self, camera: Camera) -> tuple[np.ndarray, np.ndarray]:
        """Position [3] and rotation [3, 3] of the plate in the camera's frame; columns: right, down, inward."""
        axes = np.stack([self.right, self.down, -self.normal], axis=1)
        return camera.rotation @ self.center, camera.rotation @ axes


def plate_pose(robot: np.ndarray, yaw: float, radius: float, tilt: float) -> PlatePose:
    """Plate on a robot's side: `yaw` 0 faces the camera, `tilt` leans it back (15 degrees on a chassis)."""
    outward = np.array([np.sin(yaw), 0.0, -np.cos(yaw)])
    right = np.array([np.cos(yaw), 0.0, np.sin(yaw)])
    down_vertical = np.array([0.0, 1.0, 0.0])
    down = down_vertical * np.cos(tilt) + outward * np.sin(tilt)
    normal = outward * np.cos(tilt) - down_vertical * np.sin(tilt)
    return PlatePose(robot + radius * outward, right, down, normal)
