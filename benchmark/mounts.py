"""How often the right one of a plate's two poses is chosen on other mounts, with and without saying so.

    python benchmark/mounts.py

Single plates 1.2 to 6 m away, turned by up to 60 degrees, without pixels; each coordinate of a corner is moved by a
normal 2 % of the plate's diagonal. Plates lean by 15 degrees or not at all; the camera looks ahead, up or down.
"""

from __future__ import annotations

import math
import sys
from pathlib import Path

import numpy as np

sys.path.insert(0, str(Path(__file__).resolve().parent.parent))

from nanodet_kp_core.classes import ARMOR_CLASSES
from nanodet_kp_core.plate import BAR_LENGTH, SMALL_WIDTH, corner_points
from nanodet_kp_core.runtime.detection.detections import Detections
from nanodet_kp_core.runtime.poses.mounting import USUAL_LARGE, USUAL_LEAN, Mounting, make_mounting
from nanodet_kp_core.runtime.poses.plate_poses import PlatePoses
from nanodet_kp_core.runtime.poses.pose import Camera, solve_poses
from nanodet_kp_core.synthetic.geometry import plate_pose

CAMERA = Camera([[1280, 0, 640], [0, 1280, 512], [0, 0, 1]], [])
PLATES = 1000
NOISE = 0.02
MOUNTS = ((USUAL_LEAN, 0.0), (0.0, 0.0), (USUAL_LEAN, 20.0), (USUAL_LEAN, -20.0), (USUAL_LEAN, -40.0))
"""Lean of the plates and pitch of the camera, degrees."""


def view(rng: np.random.Generator, lean: float, pitch: float) -> tuple[np.ndarray, np.ndarray]:
    """Corners [4, 2] of a plate with their noise, and the true direction [3] out of its front."""
    yaw, distance = rng.uniform(-math.pi / 3, math.pi / 3), rng.uniform(1.2, 6)
    plate = plate_pose(np.zeros(3), yaw, 0.0, math.radians(lean))
    cos, sin = math.cos(math.radians(pitch)), math.sin(math.radians(pitch))
    turn = np.array([[1, 0, 0], [0, cos, sin], [0, -sin, cos]])
    middle = distance * np.array([rng.uniform(-0.3, 0.3), rng.uniform(-0.3, 0.3), 1.0])
    corners = CAMERA.project(plate.points(corner_points(SMALL_WIDTH, BAR_LENGTH)) @ turn.T + middle)
    diagonal = np.linalg.norm(corners.max(axis=0) - corners.min(axis=0))
    return corners + rng.normal(0, NOISE * diagonal, (4, 2)), turn @ plate.normal


def right(corners: np.ndarray, normal: np.ndarray, mounting: Mounting) -> bool | None:
    """Whether the better pose is chosen; None where there are not two."""
    both = solve_poses(np.float32(corners), False, CAMERA)
    if len(both) < 2:
        return None
    found = Detections(np.ones(1), np.zeros(1, np.int64), np.zeros((1, 4)), np.float32([corners]), ("B_3",))
    (pose,) = PlatePoses().solve(found, CAMERA, 0.0, mounting)
    best = max(both, key=lambda candidate: float(candidate.normal @ normal))
    return pose is not None and bool(np.allclose(pose.normal, best.normal))


def share(views: list[tuple[np.ndarray, np.ndarray]], mounting: Mounting) -> float:
    """Of the plates with two poses, those for which the better one is chosen."""
    answers = [right(corners, normal, mounting) for corners, normal in views]
    return float(np.mean([answer for answer in answers if answer is not None]))


def main() -> int:
    """Prints the table."""
    print("| plates lean by | camera looks up by | right: least error | right: usual mounting | right: as it is |")
    print("|---|---|---|---|---|")
    for lean, pitch in MOUNTS:
        views = [view(np.random.default_rng([seed, 7]), lean, pitch) for seed in range(PLATES)]
        said = make_mounting(USUAL_LARGE, lean, pitch, ARMOR_CLASSES)
        both = [solve_poses(np.float32(corners), False, CAMERA) for corners, _ in views]
        least = np.mean([b[0].normal @ n >= b[1].normal @ n for b, (_, n) in zip(both, views) if len(b) == 2])
        print(f"| {lean:g} | {pitch:g} | {least:.0%} | {share(views, Mounting()):.0%} | {share(views, said):.0%} |")
    return 0


if __name__ == "__main__":
    sys.exit(main())
