"""The figures of benchmark/flood.py, what is wrong with them, and their table."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field

from fault_record import FaultRecord

_LONG_S = 10.0  # a flood of this length is sure to meet the full disk


@dataclass
class Record(FaultRecord):
    """Figures of the flood with one transport. The three numbers of a list: before it, in the middle, at the end.

    calm_sent, calm_answered, calm_same: good images sent calmly, those of them with an answer, and with the one that
    came before the flood. requests: that rclpy can answer; senseless: that it cannot, such as a parameter of a type
    that there is not. refused: of the answered parameters; wrongly_refused: reasons for those that are right.
    disk_lines: that tell of the full disk.
    """

    transport: str = ""
    seconds: float = 0.0
    malformed: int = 0
    calibrations: int = 0
    requests: int = 0
    answered_requests: int = 0
    senseless: int = 0
    accepted: int = 0
    refused: int = 0
    wrongly_refused: list[str] = field(default_factory=list)
    calm_sent: list[int] = field(default_factory=list)
    calm_answered: list[int] = field(default_factory=list)
    calm_same: list[int] = field(default_factory=list)
    own_mb: list[float] = field(default_factory=list)
    resident_mb: list[float] = field(default_factory=list)
    disk_lines: int = 0
    log_lines: int = 0

    def wrong(self, growth_mb: float) -> list[str]:
        """Sentences about what is not as promised."""
        checks = self.complaints(growth_mb)
        answered, same = f"{self.calm_answered} were answered", f"{self.calm_same} as before the flood"
        calm = f"of {self.calm_sent} calm images only"
        checks[f"{calm} {answered}"] = self.calm_answered == self.calm_sent
        checks[f"{calm} {same}"] = self.calm_same == self.calm_sent
        few = f"of {self.requests} requests only {self.answered_requests} were answered"
        checks[few] = self.answered_requests == self.requests
        checks[f"right parameters were refused: {self.wrongly_refused[:3]}"] = not self.wrongly_refused
        counted = self.images["answered"]
        odd = f"{counted} answers by its own count, to {self.sent_good} good images and {sum(self.calm_sent)} calm ones"
        checks[odd] = sum(self.calm_answered) <= counted <= self.sent_good
        checks["nothing was said of the full disk"] = self.disk_lines > 0 or self.seconds < _LONG_S
        return [f"{self.transport}: {sentence}" for sentence, fine in checks.items() if not fine]


def table(records: Sequence[Record]) -> str:
    """Markdown: a row for each figure, a column for each transport."""
    columns = [_column(record) for record in records]
    lines = [
        "| | " + " | ".join(record.transport for record in records) + " |",
        "|---" * (1 + len(records)) + "|",
        *(f"| {name} | " + " | ".join(column[name] for column in columns) + " |" for name in columns[0]),
    ]
    return "\n".join(lines)


def _column(record: Record) -> dict[str, str]:
    images = record.images
    return {
        "seconds of flood": f"{record.seconds:.0f}",
        "images sent: good / malformed": f"{record.sent_good:,} / {record.malformed:,}",
        "calibrations sent": f"{record.calibrations:,}",
        "images received": f"{images['received']:,}",
        "answered / replaced / malformed / failed": " / ".join(
            f"{images[outcome]:,}" for outcome in ("answered", "replaced", "malformed", "failed")
        ),
        "requests / answered": f"{record.requests:,} / {record.answered_requests:,}",
        "requests that rclpy cannot answer": f"{record.senseless:,}",
        "parameters accepted / refused": f"{record.accepted:,} / {record.refused:,}",
        "calm images before, in the middle, after": _listed(record.calm_sent),
        "of them answered": _listed(record.calm_answered),
        "as before the flood": _listed(record.calm_same),
        "the node's own memory then, MB": " / ".join(f"{value:.1f}" for value in record.own_mb),
        "resident then / at most, MB": " / ".join(f"{v:.0f}" for v in [*record.resident_mb, record.memory_peak_mb]),
        "tracebacks, exit code, time to end": f"{record.tracebacks}, {record.exit_code}, {record.ended_s:.1f} s",
        "lines in the log, of the full disk": f"{record.log_lines}, {record.disk_lines}",
    }


def _listed(numbers: Sequence[int]) -> str:
    return " / ".join(f"{number:,}" for number in numbers)
