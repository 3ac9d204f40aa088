"""What is wrong with the commands of a file, and with what its sentences name: options, launch arguments, files."""

from __future__ import annotations

import argparse
import re
import shlex
from collections.abc import Callable, Iterator
from functools import cache

from doc_commands import PROGRAMS, SCRIPTS, commands_of, spans
from doc_parsers import Fault, check_launch_argument, check_path, command_parser, fault, script_parser

from nanodet_kp_core.__main__ import COMMANDS

REFUSED = {"docs/node.md: ros2 param set /detector_node score_threshold 7"}
"""Commands that a page shows to be refused."""

FOREIGN = {
    "--symlink-install", "--break-system-packages", "--no-service-check", "--nnodes", "--rdzv_endpoint", "-p",
}  # fmt: skip
"""Options of other programs that pages name without their command."""

NO_ARGUMENTS = {
    "keep": "a parameter of the node",
    "score": "of the node of somebody else",
    "qos_overrides./armors.publisher.reliability": "of ROS itself",
}
"""What is written as launch arguments are, and what it is."""


def faults_of(where: str, text: str) -> list[str]:
    """A sentence for each."""
    found = [fault(one) for one in commands_of(where, text) if str(one) not in REFUSED]
    named = _named(text) if where.endswith(".md") else ()
    return [*filter(None, found), *(f"{where}: {sentence}" for sentence in named)]


def _named(text: str) -> Iterator[str]:
    for span in spans(text):
        words = span.split()
        if words[0].startswith("-"):
            unknown = [word for word in words if re.fullmatch(r"--?[a-z]\S*", word) and word not in FOREIGN | options()]
            yield from (f"expected an option of a program of ours, got {word}" for word in unknown)
        if ":=" in span and words[0] not in PROGRAMS:
            given = [word for word in shlex.split(span) if ":=" in word and word.partition(":=")[0] not in NO_ARGUMENTS]
            yield from _refusals(check_launch_argument, given)
        yield from _refusals(check_path, words)


def _refusals(check: Callable[[str], None], words: list[str]) -> Iterator[str]:
    for word in words:
        try:
            check(word)
        except Fault as error:
            yield str(error)


@cache
def options() -> frozenset[str]:
    """All options of our commands and scripts."""
    parsers = [command_parser(name) for name in COMMANDS] + [script_parser(path) for path in SCRIPTS]
    return frozenset(option for parser in parsers if parser for option in _options(parser))


def _options(parser: argparse.ArgumentParser) -> Iterator[str]:
    for action in parser._actions:
        yield from action.option_strings
        for one in action.choices.values() if isinstance(action, argparse._SubParsersAction) else ():
            yield from _options(one)
