"""Rendered data sets on disk, in other formats, and as records that render themselves."""

import json
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest

from nanodet_kp_core.classes import ARMOR_CLASSES
from nanodet_kp_core.crops.lit_records import lit_records
from nanodet_kp_core.errors import DataError
from nanodet_kp_core.evaluate.cameras import label_cameras
from nanodet_kp_core.labels import read_records, written_paths
from nanodet_kp_core.synthetic.dataset import RenderOptions, render_dataset, write_as
from nanodet_kp_core.synthetic.generator import render, render_scene
from nanodet_kp_core.synthetic.records import RenderedRecords

SIZE, PLATE_PX = (128, 96), (12.0, 60.0)
OPTIONS = RenderOptions(SIZE, PLATE_PX)
COUNT = 8


@pytest.fixture(scope="module")
def rendered(tmp_path_factory):
    folder = tmp_path_factory.mktemp("rendered")
    assert list(render_dataset(folder, COUNT, 0, OPTIONS, 1)) == [COUNT]
    return folder


def test_labels_are_those_of_the_renderer(rendered):
    records = read_records("CocoDataset", rendered / "images", rendered / "labels.json", ARMOR_CLASSES)
    assert len(records) == COUNT
    assert sum(len(record.labels) for record in records) > 3
    for seed, record in enumerate(records):
        sample = render(seed, SIZE, PLATE_PX)
        assert np.allclose(record.corners, sample.corners, atol=1e-3)
        assert np.array_equal(record.labels[record.number_known], sample.labels[sample.number_known])
        assert record.load().image.shape == sample.image.shape


def test_cameras_and_poses_are_written(rendered):
    cameras = label_cameras(rendered / "labels.json")
    document = json.loads((rendered / "labels.json").read_text())
    names = {image["id"]: image["file_name"] for image in document["images"]}
    assert len(cameras) == COUNT
    for seed in range(COUNT):
        scene, name = render_scene(seed, SIZE, PLATE_PX), f"000000000/{seed:09d}.jpg"
        assert np.allclose(cameras[name].matrix, scene.camera_matrix, atol=1e-3)
        assert np.allclose(cameras[name].distortion, scene.distortion, atol=1e-7)
        poses = [a["pose"] for a in document["annotations"] if names[a["image_id"]] == name and not a["iscrowd"]]
        assert [pose["large"] for pose in poses] == [pose.large for pose in scene.poses]
        for written, pose in zip(poses, scene.poses):
            assert np.allclose(written["position"], pose.position, atol=1e-5)


def test_a_stopped_run_goes_on_and_refuses_other_arguments(rendered):
    labels = (rendered / "labels.json").read_bytes()
    victim = next((rendered / "images").rglob("*.jpg"))
    stamp = victim.stat().st_mtime_ns
    list(render_dataset(rendered, COUNT, 0, OPTIONS, 1))
    assert (rendered / "labels.json").read_bytes() == labels
    assert victim.stat().st_mtime_ns == stamp  # a finished chunk is not rendered again
    with pytest.raises(DataError, match="choose another"):
        list(render_dataset(rendered, COUNT, 1, OPTIONS, 1))


@pytest.mark.parametrize("name", ["XMLDataset", "YoloPoseDataset"])
def test_other_formats_hold_the_same_plates(rendered, tmp_path, name):
    lost = write_as(rendered, name, tmp_path / "out")
    images, labels = written_paths(name, tmp_path / "out")
    names = [*ARMOR_CLASSES, *(f"{color}_?" for color in "BRNP")] if name == "YoloPoseDataset" else ARMOR_CLASSES
    records = {record.name: record for record in read_records(name, images, labels, names)}
    ignored = 0
    for record in read_records("CocoDataset", rendered / "images", rendered / "labels.json", ARMOR_CLASSES):
        assert np.allclose(records[record.name].corners, record.corners, atol=0.01)
        ignored += len(record.ignore_boxes)
    assert (lost == [f"{ignored} ignore boxes"]) == (name == "YoloPoseDataset")


def test_records_render_themselves():
    records = RenderedRecords(5, 100, SIZE, PLATE_PX)
    assert len(records) == 5 and [record.seed for record in records] == [100, 101, 102, 103, 104]
    assert records[-1].seed == 104 and [record.seed for record in records[1:3]] == [101, 102]
    sample, expected = records[2].load(), render(102, SIZE, PLATE_PX)
    assert np.array_equal(sample.image, expected.image) and np.array_equal(sample.corners, expected.corners)
    assert (records[2].width, records[2].height) == SIZE and records[2].name == sample.name == "102"
    assert records.of_epoch(3, 2).seed == 117
    with pytest.raises(IndexError):
        records[5]


def test_records_in_other_light_differ_in_light_only_and_alike_each_time():
    changed = 0
    for before, after in zip(RenderedRecords(8, 100, SIZE, PLATE_PX), lit_records(8, 100, SIZE, PLATE_PX)):
        sample, other = before.load(), after.load()
        assert np.array_equal(sample.corners, other.corners) and np.array_equal(other.image, after.load().image)
        changed += not np.array_equal(sample.image, other.image)
    assert changed >= 7


def test_the_script_tells_its_speed(tmp_path):
    script = Path(__file__).parents[2] / "training" / "synthesize.py"
    command = [sys.executable, str(script), "dataset", str(tmp_path / "out"), "--count", "2", "--size", "64x64"]
    command += ["--plate-px", "8", "40", "--workers", "1", "--format", "voc", "--exact"]
    done = subprocess.run(command, capture_output=True, text=True, check=True)
    assert "2 of 2" in done.stdout and "a process" in done.stdout
    assert len(list((tmp_path / "out" / "voc" / "annotations").rglob("*.xml"))) == 2
