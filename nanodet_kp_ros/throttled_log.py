"""Warnings and errors that do not flood the log; the last one is kept for /diagnostics."""

from __future__ import annotations

import threading
import time
from collections.abc import Callable

from rclpy.impl.rcutils_logger import RcutilsLogger


class ThrottledLog:
    """Logs at most one line per cause every `period_s` seconds. ROS's own throttle goes by the line of code instead."""

    def __init__(
        self, logger: RcutilsLogger, period_s: float = 5.0, clock: Callable[[], float] = time.monotonic
    ) -> None:
        self._logger = logger
        self._period_s = period_s
        self._clock = clock
        self._lock = threading.Lock()
        self._due: dict[str, float] = {}
        self._last: tuple[str, float] | None = None

    def info(self, sentence: str) -> None:
        """Logged as it is, each time."""
        self._logger.info(sentence)

    def error(self, cause: str, sentence: str) -> None:
        """An image or a request failed."""
        if self._due_now(cause, sentence):
            self._logger.error(sentence)

    def warning(self, cause: str, sentence: str, period_s: float | None = None) -> None:
        """Something outside of this node is wrong. period_s: another one for this cause."""
        if self._due_now(cause, sentence, period_s):
            self._logger.warning(sentence)

    def last(self) -> tuple[str, float] | None:
        """The latest sentence, logged or not, and the seconds since; None when there was none."""
        with self._lock:
            return None if self._last is None else (self._last[0], self._clock() - self._last[1])

    def _due_now(self, cause: str, sentence: str, period_s: float | None = None) -> bool:
        with self._lock:
            now = self._clock()
            self._last = (sentence, now)
            if now < self._due.get(cause, now):
                return False
            self._due[cause] = now + (period_s or self._period_s)
            return True
