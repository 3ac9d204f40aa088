"""Whether a command of the documentation can be typed: the program that it calls is asked for its own arguments."""

from __future__ import annotations

import argparse
import importlib.util
import os
import re
import runpy
import sys
from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from functools import cache
from itertools import pairwise
from unittest import mock

import yaml
from doc_commands import ROOT, Command

from nanodet_kp_core.__main__ import COMMANDS
from nanodet_kp_core.errors import ConfigError
from nanodet_kp_ros.parameters import Setting, checked, settings_of
from nanodet_kp_ros.player_node import PlayerSettings
from nanodet_kp_ros.settings import NodeSettings

sys.path.insert(0, str(ROOT / "tools"))
try:
    from reference.commands import declared, parser_of
    from reference.launch_arguments import FILES, arguments_of
finally:
    sys.path.remove(str(ROOT / "tools"))

NODES = {"detector_node": settings_of(NodeSettings), "player_node": settings_of(PlayerSettings)}
ROS2 = {
    "topic": ("list", "hz", "echo"), "node": ("info",), "service": ("call",), "pkg": ("prefix",),
    "param": ("set", "get", "describe"), "launch": (), "run": (),
}  # fmt: skip
"""What is used of the command line of ROS."""

_STANDS_FOR = re.compile(r"\.\.\.|[A-Z]+")
"""A value that the reader puts in: N, DIR."""
NOT_OURS = {
    "test/labels.json": "of a folder of the reader",
    "config/NAME.yaml": "one of several",
    "config/your.yaml": "a file of the reader",
    "config/my_armor.yaml": "a file of the reader",
    "nanodet_kp_ros/ArmorArray": "a message",
}
"""What looks like a file of the repository, and what it is."""

_UNFINISHED = re.compile(
    r"the following arguments are required|one of the arguments .* is required|expected .*argument"
)
_INSTALLED = re.compile(r"src/nanodet_kp_ros/(.*)")
_OURS = re.compile(
    r"(?:benchmark|cmake|config|docs|launch|models|msg|nanodet_kp_core|nanodet_kp_ros|requirements|test|tools|training)"
    r"/[\w./-]+"
)


class Fault(Exception):
    """Why a command cannot be typed."""


def fault(command: Command) -> str | None:
    """Why the command cannot be typed as it stands, or None. One in a sentence may leave out required arguments."""
    try:
        _programs(command.words, command.whole)
        for word in command.words[1:]:
            check_path(word)
    except Fault as error:
        return f"{command}: {error}"
    return None


def _programs(words: tuple[str, ...], whole: bool) -> None:
    match words:
        case ("nanodet-kp", *rest):
            _nanodet_kp(rest, whole)
        case ("python" | "python3", *rest):
            _python(rest, whole)
        case ("torchrun", *rest):
            _nanodet_kp(rest[rest.index("nanodet_kp_core") + 1 :], whole)
        case ("make", *rest):
            _make(rest)
        case ("pip", *rest):
            _pip(rest)
        case ("ros2", *rest):
            _ros2(rest)


def check_path(word: str) -> None:
    """Raises Fault for a file of the repository that is not there. Patterns of the shell are as they are."""
    installed = _INSTALLED.fullmatch(word)
    path = installed[1] if installed else word
    if _OURS.fullmatch(path) and path not in NOT_OURS and not (ROOT / path).exists():
        raise Fault(f"expected a file of the repository, got none at {path}")


def _nanodet_kp(words: list[str], whole: bool) -> None:
    if words in (["--help"], ["COMMAND", "--help"]):
        return
    if not words or words[0] not in COMMANDS:
        raise Fault(f"expected a command of nanodet-kp, got {words[:1]}")
    _parse(command_parser(words[0]), words[1:], whole and "--help" not in words)


def _python(words: list[str], whole: bool) -> None:
    match words:
        case ("-m", "nanodet_kp_core", *rest):
            _nanodet_kp(rest, whole)
        case ("-m", "nanodet_kp_core.detect", *rest):
            _nanodet_kp(["detect", *rest], whole)
        case ("-m", module, *_):
            if importlib.util.find_spec(module) is None:
                raise Fault(f"expected a module, got {module}")
        case ("-c", code):
            compile(code, "<documentation>", "exec")
        case (script, *rest):
            if not (ROOT / script).is_file():
                raise Fault(f"expected a script, got none at {script}")
            parser = script_parser(script)
            if parser is not None:
                _parse(parser, rest, whole)
            elif rest:
                raise Fault(f"expected no arguments, got {rest}")


@cache
def command_parser(name: str) -> argparse.ArgumentParser:
    with _left_alone():
        return parser_of(name)


