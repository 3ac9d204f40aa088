"""Every command of the documentation can be typed: its program takes its arguments, and what runs it is said below."""

import os
import runpy
import shutil
import sys
from unittest import mock

import pytest
import yaml

pytest.importorskip("torch", reason="torch is missing")
pytest.importorskip("rclpy", reason="needs ROS 2: make setup, or source an installation")
pytest.importorskip("rosbags", reason="needs ROS 2: rosbags, make setup")

import cv2
from bag_helpers import image_entry, write_bag
from doc_commands import CONFIGURATIONS, PAGES, PROGRAMS, ROOT, SCRIPTS, Command, blocks, commands_of
from doc_faults import faults_of
from reader_files import make_user_data

import nanodet_kp_core.__main__ as program
from nanodet_kp_core import detect
from nanodet_kp_core.classes import ARMOR_CLASSES
from nanodet_kp_core.config import load_config
from nanodet_kp_core.export.second_stage import joined
from nanodet_kp_core.labels import write_dataset

LANGUAGES = {"bash", "cmake", "console", "cpp", "json", "python", "text", "xml", "yaml"}

RUN = (
    "nanodet-kp bag", "nanodet-kp check", "nanodet-kp convert", "nanodet-kp detect",
    "nanodet-kp evaluate models/armor_s.onnx", "nanodet-kp evaluate my.onnx",
    "nanodet-kp evaluate runs/mine/model.onnx", "nanodet-kp synthesize",
    "nanodet-kp train config/own_data.yaml --print", "nanodet-kp view", "python test/license_plates.py",
)  # fmt: skip
"""How the commands begin that run here, with the numbers of SMALL."""

SMALL = {"--count": "2", "--seconds": "0.2", "--per-second": "20", "--every": "1"}

ELSEWHERE = {
    "nanodet-kp --help": ("test/test_readme.py", "README"),
    "nanodet-kp evaluate plates.onnx": ("test/train/test_license_plates.py", "plates.onnx"),
    "nanodet-kp evaluate runs/": ("test/evaluate/test_evaluate_cli.py", "best.pt"),
    "nanodet-kp export": ("test/train/test_license_plates.py", "export.py"),
    "nanodet-kp import-weights": ("test/model/test_import.py", "import_weights"),
    "nanodet-kp train --format py-label-robomaster": ("test/test_readme.py", "nanodet-kp train"),
    "nanodet-kp train --format label-robomaster": ("test/adapt/test_run.py", "adapt"),
    "nanodet-kp train my.yaml": ("test/train/test_license_plates.py", "train.py"),
    "nanodet-kp train plates.yaml": ("test/train/test_license_plates.py", "plates.yaml"),
    "nanodet-kp train-bars": ("test/train/test_bars_training.py", "train_bars"),
    "nanodet-kp train-refiner": ("test/train/test_license_plates.py", "train_refiner.py"),
    "python benchmark/flood.py": ("test/ros/test_flood.py", "flood.py"),
    "make demo": ("test/ros/test_tools.py", "demo.py"),
    "ros2 launch": ("test/ros/test_launch.py", "detector.launch.py"),
    "ros2 run nanodet_kp_ros player_node": ("test/ros/test_bags.py", "player_node"),
    "colcon": ("test/test_colcon.py", "colcon"),
}
"""How commands begin that other tests run, the file of such a test, and a word of it."""

NOT_RUN = {
    "nanodet-kp train config/armor_s.yaml": "hours",
    "python -m pytest": "this is what runs",
    "make test": "this is what runs",
    "make coverage": "this is what runs",
    "python benchmark/": "minutes on a quiet machine",
    "tools/check_versions.sh": "makes environments with other versions",
    "g++": "needs the headers of onnxruntime",
    "./first_stage": "is built by the line above it",
    "ros2 ": "needs the tools of an installation of ROS",
    "rosdep": "needs an installation of ROS",
    "sudo": "changes the machine",
    "pip": "changes the environment that the tests run in",
    "python3 -m venv": "is the environment of the reader",
    "source": "is the environment of the reader",
    "grep": "is not ours",
    "mkdir": "is not ours",
    "mv": "is not ours",
    "printf": "is not ours",
    "tar": "is not ours",
}
"""How the commands begin that no test runs, and why. They are checked as all others are."""


