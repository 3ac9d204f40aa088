"""Counts, medians, the line in the log and /diagnostics."""

import math
import threading
from dataclasses import replace

import pytest

pytest.importorskip("rclpy", reason="needs ROS 2: make setup, or source an installation")

from builtin_interfaces.msg import Time
from diagnostic_msgs.msg import DiagnosticStatus

from nanodet_kp_ros.counters import OUTCOMES, Counters
from nanodet_kp_ros.diagnostics import Health, report_line, to_diagnostics

STAGES = {"preprocess": 1.0, "network": 10.0, "decode": 0.5, "detector": 11.5, "latency": 14.0}


class Clock:
    now = 100.0

    def __call__(self):
        return self.now


@pytest.fixture
def clock():
    return Clock()


def second(counters, clock, received, answered, lost=0):
    counters.count("received", received)
    counters.count("lost", lost)
    counters.count("replaced", received - answered)
    for _ in range(answered):
        counters.answered(dict(STAGES))
    clock.now += 1
    return counters.summary()


def test_the_window_is_ten_seconds_and_the_total_is_all(clock):
    counters = Counters(10.0, clock)
    for _ in range(30):
        second(counters, clock, 60, 50)
    for _ in range(10):
        last = second(counters, clock, 30, 30, lost=30)
    assert last.seconds == pytest.approx(10)
    assert dict(last.recent) == dict(zip(OUTCOMES, (300, 300, 300, 0, 0, 0)))
    assert dict(last.total) == dict(zip(OUTCOMES, (2100, 1800, 300, 300, 0, 0)))
    assert last.rate("answered") == pytest.approx(30)
    assert last.lost_share == pytest.approx(0.5)
    assert last.medians["detector"] == pytest.approx(11.5)


def test_before_the_first_image(clock):
    summary = Counters(10.0, clock).summary()
    assert summary.rate("answered") == 0
    assert summary.lost_share == 0
    assert dict(summary.medians) == {}
    assert math.isnan(summary.latency_p99)


def test_medians_forget(clock):
    counters = Counters(10.0, clock)
    counters.answered({"latency": 900.0})
    clock.now += 20
    counters.answered({"latency": 9.0})
    assert counters.summary().medians["latency"] == 9.0


def test_counting_from_two_threads_loses_nothing():
    counters = Counters()
    threads = [threading.Thread(target=lambda: [counters.count("received") for _ in range(20000)]) for _ in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert counters.summary().total["received"] == 80000


def test_the_line_in_the_log(clock):
    counters = Counters(10.0, clock)
    assert report_line(second(counters, clock, 30, 30)) == (
        "30.0 images/s, detector 11.5 ms, image stamp to publish 14.0 ms (medians)"
    )
    line = report_line(second(counters, clock, 30, 25, lost=7))
    assert line.endswith("(medians); of 67 images 7 lost, 5 replaced")


def health(summary, **changes):
    usual = Health(
        summary=summary, state="on", silent=False, topic="/image_raw", image="640x480", model="a.onnx", run_id="run",
        threads=2, last_error=None,
    )  # fmt: skip
    return replace(usual, **changes)


def status_of(made):
    message = to_diagnostics("/red/detector_node", made, Time(sec=5))
    assert message.header.stamp.sec == 5
    (status,) = message.status
    assert status.name == "/red/detector_node: armor detector"
    return status


def test_diagnostics_hold_what_a_person_asks_for(clock):
    counters = Counters(10.0, clock)
    status = status_of(health(second(counters, clock, 30, 25), last_error=("image is empty", 70.0)))
    assert status.level == DiagnosticStatus.OK
    values = {pair.key: pair.value for pair in status.values}
    expected = {
        "answered images/s": "25.0", "latency ms (median)": "14.00", "detector ms (median)": "11.50",
        "replaced (last 10 s)": "5", "lost (since start)": "0", "model": "a.onnx", "threads": "2", "image": "640x480",
        "training run": "run", "last error": "image is empty (70 s ago)", "transport ms (median)": "unknown",
    }  # fmt: skip
    assert expected.items() <= values.items()


@pytest.mark.parametrize(
    ("changes", "level", "message"),
    [
        ({}, DiagnosticStatus.OK, "25.0 images/s"),
        ({"state": "off"}, DiagnosticStatus.OK, "disabled by ~/enable"),
        ({"state": "idle", "silent": True}, DiagnosticStatus.OK, "nobody listens"),
        ({"silent": True}, DiagnosticStatus.ERROR, "no image on /image_raw"),
        ({"last_error": ("image is empty", 3.0)}, DiagnosticStatus.WARN, "image is empty"),
        ({"last_error": ("image is empty", 30.0)}, DiagnosticStatus.OK, "25.0 images/s"),
    ],
)
def test_diagnostic_levels(clock, changes, level, message):
    status = status_of(health(second(Counters(10.0, clock), clock, 30, 25), **changes))
    assert (status.level, status.message) == (level, message)


def test_loss_and_no_answers_are_seen(clock):
    status = status_of(health(second(Counters(10.0, clock), clock, 30, 25, lost=10)))
    assert (status.level, status.message) == (DiagnosticStatus.WARN, "25% of the images are lost on the way")
    status = status_of(health(second(Counters(10.0, clock), clock, 30, 0), last_error=("no JPEG", 1.0)))
    assert (status.level, status.message) == (DiagnosticStatus.ERROR, "no image was answered: no JPEG")
