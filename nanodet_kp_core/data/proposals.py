"""What the reader learns from: proposals of a detector on labelled pictures, and plates with shaken corners.

Proposals show the mistakes that the detector really makes: which lights it takes for plates, and how far off its
corners are. Shaken corners make sure that every labelled plate is there, found or not.
"""

from __future__ import annotations

import multiprocessing
from collections.abc import Iterator, Sequence
from concurrent.futures import ProcessPoolExecutor
from dataclasses import dataclass, fields
from io import BytesIO
from pathlib import Path

import cv2
import numpy as np

from nanodet_kp_core.data.sample import Record, Sample
from nanodet_kp_core.errors import DataError
from nanodet_kp_core.files import write_atomically
from nanodet_kp_core.geometry import boxes_of_corners
from nanodet_kp_core.runtime.detector import Detector
from nanodet_kp_core.runtime.patches import PATCH_CORNERS, are_usable, cut_patches

CHUNK = 500
"""Pictures of a file."""

PROPOSAL_SCORE = 0.12
"""Detections from this score on: somewhat lower than what the robot looks at, where the rarer mistakes are."""

HIT, MISS = 0.25, 0.45
"""Mean corner distance in diagonals: a proposal below HIT of a plate is that plate, one above MISS of all is none; what
lies between teaches nothing."""

MOST_HITS, MOST_FALSE = 5, 6
"""Proposals taken of a picture."""

SMALLEST = 12.0
"""Diagonal in pixels below which a plate is not shaken: nothing can be read in it."""


@dataclass
class Patches:
    """N patches and what is in them.

    images: uint8 [N, 40, 64, 3] BGR. plate: bool [N]. colors, numbers: int64 [N]; -1 unknown or no plate.
    offsets: float32 [N, 4, 2] labelled corners minus PATCH_CORNERS, patch pixels; 0 without a plate.
    """

    images: np.ndarray
    plate: np.ndarray
    colors: np.ndarray
    numbers: np.ndarray
    offsets: np.ndarray

    def __len__(self) -> int:
        return len(self.plate)

    @classmethod
    def joined(cls, parts: Sequence[Patches]) -> Patches:
        """All patches of `parts`, which are at least one."""
        return cls(*(np.concatenate([getattr(part, f.name) for part in parts]) for f in fields(cls)))


def diagonals(corners: np.ndarray) -> np.ndarray:
    """Mean of the two diagonals of each quadrilateral: [G, 4, 2] -> [G]."""
    return np.linalg.norm(corners[:, :2] - corners[:, 2:], axis=2).mean(axis=1)


def shaken(rng: np.random.Generator, corners: np.ndarray, amount: float) -> np.ndarray:
    """Corners [4, 2] as a detector might propose them: turned, stretched, shifted, and each a little for itself."""
    size, middle = float(diagonals(corners[None])[0]), corners.mean(axis=0)
    angle = rng.normal(0, 0.07 * amount)
    turn = np.array([[np.cos(angle), -np.sin(angle)], [np.sin(angle), np.cos(angle)]])
    stretched = (corners - middle) * np.exp(rng.normal(0, 0.09 * amount, 2)) @ turn.T + middle
    return stretched + size * amount * (rng.normal(0, 0.05, 2) + rng.normal(0, 0.035, (4, 2)))


def quads_of(sample: Sample, proposals: np.ndarray, rng: np.random.Generator) -> tuple[np.ndarray, np.ndarray]:
    """Quadrilaterals [K, 4, 2] to look at and the plate that each shows, -1 for none: int64 [K].

    proposals: float [P, 4, 2], best first.
    """
    plates = sample.corners.astype(np.float64)
    size = diagonals(plates)
    quads: list[np.ndarray] = []
    owners: list[int] = []
    false = 0
    for quad in proposals:
        off = np.linalg.norm(plates - quad, axis=2).mean(axis=1) / size
        nearest = int(off.argmin()) if len(off) else -1
        if nearest >= 0 and off[nearest] < HIT:
            if len(quads) - false < MOST_HITS:
                quads.append(quad)
                owners.append(nearest)
        elif (nearest < 0 or off[nearest] > MISS) and false < MOST_FALSE and not _ignored(quad, sample.ignore_boxes):
            quads.append(quad)
            owners.append(-1)
            false += 1
    for plate in np.flatnonzero(size >= SMALLEST):
        quads.append(shaken(rng, plates[plate], 1.0 if rng.random() < 0.7 else 0.3))
        owners.append(int(plate))
    for quad in [*_wrong_pairs(rng, plates), _anywhere(rng, sample.image.shape)]:
        off = np.linalg.norm(plates - quad, axis=2).mean(axis=1) / size
        if (off > MISS).all() and not _ignored(quad, sample.ignore_boxes):
            quads.append(quad)
            owners.append(-1)
    found = np.array(quads, np.float32).reshape(-1, 4, 2)
    usable = are_usable(found)
    return found[usable], np.array(owners, np.int64)[usable]


