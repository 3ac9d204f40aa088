"""The report in a few lines for a terminal."""

from __future__ import annotations

from nanodet_kp_core.evaluate.coco import OKS_SIGMA
from nanodet_kp_core.evaluate.html_report import number
from nanodet_kp_core.evaluate.report import Report


def summary(report: Report) -> str:
    """One line a score threshold, then average precision, corners and pose; "-" where there is nothing to measure."""
    coco, lines = report.coco, []
    for threshold, score in report.scores.items():
        lines.append(f"score {threshold:.2f}: {score.line()}")
    lines.append(
        f"box mAP {number(coco.mAP)} AP_50 {number(coco.AP_50)} AP_75 {number(coco.AP_75)} small "
        f"{number(coco.AP_small)} medium {number(coco.AP_medium)} large {number(coco.AP_large)}"
    )
    lines.append(
        f"OKS mAP {number(coco.oks_mAP)} (sigma {OKS_SIGMA}); all classes as one: box AP {number(coco.plate_AP)} "
        f"OKS AP {number(coco.plate_oks_AP)}"
    )
    for corner in report.corners:
        lines.append(
            f"corner {corner.name}: mean {number(corner.mean_px)} px p95 {number(corner.p95_px)} px, in diagonals "
            f"{number(corner.mean_diagonal)} p95 {number(corner.p95_diagonal)}"
        )
    numbers = report.numbers
    if numbers.plates:
        lines.append(
            f"number score of {numbers.plates} plates: mean {number(numbers.score)}, right {number(numbers.right)}, "
            f"expected calibration error {number(numbers.ece)}"
        )
    pose = report.pose
    if pose is not None:
        lines.append(
            f"pose of {pose.plates} plates: distance median {number(pose.relative_median)} p95 "
            f"{number(pose.relative_p95)} of the distance, yaw median {number(pose.yaw_median)} p95 "
            f"{number(pose.yaw_p95)} degrees (nearest solution {number(pose.yaw_nearest_median)} and "
            f"{number(pose.yaw_nearest_p95)}, {pose.flipped} flipped), {pose.wrong_size} with the other plate size"
        )
    return "\n".join(lines)
