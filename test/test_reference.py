"""docs/reference says what the code says: a change of the code that a page tells of makes the check fail."""

import os
import re
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

pytest.importorskip("rclpy", reason="needs ROS 2: make setup, or source an installation")
pytest.importorskip("torch")

ROOT = Path(__file__).resolve().parent.parent
COPIED = ("nanodet_kp_core", "nanodet_kp_ros", "launch", "msg", "tools", "docs/reference", "config")

CHANGES = {
    "default of a parameter": ("parameters", "nanodet_kp_ros/settings.py", "setting(50, ", "setting(51, "),
    "range of a parameter": ("parameters", "nanodet_kp_ros/settings.py", "1, 64, live", "1, 65, live"),
    "meaning of a parameter": ("parameters", "nanodet_kp_ros/settings.py", "what the camera sends", "what comes"),
    "parameter of the player": ("parameters", "nanodet_kp_ros/player_node.py", "speed of playing", "speed"),
    "comment of a message": ("messages", "msg/Armor.msg", "that it is a plate", "that it is one"),
    "field of a message": ("messages", "msg/ArmorArray.msg", "uint32 image_width ", "uint16 image_width "),
    "default of a launch argument": ("launch", "launch/detector.launch.py", '"1.0"', '"2.0"'),
    "meaning of a launch argument": ("launch", "launch/cameras.launch.py", "names of the cameras", "their names"),
    "help of an option": ("commands", "nanodet_kp_core/commands/view.py", "write the images", "put the images"),
    "default of an option": ("commands", "nanodet_kp_core/commands/view.py", "default=1.0", "default=2.0"),
    "docstring of a command": ("commands", "nanodet_kp_core/commands/join.py", "Make one file", "Write one file"),
    "line of the tour": ("commands", "nanodet_kp_core/__main__.py", "draw the labels", "paint the labels"),
    "default of a key": ("configuration", "nanodet_kp_core/config/training.py", "Field(300, ge=1)", "Field(301, ge=1)"),
    "range of a key": ("configuration", "nanodet_kp_core/config/data.py", "ge=0, le=180", "ge=0, le=90"),
    "meaning of a key": ("configuration", "nanodet_kp_core/config/training.py", "of all random numbers", "of numbers"),
    "rule of a key": ("configuration", "nanodet_kp_core/config/data.py", "multiples of 32", "multiples of 64"),
    "docstring of a section": (
        "configuration",
        "nanodet_kp_core/config/model.py",
        "Neck of the first",
        "First neck of",
    ),
    "docstring of a format": ("labels", "nanodet_kp_core/labels/coco.py", "matched by name", "matched by names"),
    "what a format can hold": ("labels", "nanodet_kp_core/labels/__init__.py", "boxes=False,", "boxes=True,"),
    "ids of a format": ("labels", "nanodet_kp_core/labels/py_label_robomaster.py", '("G", "1", "2"', '("1", "G", "2"'),
    "default of metadata": ("onnx", "nanodet_kp_core/runtime/models/metadata.py", '= "letterbox"', '= "stretch"'),
    "meaning of metadata": ("onnx", "nanodet_kp_core/runtime/refinement/bars.py", "run_id: of the", "run_id: by the"),
    "docstring of a name": ("python", "nanodet_kp_core/runtime/detection/draw.py", "An annotated copy", "A copy"),
    "signature of a name": ("python", "nanodet_kp_core/runtime/detection/roi.py", "every: int)", "every: float)"),
    "method of a name": ("python", "nanodet_kp_core/runtime/poses/pose.py", "def rays(", "def beams("),
}


