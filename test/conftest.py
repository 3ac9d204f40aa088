"""What all tests share: the order of the modules, turns between parallel processes, the marker `pure`, and the
measuring data that lies beside the repository."""

from __future__ import annotations

import gc
import importlib.util
import os
import sys
import tempfile
from collections.abc import Iterator
from pathlib import Path

# Before torch is loaded, and for all processes that a test starts: the tests run in parallel processes instead.
os.environ.setdefault("OMP_NUM_THREADS", "1")
os.environ.setdefault("OMP_WAIT_POLICY", "passive")

import pytest
from hypothesis import HealthCheck, settings
from needs import needs
from turns import Turns

MISSING = [name for name in ("hypothesis", "numpy", "onnx", "onnxruntime") if importlib.util.find_spec(name) is None]
if MISSING:
    pytest.exit(
        f"expected the packages that the tests need, got none of the name {MISSING[0]}: "
        "pip install -r requirements/runtime.txt -r requirements/test-ros.txt",
        returncode=4,
    )

ROOT = Path(__file__).resolve().parent.parent
SHARED = ROOT.parent / "shared"

# The parts first, the processes over DDS last: the first failure is then the nearest to its cause.
FOLDERS = ("core", "model", "data", "evaluate", "train", "adapt", "fuzz", "ros")

# Begun before the others of their folder, or one process ends long after the others.
LONGEST = frozenset(
    ("train/test_license_plates.py", "train/test_distributed.py", "train/test_loop.py", "train/test_resume.py")
    + ("adapt/test_new_camera.py",)
    + ("ros/test_promises.py", "ros/test_silence.py", "ros/test_faults.py", "ros/test_flood.py", "ros/test_soak.py")
)

# Skips that are right on a user's machine and wrong where everything is there.
_NEEDS = {"needs ../shared": SHARED.is_dir(), "needs ROS 2": True, "needs colcon": True, "needs mkdocs": True}

_TURNS = "NANODET_KP_TEST_TURNS"
_KEY = pytest.StashKey[Turns]()

# The same inputs in each run, however slow the machine is. Other ones: pytest --hypothesis-profile=search
_patient = settings(deadline=None, suppress_health_check=[HealthCheck.too_slow])
settings.register_profile("search", _patient)
settings.register_profile("same", _patient, derandomize=True)
settings.load_profile("same")


@pytest.fixture(scope="session")
def shared_dir() -> Path:
    """The folder ../shared with real images and golden numbers; skips where it is missing."""
    if not SHARED.is_dir():
        pytest.skip("needs ../shared: real images and golden numbers, which are no part of this repository")
    return SHARED


@pytest.fixture(autouse=True)
def denormals_stay() -> Iterator[None]:
    """No test leaves the mode in which small numbers are zero: every later test of its process would compute in it."""
    yield
    assert sys.float_info.min / 2 > 0, "this test made denormals zero for its whole process"


def pytest_configure(config: pytest.Config) -> None:
    """Makes the folder of the turns, which the processes of pytest-xdist find in their environment."""
    if not hasattr(config, "workerinput"):
        folder = tempfile.TemporaryDirectory(prefix="nanodet_kp_turns_")
        config.add_cleanup(folder.cleanup)
        os.environ[_TURNS] = folder.name
    config.stash[_KEY] = Turns(Path(os.environ[_TURNS]))
    if config.option.markexpr == "pure":
        forbidden = str(ROOT / "test" / "harness" / "forbidden")
        sys.path.insert(0, forbidden)
        os.environ["PYTHONPATH"] = forbidden  # of the processes that a test starts


def pytest_ignore_collect(collection_path: Path, config: pytest.Config) -> bool | None:
    """In a run of the pure tests the other modules are not even imported."""
    if config.option.markexpr != "pure":
        return None
    file = collection_path / "conftest.py" if collection_path.is_dir() else collection_path
    return True if file.suffix == ".py" and file.is_file() and needs(file) else None


@pytest.hookimpl(wrapper=True)
def pytest_runtest_protocol(item: pytest.Item):
    """A test marked `alone` runs while no other test of this run does."""
    with item.config.stash[_KEY].turn(item.get_closest_marker("alone") is not None):
        return (yield)


@pytest.hookimpl(tryfirst=True)  # before -m selects
def pytest_collection_modifyitems(config: pytest.Config, items: list[pytest.Item]) -> None:
    if "pure" in config.option.markexpr:
        for item in items:
            if not needs(item.path):
                item.add_marker("pure")

    def rank(item: pytest.Item) -> tuple[int, bool]:
        path = item.path.relative_to(ROOT / "test")
        folder = FOLDERS.index(path.parts[0]) if path.parts[0] in FOLDERS else -1
        return folder, path.as_posix() not in LONGEST

    items.sort(key=rank)  # stable: within a folder as pytest found them


def pytest_collection_finish() -> None:
    """Torch and the modules of the tests stay to the end: the garbage collector need not look at them again."""
    gc.collect()
    gc.freeze()


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
