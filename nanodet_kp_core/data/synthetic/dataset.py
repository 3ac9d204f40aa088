"""A rendered data set on disk: images and COCO keypoints, made in chunks by several processes, resumable."""

from __future__ import annotations

import json
import multiprocessing
from collections.abc import Iterator
from concurrent.futures import ProcessPoolExecutor, as_completed
from pathlib import Path

import cv2

from nanodet_kp_core.classes import ARMOR_CLASSES
from nanodet_kp_core.data.formats.coco import coco_document, merge_coco
from nanodet_kp_core.data.synthetic.generator import render
from nanodet_kp_core.errors import DataError
from nanodet_kp_core.files import write_atomically

CHUNK = 500


def _chunk_file(folder: Path, first: int, count: int) -> Path:
    return folder / "chunks" / f"{first:09d}_{count}.json"


def _render_chunk(folder: Path, first: int, count: int, size: tuple[int, int], plate_px: tuple[float, float]) -> int:
    cv2.setNumThreads(1)  # one process a core already
    target = _chunk_file(folder, first, count)
    if target.exists():
        return count
    images = folder / "images" / f"{first:09d}"
    images.mkdir(parents=True, exist_ok=True)
    samples = []
    for seed in range(first, first + count):
        sample = render(seed, size, plate_px)
        name = f"{first:09d}/{seed:09d}.jpg"
        cv2.imwrite(str(folder / "images" / name), sample.image, [cv2.IMWRITE_JPEG_QUALITY, 95])
        samples.append((name, sample))
    write_atomically(target, json.dumps(coco_document(samples, ARMOR_CLASSES)).encode())
    return count


def render_dataset(
    folder: Path, count: int, first_seed: int, size: tuple[int, int], plate_px: tuple[float, float], workers: int
) -> Iterator[int]:
    """Render `count` pictures; yields how many are done after each chunk, then writes `labels.json`.

    Picture k has seed first_seed + k. Chunks that are there are kept, so a stopped run goes on where it was; the
    arguments are kept beside them. Raises DataError when the folder was rendered with other arguments.
    """
    folder = Path(folder)
    wanted = {"first_seed": first_seed, "size": list(size), "plate_px": list(plate_px)}
    note = folder / "arguments.json"
    if note.exists() and json.loads(note.read_text()) != wanted:
        raise DataError(f"{folder}: expected a folder rendered with {wanted}, got {note.read_text()}; choose another")
    write_atomically(note, json.dumps(wanted).encode())
    starts = range(first_seed, first_seed + count, CHUNK)
    sizes = [min(CHUNK, first_seed + count - start) for start in starts]
    done = 0
    # Fresh processes: a fork would inherit OpenCV's threads and locks as they happen to stand.
    with ProcessPoolExecutor(workers, mp_context=multiprocessing.get_context("spawn")) as pool:
        jobs = [pool.submit(_render_chunk, folder, s, n, size, plate_px) for s, n in zip(starts, sizes)]
        for job in as_completed(jobs):
            done += job.result()
            yield done
    documents = [json.loads(_chunk_file(folder, s, n).read_text()) for s, n in zip(starts, sizes)]
    write_atomically(folder / "labels.json", json.dumps(merge_coco(documents)).encode())