@cache
def script_parser(path: str) -> argparse.ArgumentParser | None:
    """The parser of a script of the repository; None where it has none."""
    if "ArgumentParser(" not in (ROOT / path).read_text(encoding="utf-8"):
        return None
    with _left_alone():
        sys.path.insert(0, str((ROOT / path).parent))
        return declared(lambda: runpy.run_path(str(ROOT / path), run_name="__main__"))


@contextmanager
def _left_alone() -> Iterator[None]:
    """What a program that is loaded sets for its whole process is set back."""
    with mock.patch.dict(os.environ), mock.patch.object(sys, "path", [*sys.path]):
        yield


def _parse(parser: argparse.ArgumentParser, words: Iterable[str], whole: bool) -> None:
    """Raises Fault where the parser refuses the words; an option must be spelled out."""
    given = [word.strip("[]") for word in words if word != "--help"]
    value, choice = argparse.ArgumentParser._get_value, argparse.ArgumentParser._check_value

    def refuse(_: argparse.ArgumentParser, message: str) -> None:
        raise Fault(message)

    def stands_for(text: object) -> bool:
        return isinstance(text, str) and _STANDS_FOR.fullmatch(text) is not None

    with (
        mock.patch.object(argparse.ArgumentParser, "error", refuse),
        mock.patch.object(argparse.ArgumentParser, "_get_option_tuples", return_value=[]),
        mock.patch.object(
            argparse.ArgumentParser, "_get_value", lambda *of: of[2] if stands_for(of[2]) else value(*of)
        ),
        mock.patch.object(
            argparse.ArgumentParser, "_check_value", lambda *of: None if stands_for(of[2]) else choice(*of)
        ),
    ):
        try:
            parser.parse_args(given)
        except Fault as error:
            if whole or not _UNFINISHED.search(str(error)):
                raise


def _make(words: list[str]) -> None:
    text = (ROOT / "Makefile").read_text(encoding="utf-8")
    targets = re.findall(r"^([a-z][a-z-]*):", text, re.MULTILINE)
    for word in words:
        name, assigned, _ = word.partition("=")
        if name not in (re.findall(r"^([A-Z_]+) \?=", text, re.MULTILINE) if assigned else targets):
            raise Fault(f"expected a target or a variable of the Makefile, got {word}")


def _pip(words: list[str]) -> None:
    for extras in (re.fullmatch(r"(?:\.|nanodet_kp_ros)\[(.*)\]", word) for word in words):
        for extra in extras[1].split(",") if extras else ():
            if f"optional-dependencies.{extra} " not in (ROOT / "pyproject.toml").read_text(encoding="utf-8"):
                raise Fault(f"expected an extra of pyproject.toml, got {extra}")


def _ros2(words: list[str]) -> None:
    if len(words) < 2:  # the tool itself is meant
        return
    if words[0] not in ROS2 or (ROS2[words[0]] and words[1] not in ROS2[words[0]]):
        raise Fault(f"expected a command of ros2 that is used elsewhere, got {words[:2]}")
    match words:
        case ("launch", "nanodet_kp_ros", file, *given):
            if file not in FILES:
                raise Fault(f"expected a launch file, got {file}")
            for word in (one for one in given if one != "--show-args"):
                check_launch_argument(word, file)
        case ("run", "nanodet_kp_ros", node, *given):
            if node not in NODES:
                raise Fault(f"expected a node, got {node}")
            for flag, word in pairwise(given):
                if flag == "-p":
                    _parameter(NODES[node], *word.split(":=", 1))
        case ("param", "set", "/detector_node", name, value):
            _parameter(NODES["detector_node"], name, value)
        case ("param", _, "/detector_node", name):
            _parameter(NODES["detector_node"], name)


def check_launch_argument(word: str, *files: str) -> None:
    """`NAME:=VALUE` of one of these launch files, of any without one; raises Fault where it has none of that name."""
    name, _, value = word.partition(":=")
    known = [arguments_of(file) for file in files or FILES]
    found = [arguments[name] for arguments in known if name in arguments]
    if not found:
        raise Fault(f"expected an argument of a launch file, got {word}")
    choices = found[0].get("choices", ())
    if choices and value not in choices:
        raise Fault(f"expected one of {choices} for {name}, got {value}")
    settings = {one.name: one for one in NODES["detector_node"]}
    if name in settings:
        _parameter(NODES["detector_node"], name, value)


def _parameter(settings: Iterable[Setting], name: str, value: str | None = None) -> None:
    known = {one.name: one for one in settings}
    if name not in known:
        raise Fault(f"expected a parameter of the node, got {name}")
    if value is None:
        return
    try:
        checked(known[name], yaml.safe_load(value))
    except ConfigError as error:
        raise Fault(str(error)) from None
