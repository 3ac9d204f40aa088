"""Keeps the images about which the model is unsure, for the next training."""

from __future__ import annotations

import math
import queue
import shutil
import threading
import time
from dataclasses import dataclass
from pathlib import Path

import cv2
import numpy as np

from nanodet_kp_core.files import write_atomically
from nanodet_kp_core.labels import yolo_pose
from nanodet_kp_core.labels.prelabels import prelabeled
from nanodet_kp_core.runtime.detection.detector import Detections

MOVED = 0.08
"""Plate diagonals. Corners that move by more against each other from one image to the next are not sure."""

_MAX_GAP_S = 0.1  # between images that are compared
_NEAR = 0.5  # diagonals between the middles of what is the same plate
_RETRY_S = 30.0
_LEFT_FREE = 100_000_000  # bytes of the disk: what else the robot writes is worth more
_JPEG_QUALITY = 95


@dataclass(frozen=True)
class _Job:
    name: str
    image: np.ndarray
    detections: Detections


class Recorder:
    """Writes images and what was found on them as a YOLO-pose data set: images/, labels/, data.yaml.

    error: a sentence about what hinders it now; None when nothing does. It never raises because of the disk.
    Files are never changed or deleted: the labels may have been corrected since.
    """

    def __init__(self, folder: Path, max_bytes: int, max_per_second: float, score_band: tuple[float, float]) -> None:
        """folder: made when the first image is kept. max_bytes: of all that lies in it, whoever wrote it.

        score_band: an image with a plate whose score lies in it (low, high) is unsure.
        """
        self.error: str | None = None
        self._folder = Path(folder)
        self._max_bytes = max_bytes
        self._period_s = 1 / max_per_second
        self._band = score_band
        self._due = 0.0
        self._last: Detections | None = None
        self._last_stamp_s = -math.inf
        self._bytes = _bytes_below(self._folder)
        self._jobs: queue.Queue[_Job | None] = queue.Queue(maxsize=1)
        # A card may take seconds for a file: the robot must not wait for it.
        self._writer = threading.Thread(target=self._write_all, name="recorder", daemon=True)
        self._writer.start()

    def offer(self, image: np.ndarray, detections: Detections, stamp_s: float) -> bool:
        """Whether the image is kept: the model is unsure about it, and the last one is long enough ago and written.

        image: uint8 [height, width, 3] BGR; it must not be changed later. stamp_s: its time; it names the files.
        """
        unsure = self._in_band(detections) or self._moved(detections, stamp_s)
        self._last, self._last_stamp_s = detections, stamp_s
        now = time.monotonic()
        if not unsure or now < self._due or not math.isfinite(stamp_s) or self._jobs.full():
            return False
        self._due = now + self._period_s
        self._jobs.put(_Job(f"{stamp_s:.6f}".replace(".", "_"), image, detections))
        return True

    def close(self) -> None:
        """Waits for the file that is being written, and ends."""
        self._jobs.put(None)
        self._writer.join()

    def _in_band(self, detections: Detections) -> bool:
        low, high = self._band
        return bool(((detections.scores >= low) & (detections.scores <= high)).any())

    def _moved(self, detections: Detections, stamp_s: float) -> bool:
        """Whether a plate changed its class or its shape since the image before."""
        if self._last is None or not 0 < stamp_s - self._last_stamp_s <= _MAX_GAP_S:
            return False
        return any(_changed(self._last, detections, row) for row in range(len(detections)))

    def _write_all(self) -> None:
        while (job := self._jobs.get()) is not None:
            try:
                self.error = self._write(job)
            except (OSError, cv2.error) as error:
                self.error = f"recorder: expected to write into {self._folder}, got: {_reason(error)}"
            if self.error:
                self._due = time.monotonic() + _RETRY_S
            self._jobs.task_done()

    def _write(self, job: _Job) -> str | None:
        """Writes the files of an image; returns what hinders it."""
        image, label = self._folder / f"images/{job.name}.jpg", self._folder / f"labels/{job.name}.txt"
        if image.exists() or label.exists():
            return None
        names = job.detections.class_names
        height, width = job.image.shape[:2]
        found = prelabeled(image.name, image, (width, height), job.detections)
        lines = "".join(f"{line}\n" for line in yolo_pose.lines_of(found, names)).encode()
        encoded = cv2.imencode(".jpg", job.image, [cv2.IMWRITE_JPEG_QUALITY, _JPEG_QUALITY])[1].tobytes()
        if self._bytes + len(lines) + len(encoded) > self._max_bytes:
            return f"recorder: expected less than {self._max_bytes} bytes in {self._folder}, got a full one; empty it"
        self._folder.mkdir(parents=True, exist_ok=True)
        free = shutil.disk_usage(self._folder).free
        if free < _LEFT_FREE:
            return (
                f"recorder: expected to write into {self._folder} and leave {_LEFT_FREE // 10**6} MB of the disk free, "
                f"got {free // 10**6} MB"
            )
        sheet, text = self._folder / "data.yaml", yolo_pose.sheet_of(names).encode()
        if not sheet.exists():
            write_atomically(sheet, text)
        elif sheet.read_bytes() != text:
            return f"recorder: expected {self._folder} to hold the {len(names)} classes of the model, got other ones"
        # The label first: without its image it is a fault that the checker tells, an image without it is background.
        write_atomically(label, lines)
        try:
            write_atomically(image, encoded)
        except OSError:
            label.unlink(missing_ok=True)
            raise
        self._bytes += len(lines) + len(encoded)
        return None


def _changed(before: Detections, now: Detections, row: int) -> bool:
    corners = now.corners[row].astype(np.float64)
    middle, diagonal = corners.mean(axis=0), float(np.linalg.norm(corners.max(axis=0) - corners.min(axis=0)))
    if not len(before) or not diagonal > 0:
        return False
    distances = np.linalg.norm(before.corners.mean(axis=1) - middle, axis=1)
    nearest = int(distances.argmin())
    if distances[nearest] > _NEAR * diagonal:
        return False
    if before.class_ids[nearest] != now.class_ids[row]:
        return True
    shape, old = corners - middle, before.corners[nearest] - before.corners[nearest].mean(axis=0)
    scale = float((shape * old).sum() / max(1e-9, (old * old).sum()))  # it comes nearer
    return float(np.linalg.norm(shape - scale * old, axis=1).mean()) > MOVED * diagonal


def _bytes_below(folder: Path) -> int:
    try:
        return sum(path.stat().st_size for path in folder.rglob("*") if path.is_file())
    except OSError:  # it goes away, or may not be read: writing will tell
        return 0


def _reason(error: Exception) -> str:
    return getattr(error, "strerror", None) or " ".join(str(error).split())
