"""How often the right one of a plate's two poses is chosen, and how far the pose is from the truth.

    python benchmark/pose.py

The truth is known: plates of rendered scenes (corners without pixels, noise added to them), plates of robots that drive
and turn before a camera (the same, image after image), and rendered clips that go through the detector.
"""

from __future__ import annotations

import argparse
import math
import sys
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np

sys.path.insert(0, str(Path(__file__).resolve().parent.parent))

from nanodet_kp_core.classes import ARMOR_CLASSES
from nanodet_kp_core.command import open_door
from nanodet_kp_core.plate import BAR_LENGTH, LARGE_NUMBERS, LARGE_WIDTH, SMALL_WIDTH, corner_points
from nanodet_kp_core.runtime.detection.detector import Detections, Detector
from nanodet_kp_core.runtime.poses.plate_poses import PlatePoses
from nanodet_kp_core.runtime.poses.pose import Camera, Pose, solve_poses
from nanodet_kp_core.synthetic.background import background
from nanodet_kp_core.synthetic.clip import _EXPOSURE as CLIP_EXPOSURE
from nanodet_kp_core.synthetic.generator import KnownPose, render_scene
from nanodet_kp_core.synthetic.geometry import Camera as SceneCamera
from nanodet_kp_core.synthetic.geometry import PlatePose, plate_pose, rotation_xz
from nanodet_kp_core.synthetic.robot import draw_robot
from nanodet_kp_core.synthetic.sensor import expose

FIRST_SEED = 900_000  # no scene of the training
NOISES = (0.005, 0.01, 0.02, 0.04)
FPS = 60
NO_CHASSIS = ("O", "Bs", "Bb")
"""Stickers that are left out: outposts' plates look down, bases' lean as a robot's, which real ones do not."""

HEAD = """\
| plates | number | right: least error | right: chosen | yaw: least error | yaw: chosen | yaw: better one | distance |
|---|---|---|---|---|---|---|---|"""

View = tuple[np.ndarray, str, KnownPose]
"""Corners [4, 2], label and true pose of a plate."""


@dataclass(frozen=True)
class Choice:
    """One plate: the errors of the chosen pose, of that with the smaller reprojection error, and of the better one."""

    right: bool
    least_right: bool
    yaw: float
    least_yaw: float
    best_yaw: float
    distance: float


def scenes(count: int) -> Iterator[tuple[Camera, list[View]]]:
    """Rendered images: every plate with the size of its sticker."""
    for seed in range(FIRST_SEED, FIRST_SEED + count):
        scene = render_scene(seed, (256, 256), (14.0, 120.0), exact=True)
        plates = zip(scene.sample.corners, scene.sample.labels, scene.poses)
        views = [(corners, ARMOR_CLASSES[label], pose) for corners, label, pose in plates]
        yield Camera(scene.camera_matrix, scene.distortion), [v for v in views if v[1].split("_")[1] not in NO_CHASSIS]


def drive(seed: int, frames: int, spin: float) -> Iterator[tuple[Camera, list[View]]]:
    """A robot passes a camera that looks slightly up or down; spin: radians a second."""
    rng = np.random.default_rng(seed)
    rotation = rotation_xz(float(rng.normal(-0.06, 0.12)), float(rng.normal(0, 0.04)))
    lens = SceneCamera(1280 * float(rng.uniform(1, 2)), (640, 512), rotation)
    large = rng.random() < 0.25
    width, label = (LARGE_WIDTH, "B_1") if large else (SMALL_WIDTH, "B_3")
    tilt = math.radians(15) if rng.random() < 0.8 else float(rng.normal(0, 0.12))
    radius, yaw = float(rng.uniform(0.2, 0.34)), float(rng.uniform(-math.pi, math.pi))
    start = np.array([rng.uniform(-0.2, 0.2), rng.uniform(-0.1, 0.1), 1.0]) * rng.uniform(1.2, 6)
    speed = np.array([rng.normal(0, 0.5), 0, rng.normal(0, 0.5)])
    camera = Camera(lens.matrix, [])
    for now in np.arange(frames) / FPS:
        views = []
        for side in range(4):
            plate = plate_pose(start + speed * now, yaw + spin * float(now) + side * math.pi / 2, radius, tilt)
            if plate.facing() < 0.3 or rng.random() < 0.05:  # turned away, or missed by the detector
                continue
            corners = lens.project(plate.points(corner_points(width, BAR_LENGTH)))
            views.append((corners, label, KnownPose(*plate.in_camera(lens), large)))
        yield camera, views


