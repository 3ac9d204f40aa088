"""What the node did: images by outcome, and the time of each stage; written by two threads."""

from __future__ import annotations

import threading
import time
from collections import Counter, deque
from collections.abc import Callable, Mapping
from dataclasses import dataclass

import numpy as np

OUTCOMES = ("received", "answered", "lost", "replaced", "malformed", "failed")
"""received: came to the node; answered: an array was published. The others got none: lost: never came, as sequence
numbers or stamps tell; replaced: a newer one came before the detector was free; malformed: it is no image;
failed: the detector raised an error."""

STAGES = ("transport", "wait", "convert", "preprocess", "network", "decode", "scout", "refiner", "pose", "publish")
"""In their order: from the stamp to the node, in the slot, to pixels, the detector's five, poses, publishing."""

_LATE_S = 0.5  # that a timer may be
_MOST_IMAGES = 4096  # a bound on memory; above 400 images/s the medians are those of fewer seconds


@dataclass(frozen=True)
class Summary:
    """The last seconds.

    seconds: how many. recent, total: images by outcome (OUTCOMES), in these seconds and since the start.
    medians: milliseconds by stage, and "detector" and "latency" (stamp to publish); what was not measured is missing.
    latency_p99: milliseconds; NaN when not measured.
    """

    seconds: float
    recent: Mapping[str, int]
    total: Mapping[str, int]
    medians: Mapping[str, float]
    latency_p99: float

    def rate(self, outcome: str) -> float:
        """Images with this outcome per second."""
        return self.recent[outcome] / self.seconds if self.seconds > 0 else 0.0

    @property
    def lost_share(self) -> float:
        """Lost images of all that were sent, 0 to 1."""
        sent = self.recent["received"] + self.recent["lost"]
        return self.recent["lost"] / sent if sent else 0.0


class Counters:
    """Counts over the whole life and over the last `span_s` seconds."""

    def __init__(self, span_s: float = 10.0, clock: Callable[[], float] = time.monotonic) -> None:
        self._lock = threading.Lock()
        self._clock = clock
        self._span_s = span_s
        self._total: Counter[str] = Counter()
        self._snapshots = deque([(clock(), Counter[str]())])
        self._images: deque[tuple[float, dict[str, float]]] = deque(maxlen=_MOST_IMAGES)

    def count(self, outcome: str, images: int = 1) -> None:
        """Adds images with this outcome."""
        with self._lock:
            self._total[outcome] += images

    def answered(self, stages_ms: dict[str, float]) -> None:
        """One image was answered; `stages_ms`: what was measured, by the names of STAGES, "detector" and "latency"."""
        with self._lock:
            self._total["answered"] += 1
            self._images.append((self._clock(), stages_ms))

    def summary(self) -> Summary:
        """Over the last seconds: from the oldest call of this function that lies within them, to now."""
        with self._lock:
            now, total = self._clock(), Counter(self._total)
            while len(self._snapshots) > 1 and now - self._snapshots[0][0] > self._span_s + _LATE_S:
                self._snapshots.popleft()
            while self._images and now - self._images[0][0] > self._span_s:
                self._images.popleft()
            began, before = self._snapshots[0]
            self._snapshots.append((now, total))
            images = [stages for _, stages in self._images]
        medians = {}
        for stage in (*STAGES, "detector", "latency"):
            times = [stages[stage] for stages in images if stage in stages]
            if times:
                medians[stage] = float(np.median(times))
        latencies = [stages["latency"] for stages in images if "latency" in stages]
        return Summary(
            seconds=now - began,
            recent={outcome: total[outcome] - before[outcome] for outcome in OUTCOMES},
            total={outcome: total[outcome] for outcome in OUTCOMES},
            medians=medians,
            latency_p99=float(np.percentile(latencies, 99)) if latencies else float("nan"),
        )
