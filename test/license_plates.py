"""A labeled set of license plates, drawn: another four-corner target than armor plates.

    python test/license_plates.py data/plates --count 400 --seed 1

White and yellow plates of one line ("long") and of two ("square"), with a blue strip and random letters, stand turned,
in perspective, near and far, before backgrounds with signs and windows that are no plates. OUT gets images/ and
labels.json (COCO with keypoints). The same seed draws the same images.
"""

from __future__ import annotations

import argparse
import json
import sys
from dataclasses import dataclass
from pathlib import Path

import cv2
import numpy as np

from nanodet_kp_core.numerics import log_uniform

sys.path.insert(0, str(Path(__file__).resolve().parents[1]))
from nanodet_kp_core.files import write_atomically
from nanodet_kp_core.labels.coco import coco_document
from nanodet_kp_core.labels.sample import Sample

CLASSES = ("long", "square")
"""A plate with one line of 520 x 110 mm, one with two of 280 x 200 mm."""

SIZES = ((520, 110), (280, 200))
LETTERS = "ABCDEFGHJKLMNPRSTUVWXYZ0123456789"
MARGIN = 12
"""Pixels of car around the flat drawing of a plate."""

LEAST, MOST = 24.0, 150.0
"""Width of a plate in the image, pixels."""


@dataclass(frozen=True)
class Flat:
    """A plate seen from its front: image uint8 [H, W, 3], one pixel a millimeter, and its corners [4, 2]."""

    image: np.ndarray
    corners: np.ndarray


def flat_plate(rng: np.random.Generator, kind: int) -> Flat:
    """A plate of CLASSES[kind] on a piece of bumper."""
    width, height = SIZES[kind]
    bumper = rng.integers(15, 120, 3).tolist()
    image = np.full((height + 2 * MARGIN, width + 2 * MARGIN, 3), bumper, np.uint8)
    ground = (245, 245, 245) if rng.random() < 0.7 else (40, 200, 250)
    left, top, right, bottom = MARGIN, MARGIN, MARGIN + width - 1, MARGIN + height - 1
    cv2.rectangle(image, (left, top), (right, bottom), ground, -1)
    cv2.rectangle(image, (left, top), (right, bottom), (30, 30, 30), 4)
    cv2.rectangle(image, (left + 4, top + 4), (left + 42, bottom - 4), (160, 60, 10), -1)
    lines = ("".join(rng.choice(list(LETTERS), 7)),) if kind == 0 else tuple(
        "".join(rng.choice(list(LETTERS), count)) for count in (3, 4)
    )  # fmt: skip
    for row, text in enumerate(lines):
        scale = 2.9 if kind == 0 else 2.6
        base = top + int(height * (0.80 if kind == 0 else 0.42 + 0.45 * row))
        cv2.putText(image, text, (left + 52, base), cv2.FONT_HERSHEY_SIMPLEX, scale, (25, 25, 25), 9, cv2.LINE_AA)
    corners = np.array([[left, top], [left, bottom], [right, bottom], [right, top]], np.float64)
    return Flat(image, corners)


def background(rng: np.random.Generator, size: tuple[int, int]) -> np.ndarray:
    """A blurred ground with windows, signs and stripes, uint8 [height, width, 3]."""
    width, height = size
    coarse = rng.integers(20, 210, (6, 8, 3), np.uint8)
    image = cv2.resize(coarse, size, interpolation=cv2.INTER_CUBIC)
    for _ in range(int(rng.integers(4, 14))):
        middle = tuple(rng.integers(0, (width, height)).tolist())
        extent = tuple(rng.uniform(6, 110, 2).tolist())
        box = cv2.boxPoints((middle, extent, float(rng.uniform(-20, 20)))).astype(np.int32)
        if rng.random() < 0.6:
            cv2.fillConvexPoly(image, box, rng.integers(0, 255, 3).tolist(), cv2.LINE_AA)
        else:
            cv2.polylines(image, [box], True, rng.integers(0, 255, 3).tolist(), int(rng.integers(1, 4)), cv2.LINE_AA)
    for _ in range(int(rng.integers(0, 4))):  # writing without a plate
        place = tuple(rng.integers(0, (width, height)).tolist())
        text = "".join(rng.choice(list(LETTERS), 5))
        color = rng.integers(0, 255, 3).tolist()
        cv2.putText(image, text, place, cv2.FONT_HERSHEY_SIMPLEX, float(rng.uniform(0.4, 1.2)), color, 2, cv2.LINE_AA)
    return image