def film(seed: int, frames: int, detector: Detector) -> Iterator[tuple[Camera, list[View]]]:
    """What the detector finds of three robots in a rendered clip, with the true pose of each plate it hits.

    Robots that do not lean by 15 degrees are left out: the same three stay in the image for the whole clip.
    """
    w, h = 640, 480
    paths = np.random.default_rng(seed)
    rotation = rotation_xz(float(paths.normal(-0.06, 0.1)), float(paths.normal(0, 0.03)))
    lens = SceneCamera(w * float(paths.uniform(1.0, 1.6)), (w / 2, h / 2), rotation)
    robots = [(paths.uniform(0, 6.3), w * (0.07 + 0.05 * k), paths.uniform(-2, 2)) for k in range(3)]
    for now in np.arange(frames) / FPS:
        canvas = background(np.random.default_rng(seed), (w, h))
        plates = []
        for owner, (phase, px, spin) in enumerate(robots, start=1):
            at = np.array([(0.5 + 0.3 * np.sin(phase + now + 2.1 * owner)) * w, (0.45 + 0.1 * owner) * h])
            looks = np.random.default_rng([seed, owner])
            plates += draw_robot(looks, canvas, lens, at, px, 4 * owner, CLIP_EXPOSURE, float(spin * now), exact=True)
        found = detector(expose(np.random.default_rng([seed, 7, round(now * FPS)]), canvas, CLIP_EXPOSURE, None))
        views = []
        for corners, label in zip(found.corners.astype(float), found.labels):
            near = [p for p in plates if _off(corners, p.corners) < 0.25 and f"{p.color}_{p.number}" == label]
            if len(near) == 1 and near[0].number not in NO_CHASSIS and _leans(near[0].pose):
                pose = KnownPose(*near[0].pose.in_camera(lens), near[0].large)
                views.append((corners, label, pose))
        yield Camera(lens.matrix, []), views


def _leans(pose: PlatePose) -> bool:
    return abs(math.degrees(math.asin(-pose.normal[1])) - 15) < 0.1


def _off(corners: np.ndarray, true: np.ndarray) -> float:
    """Mean distance of the corners, plate diagonals."""
    return float(np.linalg.norm(corners - true, axis=1).mean() / np.linalg.norm(true.max(axis=0) - true.min(axis=0)))


def noisy(views: Sequence[View], noise: float, rng: np.random.Generator) -> list[View]:
    """The same plates, each coordinate of a corner moved by a normal share of the plate's diagonal."""
    moved = []
    for corners, label, pose in views:
        diagonal = np.linalg.norm(corners.max(axis=0) - corners.min(axis=0))
        moved.append((corners + rng.normal(0, noise * diagonal, (4, 2)), label, pose))
    return moved


def choose(poses: PlatePoses, camera: Camera, views: Sequence[View], stamp_s: float) -> Iterator[Choice]:
    """What becomes of the plates of one image."""
    corners = np.array([view[0] for view in views]).reshape(-1, 4, 2)
    labels = tuple(view[1] for view in views)
    boxes = np.zeros((len(views), 4))
    found = Detections(np.ones(len(views)), np.arange(len(views)), boxes, corners, labels)
    for pose, seen, (_, label, true) in zip(poses.solve(found, camera, stamp_s), corners, views):
        both = solve_poses(seen, label.split("_")[1] in LARGE_NUMBERS, camera)
        if pose is None or len(both) < 2:
            continue
        best = max(both, key=lambda candidate: float(candidate.normal @ -true.rotation[:, 2]))
        yield Choice(
            bool(np.allclose(pose.normal, best.normal)), both[0] is best, _turn(pose, true), _turn(both[0], true),
            _turn(best, true), abs(pose.distance / float(np.linalg.norm(true.position)) - 1),
        )  # fmt: skip


def _turn(pose: Pose, true: KnownPose) -> float:
    x, _, z = -true.rotation[:, 2]
    return abs(math.degrees((pose.yaw - math.atan2(x, -z) + math.pi) % (2 * math.pi) - math.pi))


def row(name: str, choices: list[Choice]) -> str:
    """A line of the table: yaw errors in degrees, median / mean; distance in percent, median / 95th percentile."""
    share = f"{np.mean([c.least_right for c in choices]):.0%} | {np.mean([c.right for c in choices]):.0%}"
    yaws = [[getattr(c, field) for c in choices] for field in ("least_yaw", "yaw", "best_yaw")]
    turns = " | ".join(f"{np.median(values):.1f} / {np.mean(values):.1f}" for values in yaws)
    far = 100 * np.array([c.distance for c in choices])
    return f"| {name} | {len(choices)} | {share} | {turns} | {np.median(far):.1f} / {np.percentile(far, 95):.1f} |"


def follow(make: Callable[[int], Iterator[tuple[Camera, list[View]]]], count: int, noise: float) -> list[Choice]:
    """All plates of several sequences, each with a PlatePoses of its own."""
    choices: list[Choice] = []
    for seed in range(count):
        rng, poses = np.random.default_rng([seed, 1]), PlatePoses()
        for number, (camera, views) in enumerate(make(seed)):
            choices += choose(poses, camera, noisy(views, noise, rng), number / FPS)
    return choices


