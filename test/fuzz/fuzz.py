"""Hostile inputs, numbered: input `number` of a target is the same in every run and on every machine.

NANODET_KP_FUZZ=200000 pytest -s test/fuzz        all targets together; 2,000 when it is not set
"""

from __future__ import annotations

import os
import random
import resource
import time
from collections.abc import Callable
from typing import Any

from nanodet_kp_core.errors import NanodetKpError

Make = Callable[[random.Random], Any]

TOTAL = int(os.environ.get("NANODET_KP_FUZZ", "2000"))
"""Inputs of all targets together."""

SHARES = {
    "images": 0.18,
    "compressed images": 0.1,
    "model metadata": 0.2,
    "refiner metadata": 0.04,
    "bars metadata": 0.01,
    "model files": 0.1,
    "VOC": 0.05,
    "COCO": 0.05,
    "YOLO-pose": 0.05,
    "LabelRoboMaster": 0.05,
    "PyLabelRoboMaster": 0.05,
    "calibrations": 0.05,
    "camera_info": 0.04,
    "configurations": 0.03,
}
"""Of the inputs; a configuration takes far longer than the header of an image."""

LONGEST_S = 20.0
"""Processor time of one input: above every honest one, below what a node or a training may stand still."""

LONGEST_TEXT = 3000
"""Characters of a message; the longest honest ones list what is expected, or name five faults."""

MOST_BYTES = 1 << 30
"""That the process may grow by during a target; an image of the largest size allowed has 200 MB."""


def fuzz(target: str, make: Make, use: Callable[[Any], None], a_line_each: bool = False) -> None:
    """Make and use this target's share of the inputs.

    use: raises AssertionError when what came out of an input is not clean. a_line_each: a message may have several
    lines, one for each fault. Fails on any error but ours, on a message that is no sentence, and on an input that takes
    too long; and when the inputs were all refused or all accepted, for then they test little.
    """
    assert abs(sum(SHARES.values()) - 1) < 1e-9
    count = max(20, round(TOTAL * SHARES[target]))
    accepted, slowest, began = 0, 0.0, time.process_time()
    grown = _peak_bytes()
    faults: dict[str, str] = {}
    for number in range(count):
        made = make(random.Random(f"{target} {number}"))
        start = time.process_time()
        try:
            use(made)
            accepted += 1
        except NanodetKpError as error:
            fault = _no_sentence(str(error), a_line_each)
        except Exception as error:
            fault = f"{type(error).__name__}: {error!s:.200}"
        else:
            fault = None
        took = time.process_time() - start
        slowest = max(slowest, took)
        fault = fault or (f"{took:.0f} s" if took > LONGEST_S else None)
        if fault:
            faults.setdefault(fault[:60], f"input {number}: {fault!r:.300} of {made!r:.1000}")
    grown = _peak_bytes() - grown
    print(
        f"\n{target}: {count} inputs, {accepted} accepted, {time.process_time() - began:.0f} s, slowest "
        f"{slowest * 1e3:.0f} ms, {grown >> 20} MB, {len(faults)} kinds of fault"
    )
    assert not faults, f"{target}:\n" + "\n".join(faults.values())
    assert 0 < accepted < count
    assert grown < MOST_BYTES


def _no_sentence(text: str, a_line_each: bool) -> str | None:
    """What is wrong with the message of an error of ours."""
    lines = text.split("\n") if a_line_each else [text]
    if not all(line.strip() and len(line.splitlines()) == 1 for line in lines):
        return f"no sentence: {text}"
    if len(text) > LONGEST_TEXT:
        return f"{len(text)} characters: {text}"
    try:
        text.encode("utf-8")
    except UnicodeEncodeError:  # ends the program that prints it
        return f"cannot be printed: {text!r}"
    return None


def _peak_bytes() -> int:
    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss * 1024
