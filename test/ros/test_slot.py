"""The slot between the two threads, and the worker behind it."""

import threading
import time

import pytest

pytest.importorskip("rclpy", reason="needs ROS 2: make setup, or source an installation")

from nanodet_kp_ros import slot as slot_module
from nanodet_kp_ros.slot import Slot
from nanodet_kp_ros.worker import Worker

DEADLINE_S = 60


def test_the_latest_wins():
    slot = Slot()
    assert [slot.put(number) for number in range(3)] == [False, True, True]
    assert slot.take() == 2
    assert slot.put(3) is False


def test_taking_waits_for_an_item():
    slot, taken = Slot(), []
    thread = threading.Thread(target=lambda: taken.append(slot.take()))
    thread.start()
    slot.put("image")
    thread.join(DEADLINE_S)
    assert taken == ["image"]


def test_who_waits_has_the_item_when_putting_returns(monkeypatch):
    monkeypatch.setattr(slot_module, "HAND_OVER_S", DEADLINE_S)
    slot, taken = Slot(), []
    thread = threading.Thread(target=lambda: taken.append(slot.take()))
    thread.start()
    while not slot._waiting:
        time.sleep(0.001)
    slot.put("image")
    assert not slot.clear()
    thread.join(DEADLINE_S)
    assert taken == ["image"]
    assert slot.put("nobody waits for this one") is False  # would take a minute if it waited
    assert slot.clear()


def test_a_closed_slot_gives_nothing_and_lets_go():
    slot, taken = Slot(), []
    thread = threading.Thread(target=lambda: taken.append(slot.take()))
    thread.start()
    slot.close()
    thread.join(DEADLINE_S)
    assert taken == [None]
    slot.put("late")
    assert slot.take() is None


def test_clear():
    slot = Slot()
    assert not slot.clear()
    slot.put(1)
    assert slot.clear()
    assert slot.put(2) is False


def test_putting_never_waits_for_the_work_and_results_do_not_grow_old():
    """A hundred images come during a slow one: the next that is worked on is the last of them."""
    slot, done = Slot(), []
    working, go_on = threading.Event(), threading.Event()

    def work(item):
        working.set()
        assert go_on.wait(DEADLINE_S)
        done.append(item)

    worker = Worker(slot, work, pytest.fail)
    slot.put(0)
    assert working.wait(DEADLINE_S)
    replaced = sum(slot.put(number) for number in range(1, 101))  # would hang here if it waited
    go_on.set()
    wait_until(lambda: len(done) == 2)
    assert done == [0, 100]
    assert replaced == 99
    assert worker.stop(DEADLINE_S)


def test_an_error_does_not_end_the_work():
    slot, done, errors = Slot(), [], []

    def work(item):
        if item == "bad":
            raise ValueError(item)
        done.append(item)

    worker = Worker(slot, work, errors.append)
    slot.put("bad")
    wait_until(lambda: errors)
    slot.put("good")
    wait_until(lambda: done)
    assert worker.stop(DEADLINE_S)
    assert [str(error) for error in errors] == ["bad"]
    assert done == ["good"]


def test_stop_does_not_wait_for_ever():
    slot, working, go_on = Slot(), threading.Event(), threading.Event()

    def work(item):
        working.set()
        go_on.wait(DEADLINE_S)
        raise ValueError("after the end")

    worker = Worker(slot, work, lambda error: pytest.fail("an error after the end is nobody's"))
    slot.put(1)
    assert working.wait(DEADLINE_S)
    assert not worker.stop(0.01)
    go_on.set()
    assert worker.stop(DEADLINE_S)


def wait_until(condition):
    deadline = time.monotonic() + DEADLINE_S
    while not condition():
        assert time.monotonic() < deadline
        time.sleep(0.005)
