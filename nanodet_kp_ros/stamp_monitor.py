"""What sequence numbers and stamps of the images tell: lost ones, stamps that stand still or jump. No ROS inside."""

from __future__ import annotations

from collections import deque

import numpy as np

_PERIOD_MEMORY = 60  # intervals between stamps, from which the camera's period is taken
_PERIOD_LEAST = 10
_PERIOD_PERCENTILE = 20  # so low, because most intervals may have a lost image in them; short ones by jitter are few
_LOST_RATIO = 1.6  # an interval of more periods than this has a lost image in it
_PAUSE_S = 1.0  # a longer interval is a camera that paused, not one whose images were lost
_STILL = 10  # images with the same stamp until it is a problem
_JUMP_S = 5.0  # that the stamps run ahead of the time that passed
_STRANGE_AGES_S = (-1.0, 10.0)  # outside of this the stamp comes from another clock


class StampMonitor:
    """Follows the images of one camera as they arrive."""

    def __init__(self) -> None:
        self.forget()

    def forget(self) -> None:
        """The next image follows no other: the subscription is a new one."""
        self._numbered: tuple[bytes, int] | None = None  # publisher and sequence number of the last image
        self._last: tuple[float, float] | None = None  # stamp and arrival
        self._intervals: deque[float] = deque(maxlen=_PERIOD_MEMORY)
        self._same = 0
        self._strange = 0

    @property
    def period_s(self) -> float | None:
        """The camera's period as its stamps have it; None until it is known."""
        if len(self._intervals) < _PERIOD_LEAST:
            return None
        intervals = np.array(self._intervals)
        short = intervals < _LOST_RATIO * np.percentile(intervals, _PERIOD_PERCENTILE)
        return float(np.median(intervals[short]))

    def lost_before(self, stamp_s: float, sequence: int | None, publisher: bytes) -> int:
        """Images that were sent between the last one and this, and never came.

        sequence: the middleware's number of the message, None where it gives none (Humble); then the stamps must do.
        publisher: who sent it; where two take turns, nothing is counted.
        Call it before `problem`.
        """
        if sequence is not None:
            last, self._numbered = self._numbered, (publisher, sequence)
            # A camera that came back is another publisher, and counts from the start again.
            return max(0, sequence - last[1] - 1) if last is not None and last[0] == publisher else 0
        interval = stamp_s - self._last[0] if self._last else 0.0
        period = self.period_s
        if period is None or not period < interval < _PAUSE_S:
            return 0
        return max(0, round(interval / period) - 1)

    def problem(self, stamp_s: float, arrived_s: float, now_s: float) -> str | None:
        """What is wrong with the stamp, in words; None when nothing is.

        arrived_s: steady time of arrival. now_s: the node's own clock, which the stamp should agree with.
        """
        last, self._last = self._last, (stamp_s, arrived_s)
        strange = self._strange_age(now_s - stamp_s)
        if last is None:
            return strange
        interval, passed = stamp_s - last[0], arrived_s - last[1]
        self._same = self._same + 1 if interval == 0 else 0
        if 0 < interval < _PAUSE_S:
            self._intervals.append(interval)
        if self._same == _STILL - 1:
            return (
                f"the stamps stand still: the last {_STILL} images have the stamp {stamp_s:.3f}; "
                "let the camera driver stamp each image, else nothing can tell how old the plates are"
            )
        if interval < 0:
            return f"the stamps jumped back by {-interval:.3f} s: does a bag start again, was simulated time set back?"
        if interval > passed + _JUMP_S:
            return f"the stamps jumped ahead by {interval:.3f} s while {passed:.3f} s passed: was the clock set?"
        return strange

    def _strange_age(self, age_s: float) -> str | None:
        fits = _STRANGE_AGES_S[0] <= age_s <= _STRANGE_AGES_S[1]
        self._strange = 0 if fits else self._strange + 1
        if self._strange != _STILL:
            return None
        side = "behind" if age_s > 0 else "ahead of"
        return (
            f"the stamps are {abs(age_s):.1f} s {side} this node's clock: expected the same clock; synchronise the "
            "machines, or set use_sim_time where the camera has it (without a /clock it stands at 0)"
        )


def plausible_age_ms(stamp_s: float, now_s: float) -> float | None:
    """Milliseconds since the stamp; None when it comes from another clock."""
    age = now_s - stamp_s
    return 1e3 * age if _STRANGE_AGES_S[0] <= age <= _STRANGE_AGES_S[1] else None
