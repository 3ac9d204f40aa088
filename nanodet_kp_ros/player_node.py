"""Publishes an image, a folder, a video, a camera or a bag as `image_raw`, to try the detector without a robot."""

from __future__ import annotations

from nanodet_kp_ros.early_interrupt import end_quietly

if __name__ == "__main__":
    end_quietly()

import sys
import time
from collections.abc import Iterator, Sequence
from dataclasses import dataclass

from rclpy.clock import Clock, ClockType
from rclpy.duration import Duration
from rclpy.node import Node

from nanodet_kp_core.errors import ConfigError, SourceError
from nanodet_kp_core.runtime.images.frame_sources import open_source
from nanodet_kp_core.runtime.images.rosbag_reader import Bag, is_bag
from nanodet_kp_ros.feeds import BagFeed, Feed, FrameFeed, Step
from nanodet_kp_ros.parameters import declare, setting
from nanodet_kp_ros.runner import run

_SETTLE_S = 0.25
_LATE_S = 0.03  # further behind than this it goes on from now: subscribers keep but the last of a burst


@dataclass(frozen=True)
class PlayerSettings:
    """The parameters of player_node."""

    source: str = setting("", "an image, a folder of images, a video, the index of a camera, or a rosbag2 recording")
    topic: str = setting("", "image topic of a bag; empty: its only one")
    fps: float = setting(0.0, "images per second; 0: as the source says or as recorded, else 30", 0.0, 1000.0)
    rate: float = setting(1.0, "speed of playing, 1: as recorded", 0.01, 100.0)
    loop: bool = setting(True, "start again at the end; else the node ends there")
    frame_id: str = setting("camera_optical_frame", "frame of the images' headers; a bag has its own")
    image_qos: str = setting(
        "reliable", "reliable serves both kinds of subscriber", choices=("best_effort", "reliable")
    )


class PlayerNode(Node):
    """Publishes what its source holds, paced: frames stamped with the time of sending, a bag's messages as recorded.

    Without `loop` it waits for the first subscriber, so that no frame of the only pass is lost, and ends the process
    after the last frame. Raises ConfigError for a parameter and SourceError for a source that cannot be read.
    """

    def __init__(self) -> None:
        super().__init__("player_node")
        settings = declare(self, PlayerSettings)
        self._path, self._rate, self._loop = settings.source, settings.rate, settings.loop
        if not self._path:
            raise ConfigError("parameter source is empty: expected an image, folder, video, camera index or bag")
        self._feed: Feed
        if is_bag(self._path):
            self._feed = BagFeed(self, Bag(self._path, settings.topic), settings.fps, settings.image_qos)
        else:
            source = open_source(self._path)
            self._feed = FrameFeed(self, source, settings.fps, settings.frame_id, settings.image_qos)
        self._steps: Iterator[Step] = iter(self._feed)
        self._sent = 0
        self._heard = self._loop
        self._due = time.monotonic()
        # On a steady clock: what is sent here may be the only thing that moves a simulated one.
        self._timer = self.create_timer(1e-3, self._send_next, clock=Clock(clock_type=ClockType.STEADY_TIME))
        speed = "" if self._rate == 1 else f", {self._rate:g} times as fast"
        self.get_logger().info(f"playing {self._path} on {self._feed.main.topic_name} at {self._feed.pace}{speed}")

    def _send_next(self) -> None:
        if not self._heard:
            # Once more after the first subscriber was seen: it does not know this publisher yet.
            self._heard = self._feed.main.get_subscription_count() > 0
            self._due = time.monotonic() + _SETTLE_S
            return self._wake_in(_SETTLE_S)
        step = self._next_step()
        step.publisher.publish(step.message)
        self._sent += step.publisher is self._feed.main
        now = time.monotonic()
        self._due = max(self._due, now - _LATE_S) + step.pause_s / self._rate
        return self._wake_in(self._due - now)

    def _wake_in(self, seconds: float) -> None:
        self._timer.timer_period_ns = max(1, round(1e9 * seconds))
        self._timer.reset()

    def _next_step(self) -> Step:
        step = next(self._steps, None)
        if step is not None:
            return step
        if not self._loop:
            self._finish()
        self._steps = iter(self._feed)
        step = next(self._steps, None)
        if step is None:
            raise SourceError(f"{self._path}: expected images, got none that can be read")
        return step

    def _finish(self) -> None:
        self._feed.main.wait_for_all_acked(Duration(seconds=1))
        self.get_logger().info(f"end of {self._path} after {self._sent} images")
        raise SystemExit(0)

    def destroy_node(self) -> None:
        """Releases the camera or files as well."""
        if hasattr(self, "_feed"):
            self._feed.close()
        super().destroy_node()


def main(arguments: Sequence[str] | None = None) -> int:
    """Runs the node; returns the exit code."""
    return run("player_node", PlayerNode, arguments)


if __name__ == "__main__":
    sys.exit(main())
