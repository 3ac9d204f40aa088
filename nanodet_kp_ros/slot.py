"""Room for one item: a new item replaces one that nobody has taken yet."""

from __future__ import annotations

import threading
from typing import Generic, TypeVar

T = TypeVar("T")

HAND_OVER_S = 0.001
"""The longest that `put` waits for a thread that waits for an item. Without it that thread would begin only when the
executor has done its own work after the callback, 0.3 ms later: Python runs one thread at a time."""


class Slot(Generic[T]):
    """Between the thread that receives and the one that works: the latest item wins, and putting never waits for work.

    A queue would let the results grow old when the work is slower than the camera.
    """

    def __init__(self) -> None:
        self._changed = threading.Condition()
        self._item: T | None = None
        self._closed = False
        self._waiting = False

    def put(self, item: T) -> bool:
        """Puts the item in, and lets a waiting thread take it. Returns whether it replaced one that was never taken."""
        with self._changed:
            replaced = self._item is not None
            self._item = item
            self._changed.notify_all()
            if self._waiting:
                self._changed.wait_for(lambda: self._item is not item, HAND_OVER_S)
        return replaced

    def take(self) -> T | None:
        """Waits for an item and removes it; None once the slot is closed, whatever lies in it."""
        with self._changed:
            self._waiting = True
            self._changed.wait_for(lambda: self._closed or self._item is not None)
            self._waiting = False
            item, self._item = self._item, None
            self._changed.notify_all()
            return None if self._closed else item

    def clear(self) -> bool:
        """Removes the item. Returns whether there was one."""
        with self._changed:
            item, self._item = self._item, None
            return item is not None

    @property
    def closed(self) -> bool:
        return self._closed

    def close(self) -> None:
        """Ends all waiting: `take` returns None from now on."""
        with self._changed:
            self._closed = True
            self._changed.notify_all()
