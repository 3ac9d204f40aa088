"""Files that a user names: the labels of each format, calibrations and training configurations."""

import json
from pathlib import Path

import numpy as np
import pytest
from format_helpers import SIZE, write_image
from fuzz import fuzz
from mutate import damaged_file, damaged_json

from nanodet_kp_core.classes import ARMOR_CLASSES
from nanodet_kp_core.config import load_config
from nanodet_kp_core.labels import FORMATS, read_labels, read_records, write_labels, written_paths
from nanodet_kp_core.labels.labels import LabeledImage, Plate, hull
from nanodet_kp_core.runtime.poses.calibration import read_calibration

FORMAT_NAMES = {
    "VOC": "XMLDataset",
    "COCO": "CocoDataset",
    "YOLO-pose": "YoloPoseDataset",
    "LabelRoboMaster": "LabelRoboMasterDataset",
    "PyLabelRoboMaster": "PyLabelRoboMasterDataset",
}
ROOT = Path(__file__).resolve().parents[2]
CORNERS = (
    ((10.0, 12.0), (11.5, 30.0), (40.0, 31.0), (39.0, 13.0)),
    ((50.0, 5.0), (50.5, 15.0), (63.5, 16.0), (63.0, 4.0)),
)
CALIBRATIONS = (
    """image_width: 640
image_height: 480
camera_name: narrow
camera_matrix:
  rows: 3
  cols: 3
  data: [600.5, 0.0, 320.1, 0.0, 601.0, 239.9, 0.0, 0.0, 1.0]
distortion_model: plumb_bob
distortion_coefficients:
  rows: 1
  cols: 5
  data: [-0.1, 0.02, 0.001, -0.0005, 0.0]
""",
    """matrix:
- [600, 0, 320]
- [0, 600, 240]
- [0, 0, 1]
distortion: [0.1, 0.0, 0.0, 0.0]
""",
)


def test_every_format_is_damaged():
    assert set(FORMAT_NAMES.values()) == set(FORMATS)


def write_two_images(folder, name):
    """A data set with three plates in one image and none in the other; its image folder and label path."""
    paths = [write_image(folder / "source" / one) for one in ("a.png", "b.png")]
    plates = [Plate("", label, CORNERS[k % 2], hull(CORNERS[k % 2])) for k, label in enumerate(("B_3", "R_G", "B_1"))]
    images = [LabeledImage(path.name, path, *SIZE, "", plates if k == 0 else []) for k, path in enumerate(paths)]
    write_labels(name, folder / "set", images, ARMOR_CLASSES)
    return written_paths(name, folder / "set")


@pytest.mark.parametrize("target", FORMAT_NAMES)
def test_labels(tmp_path, target):
    name = FORMAT_NAMES[target]
    images, labels = write_two_images(tmp_path, name)
    # YOLO-pose has its numbers in labels/ and its names in data.yaml: either can be damaged.
    folder = images.parent / "labels" if name == "YoloPoseDataset" else labels
    files = [labels] if labels.is_file() else []
    files += [path for path in sorted(folder.rglob("*")) if path.suffix in (".txt", ".xml")] if folder.is_dir() else []
    whole = {path: path.read_text(encoding="utf-8") for path in files}

    def make(rng):
        path = rng.choice(files)
        if target == "COCO" and rng.random() < 0.7:
            return path, damaged_json(rng, json.loads(whole[path])).encode("utf-8", "surrogatepass")
        return path, damaged_file(rng, whole[path])

    def use(made):
        path, data = made
        path.write_bytes(data)
        try:
            faults = []
            read_labels(name, images, labels, faults)
            assert all(len(str(fault).splitlines()) == 1 and str(fault).isprintable() for fault in faults)
            for record in read_records(name, images, labels, ARMOR_CLASSES):
                assert np.isfinite(record.corners).all() and np.isfinite(record.boxes).all()
                assert ((record.labels >= 0) & (record.labels < len(ARMOR_CLASSES))).all()
                assert set(record.visible.ravel().tolist()) <= {0, 1, 2}
        finally:
            path.write_text(whole[path], encoding="utf-8")

    fuzz(target, make, use, a_line_each=True)


def test_calibrations(tmp_path):
    path = tmp_path / "camera.yaml"

    def use(data):
        path.write_bytes(data)
        read = read_calibration(path)
        assert np.isfinite(read.camera.matrix).all()
        assert read.size is None or min(read.size) > 0

    fuzz("calibrations", lambda rng: damaged_file(rng, rng.choice(CALIBRATIONS)), use)


def test_configurations(tmp_path):
    """One of the repository's, with and without its comments."""
    path = tmp_path / "train.yaml"
    whole = (ROOT / "config" / "own_data.yaml").read_text(encoding="utf-8")
    short = "".join(line for line in whole.splitlines(keepends=True) if not line.lstrip().startswith("#"))

    def use(data):
        path.write_bytes(data)
        config = load_config(path)
        assert config.model.arch.head.strides and config.class_names

    fuzz("configurations", lambda rng: damaged_file(rng, rng.choice((short, whole))), use, a_line_each=True)
