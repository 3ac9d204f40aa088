"""The heaps of the C library, for the processes of this package. Both functions do nothing where it is not glibc."""

from __future__ import annotations

import ctypes
import os
from collections.abc import Mapping

_M_TRIM_THRESHOLD, _M_MMAP_THRESHOLD, _M_ARENA_MAX = -1, -3, -8  # malloc.h
_HEAPS = 2  # fewer than libraries have begun while they were loaded (3): no more are made
_KEPT = 64 << 20  # bytes; an image of 4096x3000 in BGR has 37 million


def set_up_heaps(environment: Mapping[str, str] = os.environ) -> None:
    """No more heaps for new threads, and memory of images that stays for the next. Call it before the threads start.

    By default each thread has a heap of its own, which keeps what its largest images left. In a shared heap the block
    of a large image goes back to the system, and the kernel clears the pages of each new one; so freed blocks stay.
    What a user has set in the environment stays too.
    """
    own = any(name.startswith("MALLOC_") for name in environment)
    if own or "glibc.malloc" in environment.get("GLIBC_TUNABLES", ""):
        return
    for option, value in ((_M_ARENA_MAX, _HEAPS), (_M_MMAP_THRESHOLD, _KEPT), (_M_TRIM_THRESHOLD, _KEPT)):
        _call("mallopt", option, value)


def trim_heap() -> None:
    """Return freed heap to the system. Call it after something large was freed, such as a replaced model."""
    _call("malloc_trim", 0)


def _call(name: str, *arguments: int) -> None:
    try:
        function = getattr(ctypes.CDLL(None), name)
    except (OSError, AttributeError):
        return
    function(*arguments)