def run(folder, *words, cores=7):
    """The tool with another number of cores, a narrow terminal and another order of sets than usual."""
    code = f"import os, runpy; os.cpu_count = lambda: {cores}; runpy.run_path({TOOL!r}, run_name='__main__')"
    command = [sys.executable, "-c", f"import sys; sys.path.insert(0, 'tools'); {code}", *words]
    environment = {**os.environ, "COLUMNS": "30", "PYTHONHASHSEED": "7", "LC_ALL": "C"}
    return subprocess.run(command, cwd=folder, env=environment, capture_output=True, text=True, timeout=300)


TOOL = "tools/reference_pages.py"


@pytest.fixture(scope="module")
def checkout(tmp_path_factory):
    """What the pages are written from, to be changed."""
    folder = tmp_path_factory.mktemp("checkout")
    for name in COPIED:
        shutil.copytree(ROOT / name, folder / name, ignore=shutil.ignore_patterns("__pycache__"))
    shutil.copy(ROOT / "package.xml", folder)
    return folder


def test_the_pages_say_what_the_code_says():
    done = run(ROOT, "--check")
    assert done.returncode == 0, done.stdout + done.stderr


def rounds():
    """The changes in as few groups as there can be with one change a page in each: the check takes seconds."""
    groups = []
    for change, (page, *_) in CHANGES.items():
        group = next((group for group in groups if page not in group), None)
        if group is None:
            groups.append(group := {})
        group[page] = change
    return groups


@pytest.mark.parametrize("changes", rounds(), ids=lambda changes: ", ".join(changes.values()))
def test_a_change_of_the_code_fails_the_check(checkout, changes):
    kept = {}
    for change in changes.values():
        _, file, before, after = CHANGES[change]
        path = checkout / file
        text = path.read_text(encoding="utf-8")
        kept.setdefault(path, text)
        assert text.count(before) >= 1, f"{file}: expected {before!r} there"
        path.write_text(text.replace(before, after, 1), encoding="utf-8")
    try:
        done = run(checkout, "--check", *changes)
    finally:
        for path, text in kept.items():
            path.write_text(text, encoding="utf-8")
    silent = [change for page, change in changes.items() if f"docs/reference/{page}.md" not in done.stdout]
    assert (done.returncode, silent) == (1, []), done.stdout + done.stderr


def test_a_page_that_differs_is_written_again(checkout):
    page = checkout / "docs/reference/messages.md"
    page.write_text("# Something else\n")
    assert run(checkout, "--check", "messages").returncode == 1
    assert page.read_text() == "# Something else\n"
    assert run(checkout, "messages").returncode == 0
    assert page.read_bytes() == (ROOT / "docs/reference/messages.md").read_bytes()
    assert run(checkout, "--check", "mesages").returncode == 2  # codespell:ignore mesages


@pytest.mark.parametrize("page", ["commands", "configuration", "launch", "messages", "parameters"])
def test_everything_has_a_meaning(page):
    text = (ROOT / "docs" / "reference" / f"{page}.md").read_text(encoding="utf-8")
    rows = [line for line in text.splitlines() if line.startswith("| `")]
    assert len(rows) > 10
    assert [row for row in rows if re.search(r"\|\s*\|$", row)] == []


def test_an_argument_says_its_default():
    sys.path.insert(0, str(ROOT / "tools"))
    try:
        from reference.commands import arguments_of, parser_of
    finally:
        sys.path.remove(str(ROOT / "tools"))
    from nanodet_kp_core.__main__ import COMMANDS

    silent, said = [], 0
    for name in COMMANDS:
        for action in arguments_of(parser_of(name)):
            if action.default is None or action.default is False or action.default == "":
                continue
            text = action.help % vars(action)
            values = action.default if isinstance(action.default, (list, tuple)) else [action.default]
            spelled = {join.join(f"{one:g}" if isinstance(one, float) else str(one) for one in values) for join in " x"}
            wanted = {"all cores"} if action.dest == "workers" else {*spelled, str(values[0])}
            said += 1
            if not any(f"default: {word}" in text for word in wanted):
                silent.append(f"{name} {action.dest}: {text}")
    assert silent == []
    assert said > 40
