"""The threads of a node share a few heaps, which keep the memory of images, unless the user has set up heaps."""

import platform
import subprocess
import sys

import pytest

from nanodet_kp_ros import memory

THREADS = """
import ctypes, threading
from nanodet_kp_ros.memory import set_up_heaps

set_up_heaps({environment})
barrier = threading.Barrier(9)

def allocate():
    kept = [bytearray(1000) for _ in range(1000)]
    barrier.wait()

for _ in range(8):
    threading.Thread(target=allocate).start()
barrier.wait()
c = ctypes.CDLL(None)
c.fopen.restype, c.malloc_info.argtypes = ctypes.c_void_p, (ctypes.c_int, ctypes.c_void_p)
file = c.fopen(b"/dev/stdout", b"w")
c.malloc_info(0, file)
c.fflush(None)
"""

IMAGES = """
import mmap, resource
from nanodet_kp_ros.memory import set_up_heaps

set_up_heaps({})

def pages():
    before = resource.getrusage(resource.RUSAGE_SELF).ru_minflt
    for size in (6 << 20, 16 << 20, 1 << 20, 6 << 20):
        bytearray(size)
    return resource.getrusage(resource.RUSAGE_SELF).ru_minflt - before

print(pages() * mmap.PAGESIZE >> 20, pages())
"""

glibc = pytest.mark.skipif(platform.libc_ver()[0] != "glibc", reason="another C library than glibc")


def python(code):
    return subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True, timeout=60).stdout


def heaps(environment):
    return python(THREADS.format(environment=environment)).count("<heap nr=")


@glibc
def test_threads_share_two_heaps_unless_the_user_says_otherwise(monkeypatch):
    monkeypatch.delenv("MALLOC_ARENA_MAX", raising=False)
    assert heaps({}) == 2
    assert heaps({"MALLOC_ARENA_MAX": "8"}) > 2
    assert heaps({"GLIBC_TUNABLES": "glibc.malloc.arena_max=8"}) > 2


@glibc
def test_the_next_image_comes_in_the_pages_of_the_last():
    first_mb, later = map(int, python(IMAGES).split())
    assert first_mb > 10 and later < 100


def test_another_c_library_has_none_of_it(monkeypatch):
    monkeypatch.setattr(memory.ctypes, "CDLL", lambda _: object())
    memory.set_up_heaps({})
    memory.trim_heap()
