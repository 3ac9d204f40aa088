"""A rendered data set on disk: images and COCO keypoints, made in chunks by several processes, resumable."""

from __future__ import annotations

import json
import multiprocessing
from collections.abc import Iterator, Sequence
from concurrent.futures import ProcessPoolExecutor, as_completed
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

import cv2

from nanodet_kp_core.classes import ARMOR_CLASSES
from nanodet_kp_core.errors import DataError
from nanodet_kp_core.files import write_atomically
from nanodet_kp_core.labels import read_labels, write_labels
from nanodet_kp_core.labels.coco import coco_document, merge_coco
from nanodet_kp_core.labels.labels import Fault
from nanodet_kp_core.labels.lossy_conversions import losses, without_losses
from nanodet_kp_core.synthetic.generator import PLATE_PX, SIZE, VERSION, Scene, render_scene
from nanodet_kp_core.workers import end_with_parent

CHUNK = 500


@dataclass(frozen=True)
class RenderOptions:
    """What every image of a data set shares; see generator.render_scene."""

    size: tuple[int, int] = SIZE
    plate_px: tuple[float, float] = PLATE_PX
    exact: bool = False


def _chunk_file(folder: Path, first: int, count: int) -> Path:
    return folder / "chunks" / f"{first:09d}_{count}.json"


def _render_chunk(folder: Path, first: int, count: int, options: RenderOptions) -> int:
    cv2.setNumThreads(1)  # one process a core already
    target = _chunk_file(folder, first, count)
    if target.exists():
        return count
    images = folder / "images" / f"{first:09d}"
    images.mkdir(parents=True, exist_ok=True)
    scenes = []
    for seed in range(first, first + count):
        scene = render_scene(seed, options.size, options.plate_px, options.exact)
        name = f"{first:09d}/{seed:09d}.jpg"
        cv2.imwrite(str(folder / "images" / name), scene.sample.image, [cv2.IMWRITE_JPEG_QUALITY, 95])
        scenes.append((name, scene))
    write_atomically(target, json.dumps(scene_document(scenes)).encode())
    return count


def scene_document(scenes: Sequence[tuple[str, Scene]]) -> dict[str, Any]:
    """COCO keypoints of (file name, scene) pairs; an image has its camera, a plate its pose in the camera's frame.

    `"camera": {"matrix", "distortion"}` as evaluate.cameras reads it; `"pose": {"position", "rotation", "large"}` as in
    KnownPose.
    """
    document = coco_document([(name, scene.sample) for name, scene in scenes], ARMOR_CLASSES)
    for image, (_, scene) in zip(document["images"], scenes):
        matrix, distortion = scene.camera_matrix.round(4), scene.distortion.round(8)
        image["camera"] = {"matrix": matrix.tolist(), "distortion": distortion.tolist()}
    plates = [annotation for annotation in document["annotations"] if not annotation["iscrowd"]]
    for annotation, pose in zip(plates, (pose for _, scene in scenes for pose in scene.poses)):
        annotation["pose"] = {
            "position": pose.position.round(6).tolist(),
            "rotation": pose.rotation.round(6).tolist(),
            "large": pose.large,
        }
    return document


def render_dataset(folder: Path, count: int, first_seed: int, options: RenderOptions, workers: int) -> Iterator[int]:
    """Render `count` images; yields how many are done after each chunk, then writes `labels.json`.

    Image k has seed first_seed + k. Chunks that are there are kept, so a stopped run goes on where it was; the
    arguments are kept beside them. Raises DataError when the folder was rendered with other arguments or by another
    generator.
    """
    folder = Path(folder)
    wanted = json.loads(json.dumps({"generator": VERSION, "first_seed": first_seed, **asdict(options)}))
    note = folder / "arguments.json"
    if note.exists() and json.loads(note.read_text()) != wanted:
        raise DataError(f"{folder}: expected a folder rendered with {wanted}, got {note.read_text()}; choose another")
    write_atomically(note, json.dumps(wanted).encode())
    starts = range(first_seed, first_seed + count, CHUNK)
    sizes = [min(CHUNK, first_seed + count - start) for start in starts]
    done = 0
    # Fresh processes: a fork would inherit OpenCV's threads and locks as they happen to stand.
    with ProcessPoolExecutor(workers, multiprocessing.get_context("spawn"), end_with_parent) as pool:
        jobs = [pool.submit(_render_chunk, folder, s, n, options) for s, n in zip(starts, sizes)]
        for job in as_completed(jobs):
            done += job.result()
            yield done
    documents = [json.loads(_chunk_file(folder, s, n).read_text()) for s, n in zip(starts, sizes)]
    write_atomically(folder / "labels.json", json.dumps(merge_coco(documents)).encode())


def write_as(folder: Path, name: str, out: Path) -> list[str]:
    """Write a rendered data set in another label format (a key of labels.FORMATS) into the new folder `out`.

    The images become links. Returns what that format cannot hold and was left out, a phrase each.
    """
    faults: list[Fault] = []
    images = read_labels("CocoDataset", folder / "images", folder / "labels.json", faults)
    lost = losses(name, images)
    write_labels(name, out, without_losses(name, images), ARMOR_CLASSES, "link")
    return lost
