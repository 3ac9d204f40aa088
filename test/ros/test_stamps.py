"""What is concluded from stamps and sequence numbers."""

import numpy as np
import pytest

pytest.importorskip("rclpy", reason="needs ROS 2: make setup, or source an installation")

from nanodet_kp_ros.stamp_monitor import StampMonitor, plausible_age_ms

PERIOD = 1 / 60
NOW = 1_795_000_000.0


def feed(stamps, images, sequenced=False, publisher=b"camera"):
    """Images by their number in the camera; the lost ones by the node's count, and the problems."""
    lost, problems = 0, []
    for number in images:
        stamp = NOW + number * PERIOD
        lost += stamps.lost_before(stamp, number if sequenced else None, publisher)
        problem = stamps.problem(stamp, number * PERIOD, stamp + 0.01)
        problems += [problem] if problem else []
    return lost, problems


def some_of(count, share, seed=3):
    rng = np.random.default_rng(seed)
    return [0, *(n for n in range(1, count - 1) if rng.random() < share), count - 1]


@pytest.mark.parametrize("share", [1.0, 0.95, 0.5, 0.2])
def test_sequence_numbers_count_every_lost_image(share):
    images = some_of(600, share)
    assert feed(StampMonitor(), images, sequenced=True) == (600 - len(images), [])


@pytest.mark.parametrize("share", [1.0, 0.95, 0.6])
def test_stamps_alone_count_nearly_all(share):
    """What is lost before the period is known is not seen."""
    images = some_of(600, share)
    lost, problems = feed(StampMonitor(), images)
    assert problems == []
    assert 600 - len(images) - 20 <= lost <= 600 - len(images)


def test_a_jittery_camera_loses_nothing():
    rng = np.random.default_rng(1)
    stamps, lost = StampMonitor(), 0
    for number in range(300):
        stamp = NOW + (number + rng.uniform(-0.2, 0.2)) * PERIOD
        lost += stamps.lost_before(stamp, None, b"")
        stamps.problem(stamp, number * PERIOD, stamp)
    assert lost == 0


def test_a_pause_of_the_camera_is_no_loss():
    assert feed(StampMonitor(), [*range(60), *range(600, 660)]) == (0, [])


def test_another_publisher_counts_from_its_own_start():
    stamps = StampMonitor()
    assert stamps.lost_before(NOW, 100, b"first") == 0
    assert stamps.lost_before(NOW + 1, 7, b"second") == 0
    assert stamps.lost_before(NOW + 2, 9, b"second") == 1
    assert stamps.lost_before(NOW + 3, 1, b"second") == 0  # it started again under the same name


def test_after_a_break_in_the_subscription_nothing_is_lost():
    stamps = StampMonitor()
    feed(stamps, range(50), sequenced=True)
    stamps.forget()
    assert feed(stamps, range(500, 550), sequenced=True) == (0, [])


def test_stamps_that_stand_still_are_said_once():
    stamps = StampMonitor()
    said = [stamps.problem(NOW, n * PERIOD, NOW) for n in range(50)]
    assert sum(sentence is not None for sentence in said) == 1
    assert said[9].startswith("the stamps stand still: the last 10 images have the stamp 1795000000.000")
    assert feed(stamps, range(1, 60)) == (0, [])  # they move again


def test_jumps_back_and_ahead():
    stamps = StampMonitor()
    feed(stamps, range(30))
    assert "jumped back by 100.000 s" in stamps.problem(NOW + 29 * PERIOD - 100, 30 * PERIOD, NOW - 99)
    ahead = stamps.problem(NOW + 1000, 31 * PERIOD, NOW + 1000)
    assert "jumped ahead by 1099.5" in ahead


def test_faster_than_real_time_is_no_jump():
    """A simulation or a bag at ten times the speed."""
    stamps = StampMonitor()
    assert not any(stamps.problem(NOW + n * 10 * PERIOD, n * PERIOD, NOW + n * 10 * PERIOD) for n in range(200))


@pytest.mark.parametrize(("offset", "word"), [(-500.0, "ahead of"), (500.0, "behind")])
def test_a_stamp_of_another_clock(offset, word):
    stamps = StampMonitor()
    said = [stamps.problem(NOW + n * PERIOD, n * PERIOD, NOW + n * PERIOD + offset) for n in range(40)]
    assert sum(sentence is not None for sentence in said) == 1
    assert f"the stamps are 500.0 s {word} this node's clock" in said[9]
    assert "use_sim_time" in said[9]


def test_an_age_is_only_given_where_it_can_be_one():
    assert plausible_age_ms(NOW, NOW + 0.02) == pytest.approx(20, abs=1e-3)
    assert plausible_age_ms(0.0, NOW) is None
    assert plausible_age_ms(NOW, 0.0) is None
