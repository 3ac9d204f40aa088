"""The detector: one image in, its armor plates out.

preprocess -> scout -> network -> decode and NMS -> looks of the second stage; each step has a file of its own.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Protocol

import numpy as np

from nanodet_kp_core.geometry import boxes_of_corners
from nanodet_kp_core.runtime.detection.decode import Decoder
from nanodet_kp_core.runtime.detection.detections import Detections
from nanodet_kp_core.runtime.detection.looks import refined
from nanodet_kp_core.runtime.detection.options import DetectOptions
from nanodet_kp_core.runtime.detection.preprocess import Letterbox, Preprocessor
from nanodet_kp_core.runtime.models.bundled import bundled_model
from nanodet_kp_core.runtime.models.metadata import ModelMetadata
from nanodet_kp_core.runtime.models.session import load_session, usable_cores
from nanodet_kp_core.runtime.nms import merge_corners, nms
from nanodet_kp_core.runtime.refinement.bar_pairs import NO_PAIRS
from nanodet_kp_core.runtime.refinement.bar_rules import new_pairs
from nanodet_kp_core.runtime.refinement.refiner import MOST_PROPOSALS, Refiner, number_scores
from nanodet_kp_core.runtime.refinement.scout import Scout
from nanodet_kp_core.runtime.second_thread import SecondThread


class InferenceSession(Protocol):
    """What the detector needs of a network; `runtime.models.session.Session` is the usual one."""

    path: Path
    metadata: ModelMetadata

    def run(self, blob: np.ndarray) -> np.ndarray:
        """Input [batch, 3, H, W] -> output float32 [batch, rows, columns]."""
        ...


class Detector:
    """Finds armor plates with an exported model on the CPU.

    Attributes:
        metadata: what the model says about itself.
        options: of the calls that bring none; may be replaced between calls.
        times: milliseconds of the last call: "preprocess", "network", "decode" (with NMS), "scout", "refiner" (the
            second stage); the last two are 0 without a refiner. "scout" is what is left to wait for it where it works
            beside the network. Empty before the first.
        number_logits: float32 [K, numbers] of the last image's detections, for calibration: what the second stage says
            of their numbers before the temperature. [0, 0] without one.
        proposed: float32 [K] of the same, for calibration: their scores when they were proposed to the second stage.
        clock: what `times` are taken from; `time.process_time` tells the work apart from a busy machine's waiting.

    An instance serves one thread at a time.
    """

    def __init__(
        self,
        model: str | Path | None = None,
        *,
        threads: int = 1,
        spin: bool = False,
        score_threshold: float = DetectOptions.score_threshold,
        nms_threshold: float = DetectOptions.nms_threshold,
        max_detections: int = DetectOptions.max_detections,
        session: InferenceSession | None = None,
        second_stage: bool = True,
        scout: bool = True,
        overlap: bool = True,
        number_threshold: float = DetectOptions.number_threshold,
    ) -> None:
        """Load the model; None takes the bundled one.

        Args:
            threads, spin: see `load_session`.
            score_threshold, nms_threshold, max_detections, number_threshold: make the attribute `options`.
            session: replaces loading: evaluation puts a torch model there.
            second_stage: False leaves out the refiner that the model names.
            scout: False leaves out the proposals from light bars, which a second stage of targets without lit bars
                never has.
            overlap: the scout works on a second thread while the network computes, where the process may use two cores.
                The same is found, sooner.

        Raises:
            ModelError: see `load_session` and `bundled_model`.
            ConfigError: see `DetectOptions`; threads below 1, or above the number of cores with spin.
        """
        self.options = DetectOptions(score_threshold, nms_threshold, max_detections, number_threshold)
        self._session = session or load_session(bundled_model() if model is None else model, threads, spin)
        self._preprocess = Preprocessor(self.metadata.input)
        self._decoder = Decoder(self.metadata)
        self.refiner: Refiner | None = None
        if second_stage and self.metadata.reader:
            name, inside = self.metadata.reader, getattr(self._session, "files", {})
            self.refiner = Refiner((self.model_path if name in inside else self.model_path.parent) / name, inside)
            self.refiner.check_classes(self.model_path, self.metadata.class_names)
        self.scout = Scout() if scout and self.refiner is not None and self.refiner.metadata.light_bars else None
        self._second = SecondThread() if overlap and self.scout is not None and usable_cores() > 1 else None
        self.number_logits, self.proposed = np.zeros((0, 0), np.float32), np.zeros(0, np.float32)
        self.times: dict[str, float] = {}
        self.clock: Callable[[], float] = time.perf_counter

    @property
    def metadata(self) -> ModelMetadata:
        return self._session.metadata

    @property
    def model_path(self) -> Path:
        """The file that was loaded."""
        return self._session.path

    def __call__(
        self, image: np.ndarray, options: DetectOptions | None = None, channel_order: str = "bgr"
    ) -> Detections:
        """Detect the plates of an image.

        Args:
            image: uint8 [height, width, 3], or [height, width] for "mono". It is not changed, and not copied either
                where rows lie in memory one after the other, with gaps or without.
            options: None takes the attribute of this name.
            channel_order: "bgr", "rgb" or "mono".

        Raises:
            ImageError: the image is empty or of another type or shape.
            ConfigError: an unknown channel order.
        """
        options = options or self.options
        start = self.clock()
        blob, placed = self._preprocess(image, channel_order)
        prepared = self.clock()
        halved = self._preprocess.halved
        pairs = self._begun(image, halved)
        begun = self.clock()
        output = self._session.run(blob)[0]
        computed = self.clock()
        detections = self._decode(output, placed, options)
        decoded = self.clock()
        detections = self._with_scout(detections, pairs)
        scouted = self.clock()
        detections = self._refined(image, detections, options, channel_order, halved)
        detections = self._selected(detections, options)
        done = self.clock()
        self.times = {
            "preprocess": 1000 * (prepared - start),
            "network": 1000 * (computed - begun),
            "decode": 1000 * (decoded - computed),
            "scout": 1000 * (begun - prepared + scouted - decoded),
            "refiner": 1000 * (done - scouted),
        }
        return detections

    def detect_all(
        self, images: Sequence[np.ndarray], options: DetectOptions | None = None, channel_order: str = "bgr"
    ) -> list[Detections]:
        """Detect the plates of images of one size, such as those of several cameras, as many in one run as the model
        takes (`nanodet-kp export --batch`). Arguments and errors as of a call."""
        options = options or self.options
        size = self.metadata.input.batch
        if size == 1:
            return [self(image, options, channel_order) for image in images]
        found = []
        for first in range(0, len(images), size):
            part = images[first : first + size]
            blob, placed = self._preprocess.batch(part, channel_order)
            pairs = [self._begun(image) for image in part]
            outputs = self._session.run(blob)
            decoded = [self._decode(output, placed, options) for output in outputs[: len(part)]]
            for image, proposals, pairs_of_scout in zip(part, decoded, pairs):
                proposals = self._with_scout(proposals, pairs_of_scout)
                plates = self._refined(image, proposals, options, channel_order)
                found.append(self._selected(plates, options))
        return found

    def _decode(self, output: np.ndarray, placed: Letterbox, options: DetectOptions) -> Detections:
        """Detections, or with a refiner the proposals for it."""
        score, most, overlap = options.score_threshold, options.max_unselected, options.nms_threshold
        if self.refiner is not None:
            score, most = self.refiner.metadata.proposal_score, MOST_PROPOSALS
        merges = options.merge_corners and self.metadata.head.has_corners and self.refiner is None
        floor = options.lowest_merged
        found = self._decoder(output, min(score, floor) if merges else score)
        if merges:
            strong = np.flatnonzero(found.scores >= score)
            kept = strong[nms(found.boxes[strong], found.scores[strong], overlap, most)]
            weights = np.where(found.scores >= floor, found.scores, 0)
            corners = merge_corners(kept, found.boxes, weights, found.corners, overlap)
        else:
            kept = nms(found.boxes, found.scores, overlap, most)
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
            number_threshold=options.number_threshold,
        )

    def _begun(self, image: np.ndarray, halved: np.ndarray | None = None) -> Callable[[], np.ndarray]:
        """What gives the scout's pairs: it works on the second thread from now on. Without one it is done first, while
        the image is still in the processor's cache."""
        if self.scout is None:
            return lambda: NO_PAIRS
        if self._second is not None:
            return self._second.start(self.scout, image, halved).result
        found = self.scout(image, halved)
        return lambda: found

    def _with_scout(self, proposals: Detections, pairs_of_scout: Callable[[], np.ndarray]) -> Detections:
        """The proposals of the network and those of the scout that are new."""
        if self.refiner is None:
            return proposals
        pairs = new_pairs(pairs_of_scout(), proposals.corners, proposals.scores)
        if not len(pairs):
            return proposals
        scores = np.full(len(pairs), self.refiner.metadata.scout_score, np.float32)
        ids = np.zeros(len(pairs), np.int64)
        return proposals.joined(Detections(scores, ids, boxes_of_corners(pairs), pairs, proposals.class_names))

    def _refined(
        self,
        image: np.ndarray,
        proposals: Detections,
        options: DetectOptions,
        channel_order: str,
        halved: np.ndarray | None = None,
    ) -> Detections:
        """What the second stage makes of the proposals; they themselves without a refiner."""
        refiner = self.refiner
        self.number_logits, self.proposed = np.zeros((0, 0), np.float32), np.zeros(0, np.float32)
        if refiner is None or not len(proposals):
            return proposals
        found = refined(refiner, image, proposals, options, channel_order, halved)
        self.number_logits, self.proposed = found.number_logits, found.proposed
        return Detections(
            scores=found.scores,
            class_ids=found.class_ids,
            boxes=boxes_of_corners(found.corners),
            corners=found.corners,
            class_names=self.metadata.class_names,
            number_scores=number_scores(found.number_logits, refiner.metadata.number_temperature),
            number_threshold=options.number_threshold,
        )

    def _selected(self, detections: Detections, options: DetectOptions) -> Detections:
        """Those of wanted classes; number_logits and proposed follow."""
        rows = options.select(detections)
        if len(rows) == len(detections):
            return detections
        if len(self.proposed):
            self.number_logits, self.proposed = self.number_logits[rows], self.proposed[rows]
        return detections[rows]
