"""The training loop: that of the detector, of the refiner, of the bars, and of what `adapt` trains on own images."""

from __future__ import annotations

import time
from collections.abc import Callable
from typing import Any, Protocol, TypeVar

V = TypeVar("V")
V_co = TypeVar("V_co", covariant=True)


class Training(Protocol[V_co]):
    """Weights, data and optimizer. `step` counts the steps that are done, so that a stopped training goes on."""

    step: int

    @property
    def total_steps(self) -> int:
        """`step` at the end of the schedule."""

    def train_step(self) -> V_co:
        """One update of the weights and of their average; returns what is shown of it."""


def run_steps(training: Training[V], observe: Callable[[V], bool | None]) -> None:
    """Train to the end of the schedule, or until `observe`, which gets what each step returns, says True."""
    while training.step < training.total_steps:
        if observe(training.train_step()):
            return


def seconds_a_step(training: Training[Any], steps: int) -> float:
    """Measured on so many steps of `training`, after one that does not count: it waits for the first images."""
    training.train_step()
    began = time.monotonic()
    for _ in range(steps):
        training.train_step()
    return (time.monotonic() - began) / steps
