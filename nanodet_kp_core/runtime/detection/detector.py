"""The detector: one image in, its armor plates out. Everything on the way is one function per file."""

from __future__ import annotations

import time
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Protocol

import numpy as np

from nanodet_kp_core.errors import ConfigError, ModelError
from nanodet_kp_core.geometry import boxes_of_corners
from nanodet_kp_core.runtime.detection.decode import Decoder
from nanodet_kp_core.runtime.detection.detections import Detections
from nanodet_kp_core.runtime.detection.preprocess import Letterbox, Preprocessor
from nanodet_kp_core.runtime.models.bundled import bundled_model
from nanodet_kp_core.runtime.models.metadata import ModelMetadata
from nanodet_kp_core.runtime.models.session import Session, load_session
from nanodet_kp_core.runtime.nms import merge_corners, nms
from nanodet_kp_core.runtime.refinement.bar_rules import obeying, unclaimed
from nanodet_kp_core.runtime.refinement.refiner import MOST_PROPOSALS, Refinements, Refiner, number_scores
from nanodet_kp_core.runtime.refinement.scout import Scout

RELOOK_SCORE = 0.05
"""Lowest score after the first refinement pass with which a proposal gets a second pass. Where its corners were off,
the first pass corrects them, and only the second can judge it."""

CONFIDENT_SCORE = 0.95
"""Score after the first refinement pass from which the second pass is skipped when light bars are refined afterwards.
0.95, 0.98 and 0.99 give the same corners (median error 0.43 to 0.44 px on rendered images)."""


class InferenceSession(Protocol):
    """What the detector needs of a network; see `runtime.models.session.Session` for the usual one."""

    path: Path
    metadata: ModelMetadata

    def run(self, blob: np.ndarray) -> np.ndarray:
        """Input [batch, 3, H, W] -> output [rows, columns] of the first image."""
        ...


