"""The recorder: which images it keeps, what it writes, and that no disk stops it or the node."""

import errno
import math
import threading
import time
from dataclasses import replace
from types import SimpleNamespace

import cv2
import numpy as np
import pytest

from nanodet_kp_core.labels import read_records
from nanodet_kp_core.labels.check import check_dataset
from nanodet_kp_core.runtime.detection.detector import Detections
from nanodet_kp_ros import recorder as module
from nanodet_kp_ros.recorder import Recorder

CORNERS = np.array([[100, 100], [102, 130], [170, 128], [168, 99]], np.float32)
BAND = (0.5, 0.7)
IMAGE = cv2.GaussianBlur(np.random.default_rng(0).integers(0, 255, (240, 320, 3), np.uint8), (0, 0), 9)


def found(*plates, names=("B_3", "R_Bb")):
    """Of (class id, score, corners)."""
    corners = np.array([plate[2] for plate in plates], np.float32).reshape(-1, 4, 2)
    return Detections(
        np.array([plate[1] for plate in plates], np.float32),
        np.array([plate[0] for plate in plates], np.int64),
        np.concatenate([corners.min(axis=1), corners.max(axis=1)], axis=1) if plates else np.zeros((0, 4)),
        corners,
        names,
    )


UNSURE, SURE = found((0, 0.6, CORNERS), (1, 0.9, CORNERS + [60, 80])), found((0, 0.9, CORNERS))


@pytest.fixture
def make(tmp_path):
    made = []

    def make_recorder(**changes):
        values = {"max_bytes": 10**9, "max_per_second": 1e6, "score_band": BAND, **changes}
        made.append(Recorder(tmp_path / "kept", **values))
        return made[-1]

    yield make_recorder
    for recorder in made:
        recorder.close()


def offer(recorder, detections, stamp_s, image=IMAGE):
    """Offers and waits until it is written."""
    taken = recorder.offer(image, detections, stamp_s)
    assert wait_for(lambda: recorder._jobs.unfinished_tasks == 0)
    return taken


def wait_for(condition):
    end = time.monotonic() + 60
    while not condition() and time.monotonic() < end:
        time.sleep(0.002)
    return condition()


def test_what_is_kept_is_a_data_set(make, tmp_path):
    recorder = make()
    edge = found((0, 0.6, CORNERS + [200, 0]), (1, 0.65, CORNERS + [900, 0]), (1, 0.55, CORNERS * 30))
    for number, detections in enumerate((UNSURE, found((1, 0.5, CORNERS)), edge)):
        assert offer(recorder, detections, 12.25 + number)
    folder = tmp_path / "kept"
    report = check_dataset("YoloPoseDataset", folder / "images", folder / "data.yaml", ("B_3", "R_Bb"))
    assert report.errors == []
    assert (report.images, report.class_counts) == (3, {"B_3": 2, "R_Bb": 2})
    first, *_ = read_records("YoloPoseDataset", folder / "images", folder / "data.yaml", ("B_3", "R_Bb"))
    assert first.name == "12_250000.jpg"
    np.testing.assert_allclose(first.corners, UNSURE.corners, atol=1e-3)
    assert first.labels.tolist() == [0, 1]
    assert np.abs(first.load().image.astype(int) - IMAGE).max() < 12
    assert recorder.error is None


def test_a_plate_of_unknown_number_is_written_with_its_likeliest_class(make, tmp_path):
    unknown = replace(UNSURE, number_scores=np.array([0.3, 0.9], np.float32), number_threshold=0.5)
    assert unknown.labels == ["B", "R_Bb"]
    assert offer(make(), unknown, 1.0)
    folder = tmp_path / "kept"
    assert check_dataset("YoloPoseDataset", folder / "images", folder / "data.yaml", ("B_3", "R_Bb")).errors == []
    (record,) = read_records("YoloPoseDataset", folder / "images", folder / "data.yaml", ("B_3", "R_Bb"))
    assert record.labels.tolist() == [0, 1]


@pytest.mark.parametrize(("score", "kept"), [(0.49, False), (0.5, True), (0.7, True), (0.71, False), (math.nan, False)])
def test_the_score_band(make, score, kept):
    assert offer(make(), found((0, 0.9, CORNERS), (0, score, CORNERS + 50)), 1.0) == kept


def test_no_plates_are_nothing_to_be_unsure_about(make):
    assert not offer(make(), found(), 1.0)


def shifted(first, second):
    corners = CORNERS.copy()
    corners[0] += first
    corners[2] += second
    return found((0, 0.9, corners))


@pytest.mark.parametrize(
    ("following", "kept"),
    [
        (found((0, 0.9, CORNERS + [6, 3])), False),  # it drives
        (found((0, 0.9, (CORNERS - CORNERS.mean(axis=0)) * 1.3 + CORNERS.mean(axis=0))), False),  # it comes nearer
        (shifted([1, 1], [-1, 0]), False),
        (shifted([14, 12], [-12, 9]), True),  # its corners disagree
        (found((1, 0.9, CORNERS + [6, 3])), True),  # another class in its place
        (found((1, 0.9, CORNERS + [90, 3])), False),  # another plate
        (found((0, 0.9, np.full((4, 2), np.nan))), False),
        (found((0, 0.9, np.zeros((4, 2)))), False),
    ],
)
def test_disagreement_with_the_image_before(make, following, kept):
    recorder = make()
    assert not offer(recorder, SURE, 1.0)
    assert offer(recorder, following, 1.02) == kept


@pytest.mark.parametrize("stamp", [0.5, 1.0, 3.0, math.nan, math.inf])
def test_images_that_do_not_follow_each_other_are_not_compared(make, stamp):
    recorder = make()
    offer(recorder, SURE, 1.0)
    assert not offer(recorder, shifted([14, 12], [-12, 9]), stamp)


