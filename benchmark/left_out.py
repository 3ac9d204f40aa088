"""Cut a labeled set in three, to see what own images change elsewhere: two of its sources left out, a third of each
other source held back, the rest as own images.

    python benchmark/left_out.py real/dev.json --leave tamu houhongyi --out split_a
    nanodet-kp train --data split_a/own.json --images real/images --out runs/split_a
    nanodet-kp evaluate runs/split_a/model.onnx --labels split_a/left_out.json --images real/images

A source is the first folder of an image's name. The third that is held back are the last images in the order of names:
frames of one recording follow each other.
"""

from __future__ import annotations

import argparse
import json
import sys
from pathlib import Path

sys.path.insert(0, str(Path(__file__).resolve().parent.parent))

from nanodet_kp_core.command import open_door
from nanodet_kp_core.errors import DataError


def parts(document: dict, leave: list[str]) -> dict[str, list[dict]]:
    """Images of a COCO document by part: own, held_back, left_out. Raises DataError for a source that is not there."""
    by_source: dict[str, list[dict]] = {}
    for image in sorted(document["images"], key=lambda image: image["file_name"]):
        by_source.setdefault(Path(image["file_name"]).parts[0], []).append(image)
    unknown = sorted(set(leave) - set(by_source))
    if unknown:
        raise DataError(f"--leave: expected sources of the labels ({', '.join(by_source)}), got {', '.join(unknown)}")
    found: dict[str, list[dict]] = {"own": [], "held_back": [], "left_out": []}
    for source, images in by_source.items():
        if source in leave:
            found["left_out"] += images
            continue
        held = len(images) // 3
        found["own"] += images[: len(images) - held]
        found["held_back"] += images[len(images) - held :]
    return found


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("labels", type=Path, help="COCO file")
    parser.add_argument("--leave", nargs="+", required=True, metavar="SOURCE", help="sources to leave out")
    parser.add_argument("--out", type=Path, required=True, help="folder for own.json, held_back.json, left_out.json")
    arguments = parser.parse_args()
    document = json.loads(arguments.labels.read_text(encoding="utf-8"))
    arguments.out.mkdir(parents=True, exist_ok=True)
    for name, images in parts(document, arguments.leave).items():
        chosen = {image["id"] for image in images}
        kept = [plate for plate in document["annotations"] if plate["image_id"] in chosen]
        path = arguments.out / f"{name}.json"
        path.write_text(json.dumps(document | {"images": images, "annotations": kept}), encoding="utf-8")
        print(f"{path}: {len(images)} images, {len(kept)} labels")
    return 0


if __name__ == "__main__":
    open_door(main)
