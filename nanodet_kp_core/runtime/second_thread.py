"""A second thread, for work that need not wait for the network and does not need its result."""

from __future__ import annotations

import os
from collections.abc import Callable
from concurrent.futures import Future, ThreadPoolExecutor
from typing import Any, TypeVar

T = TypeVar("T")


class SecondThread:
    """Runs one function at a time beside the caller. The thread begins with the first call and ends with the
    object."""

    def __init__(self) -> None:
        self._pool: ThreadPoolExecutor | None = None
        self._process = 0

    def start(self, work: Callable[..., T], *arguments: Any) -> Future[T]:
        """Begins `work`; its result, or what it raises, comes from the future."""
        if self._pool is None or self._process != os.getpid():  # a forked process has none of its parent's threads
            self._pool, self._process = ThreadPoolExecutor(1, "second"), os.getpid()
        return self._pool.submit(work, *arguments)
