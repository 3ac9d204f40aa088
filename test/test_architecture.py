"""ARCHITECTURE.md names every room, and no file that is not there."""

import re
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parents[1]
TEXT = (ROOT / "ARCHITECTURE.md").read_text()
CORE = ROOT / "nanodet_kp_core"


def section(title: str) -> str:
    return TEXT.split(f"## {title}")[1].split("\n## ")[0]


def layers(container: str) -> set[str]:
    """Rooms of a contract in pyproject.toml."""
    text = (ROOT / "pyproject.toml").read_text()
    listed = re.search(rf'containers = \["{re.escape(container)}"\]\nlayers = \[(.*?)\]', text, re.DOTALL)[1]
    return set(re.findall(r"\w+", listed))


@pytest.mark.parametrize("container", ["nanodet_kp_core", "nanodet_kp_core.runtime"])
def test_the_diagram_names_every_room(container):
    assert layers(container) <= set(re.findall(r"\w+", section("The rooms")))


def test_the_rooms_stand_in_their_order():
    words = re.findall(r"\w+", section("The rooms").split("```")[1])
    order = ["commands", "train", "export", "evaluate", "crops", "data", "importer", "config", "synthetic", "labels"]
    first = [words.index(room) for room in order]
    assert first == sorted(first)


@pytest.mark.parametrize(("title", "least"), [("I want to change", 25), ("I want to add", 30)])
def test_every_path_in_the_tables_exists(title, least):
    paths = set(re.findall(r"`([\w./]+/[\w./]*|[\w.]+\.(?:py|toml|md))`", section(title)))
    assert len(paths) > least
    assert [path for path in sorted(paths) if not (ROOT / path).exists()] == []


def test_the_names_in_a_place_stand_there():
    """`NAME` in front of a file's name, as in "`_SETTINGS` of `launch/detector.launch.py`"."""
    places = re.findall(r"((?:`\w+`[\w, ]*?)+) (?:of|in) `([\w./]+\.py)`", TEXT.split("## I want to change")[1])
    names = [(name, path) for words, path in places for name in re.findall(r"`(\w+)`", words)]
    assert len(names) > 12
    assert [pair for pair in names if not re.search(rf"\b{pair[0]}\b", (ROOT / pair[1]).read_text())] == []


@pytest.mark.parametrize(("title", "least"), [("The way of an image", 14), ("The way of a sample", 13)])
def test_every_file_on_a_way_exists(title, least):
    """Files stand there with their room, or after one of the same room."""
    names = re.findall(r"[\w/]+\.py", section(title))
    assert len(names) >= least
    known = [str(path.relative_to(ROOT)) for folder in (CORE, ROOT / "nanodet_kp_ros") for path in folder.rglob("*.py")]
    assert [name for name in names if not any(f"/{path}".endswith(f"/{name}") for path in known)] == []


def test_contributing_names_files_that_exist():
    text = (ROOT / "CONTRIBUTING.md").read_text()
    for name in re.findall(r"`([\w./]+\.(?:py|toml|cmake|yaml|xml))`", text):
        assert (ROOT / name).exists() or (CORE / name).exists(), name