PYTHON_ELSEWHERE = {
    "docs/first_robot.md": "test/ros/test_first_robot.py",
    "docs/zh/first_robot.md": "test/ros/test_first_robot.py",
    "docs/python.md": "test/core/test_public_api.py",
}
"""Pages, and the tests that run their Python."""


def text_of(file: str) -> str:
    return (ROOT / file).read_text(encoding="utf-8")


def whole_commands(*pages: str) -> list[Command]:
    return [one for page in pages for one in commands_of(page, text_of(page)) if one.whole]


def typed(command: Command) -> str:
    return " ".join(command.words) + " "


@pytest.mark.parametrize("file", PAGES + SCRIPTS + CONFIGURATIONS)
def test_every_command_can_be_typed(file):
    assert faults_of(file, text_of(file)) == []


@pytest.mark.parametrize("page", PAGES)
def test_every_block_says_what_it_is(page):
    """A block without a language would not be looked at."""
    assert {language for language, _ in blocks(text_of(page))} <= LANGUAGES
    hidden = [body for language, body in blocks(text_of(page)) if language == "text" and body.startswith(PROGRAMS[:6])]
    assert hidden == []
    assert [str(one) for one in whole_commands(page) if one.words[0] not in PROGRAMS] == []


MISTAKES = {
    "docs/own_data.md": {
        "--per-second 2": "--per-secnd 2", "bag match1.mcap data/match1": "bags match1.mcap data/match1",
        "--format label-robomaster": "--format label-robo-master", "`--minutes 6`": "`--minuts 6`",
        "--beside models/armor_s.onnx": "--beside models/armor_x.onnx", "model:=$PWD": "models:=$PWD",
        "`benchmark/left_out.py`": "`benchmark/leftout.py`", "'.[train]'": "'.[training]'",
    },
    "docs/zh/first_robot.md": {
        "detector.launch.py image:=": "detektor.launch.py image:=",
        "image_transport:=compressed": "image_transport:=jpg",
        "camera_pitch -15.0": "camera_pitch down", "param get /detector_node keep": "param get /detector_node kept",
        "`use_sim_time:=true`": "`use_simtime:=true`", "--only scores": "--only score",
    },
    "docs/training.md": {"--size 512x384": "--size 512", "--output decoded": "--output decode"},
    "docs/outputs.md": {"-p topic:=": "-p topics:=", "player_node --ros": "player --ros", "--every 10": "--every ten"},
    "docs/install.md": {"`make setup ROS": "`make set-up ROS", "ROS=j": "ROSS=j", "test-ros.txt": "ros-test.txt"},
    "docs/loop.md": {"nanodet_kp_core train CONFIG": "nanodet_kp_core trains CONFIG"},
    "docs/benchmarks.md": {"benchmark/region.py --labels": "benchmark/region.py --label", "--clock cpu": "--clock gpu"},
    "benchmark/pose.py": {"python benchmark/pose.py": "python benchmark/poses.py"},
    "config/nanodet_m.yaml": {"--size 416x416": "--sizes 416x416"},
}  # fmt: skip


@pytest.mark.parametrize(
    ("file", "right", "wrong"), [(file, *one) for file in MISTAKES for one in MISTAKES[file].items()]
)
def test_a_mistake_is_seen(file, right, wrong):
    text = text_of(file)
    assert right in text
    assert len(faults_of(file, text.replace(right, wrong, 1))) == 1


def test_what_runs_each_command_is_known():
    """The longest beginning counts."""
    tables = [*RUN, *ELSEWHERE, *NOT_RUN]
    assert len(tables) == len(set(tables))
    pages = [page for page in PAGES if not page.startswith("docs/reference")]
    lines = [typed(one) for one in whole_commands(*pages)]
    assert [line for line in lines if not line.startswith(tuple(tables))] == []
    assert [beginning for beginning in tables if not any(line.startswith(beginning) for line in lines)] == []
    for file, word in ELSEWHERE.values():
        assert word in text_of(file), file