def view(rng: np.random.Generator, flat: Flat, size: tuple[int, int]) -> np.ndarray:
    """Homography [3, 3] from the flat drawing to an image of this size, for a plate turned about all three axes."""
    yaw, pitch, roll = rng.uniform((-0.9, -0.4, -0.2), (0.9, 0.4, 0.2))
    turn = cv2.Rodrigues(np.array([0, yaw, 0]))[0] @ cv2.Rodrigues(np.array([pitch, 0, 0]))[0]
    turn = cv2.Rodrigues(np.array([0, 0, roll]))[0] @ turn
    span = float(np.ptp(flat.corners[:, 0]))
    middle = flat.corners.mean(axis=0)
    points = np.column_stack([flat.corners - middle, np.zeros(4)]) @ turn.T / span + (0, 0, 3.0)
    seen = points[:, :2] / points[:, 2:]
    wanted = log_uniform(rng, LEAST, MOST)
    seen *= wanted / np.ptp(seen[:, 0])
    room = np.ptp(seen, axis=0) / 2 + 4
    seen += rng.uniform(np.minimum(room, np.array(size) / 2), np.maximum(np.array(size) - room, np.array(size) / 2))
    return cv2.getPerspectiveTransform(flat.corners.astype(np.float32), seen.astype(np.float32))


def draw(seed: int, size: tuple[int, int] = (320, 256)) -> Sample:
    """One image with up to three plates that do not overlap."""
    rng = np.random.default_rng(seed)
    image = background(rng, size)
    taken = np.zeros(size[::-1], bool)
    corners, labels = [], []
    for _ in range(int(rng.integers(0 if rng.random() < 0.1 else 1, 4))):
        kind = int(rng.integers(len(CLASSES)))
        flat = flat_plate(rng, kind)
        matrix = view(rng, flat, size)
        opaque = np.full(flat.image.shape[:2], 255, np.uint8)
        share = min(1.0, float(np.sqrt(abs(np.linalg.det(matrix[:2, :2])))))
        soft = cv2.GaussianBlur(flat.image, (0, 0), max(0.1, 0.4 / share))  # as a lens shows what is far
        shown = cv2.warpPerspective(soft, matrix, size, flags=cv2.INTER_AREA)
        mask = cv2.warpPerspective(opaque, matrix, size, flags=cv2.INTER_LINEAR)
        if taken[mask > 0].any():
            continue
        taken |= mask > 0
        weight = mask[..., None].astype(np.float32) / 255
        image = (image * (1 - weight) + shown * weight).astype(np.uint8)
        corners.append(cv2.perspectiveTransform(flat.corners[None], matrix)[0])
        labels.append(kind)
    light = image.astype(np.float32) * rng.uniform(0.4, 1.15) * rng.uniform(0.9, 1.1, 3)
    light = cv2.GaussianBlur(light, (0, 0), float(rng.uniform(0.3, 1.0)))
    light += rng.normal(0, rng.uniform(1, 6), image.shape)
    return Sample(
        image=np.clip(light, 0, 255).astype(np.uint8),
        corners=np.array(corners, np.float32).reshape(-1, 4, 2),
        labels=np.array(labels, np.int64),
    )


def write(out: Path, count: int, seed: int, size: tuple[int, int] = (320, 256)) -> None:
    """Write `count` images and their labels into the folder `out`."""
    (out / "images").mkdir(parents=True, exist_ok=True)
    samples = []
    for k in range(count):
        sample = draw(1_000_003 * seed + k, size)
        cv2.imwrite(str(out / f"images/{k:05d}.jpg"), sample.image, [cv2.IMWRITE_JPEG_QUALITY, 92])
        samples.append((f"{k:05d}.jpg", sample))
    write_atomically(out / "labels.json", json.dumps(coco_document(samples, CLASSES)).encode())


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("out", type=Path, help="folder for images/ and labels.json")
    parser.add_argument("--count", type=int, default=400, help="images (%(default)s)")
    parser.add_argument("--seed", type=int, default=1, help="of the set (%(default)s)")
    args = parser.parse_args()
    write(args.out, args.count, args.seed)
    print(f"{args.out / 'labels.json'}: {args.count} images")
    return 0


if __name__ == "__main__":
    raise SystemExit(main())
