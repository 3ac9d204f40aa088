"""Which of the two poses of each plate is the true one, from image to image."""

from __future__ import annotations

import math
from collections import deque
from dataclasses import dataclass, replace

import numpy as np

from nanodet_kp_core.classes import are_armor
from nanodet_kp_core.runtime.detection.detector import Detections
from nanodet_kp_core.runtime.poses.mounting import Mounting
from nanodet_kp_core.runtime.poses.pose import Camera, Pose, solve_poses

_NOISE = 0.025  # of a corner coordinate, plate diagonals
_NOISE_PX = 0.5
_LEAN_SPREAD = math.radians(12)  # cameras look up and down, and not every plate is built so
_YAW_SPREAD = math.radians(35)  # of plates that are seen, where the size is not known
_REPEATED = 0.4  # weight of how a plate stands when it was seen before: the next image says little new of it
_TURN = math.radians(8)  # between two images, besides what a turning robot does
_TURN_RATE = 8.0  # radians a second
_MEMORY = 10.0  # log-likelihood; no cost from earlier images counts more than this
_MAX_GAP_S = 0.25
_NEAR = 1.0  # diagonals from the plate's last place

_SELDOM_LARGE = math.log(3)  # where the size is not known: hero and base alone have large plates

_USUAL = Mounting()

_WATCHED = 200  # plates
_WRONG_FIT = 0.12  # median reprojection error, plate diagonals
_WRONG_LEAN = math.radians(25)  # median


@dataclass(frozen=True)
class _Candidate:
    """A pose that explains a plate; cost: minus log-likelihood up to a constant, of all that was seen of the plate."""

    pose: Pose
    cost: float


@dataclass(frozen=True)
class _Track:
    """A plate as it was seen last: middle [2] and diagonal in pixels."""

    class_id: int
    middle: np.ndarray
    diagonal: float
    candidates: list[_Candidate]


class PlatePoses:
    """Poses of the plates of a camera's images, given in their order.

    warning: a sentence when the poses of the last plates say that the calibration is wrong; else None.

    A wrong scale of both focal lengths gives no warning: all plates are then nearer or farther, and nothing else shows.
    """

    def __init__(self) -> None:
        self.warning: str | None = None
        self._tracks: list[_Track] = []
        self._stamp_s = -math.inf
        self._errors: deque[float] = deque(maxlen=_WATCHED)
        self._leans: deque[float] = deque(maxlen=_WATCHED)

    def solve(
        self, detections: Detections, camera: Camera, stamp_s: float, mounting: Mounting = _USUAL
    ) -> list[Pose | None]:
        """The pose of each plate with the `other` one that its corners allow, None where they allow none. Where the
        number is unknown, the likeliest class says how large the plate is.

        stamp_s: time of the image, seconds. When it goes back or leaps, what was seen before is forgotten.
        """
        if not are_armor(detections.class_names):
            return [None] * len(detections)
        gap = stamp_s - self._stamp_s
        known = self._tracks if 0 <= gap <= _MAX_GAP_S else []
        self._stamp_s, self._tracks = stamp_s, []
        poses: list[Pose | None] = []
        plates = zip(detections.corners, detections.class_ids, detections.class_labels, strict=True)
        for corners, class_id, label in plates:
            track = self._solve_plate(corners, int(class_id), label, camera, known, gap, mounting)
            if track is None:
                poses.append(None)
                continue
            self._tracks.append(track)
            best = min(track.candidates, key=lambda candidate: candidate.cost).pose
            self._errors.append(best.reprojection_error / track.diagonal)
            self._leans.append(abs(mounting.lean_error(best.normal, label)))
            poses.append(replace(best, other=_other(best, track.candidates)))
        self._judge()
        return poses

    def _solve_plate(
        self, corners: np.ndarray, class_id: int, label: str, camera: Camera, known: list[_Track], gap: float,
        mounting: Mounting,
    ) -> _Track | None:  # fmt: skip
        corners = np.asarray(corners, np.float64)
        diagonal = float(np.linalg.norm(corners.max(axis=0) - corners.min(axis=0)))
        said = mounting.is_large(label)
        sizes = (False, True) if said is None else (said,)
        found = [pose for large in sizes for pose in solve_poses(corners, large, camera)]
        if not found:
            return None
        middle = corners.mean(axis=0)
        before = _nearest(known, class_id, middle, diagonal)
        noise = max(_NOISE * diagonal, _NOISE_PX)
        candidates = []
        for pose in found:
            cost = 2 * (pose.reprojection_error / noise) ** 2 + _turn_cost(pose, before, gap)
            prior = _standing_cost(pose, mounting.lean_error(pose.normal, label), sure=said is not None)
            candidates.append(_Candidate(pose, cost + prior * (1.0 if before is None else _REPEATED)))
        return _Track(class_id, middle, diagonal, candidates)

    def _judge(self) -> None:
        if len(self._errors) < _WATCHED:
            return
        fit, lean = float(np.median(self._errors)), float(np.median(self._leans))
        self.warning = None
        if fit > _WRONG_FIT:
            self.warning = (
                f"the calibration does not fit: expected plates that are projected back to within {_WRONG_FIT:.0%} of "
                f"their diagonal, got {fit:.0%} (median of {_WATCHED}); calibrate this camera at this size"
            )
        elif lean > _WRONG_LEAN:
            self.warning = (
                f"the calibration does not fit, or the camera looks far up or down: expected plates that lean as on a "
                f"robot to within {math.degrees(_WRONG_LEAN):.0f} degrees, got {math.degrees(lean):.0f} (median of "
                f"{_WATCHED}); check that the focal lengths belong to this image size, or set camera_pitch and "
                "plate_lean"
            )


def _standing_cost(pose: Pose, lean_error: float, sure: bool) -> float:
    """Minus log-likelihood of a plate that stands so. lean_error: radians. sure: its size is known."""
    cost = (lean_error / _LEAN_SPREAD) ** 2 / 2
    if sure:
        return cost
    # A small plate from the front is as wide as a large one from the side, which is seen less often.
    return cost + (pose.yaw / _YAW_SPREAD) ** 2 / 2 + (_SELDOM_LARGE if pose.large else 0.0)


def _other(pose: Pose, candidates: list[_Candidate]) -> Pose | None:
    """The second solution for a plate of the same size."""
    return next((c.pose for c in candidates if c.pose is not pose and c.pose.large == pose.large), None)


def _turn_cost(pose: Pose, before: _Track | None, gap: float) -> float:
    """Cost of the likeliest turn from a pose in the image before to this one."""
    if before is None:
        return 0.0
    least = min(candidate.cost for candidate in before.candidates)
    spread = _TURN + _TURN_RATE * gap
    costs = []
    for candidate in before.candidates:
        turn = math.acos(max(-1.0, min(1.0, float(candidate.pose.normal @ pose.normal))))
        other_size = _MEMORY if candidate.pose.large != pose.large else 0.0
        moved = min((turn / spread) ** 2 / 2, _MEMORY) + other_size
        costs.append(min(candidate.cost - least, _MEMORY) + moved)
    return min(costs)


def _nearest(tracks: list[_Track], class_id: int, middle: np.ndarray, diagonal: float) -> _Track | None:
    """The plate that was seen here a moment ago; one of the same class where there are several."""
    near = [
        (track.class_id != class_id, distance, track)
        for track in tracks
        if (distance := float(np.linalg.norm(track.middle - middle))) < _NEAR * max(diagonal, track.diagonal)
    ]
    return min(near, key=lambda entry: entry[:2])[2] if near else None
