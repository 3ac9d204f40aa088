"""How steady the detections of consecutive frames are: plates that blink, labels that change.

    python benchmark/stability.py                                   # a clip like the demo's, the bundled model
    python benchmark/stability.py --source clip.mp4 frames/ --model a.onnx b.onnx

A plate of frame t - 1 and one of frame t + 1 are the same when their middles are less than a diagonal apart and the
size differs by less than a half; each is nearest to the other. It *blinks* when frame t has none at the middle between
them. Its label *changes* when the two labels of the frames t - 1 and t differ. A folder is one sequence, with its files
in the order of their names; sub-folders are sequences of their own.
"""

from __future__ import annotations

import argparse
import sys
from collections.abc import Iterable
from dataclasses import dataclass
from itertools import pairwise
from pathlib import Path

import numpy as np

sys.path.insert(0, str(Path(__file__).resolve().parent.parent))

from nanodet_kp_core.command import open_door
from nanodet_kp_core.runtime.detection.detections import NUMBER_THRESHOLD
from nanodet_kp_core.runtime.detection.detector import Detections, Detector
from nanodet_kp_core.runtime.images.frame_sources import open_source
from nanodet_kp_core.runtime.models.bundled import bundled_model
from nanodet_kp_core.synthetic.clip import clip_frames


@dataclass
class Steadiness:
    """Counts over a sequence: plates that are there before and after a frame, and how many of them it lacks; plates
    that are there in two consecutive frames, and how many of them change their label."""

    surrounded: int = 0
    blinks: int = 0
    followed: int = 0
    changes: int = 0

    def add(self, other: Steadiness) -> None:
        """Count another sequence as well."""
        self.surrounded += other.surrounded
        self.blinks += other.blinks
        self.followed += other.followed
        self.changes += other.changes

    def cells(self) -> str:
        """The cells of a table row."""
        blinks, changes = self.blinks / max(self.surrounded, 1), self.changes / max(self.followed, 1)
        return f"{self.surrounded} | {blinks:.4f} | {self.followed} | {changes:.4f}"


def same_plates(first: Detections, second: Detections) -> list[tuple[int, int]]:
    """Pairs (row of first, row of second) that are one plate."""
    if not len(first) or not len(second):
        return []
    middles = [found.corners.mean(axis=1) for found in (first, second)]
    sizes = [np.linalg.norm(found.corners[:, 0] - found.corners[:, 2], axis=1) for found in (first, second)]
    apart = np.linalg.norm(middles[0][:, None] - middles[1][None], axis=2)
    ratio = np.abs(np.log(sizes[0][:, None] / sizes[1][None]))
    apart = np.where((apart < sizes[0][:, None]) & (ratio < np.log(1.5)), apart, np.inf)
    nearest, back = apart.argmin(axis=1), apart.argmin(axis=0)
    return [(k, int(j)) for k, j in enumerate(nearest) if back[j] == k and np.isfinite(apart[k, j])]


def steadiness(frames: Iterable[Detections]) -> Steadiness:
    """Of the detections of consecutive frames."""
    found = list(frames)
    result = Steadiness()
    for before, after in pairwise(found):
        pairs = same_plates(before, after)
        result.followed += len(pairs)
        result.changes += sum(before.labels[one] != after.labels[other] for one, other in pairs)
    for before, frame, after in zip(found, found[1:], found[2:]):
        for one, other in same_plates(before, after):
            middle = (before.corners[one] + after.corners[other]).mean(axis=0) / 2
            size = np.linalg.norm(before.corners[one, 0] - before.corners[one, 2])
            apart = np.linalg.norm(frame.corners.mean(axis=1) - middle, axis=1) if len(frame) else np.array([np.inf])
            result.surrounded += 1
            result.blinks += bool(apart.min() > size)
    return result


def sequences(source: str) -> dict[str, list[np.ndarray]]:
    """Frames by the name of their sequence."""
    if source == "clip":
        return {"clip": list(clip_frames(10.0, 30.0, 14, (640, 480)))}
    found: dict[str, list[np.ndarray]] = {}
    for frame in open_source(source):
        name = f"{source}/{Path(frame.name).parent}" if Path(source).is_dir() else source
        found.setdefault(name, []).append(frame.image)
    return found


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument(
        "--source", nargs="+", default=["clip"], help="folders, videos; clip: like the demo's (default)"
    )
    parser.add_argument("--model", nargs="+", default=[str(bundled_model())], help="default: the bundled one")
    parser.add_argument("--score", type=float, default=0.5)
    parser.add_argument("--without-scout", action="store_true", help="leave out the proposals from light bars")
    args = parser.parse_args()
    print("| model | source | plates before and after | blink | plates in two frames | other label |")
    print("|---" * 6 + "|")
    for source in args.source:
        frames = sequences(source)
        for model in args.model:
            detector = Detector(
                model, score_threshold=args.score, number_threshold=NUMBER_THRESHOLD, scout=not args.without_scout
            )
            total = Steadiness()
            for images in frames.values():
                total.add(steadiness(detector(image) for image in images))
            print(f"| {Path(model).name} | {source} | {total.cells()} |", flush=True)
    return 0


if __name__ == "__main__":
    open_door(main)