@pytest.fixture(scope="module")
def user(tmp_path_factory):
    """A folder that looks like a checkout with the files of a reader."""
    folder = tmp_path_factory.mktemp("user")
    for name in ("config", "models", "test/license_plates.py"):
        (folder / name).parent.mkdir(exist_ok=True)
        (folder / name).symlink_to(ROOT / name)
    records = make_user_data(folder, 4)
    write_dataset("CocoDataset", folder / "coco", records, ARMOR_CLASSES)
    for source, place in (("my_data", "data"), ("my_data", "."), ("coco", "."), ("coco", "test")):
        shutil.copytree(folder / source, folder / place, dirs_exist_ok=True)
    (folder / "names.txt").write_text("long\nsquare\n")  # the printf of docs/other_targets.md
    shutil.copy(folder / "SOURCE/0.png", folder / "plates.png")
    images = [image_entry(cv2.imread(str(record.path)), number) for number, record in enumerate(records)]
    for name in ("match1.mcap", "match2.mcap", "recording.mcap", "recording"):
        write_bag(folder / name, images)
    for name in ("my.onnx", "model.onnx", "plates.onnx", "runs/mine/model.onnx"):
        (folder / name).parent.mkdir(parents=True, exist_ok=True)
        (folder / name).write_bytes(joined(ROOT / "models/armor_s.onnx"))
    return folder


TUTORIALS = [
    page
    for page in PAGES
    if page.startswith("docs/")
    and page.count("/") == 1
    and any(typed(one).startswith(RUN) for one in whole_commands(page))
]
"""test_readme.py runs the commands of README.md."""


@pytest.mark.parametrize("page", TUTORIALS)
def test_a_page_runs(page, user, tmp_path, monkeypatch):
    """Each command in the folder that the ones before it leave behind."""
    folder = shutil.copytree(user, tmp_path / "here", symlinks=True)
    monkeypatch.chdir(folder)
    monkeypatch.setattr(os, "cpu_count", lambda: 1)  # processes that would only begin
    for command in whole_commands(page):
        if not typed(command).startswith(RUN):
            continue
        code = run([SMALL.get(before, word) for before, word in zip(("", *command.words), command.words)])
        assert code == 0, str(command)


def run(words: list[str]) -> int:
    if words[:2] == ["nanodet-kp", "detect"]:  # not as a program, whose threads take denormals for zero
        return detect.main(words[2:])
    with mock.patch.object(sys, "argv", words[words[0] == "python" :]):
        return program.main() if words[0] == "nanodet-kp" else runpy.run_path(words[1])["main"]()


def codes(page: str, language: str) -> list[str]:
    return [body for kind, body in blocks(text_of(page)) if kind == language]


WITH_PYTHON = [page for page in PAGES if codes(page, "python") and not page.startswith("docs/reference")]


@pytest.mark.parametrize("page", [page for page in WITH_PYTHON if page not in PYTHON_ELSEWHERE])
def test_the_python_of_a_page_runs(page, user, monkeypatch):
    monkeypatch.chdir(user)
    for code in codes(page, "python"):
        exec(compile(code, page, "exec"), {"image": cv2.imread("plates.png")})


def test_other_tests_run_the_other_python():
    assert set(PYTHON_ELSEWHERE) <= set(WITH_PYTHON)
    for page, test in PYTHON_ELSEWHERE.items():
        assert page.split("/")[-1] in text_of(test)


@pytest.mark.parametrize("page", ["docs/other_targets.md", "docs/synthetic.md"])
def test_the_configuration_of_a_page_is_one(page, user, monkeypatch):
    """Its lines, put into config/own_data.yaml, as the page says."""
    (lines,) = codes(page, "yaml")
    raw, own = (yaml.safe_load(text) for text in (lines, text_of("config/own_data.yaml")))
    for part, values in raw.pop("data").items():
        own["data"][part] = values | {"pipeline": {}}
    path = user / "plates.yaml"
    path.write_text(yaml.safe_dump(own | raw))
    assert load_config(path).data.train
