"""Room for one item: a new item replaces one that nobody has taken yet."""

from __future__ import annotations

import threading
from typing import Generic, TypeVar

T = TypeVar("T")


class Slot(Generic[T]):
    """Between the thread that receives and the one that works: the latest item wins, and putting never waits.

    A queue would let the results grow old when the work is slower than the camera.
    """

    def __init__(self) -> None:
        self._changed = threading.Condition()
        self._item: T | None = None
        self._closed = False

    def put(self, item: T) -> bool:
        """Puts the item in. Returns whether it replaced one that was never taken."""
        with self._changed:
            replaced = self._item is not None
            self._item = item
            self._changed.notify()
        return replaced

    def take(self) -> T | None:
        """Waits for an item and removes it; None once the slot is closed, whatever lies in it."""
        with self._changed:
            self._changed.wait_for(lambda: self._closed or self._item is not None)
            item, self._item = self._item, None
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