class Detector:
    """Finds armor plates with an exported model on the CPU.

    Attributes:
        metadata: what the model says about itself.
        score_threshold, nms_threshold, max_detections, number_threshold: may be changed between calls.
        merge_corners: whether corners are the weighted mean of all candidates that suppression finds on the plate, down
            to half of the score threshold, instead of those of the best one: 10 % nearer on real frames
            (docs/runtime.md). Which plates are found, their scores and boxes do not depend on it. Proposals for a
            refiner are not merged: it sees for itself.
        merge_floor: lowest score of the candidates that are merged; None takes half of the score threshold. For who
            lowers the threshold to see more, but wants the same corners of what was above it before.
        times: milliseconds of the last call: "preprocess", "network", "decode" (with NMS), "scout", "refiner" (the
            second stage); the last two are 0 without a refiner. Empty before the first.
        number_logits: float32 [K, numbers] of the last image's detections, for calibration: what the second stage says
            of their numbers before the temperature. [0, 0] without one.
        clock: what `times` are taken from; `time.process_time` tells the work apart from a busy machine's waiting.

    An instance serves one thread at a time.
    """

    def __init__(
        self,
        model: str | Path | None = None,
        *,
        threads: int = 1,
        spin: bool = False,
        score_threshold: float = 0.5,
        nms_threshold: float = 0.5,
        max_detections: int = 50,
        session: InferenceSession | None = None,
        second_stage: bool = True,
        scout: bool = True,
        number_threshold: float = 0.0,
    ) -> None:
        """Load the model; None takes the bundled one. `threads` and `spin`: see `load_session`. `session` replaces
        loading: evaluation puts a torch model there. `second_stage` False leaves out the refiner that the model names,
        `scout` False the proposals from light bars.

        Raises:
            ModelError: see `load_session` and `bundled_model`.
            ConfigError: a threshold outside 0..1, threads or max_detections below 1, or threads above the number of
                cores with spin.
        """
        _check_fraction("score_threshold", score_threshold)
        _check_fraction("nms_threshold", nms_threshold)
        _check_fraction("number_threshold", number_threshold)
        if max_detections < 1:
            raise ConfigError(f"max_detections: expected a whole number of at least 1, got {max_detections}")
        self._session = session or load_session(bundled_model() if model is None else model, threads, spin)
        self._preprocess = Preprocessor(self.metadata.input)
        self._decoder = Decoder(self.metadata)
        self.refiner: Refiner | None = None
        if second_stage and self.metadata.reader:
            name, inside = self.metadata.reader, getattr(self._session, "files", {})
            self.refiner = Refiner((self.model_path if name in inside else self.model_path.parent) / name, inside)
            if self.refiner.metadata.class_names != self.metadata.class_names:
                raise ModelError(f"model {self.refiner.path}: expected the classes of {self.model_path}, got others")
        self.scout = Scout() if scout and self.refiner is not None else None
        self.score_threshold = score_threshold
        self.nms_threshold = nms_threshold
        self.max_detections = max_detections
        self.number_threshold = number_threshold
        self.number_logits = np.zeros((0, 0), np.float32)
        self.merge_corners = True
        self.merge_floor: float | None = None
        self.times: dict[str, float] = {}
        self.clock: Callable[[], float] = time.perf_counter

    @property
    def metadata(self) -> ModelMetadata:
        return self._session.metadata

    @property
    def model_path(self) -> Path:
        """The file that was loaded."""
        return self._session.path

    def __call__(self, image: np.ndarray, channel_order: str = "bgr") -> Detections:
        """Detect the plates of an image.

        Args:
            image: uint8 [height, width, 3], or [height, width] for "mono". It is not changed, and not copied either
                where rows lie in memory one after the other, with gaps or without.
            channel_order: "bgr", "rgb" or "mono".

        Raises:
            ImageError: the image is empty or of another type or shape.
            ConfigError: an unknown channel order.
        """
        start = self.clock()
        blob, placed = self._preprocess(image, channel_order)
        prepared = self.clock()
        output = self._session.run(blob)
        computed = self.clock()
        detections = self._decode(output, placed)
        decoded = self.clock()
        detections = self._with_scout(image, detections, self._preprocess.halved)
        scouted = self.clock()
        detections = self._look_again(image, detections, channel_order, self._preprocess.halved)
        done = self.clock()
        self.times = {
            "preprocess": 1000 * (prepared - start),
            "network": 1000 * (computed - prepared),
            "decode": 1000 * (decoded - computed),
            "scout": 1000 * (scouted - decoded),
            "refiner": 1000 * (done - scouted),
        }
        return detections

    def detect_all(self, images: Sequence[np.ndarray], channel_order: str = "bgr") -> list[Detections]:
        """Detect the plates of images of one size, such as those of several cameras, as many in one run as the model
        takes (`training/export.py --batch`). Raises as a call does."""
        size = self.metadata.input.batch
        if not isinstance(self._session, Session) or size == 1:
            return [self(image, channel_order) for image in images]
        found = []
        for first in range(0, len(images), size):
            part = images[first : first + size]
            blob, placed = self._preprocess.batch(part, channel_order)
            outputs = self._session.run_batch(blob)
            decoded = [self._decode(output, placed) for output in outputs[: len(part)]]
            for image, proposals in zip(part, decoded):
                found.append(self._look_again(image, self._with_scout(image, proposals), channel_order))
        return found

    def _decode(self, output: np.ndarray, placed: Letterbox) -> Detections:
        """Detections, or with a refiner the proposals for it."""
        score, most = self.score_threshold, self.max_detections
        if self.refiner is not None:
            score, most = self.refiner.metadata.proposal_score, MOST_PROPOSALS
        merges = self.merge_corners and self.metadata.head.has_corners and self.refiner is None
        floor = score / 2 if self.merge_floor is None else self.merge_floor
        found = self._decoder(output, min(score, floor) if merges else score)
        if merges:
            strong = np.flatnonzero(found.scores >= score)
            kept = strong[nms(found.boxes[strong], found.scores[strong], self.nms_threshold, most)]
            weights = np.where(found.scores >= floor, found.scores, 0)
            corners = merge_corners(kept, found.boxes, weights, found.corners, self.nms_threshold)
        else:
            kept = nms(found.boxes, found.scores, self.nms_threshold, most)
            corners = found.corners[kept]
        # One mapping for the box's two points and the four corners: many small steps cost more than large ones.
        points = np.concatenate([found.boxes[kept].reshape(-1, 2, 2), corners], axis=1)
        points = placed.to_image(points).astype(np.float32)
        return Detections(
            scores=found.scores[kept],
            class_ids=found.class_ids[kept],
            boxes=points[:, :2].reshape(-1, 4),
            corners=np.ascontiguousarray(points[:, 2:]),
            class_names=self.metadata.class_names,
            number_threshold=self.number_threshold,
        )

    def _with_scout(self, image: np.ndarray, proposals: Detections, halved: np.ndarray | None = None) -> Detections:
        """The proposals of the network and those of the scout that are new."""
        if self.scout is None or self.refiner is None:
            return proposals
        pairs = unclaimed(self.scout(image, halved), proposals.corners, proposals.scores)
        if not len(pairs):
            return proposals
        scores = np.full(len(pairs), self.refiner.metadata.scout_score, np.float32)
        return Detections(
            scores=np.concatenate([proposals.scores, scores]),
            class_ids=np.concatenate([proposals.class_ids, np.zeros(len(pairs), np.int64)]),
            boxes=np.concatenate([proposals.boxes, boxes_of_corners(pairs)]),
            corners=np.concatenate([proposals.corners, pairs]),
            class_names=proposals.class_names,
        )

    def _look_again(
        self, image: np.ndarray, proposals: Detections, channel_order: str, halved: np.ndarray | None = None
    ) -> Detections:
        """What the refiner makes of the proposals; they themselves without a refiner.

        It looks twice: from corners that are nearly right it reads and corrects better than from those of the network.
        Then each bar is looked at alone; where that follows, plates that are clear at once need no second look.
        """
        refiner = self.refiner
        self.number_logits = np.zeros((0, 0), np.float32)
        if refiner is None or not len(proposals):
            return proposals
        found = refiner(image, proposals.corners, proposals.scores, channel_order, halved)
        found = found.part(self._apart(found, min(RELOOK_SCORE, self.score_threshold)))
        clear = np.inf if refiner.bars is None else max(CONFIDENT_SCORE, self.score_threshold)
        unclear = np.flatnonzero(found.scores < clear)
        if len(unclear):
            corners, proposed = found.corners[unclear], found.proposed[unclear]
            found.replace(unclear, refiner(image, corners, proposed, channel_order, halved))
            found = found.part(self._apart(found, self.score_threshold))
        corners = found.corners
        if refiner.bars is not None:
            corners = refiner.bars(image, corners, channel_order, halved)
        kept = obeying(corners)
        self.number_logits = found.number_logits[kept]
        return Detections(
            scores=found.scores[kept],
            class_ids=found.class_ids[kept],
            boxes=boxes_of_corners(corners[kept]),
            corners=corners[kept],
            class_names=self.metadata.class_names,
            number_scores=number_scores(self.number_logits, refiner.metadata.number_temperature),
            number_threshold=self.number_threshold,
        )

    def _apart(self, found: Refinements, least: float) -> np.ndarray:
        """Which of the refinements score at least so much and stay in suppression, best first."""
        likely = np.flatnonzero(found.scores >= least)
        boxes = boxes_of_corners(found.corners[likely])
        return likely[nms(boxes, found.scores[likely], self.nms_threshold, self.max_detections)]


def _check_fraction(name: str, value: float) -> None:
    if not 0 <= value <= 1:  # also refuses NaN
        raise ConfigError(f"{name}: expected a number in 0..1, got {value}")
