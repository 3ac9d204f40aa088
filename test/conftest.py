"""What all tests share: the order of the folders, and the measuring data that lies beside the repository."""

from __future__ import annotations

import os
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parent.parent
SHARED = ROOT.parent / "shared"

# The parts first, the processes over DDS last: the first failure is then the nearest to its cause.
FOLDERS = ("core", "model", "data", "evaluate", "train", "fuzz", "ros")

# Skips that are right on a user's machine and wrong where everything is there.
_NEEDS = {"needs ../shared": SHARED.is_dir(), "needs ROS 2": True}


@pytest.fixture(scope="session")
def shared_dir() -> Path:
    """The folder ../shared with real images and golden numbers; skips where it is missing."""
    if not SHARED.is_dir():
        pytest.skip("needs ../shared: real images and golden numbers, which are no part of this repository")
    return SHARED


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    def rank(item: pytest.Item) -> int:
        parts = item.path.relative_to(ROOT / "test").parts
        return FOLDERS.index(parts[0]) if parts[0] in FOLDERS else -1

    items.sort(key=rank)  # stable: within a folder as pytest found them


@pytest.hookimpl(wrapper=True)
def pytest_runtest_makereport(item: pytest.Item):
    """In CI a skip for want of something that is there is a failure."""
    report = yield
    return _forbid_skip(report)


@pytest.hookimpl(wrapper=True)
def pytest_make_collect_report(collector: pytest.Collector):
    """The same for a whole module."""
    report = yield
    return _forbid_skip(report)


def _forbid_skip(report):
    if os.environ.get("CI") != "true" or report.outcome != "skipped":
        return report
    reason = str(report.longrepr)
    if any(need in reason and present for need, present in _NEEDS.items()):
        report.outcome = "failed"
        report.longrepr = f"skipped in CI, where it must run: {reason}"
    return report
