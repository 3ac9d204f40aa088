"""How far a pose from predicted corners is from the pose of the labelled ones."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import numpy as np

from nanodet_kp_core.evaluate.metrics import Hit, nanmean, nanpercentile
from nanodet_kp_core.runtime.pose import Camera, Pose, is_large, solve_pose, solve_poses


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


def pose_score(hits: Sequence[Hit], cameras: Mapping[str, Camera], class_names: Sequence[str]) -> PoseScore | None:
    """Pose errors of hits; None where no camera is known (cameras: by record name).

    The reference is the pose of the labelled corners with the size of the labelled class; the prediction takes the
    size of its own class, as a robot does.
    """
    if not cameras:
        return None
    rows: list[tuple[float, ...]] = []
    wrong = flipped = 0
    for hit in hits:
        camera = cameras.get(hit.record.name)
        label = class_names[hit.record.labels[hit.plate]]
        size, said = is_large(label), is_large(hit.prediction.label)
        known = hit.record.number_known[hit.plate] and size is not None and said is not None
        if camera is None or not known or np.isnan(hit.offsets).any():
            continue
        true = solve_pose(hit.record.corners[hit.plate], bool(size), camera.matrix, camera.distortion)
        got = solve_poses(hit.prediction.corners, bool(said), camera.matrix, camera.distortion)
        if true is None or not got:
            continue
        turns = [_turn(pose, true) for pose in got]
        wrong += size != said
        flipped += min(turns) < turns[0]
        off = abs(got[0].distance - true.distance)
        rows.append((off, off / true.distance, turns[0], min(turns), got[0].reprojection_error))
    distance, relative, yaw, nearest, reprojection = np.array(rows, float).reshape(-1, 5).T
    return PoseScore(
        plates=len(rows),
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
        reprojection_median=nanpercentile(reprojection, 50),
        flipped=flipped,
        wrong_size=wrong,
    )


def _turn(pose: Pose, true: Pose) -> float:
    """Difference of the yaws, degrees, 0 to 180."""
    return float(np.degrees(abs((pose.yaw - true.yaw + np.pi) % (2 * np.pi) - np.pi)))
