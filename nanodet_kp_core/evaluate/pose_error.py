"""How far a pose from predicted corners is from the pose of the labeled ones."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import numpy as np

from nanodet_kp_core.evaluate.metrics import Hit, nanmean, nanpercentile
from nanodet_kp_core.runtime.poses.pose import Camera, Pose, is_large, solve_pose, solve_poses

DISTANCES = (0, 1, 2, 3, 4, 5, 6, 7, 8)
"""Metres between which plates share a row of the table by distance; a last row takes those beyond."""


@dataclass(frozen=True)
class PlateError:
    """Pose error of one plate: metres, degrees (0 to 180), pixels; see PoseScore."""

    true_distance: float
    distance: float
    yaw: float
    yaw_nearest: float
    reprojection: float
    wrong_size: bool


@dataclass(frozen=True)
class PoseScore:
    """Errors over the hits whose camera and plate size are known.

    Distances in metres and as a share of the true distance, yaw in degrees (0 to 180), reprojection in pixels, all of
    the solution with the smaller reprojection error. yaw_nearest: yaw error of whichever of the two solutions is
    nearer to the truth; flipped: plates for which that is the other one.
    wrong_size: hits whose predicted class sits on a plate of the other size; their yaw is wrong by up to 54 degrees.
    """

    plates: int
    distance_mean: float
    distance_median: float
    distance_p95: float
    relative_median: float
    relative_p95: float
    yaw_mean: float
    yaw_median: float
    yaw_p95: float
    yaw_nearest_median: float
    yaw_nearest_p95: float
    reprojection_median: float
    flipped: int
    wrong_size: int


@dataclass(frozen=True)
class PoseRow:
    """Medians of the plates between two distances, metres and degrees; not a number where there are none."""

    low: float
    high: float
    plates: int
    distance_median: float
    distance_p90: float
    yaw_median: float
    yaw_nearest_median: float
    yaw_nearest_p90: float


def pose_errors(hits: Sequence[Hit], cameras: Mapping[str, Camera], class_names: Sequence[str]) -> list[PlateError]:
    """Pose errors of the hits whose camera (by record name) and plate size are known.

    The reference is the pose of the labeled corners with the size of the labeled class; the prediction takes the
    size of its own class, as a robot does.
    """
    errors: list[PlateError] = []
    for hit in hits:
        camera = cameras.get(hit.record.name)
        label = class_names[hit.record.labels[hit.plate]]
        size, said = is_large(label), is_large(hit.prediction.label)
        known = hit.record.number_known[hit.plate] and size is not None and said is not None
        if camera is None or not known or np.isnan(hit.offsets).any():
            continue
        true = solve_pose(hit.record.corners[hit.plate], bool(size), camera)
        got = solve_poses(hit.prediction.corners, bool(said), camera)
        if true is None or not got:
            continue
        turns = [_turn(pose, true) for pose in got]
        off = abs(got[0].distance - true.distance)
        errors.append(
            PlateError(true.distance, off, turns[0], min(turns), got[0].reprojection_error, wrong_size=size != said)
        )
    return errors


def pose_score(errors: Sequence[PlateError]) -> PoseScore:
    """Figures over all plates."""
    distance = np.array([e.distance for e in errors])
    relative = np.array([e.distance / e.true_distance for e in errors])
    yaw, nearest = np.array([e.yaw for e in errors]), np.array([e.yaw_nearest for e in errors])
    return PoseScore(
        plates=len(errors),
        distance_mean=nanmean(distance),
        distance_median=nanpercentile(distance, 50),
        distance_p95=nanpercentile(distance, 95),
        relative_median=nanpercentile(relative, 50),
        relative_p95=nanpercentile(relative, 95),
        yaw_mean=nanmean(yaw),
        yaw_median=nanpercentile(yaw, 50),
        yaw_p95=nanpercentile(yaw, 95),
        yaw_nearest_median=nanpercentile(nearest, 50),
        yaw_nearest_p95=nanpercentile(nearest, 95),
        reprojection_median=nanpercentile(np.array([e.reprojection for e in errors]), 50),
        flipped=sum(e.yaw_nearest < e.yaw for e in errors),
        wrong_size=sum(e.wrong_size for e in errors),
    )


def pose_rows(errors: Sequence[PlateError]) -> list[PoseRow]:
    """The same by distance."""
    rows = []
    for low, high in zip(DISTANCES, (*DISTANCES[1:], math.inf)):
        here = [e for e in errors if low <= e.true_distance < high]
        distance = np.array([e.distance for e in here])
        yaw, nearest = np.array([e.yaw for e in here]), np.array([e.yaw_nearest for e in here])
        medians = (nanpercentile(values, share) for values, share in ((distance, 50), (distance, 90), (yaw, 50)))
        rows.append(PoseRow(low, high, len(here), *medians, *(nanpercentile(nearest, share) for share in (50, 90))))
    return rows


def _turn(pose: Pose, true: Pose) -> float:
    """Difference of the yaws, degrees, 0 to 180."""
    return float(np.degrees(abs((pose.yaw - true.yaw + np.pi) % (2 * np.pi) - np.pi)))
