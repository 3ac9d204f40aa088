"""The scout on a second thread while the network computes: the same plates, sooner, and nothing left behind."""

import gc
import multiprocessing
import threading
from pathlib import Path

import numpy as np
import pytest

from nanodet_kp_core.runtime.detection import detector as detector_module
from nanodet_kp_core.runtime.detection.detector import Detector
from nanodet_kp_core.runtime.models.session import load_session
from nanodet_kp_core.synthetic.clip import QUICK_SEED, clip_frames

MODEL = Path(__file__).resolve().parents[2] / "models" / "armor_s.onnx"
THREAD = "second"


@pytest.fixture(scope="module")
def frames():
    return list(clip_frames(1.0, 3, QUICK_SEED, (640, 480))) + list(clip_frames(1.0, 3, QUICK_SEED, (1280, 1024)))


@pytest.fixture(autouse=True)
def two_cores(monkeypatch):
    monkeypatch.setattr(detector_module, "usable_cores", lambda: 2)


def own_threads():
    return [thread for thread in threading.enumerate() if thread.name.startswith(THREAD)]


def test_the_same_is_found(frames):
    beside, in_turn = Detector(MODEL), Detector(MODEL, overlap=False)
    for frame in frames:
        found, expected = beside(frame), in_turn(frame)
        assert len(found) and np.array_equal(found.corners, expected.corners)
        assert np.array_equal(found.scores, expected.scores) and found.labels == expected.labels


def test_the_scout_begins_before_the_network_ends(frames):
    begun, seen = threading.Event(), []
    session = load_session(MODEL, 1)

    class Waiting:
        path, metadata, files = session.path, session.metadata, session.files

        def run(self, blob):
            seen.append(begun.wait(10))
            return session.run(blob)

    detector = Detector(session=Waiting())
    scout = detector.scout

    def scouting(*images):
        begun.set()
        return scout(*images)

    detector.scout = scouting
    assert len(detector(frames[0])) and seen == [True]


def test_what_the_scout_raises_is_raised_and_the_next_image_is_answered(frames):
    detector = Detector(MODEL)
    scout = detector.scout

    def broken(*images):
        raise RuntimeError("no light")

    detector.scout = broken
    with pytest.raises(RuntimeError, match="no light"):
        detector(frames[0])
    detector.scout = scout
    assert len(detector(frames[0]))


@pytest.mark.parametrize("why", ["one core", "not wanted", "no scout"])
def test_without_need_there_is_no_thread(frames, monkeypatch, why):
    if why == "one core":
        monkeypatch.setattr(detector_module, "usable_cores", lambda: 1)
    before = own_threads()  # of the tests before, of which one may end at any time
    detector = Detector(MODEL, overlap=why != "not wanted", scout=why != "no scout")
    assert len(detector(frames[0])) and not set(own_threads()) - set(before)


def test_the_thread_ends_with_its_detector(frames):
    before = own_threads()
    detector = Detector(MODEL)
    detector(frames[0])
    (thread,) = set(own_threads()) - set(before)
    del detector
    gc.collect()
    thread.join(10)
    assert not thread.is_alive()


def test_a_forked_process_goes_on(frames):
    detector = Detector(MODEL)
    expected = detector(frames[0]).labels
    context = multiprocessing.get_context("fork")
    queue = context.Queue()
    child = context.Process(target=lambda: queue.put(detector(frames[0]).labels), daemon=True)
    child.start()
    try:
        assert queue.get(timeout=30) == expected
    finally:
        child.kill()
        child.join()