def _wrong_pairs(rng: np.random.Generator, plates: np.ndarray) -> list[np.ndarray]:
    """Bars of two neighbouring plates [G, 4, 2] that are taken for one: the mistake that is hardest to see."""
    if len(plates) < 2:
        return []
    middles = plates.mean(axis=1)
    pairs = []
    for one in rng.permutation(len(plates))[:2]:
        apart = np.linalg.norm(middles - middles[one], axis=1)
        other = int(np.argsort(apart)[1])
        left, right = (one, other) if middles[one, 0] < middles[other, 0] else (other, one)
        bars = ((3, 2, 1, 0), (0, 1, 1, 0), (3, 2, 2, 3))[int(rng.integers(3))]
        quad = np.stack([plates[left][list(bars[:2])], plates[right][list(bars[2:])]]).reshape(4, 2)
        pairs.append(shaken(rng, quad, 0.4))
    return pairs


def _anywhere(rng: np.random.Generator, shape: tuple[int, ...]) -> np.ndarray:
    """A quadrilateral of a plate's proportions somewhere in the picture: what all the rest looks like."""
    height = float(np.exp(rng.uniform(np.log(6), np.log(60))))
    box = np.array([[-1, -1], [-1, 1], [1, 1], [1, -1]]) / 2 * (height * rng.uniform(2.0, 4.3), height)
    return shaken(rng, box + rng.uniform(0, 1, 2) * (shape[1], shape[0]), 1.0)


def _ignored(quad: np.ndarray, ignore_boxes: np.ndarray) -> bool:
    box = boxes_of_corners(quad[None])[0]
    low, high = np.maximum(box[:2], ignore_boxes[:, :2]), np.minimum(box[2:], ignore_boxes[:, 2:])
    shared = np.clip(high - low, 0, None).prod(axis=1)
    return bool((shared > 0.15 * np.prod(box[2:] - box[:2])).any())


def patches_of(sample: Sample, proposals: np.ndarray, numbers: int, rng: np.random.Generator) -> Patches:
    """Patches of one picture; class id = colour * numbers + number."""
    quads, owners = quads_of(sample, proposals, rng)
    images, homographies = cut_patches(sample.image, quads)
    plate = owners >= 0
    labels = sample.labels[owners[plate]]
    offsets = np.zeros((len(quads), 4, 2), np.float32)
    for k in np.flatnonzero(plate):
        corners = sample.corners[owners[k]][None].astype(np.float64)
        offsets[k] = cv2.perspectiveTransform(corners, np.linalg.inv(homographies[k]))[0] - PATCH_CORNERS
    colors, read = np.full(len(quads), -1), np.full(len(quads), -1)
    colors[plate] = labels // numbers
    read[plate] = np.where(sample.number_known[owners[plate]], labels % numbers, -1)
    return Patches(images, plate, colors, read, offsets)


def collect(
    folder: Path, records: Sequence[Record], detector: Path, numbers: int, seed: int, workers: int
) -> Iterator[Patches]:
    """Patches of all records, a chunk at a time, each kept in `folder`: a stopped collection goes on where it was.

    Raises DataError when the folder belongs to other records, another seed or another detector.
    """
    wanted = f"{records[0].name} {len(records)} {seed} {detector.name} {detector.stat().st_size}"
    folder.mkdir(parents=True, exist_ok=True)
    note = folder / "arguments.txt"
    if note.exists() and note.read_text() != wanted:
        raise DataError(f"{folder}: expected patches of {wanted!r}, got {note.read_text()!r}; choose another folder")
    write_atomically(note, wanted.encode())
    parts = [records[first : first + CHUNK] for first in range(0, len(records), CHUNK)]
    jobs = [(folder / f"{k:05d}.npz", part, detector, numbers, seed + k) for k, part in enumerate(parts)]
    # Fresh processes: a fork would inherit the threads of onnxruntime and OpenCV as they happen to stand.
    with ProcessPoolExecutor(workers, mp_context=multiprocessing.get_context("spawn")) as pool:
        for path in pool.map(_collect_chunk, jobs):
            with np.load(path) as values:
                yield Patches(*(values[f.name] for f in fields(Patches)))


def _collect_chunk(job: tuple[Path, Sequence[Record], Path, int, int]) -> Path:
    path, records, model, numbers, seed = job
    if path.exists():
        return path
    cv2.setNumThreads(0)  # one process a core already
    rng = np.random.default_rng(seed)
    detector = Detector(model, threads=1, score_threshold=PROPOSAL_SCORE, nms_threshold=0.6, second_stage=False)
    parts = []
    for record in records:
        sample = record.load()
        parts.append(patches_of(sample, detector(sample.image).corners, numbers, rng))
    buffer = BytesIO()
    np.savez(buffer, **vars(Patches.joined(parts)))
    write_atomically(path, buffer.getvalue())
    return path
