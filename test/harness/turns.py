"""Turns between the test processes of one run: a test marked `alone` has the machine to itself."""

from __future__ import annotations

import fcntl
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path


class Turns:
    """A readers-writer lock on two files of a folder that the processes share.

    A test that waits for its turn alone holds the door, so that no other test starts before it.
    """

    def __init__(self, folder: Path) -> None:
        self._door = open(folder / "door.lock", "w")  # noqa: SIM115  both stay open as long as the process
        self._room = open(folder / "room.lock", "w")  # noqa: SIM115

    @contextmanager
    def turn(self, alone: bool) -> Iterator[None]:
        """Waits until the test may run: beside others that are not alone, or alone."""
        fcntl.flock(self._door, fcntl.LOCK_EX)
        try:
            fcntl.flock(self._room, fcntl.LOCK_EX if alone else fcntl.LOCK_SH)
        finally:
            fcntl.flock(self._door, fcntl.LOCK_UN)
        try:
            yield
        finally:
            # Explicitly: a forked child that still runs holds the same lock.
            fcntl.flock(self._room, fcntl.LOCK_UN)
