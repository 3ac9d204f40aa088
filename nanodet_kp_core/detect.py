"""Detect armor plates from the command line: `nanodet-kp detect SOURCE`, `python -m nanodet_kp_core.detect SOURCE`."""

from __future__ import annotations

import argparse
import json
import os
import sys
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import cv2
import numpy as np

from nanodet_kp_core.command import guarded
from nanodet_kp_core.errors import ConfigError
from nanodet_kp_core.files import write_atomically
from nanodet_kp_core.paths import resolved
from nanodet_kp_core.pose_options import FramePoses, add_pose_arguments, to_pose_entry
from nanodet_kp_core.runtime.detection.detections import NUMBER_THRESHOLD
from nanodet_kp_core.runtime.detection.detector import Detections, Detector
from nanodet_kp_core.runtime.detection.draw import draw
from nanodet_kp_core.runtime.detection.options import DetectOptions
from nanodet_kp_core.runtime.detection.roi import RoiDetector
from nanodet_kp_core.runtime.images.frame_sources import SAVED_EXTENSIONS, Frame, ImageSource, Source, open_source
from nanodet_kp_core.runtime.models.denormals import flush_denormals
from nanodet_kp_core.runtime.poses.pose import Pose
from nanodet_kp_core.share import own_or_shared

WINDOW = "nanodet_kp"
PROG = "nanodet-kp detect"


def program(prog: str = PROG) -> int:
    """`main` as a program of its own, whose threads may take denormals for zero."""
    flush_denormals()
    return main(prog=prog)


def main(argv: Sequence[str] | None = None, prog: str = PROG) -> int:
    """Run the command line; returns the exit code: 0 done, 2 bad input, 130 interrupted."""
    _silence_opencv()
    return guarded(lambda: _run(_parser(prog).parse_args(argv)), "detect", "detect: interrupted")


def _silence_opencv() -> None:
    """Its own log lines would stand around the one sentence that says what is wrong."""
    logging = getattr(getattr(cv2, "utils", None), "logging", None)  # older builds of OpenCV lack it
    if logging is not None:
        logging.setLogLevel(logging.LOG_LEVEL_SILENT)


def to_entries(detections: Detections, poses: Sequence[Pose | None] | None = None) -> list[dict[str, Any]]:
    """Detections as JSON values, best first:
    {"label", "score", "number_score", "corners": [[x, y] * 4], "box": [4]}.

    poses: one for each plate; then there is "pose" too, see `to_pose_entry`.
    """
    scores = zip(detections.scores, detections.number_scores, strict=True)
    rows = zip(detections.labels, scores, detections.corners, detections.boxes, strict=True)
    entries: list[dict[str, Any]] = [
        {
            "label": label,
            "score": round(float(score), 6),
            "number_score": round(float(number_score), 6),
            "corners": np.round(corners.astype(float), 3).tolist(),
            "box": np.round(box.astype(float), 3).tolist(),
        }
        for label, (score, number_score), corners, box in rows
    ]
    if poses is None:
        return entries
    return [entry | {"pose": to_pose_entry(pose)} for entry, pose in zip(entries, poses, strict=True)]


def _run(args: argparse.Namespace) -> int:
    _check_outputs(args)
    options = DetectOptions(args.score, args.nms, args.max_detections, args.number_score)
    detector = Detector(args.model, threads=args.threads, scout=not args.no_scout)
    detect = detector if args.roi_every is None else RoiDetector(detector, args.roi_every)
    frame_poses = FramePoses(args, detector.metadata.class_names)
    source = open_source(args.source)
    results: dict[str, list[dict[str, Any]]] = {}
    times: list[dict[str, float]] = []
    try:
        for frame in source:
            detections = detect(frame.image, options)
            times.append(detector.times)
            results[frame.name] = to_entries(detections, frame_poses.solve(frame, detections, source.live))
            print(_line(frame, detections))
            if not _present(args, frame, detections, wait=isinstance(source, ImageSource)):
                break
    except KeyboardInterrupt:
        if not source.live:  # Ctrl-C is the usual end of a camera, but half a folder is no result
            raise
    finally:
        source.close()
    if args.json is not None:
        _write_json(args.json, results)
    _print_summary(source, results, times)
    if frame_poses.warning is not None:
        print(f"detect: {frame_poses.warning}", file=sys.stderr)
    return 0


def _present(args: argparse.Namespace, frame: Frame, detections: Detections, wait: bool) -> bool:
    """Save and show the annotated frame where asked for; False when the user closed the window."""
    if args.save is None and not args.show:
        return True
    annotated = draw(frame.image, detections)
    if args.save is not None:
        _save(args.save / _file_name(frame), annotated)
    if not args.show:
        return True
    cv2.imshow(WINDOW, annotated)
    return cv2.waitKey(0 if wait else 1) & 0xFF not in (ord("q"), 27)


def _file_name(frame: Frame) -> str:
    return frame.name if frame.name.lower().endswith(SAVED_EXTENSIONS) else f"{frame.name}.jpg"


def _save(path: Path, image: np.ndarray) -> None:
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        written = cv2.imwrite(str(path), image)
    except (OSError, cv2.error) as error:
        raise ConfigError(f"--save: cannot write {path} ({error}); choose another folder") from None
    if not written:
        raise ConfigError(f"--save: cannot write {path}; choose another folder")


