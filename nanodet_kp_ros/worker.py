"""A thread that works on what comes into a slot."""

from __future__ import annotations

import threading
from collections.abc import Callable
from typing import Generic, TypeVar

from nanodet_kp_ros.slot import Slot

T = TypeVar("T")


class Worker(Generic[T]):
    """Calls `work` with each item that it can get hold of, on a thread of its own, until it is stopped.

    An exception of `work` goes to `failed` and ends nothing: the next image may be a good one.
    """

    def __init__(self, slot: Slot[T], work: Callable[[T], None], failed: Callable[[Exception], None]) -> None:
        self._slot = slot
        self._work = work
        self._failed = failed
        # A daemon: a network that computes for seconds must not hold up the end of the process.
        self._thread = threading.Thread(target=self._run, name="worker", daemon=True)
        self._thread.start()

    def _run(self) -> None:
        while (item := self._slot.take()) is not None:
            try:
                self._work(item)
            except Exception as error:
                if not self._slot.closed:  # after close the node destroys what `work` uses, so an error means nothing
                    self._failed(error)

    def stop(self, patience_s: float) -> bool:
        """Ends the thread after the current item. Returns whether it ended within `patience_s` seconds."""
        self._slot.close()
        self._thread.join(patience_s)
        return not self._thread.is_alive()