WRONG = {
    "right": (1, 1, 1),
    "both focal lengths doubled": (2, 2, 1),
    "both halved": (0.5, 0.5, 1),
    "of an image of 3/4 of the width": (0.75, 1, 0.75),
    "of an image of half the width": (0.5, 1, 0.5),
}
"""What a calibration has wrong: factors of fx, fy and of the optical center's x."""


def calibrations(count: int, noise: float) -> Iterator[str]:
    """For each wrong calibration what the corners say about it: reprojection error and lean of the chosen poses."""
    for name, (across, down, center) in WRONG.items():
        errors, leans, warned = [], [], 0
        for seed in range(count):
            rng, poses = np.random.default_rng([seed, 3]), PlatePoses()
            of_this = []
            for number, (camera, views) in enumerate(drive(seed, 240, 3.0)):
                matrix = camera.matrix * [[across, 1, center], [1, down, 1], [1, 1, 1]]
                seen = noisy(views, noise, rng)
                corners = np.array([view[0] for view in seen]).reshape(-1, 4, 2)
                labels, ids = tuple(view[1] for view in seen), np.arange(len(seen))
                found = Detections(np.ones(len(seen)), ids, np.zeros((len(seen), 4)), corners, labels)
                for pose, plate in zip(poses.solve(found, Camera(matrix, []), number / FPS), corners):
                    if pose is not None:
                        errors.append(pose.reprojection_error / np.linalg.norm(plate.max(axis=0) - plate.min(axis=0)))
                        of_this.append(abs(math.degrees(math.asin(-pose.normal[1])) - 15))
            leans.append(np.median(of_this))
            warned += poses.warning is not None
        low, middle, high = np.percentile(leans, (10, 50, 90))
        yield f"| {name} | {np.median(errors):.2%} | {middle:.0f} ({low:.0f} to {high:.0f}) | {warned} of {count} |"


def sizes(count: int, noise: float) -> str:
    """How often the size is right where the class does not say it, in single images."""
    right: dict[bool, list[bool]] = {False: [], True: []}
    for seed in range(count):
        rng = np.random.default_rng([seed, 4])
        for camera, views in drive(seed, 8, 3.0):
            for corners, _, true in noisy(views, noise, rng):
                found = Detections(np.ones(1), np.zeros(1, int), np.zeros((1, 4)), corners[None], ("armor",))
                pose = PlatePoses().solve(found, camera, 0.0)[0]
                right[true.large] += [] if pose is None else [pose.large == true.large]
    return f"| {noise:.1%} | {np.mean(right[False]):.0%} | {np.mean(right[True]):.0%} |"


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--scenes", type=int, default=700, help="rendered images (default: %(default)s)")
    parser.add_argument("--drives", type=int, default=24, help="sequences of each kind (default: %(default)s)")
    parser.add_argument("--films", type=int, default=32, help="rendered clips (default: %(default)s)")
    parser.add_argument("--calibrations", action="store_true", help="instead: what wrong calibrations look like")
    parser.add_argument("--sizes", action="store_true", help="instead: the size of plates of an unknown class")
    args = parser.parse_args()
    if args.sizes:
        print("| corners off by | small plates right | large plates right |\n|---|---|---|")
        print(*(sizes(8 * args.drives, noise) for noise in NOISES), sep="\n")
        return 0
    if args.calibrations:
        print("| calibration | reprojection error | lean off by | warned |\n|---|---|---|---|")
        print(*calibrations(args.drives, 0.03), sep="\n")
        return 0
    print(HEAD)
    rendered = list(scenes(args.scenes))
    for noise in NOISES:
        rng = np.random.default_rng(2)
        choices = [c for camera, views in rendered for c in choose(PlatePoses(), camera, noisy(views, noise, rng), 0.0)]
        print(row(f"single images, corners off by {noise:.1%}", choices), flush=True)
    for spin in (0.0, 1.5, 6.0):
        for noise in NOISES:
            choices = follow(lambda seed, spin=spin: drive(seed, 60, spin), args.drives, noise)
            print(row(f"sequence, {spin:g} rad/s, {noise:.1%}", choices), flush=True)
    detector = Detector(threads=1)
    films = [list(film(seed, 12, detector)) for seed in range(args.films)]
    single = [c for images in films for camera, views in images for c in choose(PlatePoses(), camera, views, 0.0)]
    print(row("detector, single images of clips", single))
    print(row("detector, clips", follow(lambda seed: iter(films[seed]), args.films, 0.0)))
    return 0


if __name__ == "__main__":
    open_door(main)
