"""Data sets out of bags, with labels by the model: `training/bag.py`."""

import subprocess
import sys

import numpy as np
import pytest

pytest.importorskip("rosbags", reason="needs ROS 2: rosbags, make setup")

from bag_helpers import START_NS, compressed_entry, image_entry, info_entry, write_bag
from ros_helpers import ROOT, colored_images

from nanodet_kp_core.errors import ConfigError
from nanodet_kp_core.labels import SHORT_NAMES, bag_images, read_records, written_paths
from nanodet_kp_core.labels.bag_images import Choice, chosen
from nanodet_kp_core.labels.check import check_dataset
from nanodet_kp_core.runtime.detection.detector import Detector
from nanodet_kp_core.runtime.images.image_message import from_image
from nanodet_kp_core.runtime.images.rosbag_reader import Bag, Recorded

IMAGES = colored_images(4)


def recorded(times_ns, topic="/i"):
    return [Recorded(topic, "", time_ns, b"") for time_ns in times_ns]


@pytest.mark.parametrize(
    ("choice", "numbers"),
    [
        (Choice(), [0, 1, 2, 3, 4, 5]),
        (Choice(every=3), [0, 3]),
        (Choice(per_second=5), [0, 2, 4]),
        (Choice(per_second=1e4), [0, 1, 2, 3, 4, 5]),
        (Choice(every=2, per_second=4), [0, 4]),
    ],
)
def test_which_images_are_taken(choice, numbers):
    pairs = zip(recorded(range(0, 6 * 10**8, 10**8)), recorded([0] * 6, "/other"))
    messages = [message for pair in pairs for message in pair]
    assert [number for number, _ in chosen(messages, "/i", choice)] == numbers


@pytest.mark.parametrize("values", [{"every": 0}, {"every": -3}, {"per_second": -1.0}, {"per_second": float("nan")}])
def test_a_choice_that_is_none(values):
    with pytest.raises(ConfigError, match="expected a"):
        Choice(**values)


def run_bag(*arguments):
    command = [sys.executable, "training/bag.py", *map(str, arguments)]
    return subprocess.run(command, cwd=ROOT, capture_output=True, text=True, timeout=300)


@pytest.mark.parametrize(("kind", "format_name"), [(image_entry, "coco"), (compressed_entry, "yolo-pose")])
def test_a_bag_becomes_a_data_set(tmp_path, image_model, kind, format_name):
    sent = [kind(image, number) for number, image in enumerate(IMAGES)]
    broken = type(sent[0])(sent[0].topic, sent[0].type_name, START_NS + 10**9, b"\x00\x01\x00\x00garbage")
    path, out = write_bag(tmp_path / "match 1", [*sent, broken]), tmp_path / "out"
    done = run_bag(path, out, "--every", 2, "--to", format_name, "--model", image_model)
    assert done.returncode == 0, done.stderr
    assert "2 images, 4 plates found by image_model.onnx, 1 images left out" in done.stdout
    assert "left out image 4 at" in done.stderr
    name = SHORT_NAMES[format_name]
    labels = written_paths(name, out)[1]
    assert check_dataset(name, out / "images", labels, ("B_3", "R_Bb")).errors == []
    records = read_records(name, out / "images", labels, ("B_3", "R_Bb"))
    assert [record.name for record in records] == ["match 1_000000.jpg", "match 1_000002.jpg"]
    detector = Detector(image_model, score_threshold=0.4)
    for record, number in zip(records, (0, 2)):
        if kind is compressed_entry:  # byte for byte as it was sent
            assert (out / "images" / record.name).read_bytes() == bytes(sent[number].message.data)
        pixels = record.load().image if kind is compressed_entry else IMAGES[number]
        np.testing.assert_allclose(record.corners, detector(pixels).corners, atol=2e-3)
    assert sorted(path.name for path in tmp_path.iterdir()) == ["match 1", "out"]  # nothing else is left behind


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (["{bag}", "{out}", "--topic", "/x"], "expected images on /x, got images on: /front/image_raw"),
        (["{bag}", "{out}", "--every", "0"], "every: expected a whole number of at least 1"),
        (["{bag}", "{out}", "--score", "2"], "score_threshold: expected a number in 0..1"),
        (["{bag}", "{bag}"], "expected a new or empty folder"),
        (["{out}", "{out}"], "expected a folder with metadata.yaml"),
        (["{bag}", "{bag}/metadata.yaml/x"], "expected to write here"),
    ],
)
def test_one_line_for_what_cannot_be(tmp_path, image_model, arguments, message):
    path = write_bag(tmp_path / "bag", [info_entry(0), image_entry(IMAGES[0], 0)])
    filled = [argument.format(bag=path, out=tmp_path / "out") for argument in arguments]
    done = run_bag(*filled, "--model", image_model)
    assert done.returncode == 2
    assert done.stderr.startswith("error: ") and done.stderr.count("\n") == 1
    assert message in done.stderr
    assert not (tmp_path / "out").exists()


def test_a_disk_that_is_full_leaves_nothing(tmp_path, image_model, monkeypatch):
    def full(*_):
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(bag_images.Path, "write_bytes", full)
    bag = Bag(write_bag(tmp_path / "bag", [info_entry(0), image_entry(IMAGES[0], 0)]))
    with pytest.raises(Exception, match="expected to write here, got: No space left on device"):
        bag_images.label_bag(bag, tmp_path / "out", "CocoDataset", Detector(image_model), lambda m, _: from_image(m),
                             Choice())  # fmt: skip
    bag.close()
    assert [path.name for path in tmp_path.iterdir()] == ["bag"]
