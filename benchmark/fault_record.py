"""What soak.py and flood.py ask of every run: the figures that must hold whatever was done to the node."""

from __future__ import annotations

from dataclasses import dataclass, field
from pathlib import Path
from subprocess import Popen

from node_processes import Listener, stop, usage

OUTCOMES = ("received", "answered", "lost", "replaced", "malformed", "failed")
_SETTLE_S = 60.0  # at most, until two more messages about the node's state
_UNDER_WAY = 2  # images in the slot and in the detector, when the figures are taken


@dataclass
class FaultRecord:
    """Figures of a run. images: by outcome, as the node counts. memory in megabytes: resident, and the node's own part
    of it (see Usage). ended_s: from SIGINT to the end."""

    sent: int = 0
    sent_good: int = 0
    images: dict[str, int] = field(default_factory=dict)
    arrays: int = 0
    memory_end_mb: float = 0.0
    memory_peak_mb: float = 0.0
    own_start_mb: float = 0.0
    own_end_mb: float = 0.0
    tracebacks: int = 0
    exit_code: int = -1
    ended_s: float = 0.0

    def finish(self, node: Popen, listener: Listener, log: Path) -> None:
        """Takes the last figures from the running node, ends it and reads its log."""
        diagnosed = listener.diagnosed
        listener.spin(_SETTLE_S, lambda: listener.diagnosed >= diagnosed + 2 or node.poll() is not None)
        self.images = {outcome: listener.total(outcome) for outcome in OUTCOMES}
        self.arrays = len(listener.answers)
        if node.poll() is None:
            end = usage(node.pid)
            self.memory_end_mb, self.memory_peak_mb, self.own_end_mb = end.memory_mb, end.peak_mb, end.own_mb
        self.exit_code, self.ended_s = stop(node)
        self.tracebacks = log.read_text(errors="replace").count("Traceback")

    def complaints(self, growth_mb: float) -> dict[str, bool]:
        """Sentences about what is not as promised, each with whether all is well."""
        images = self.images
        kept = sum(images[outcome] for outcome in ("answered", "replaced", "malformed", "failed"))
        grown = self.own_end_mb - self.own_start_mb
        return {
            f"exit code {self.exit_code}": self.exit_code == 0,
            f"{self.tracebacks} tracebacks": self.tracebacks == 0,
            f"{images['received']} received, but {kept} accounted for": 0 <= images["received"] - kept <= _UNDER_WAY,
            f"{images['failed']} images failed": images["failed"] == 0,
            f"memory grew by {grown:.1f} MB": grown <= growth_mb,
        }
