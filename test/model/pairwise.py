"""The dynamic soft label assigner written out pair by pair: slow, in float64, and easy to check."""

import math

import numpy as np


def iou_of(first, second) -> float:
    width = max(0.0, min(first[2], second[2]) - max(first[0], second[0]))
    height = max(0.0, min(first[3], second[3]) - max(first[1], second[1]))
    area = (first[2] - first[0]) * (first[3] - first[1]) + (second[2] - second[0]) * (second[3] - second[1])
    return width * height / max(area - width * height, 1e-6)


def class_cost(logits, label, iou) -> float:
    total = 0.0
    for k, logit in enumerate(logits):
        target = iou if k == label else 0.0
        score = 1 / (1 + math.exp(-logit))
        entropy = -target * math.log(score) - (1 - target) * math.log(1 - score)
        total += entropy * (target - score) ** 2
    return total


def corner_cost(kind, corners, gt_corners, box) -> float:
    if kind == "none":
        return 0.0
    gaps = [abs(a - b) for a, b in zip(corners, gt_corners, strict=True)]
    if kind == "published":
        return 1.03 ** (sum(gaps) / 8 - 100)
    distances = [math.hypot(gaps[2 * k], gaps[2 * k + 1]) for k in range(4)]
    return sum(distances) / 4 / math.hypot(box[2] - box[0], box[3] - box[1])


def center_cost(radius, prior, box) -> float:
    if radius is None:
        return 0.0
    distance = math.hypot(prior[0] - (box[0] + box[2]) / 2, prior[1] - (box[1] + box[3]) / 2)
    return 10 ** (distance / prior[2] - radius)


def reference(scene, kind, inside_own, radius=None, topk=13, iou_factor=3.0):
    """gt index per prior (0 background, else g + 1), pair by pair; every ground truth has priors inside."""
    logits, priors, boxes, corners, gt_boxes, gt_labels, gt_corners = (np.asarray(x, float) for x in scene)
    inside = [[b[0] < p[0] < b[2] and b[1] < p[1] < b[3] for b in gt_boxes] for p in priors]
    candidates = [p for p in range(len(priors)) if any(inside[p])]
    cost, choosers = {}, {p: [] for p in candidates}
    for g, box in enumerate(gt_boxes):
        own = [p for p in candidates if inside[p][g] or not inside_own]
        ious = {p: iou_of(boxes[p], box) for p in own}
        for p in own:
            cost[p, g] = (
                class_cost(logits[p], int(gt_labels[g]), ious[p])
                - iou_factor * math.log(ious[p] + 1e-7)
                + corner_cost(kind, corners[p], gt_corners[g], box)
                + center_cost(radius, priors[p], box)
            )
        k = max(1, int(sum(sorted(ious.values(), reverse=True)[:topk])))
        for p in sorted(own, key=lambda p: cost[p, g])[:k]:
            choosers[p].append(g)
    result = np.zeros(len(priors), int)
    for p, chosen in choosers.items():
        if len(chosen) == 1 or (chosen and inside_own):
            result[p] = min(chosen, key=lambda g: cost[p, g]) + 1
        elif chosen:
            result[p] = min(range(len(gt_boxes)), key=lambda g: cost[p, g]) + 1
    return result
