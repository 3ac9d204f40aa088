"""Crops of many images, collected by several processes and kept in files: a stopped collection goes on."""

from __future__ import annotations

import multiprocessing
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import ProcessPoolExecutor
from dataclasses import fields
from io import BytesIO
from pathlib import Path
from typing import TypeVar

import cv2
import numpy as np
from tqdm import tqdm

from nanodet_kp_core.errors import DataError
from nanodet_kp_core.files import write_atomically
from nanodet_kp_core.labels.sample import Record
from nanodet_kp_core.workers import end_with_parent

CHUNK = 500
"""Images of a file."""

P = TypeVar("P")
"""A dataclass of arrays with a row a crop."""

Maker = Callable[[Sequence[Record], np.random.Generator], P]
"""Makes the crops of some images. It is sent to the processes, so it must be a function of a module, or a
functools.partial of one."""


def joined(parts: Sequence[P]) -> P:
    """All crops of `parts`, which are at least one."""
    kind = type(parts[0])
    return kind(*(np.concatenate([getattr(part, f.name) for part in parts]) for f in fields(kind)))  # type: ignore[arg-type]


def collect(
    folder: Path, records: Sequence[Record], make: Maker[P], kind: type[P], wanted: str, seed: int, workers: int
) -> Iterator[P]:
    """Crops of all records, a chunk at a time, each kept in `folder`; a bar shows how far it is.

    kind: what `make` gives. wanted: what the crops are made from, in words.
    Raises DataError when the folder holds crops that were made from something else.
    """
    wanted = f"{records[0].name} {len(records)} {seed} {wanted}"
    folder.mkdir(parents=True, exist_ok=True)
    note = folder / "arguments.txt"
    if note.exists() and note.read_text() != wanted:
        raise DataError(f"{folder}: expected crops of {wanted!r}, got {note.read_text()!r}; choose another folder")
    write_atomically(note, wanted.encode())
    parts = [records[first : first + CHUNK] for first in range(0, len(records), CHUNK)]
    jobs = [(folder / f"{k:05d}.npz", part, make, seed + k) for k, part in enumerate(parts)]
    # Fresh processes: a fork would inherit the threads of onnxruntime and OpenCV as they happen to stand.
    with ProcessPoolExecutor(workers, multiprocessing.get_context("spawn"), end_with_parent) as pool:
        for path in tqdm(pool.map(_make_file, jobs), total=len(jobs), unit=f" x {CHUNK} images", leave=False):
            with np.load(path) as values:
                yield kind(*(values[f.name] for f in fields(kind)))  # type: ignore[arg-type]


def _make_file(job: tuple[Path, Sequence[Record], Maker[P], int]) -> Path:
    path, records, make, seed = job
    if path.exists():
        return path
    cv2.setNumThreads(0)  # one process a core already
    buffer = BytesIO()
    np.savez(buffer, **vars(make(records, np.random.default_rng(seed))))
    write_atomically(path, buffer.getvalue())
    return path
