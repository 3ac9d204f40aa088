"""All figures of one evaluation: those at a score threshold, and those over all scores."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace

from nanodet_kp_core.evaluate.coco import CocoScore
from nanodet_kp_core.evaluate.groups import recall_at
from nanodet_kp_core.evaluate.metrics import FIXED_PRECISION, Matches, Score, score_matches
from nanodet_kp_core.evaluate.points import points


def full_score(everything: Matches, threshold: float, class_names: Sequence[str], coco: CocoScore) -> Score:
    """The score at the threshold with nothing left out.

    everything: the matches at a low threshold. coco: of the same predictions.
    """
    matches = everything.at(threshold)
    score = score_matches(matches, class_names)
    return replace(
        score, mAP=coco.mAP, AP_50=coco.AP_50, AP_75=coco.AP_75, oks_mAP=coco.oks_mAP,
        recall_fixed=recall_at(everything, FIXED_PRECISION)[0],
        points=sum(points(matches, class_names).values()) / max(score.plates, 1),
    )  # fmt: skip