def _line(frame: Frame, detections: Detections) -> str:
    plates = ", ".join(
        f"{label} {score:.2f}" for label, score in zip(detections.labels, detections.scores, strict=True)
    )
    return f"{frame.name}: {plates or 'nothing'}"


def _print_summary(source: Source, results: dict[str, list[dict[str, Any]]], times: list[dict[str, float]]) -> None:
    plates = sum(len(entries) for entries in results.values())
    skipped = f", {len(source.unreadable)} unreadable" if source.unreadable else ""
    # Medians: the first images and a busy machine would distort means.
    stages = ", ".join(f"{stage} {np.median([t[stage] for t in times]):.1f}" for stage in (times[0] if times else ()))
    print(f"{len(times)} frames, {plates} plates{skipped}; median ms per frame: {stages or 'none'}")


def _check_outputs(args: argparse.Namespace) -> None:
    """Refuse outputs that cannot be written before the work is done, not after."""
    if args.json is not None and (args.json.is_dir() or not args.json.parent.is_dir()):
        raise ConfigError(f"--json: expected a file in an existing folder, got {args.json}; create the folder first")
    if args.save is not None and args.save.exists() and not args.save.is_dir():
        raise ConfigError(f"--save: expected a folder, got the file {args.save}; choose another name")
    path = resolved(args.source)
    folder = path if path.is_dir() else path.parent
    if args.save is not None and path.exists() and args.save.resolve() == folder.resolve():
        raise ConfigError(
            f"--save: {args.save} is the source's own folder, its images would be overwritten; choose another"
        )
    if args.show:
        _check_window()


def _check_window() -> None:
    has_display = sys.platform != "linux" or os.environ.get("DISPLAY") or os.environ.get("WAYLAND_DISPLAY")
    try:
        if not has_display:  # OpenCV with Qt would abort the whole process instead of raising
            raise ConfigError("--show: expected a display, got neither DISPLAY nor WAYLAND_DISPLAY; use --save DIR")
        cv2.namedWindow(WINDOW, cv2.WINDOW_NORMAL)
    except cv2.error:
        raise ConfigError(
            "--show: expected an OpenCV that opens windows, got a headless one; "
            "use --save DIR, or install opencv-python instead of opencv-python-headless"
        ) from None


def _write_json(path: Path, results: dict[str, list[dict[str, Any]]]) -> None:
    try:
        write_atomically(path, json.dumps(results, allow_nan=False).encode())
    except OSError as error:
        raise ConfigError(f"--json: cannot write {path} ({error}); choose another file") from None


def _fraction(text: str) -> float:
    value = _number(text, float, "a number in 0..1")
    if not 0 <= value <= 1:
        raise argparse.ArgumentTypeError(f"expected a number in 0..1, got {text}")
    return value


def _count(text: str) -> int:
    value = _number(text, int, "a whole number of at least 1")
    if value < 1:
        raise argparse.ArgumentTypeError(f"expected a whole number of at least 1, got {text}")
    return int(value)


def _number(text: str, kind: type[int] | type[float], expected: str) -> float:
    try:
        return kind(text)
    except ValueError:
        raise argparse.ArgumentTypeError(f"expected {expected}, got {text!r}") from None


def _parser(prog: str) -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(prog=prog, description="Find armor plates in images, videos, streams and cameras.")
    parser.add_argument(
        "source",
        metavar="SOURCE",
        help="image, folder (with sub-folders), pattern ('*.png', img_%%04d.png), video, stream or camera index",
    )
    parser.add_argument(
        "--model",
        type=own_or_shared,
        help="ONNX made by nanodet-kp export, or the bundled models/armor_m.onnx (default: models/armor_s.onnx)",
    )
    parser.add_argument("--json", type=resolved, metavar="OUT", help="write the plates of every frame to this file")
    parser.add_argument("--save", type=resolved, metavar="DIR", help="write annotated frames to this folder")
    parser.add_argument("--show", action="store_true", help="show annotated frames; q or Esc ends, any key goes on")
    parser.add_argument("--score", type=_fraction, default=0.5, help="lowest score, 0..1 (default: %(default)s)")
    parser.add_argument(
        "--number-score", type=_fraction, default=NUMBER_THRESHOLD,
        help="lowest number score; below it the label is the color alone, 0..1 (default: %(default)s)",
    )  # fmt: skip
    parser.add_argument("--nms", type=_fraction, default=0.5, help="highest overlap IoU, 0..1 (default: %(default)s)")
    parser.add_argument("--threads", type=_count, default=1, help="threads of the network (default: %(default)s)")
    parser.add_argument(
        "--no-scout", action="store_true",
        help="propose no pairs of light bars: saves 1 to 2.5 ms of a processor, loses far plates",
    )  # fmt: skip
    parser.add_argument(
        "--roi-every", type=_count, metavar="N",
        help="for videos and cameras: look only around the last plates, and at the full frame every N frames (default: "
        "always the full frame)",
    )  # fmt: skip
    parser.add_argument(
        "--max-detections", type=_count, default=50, help="maximum plates of a frame (default: %(default)s)"
    )
    add_pose_arguments(parser)
    return parser


if __name__ == "__main__":
    raise SystemExit(program("python -m nanodet_kp_core.detect"))
