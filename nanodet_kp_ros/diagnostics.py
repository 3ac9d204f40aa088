"""The node's state for /diagnostics and for the line in the log."""

from __future__ import annotations

import math
from dataclasses import dataclass

from builtin_interfaces.msg import Time
from diagnostic_msgs.msg import DiagnosticArray, DiagnosticStatus, KeyValue
from std_msgs.msg import Header

from nanodet_kp_ros.counters import STAGES, Summary

MOST_LOST = 0.1
"""Share of images lost on the way from which it is a warning."""

_RECENT_S = 10.0
_LOSSES = ("lost", "replaced", "malformed", "failed")


@dataclass(frozen=True)
class Health:
    """What /diagnostics says besides the figures of `summary`.

    state: "on", "off" (by ~/enable) or "idle" (lazy, and nobody listens).
    silent: no image has come for image_timeout seconds. last_error: the latest warning or error and the seconds since.
    """

    summary: Summary
    state: str
    silent: bool
    topic: str
    image: str
    model: str
    run_id: str
    threads: int
    last_error: tuple[str, float] | None


def report_line(summary: Summary) -> str:
    """Rate, the time in the detector, the age of the results, and the images without an answer by outcome."""
    medians = summary.medians
    detector, latency = (
        f"{medians[name]:.1f} ms" if name in medians else "unknown" for name in ("detector", "latency")
    )
    line = f"{summary.rate('answered'):.1f} images/s, detector {detector}, image stamp to publish {latency} (medians)"
    outcomes = ", ".join(f"{summary.recent[outcome]} {outcome}" for outcome in _LOSSES if summary.recent[outcome])
    return f"{line}; of {summary.recent['received'] + summary.recent['lost']} images {outcomes}" if outcomes else line


def to_diagnostics(name: str, health: Health, stamp: Time) -> DiagnosticArray:
    """One status, named after the node."""
    level, message = _judge(health)
    status = DiagnosticStatus(level=level, name=f"{name}: armor detector", message=message, hardware_id=health.topic)
    status.values = [KeyValue(key=key, value=value) for key, value in _values(health)]
    return DiagnosticArray(header=Header(stamp=stamp), status=[status])


def _judge(health: Health) -> tuple[bytes, str]:
    if health.state != "on":
        return DiagnosticStatus.OK, {"off": "disabled by ~/enable", "idle": "nobody listens"}[health.state]
    summary = health.summary
    if health.silent:
        return DiagnosticStatus.ERROR, f"no image on {health.topic}"
    if summary.recent["received"] and not summary.recent["answered"]:
        return (
            DiagnosticStatus.ERROR,
            f"no image was answered: {health.last_error[0] if health.last_error else 'too slow'}",
        )
    if summary.lost_share > MOST_LOST:
        return DiagnosticStatus.WARN, f"{summary.lost_share:.0%} of the images are lost on the way"
    if health.last_error is not None and health.last_error[1] < _RECENT_S:
        return DiagnosticStatus.WARN, health.last_error[0]
    return DiagnosticStatus.OK, f"{summary.rate('answered'):.1f} images/s"


def _values(health: Health) -> list[tuple[str, str]]:
    summary = health.summary
    values = [
        ("state", health.state),
        ("topic", health.topic),
        ("image", health.image),
        ("received images/s", f"{summary.rate('received'):.1f}"),
        ("answered images/s", f"{summary.rate('answered'):.1f}"),
        ("latency ms (median)", _number(summary.medians.get("latency"))),
        ("latency ms (p99)", _number(summary.latency_p99)),
        ("detector ms (median)", _number(summary.medians.get("detector"))),
    ]
    values += [(f"{stage} ms (median)", _number(summary.medians.get(stage))) for stage in STAGES]
    for outcome in ("received", "answered", *_LOSSES):
        values.append((f"{outcome} (last {_RECENT_S:g} s)", str(summary.recent[outcome])))
        values.append((f"{outcome} (since start)", str(summary.total[outcome])))
    values += [("model", health.model), ("training run", health.run_id), ("threads", str(health.threads))]
    error = health.last_error
    return [*values, ("last error", "none" if error is None else f"{error[0]} ({error[1]:.0f} s ago)")]


def _number(value: float | None) -> str:
    return "unknown" if value is None or math.isnan(value) else f"{value:.2f}"
