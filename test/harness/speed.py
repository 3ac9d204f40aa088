"""A measure of time for tests that must hold on a busy machine: what a process gets that computes all the time."""

from __future__ import annotations

import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

_TICKS = 100  # of /proc a second, on every Linux


@contextmanager
def spinning() -> Iterator[subprocess.Popen]:
    """A process that computes all the time, as a thread that spins would."""
    process = subprocess.Popen([sys.executable, "-S", "-c", "while True: pass"])
    try:
        yield process
    finally:
        process.kill()
        process.wait()


def processor_s(pid: int) -> float:
    """Seconds of processor time that a process took so far, all threads."""
    fields = Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()
    return (int(fields[11]) + int(fields[12])) / _TICKS