def test_the_rate_is_bounded(make, monkeypatch):
    clock = SimpleNamespace(now=100.0)
    monkeypatch.setattr(module, "time", SimpleNamespace(monotonic=lambda: clock.now))
    recorder = make(max_per_second=2.0)
    taken = []
    for number in range(100):
        clock.now = 100 + number / 50
        taken.append(offer(recorder, UNSURE, float(number)))
    assert sum(taken) == 4
    assert [number for number, was in enumerate(taken) if was] == [0, 25, 50, 75]


def test_the_folder_is_bounded_and_nothing_is_deleted(make, tmp_path):
    (tmp_path / "kept" / "mine").mkdir(parents=True)
    (tmp_path / "kept" / "mine" / "notes.txt").write_bytes(b"x" * 5000)
    recorder = make(max_bytes=20_000)
    for number in range(20):
        offer(recorder, UNSURE, float(number))
        if recorder.error:
            break
    assert "expected less than 20000 bytes in" in recorder.error
    files = sorted(path for path in (tmp_path / "kept").rglob("*") if path.is_file())
    assert 12_000 < sum(path.stat().st_size for path in files) <= 20_000
    assert len(list((tmp_path / "kept/images").iterdir())) == len(list((tmp_path / "kept/labels").iterdir())) >= 1
    assert not recorder.offer(IMAGE, UNSURE, 100.0)  # it does not try again at once
    again = make(max_bytes=20_000)  # a restart counts what is there
    offer(again, UNSURE, 200.0)
    assert again.error is not None
    assert sorted(path for path in (tmp_path / "kept").rglob("*") if path.is_file()) == files


def test_labels_that_somebody_corrected_stay(make, tmp_path):
    recorder = make()
    offer(recorder, UNSURE, 5.0)
    label = tmp_path / "kept/labels/5_000000.txt"
    label.write_text("corrected")
    offer(recorder, UNSURE, 5.0)  # the bag is played again
    offer(make(), UNSURE, 5.0)
    assert label.read_text() == "corrected"
    assert recorder.error is None


def test_another_model_does_not_mix_its_classes_in(make, tmp_path):
    offer(make(), UNSURE, 5.0)
    other = make()
    offer(other, found((0, 0.6, CORNERS), names=("armor",)), 6.0)
    assert "expected" in other.error and "to hold the 1 classes of the model, got other ones" in other.error
    assert len(list((tmp_path / "kept/images").iterdir())) == 1


@pytest.mark.parametrize("which", ["data.yaml", ".txt", ".jpg"])
def test_a_full_disk_is_told_and_leaves_no_half_pair(make, tmp_path, monkeypatch, which):
    write = module.write_atomically
    broken = threading.Event()
    broken.set()

    def full(path, data):
        if broken.is_set() and str(path).endswith(which):
            raise OSError(errno.ENOSPC, "No space left on device")
        write(path, data)

    monkeypatch.setattr(module, "write_atomically", full)
    monkeypatch.setattr(module, "_RETRY_S", 0.0)
    recorder = make()
    assert offer(recorder, UNSURE, 1.0)
    assert recorder.error == f"recorder: expected to write into {tmp_path / 'kept'}, got: No space left on device"
    assert [path for path in (tmp_path / "kept").rglob("*") if path.suffix in (".jpg", ".txt")] == []
    broken.clear()
    offer(recorder, UNSURE, 2.0)
    assert recorder.error is None
    assert {path.stem for path in (tmp_path / "kept").rglob("*.*") if path.suffix != ".yaml"} == {"2_000000"}


def test_the_rest_of_the_disk_is_left_free(make, monkeypatch, tmp_path):
    monkeypatch.setattr(module.shutil, "disk_usage", lambda path: SimpleNamespace(free=99_000_000))
    recorder = make()
    offer(recorder, UNSURE, 1.0)
    assert "leave 100 MB of the disk free, got 99 MB" in recorder.error
    assert not (tmp_path / "kept/images").exists()


def test_after_a_fault_it_rests(make, monkeypatch):
    monkeypatch.setattr(module.shutil, "disk_usage", lambda path: SimpleNamespace(free=0))
    recorder = make()
    assert offer(recorder, UNSURE, 1.0)
    assert not offer(recorder, UNSURE, 2.0)


def test_a_folder_that_is_a_file(make, tmp_path):
    (tmp_path / "kept").write_text("mine")
    recorder = make()
    offer(recorder, UNSURE, 1.0)
    assert recorder.error.startswith(f"recorder: expected to write into {tmp_path / 'kept'}, got: ")
    assert (tmp_path / "kept").read_text() == "mine"


def test_a_slow_disk_does_not_hold_up_the_node(make, monkeypatch):
    write, free = module.write_atomically, threading.Event()

    def slow(path, data):
        assert free.wait(60)
        write(path, data)

    monkeypatch.setattr(module, "write_atomically", slow)
    recorder = make()
    started = time.process_time()
    taken = [recorder.offer(IMAGE, UNSURE, float(number)) for number in range(500)]
    # One is being written, one waits; the others are let go, and none was waited for.
    assert 1 <= sum(taken) <= 2
    assert time.process_time() - started < 20
    free.set()


@pytest.mark.parametrize("stamp", [math.nan, math.inf, -math.inf])
def test_a_stamp_that_is_none(make, stamp):
    assert not make().offer(IMAGE, UNSURE, stamp)


def test_a_stamp_before_the_epoch(make, tmp_path):
    assert offer(make(), UNSURE, -1.5)
    assert (tmp_path / "kept/images/-1_500000.jpg").exists()
