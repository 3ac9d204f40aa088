"""The commands that pages, docstrings of scripts and configurations tell a reader to type."""

from __future__ import annotations

import ast
import re
import shlex
from dataclasses import dataclass
from pathlib import Path

ROOT = Path(__file__).resolve().parents[2]
PAGES = sorted(
    path.relative_to(ROOT).as_posix()
    for pattern in ("*.md", "docs/**/*.md", "models/*.md", "test/*.md")
    for path in ROOT.glob(pattern)
    if path.name not in ("CHANGELOG.md", "experiments.md")  # what was, not what is
)
SCRIPTS = sorted(
    path.relative_to(ROOT).as_posix()
    for folder in ("benchmark", "tools", "test")
    for path in ROOT.glob(f"{folder}/*.py")
    if not path.name.startswith("test_")
)
CONFIGURATIONS = sorted(path.relative_to(ROOT).as_posix() for path in ROOT.glob("config/*.yaml"))

PROGRAMS = (
    "nanodet-kp", "python", "python3", "torchrun", "make", "ros2", "pip", "colcon", "rosdep", "rviz2", "sudo", "source",
    "printf", "tar", "mkdir", "mv", "grep", "git", "g++", "./first_stage", "tools/check_versions.sh",
)  # fmt: skip
"""What a command may begin with. In a block of shell any other word is a mistake."""

FENCE = re.compile(r"^( *)```(\w*)\n(.*?)^ *```$", re.MULTILINE | re.DOTALL)
_SPAN = re.compile(r"`([^`]+)`")
_BEGINNING = re.compile(rf"(?:{'|'.join(map(re.escape, PROGRAMS))}) ")


@dataclass(frozen=True)
class Command:
    """One command. where: its file. words: as the shell splits them. whole: stands in a block, to be typed as it is."""

    where: str
    words: tuple[str, ...]
    whole: bool

    def __str__(self) -> str:
        return f"{self.where}: {shlex.join(self.words)}"


def commands_of(where: str, text: str) -> list[Command]:
    """The commands of a file with this name and text, those of a page's blocks first."""
    if where.endswith(".md"):
        lines = [line for language, body in blocks(text) for line in _typed(language, body)]
        inline = [span.removeprefix("$ ") for span in spans(text) if _BEGINNING.match(span)]
    else:
        docstring = ast.get_docstring(ast.parse(text)) if where.endswith(".py") else None
        found = re.findall(r"^ {4}(\S.*)$", docstring or "", re.MULTILINE)
        found += re.findall(r"^# *(?:\w+: )?(nanodet-kp .*)$", text, re.MULTILINE) if docstring is None else []
        lines, inline = [line for line in found if _BEGINNING.match(line)], []
    return [
        Command(where, words, whole)
        for whole, texts in ((True, lines), (False, inline))
        for one in texts
        for words in _split(one)
    ]


def blocks(text: str) -> list[tuple[str, str]]:
    """Language and text of each fenced block."""
    return [(language, body) for _, language, body in FENCE.findall(text)]


def spans(text: str) -> list[str]:
    """What stands in backticks outside of the blocks, on one line; a bar of a table as it is typed."""
    return [" ".join(span.split()).replace("\\|", "|") for span in _SPAN.findall(FENCE.sub("", text))]


def _typed(language: str, body: str) -> list[str]:
    """The lines to type: all of a block of shell, those after a prompt in a session."""
    lines = re.sub(r"\\\n\s*", "", body).splitlines()
    if language == "console":
        return [line.strip().removeprefix("$ ") for line in lines if line.strip().startswith("$ ")]
    return [line for line in lines if line.strip()] if language == "bash" else []


def _split(line: str) -> list[tuple[str, ...]]:
    """The commands of a line, without comment, variables before them, and what is redirected."""
    lexer = shlex.shlex(re.sub(r"(^|\s)#.*", "", line), posix=True, punctuation_chars="|&;>")
    lexer.whitespace_split, lexer.commenters = True, ""
    found: list[list[str]] = [[]]
    for word in lexer:
        if set(word) <= set("|&;>"):
            found.append([">"] if ">" in word else [])
        elif found[-1] or not re.match(r"[A-Z_]+=", word):
            found[-1].append(word.removeprefix(".venv/bin/"))
    return [tuple(words) for words in found if words and words[0] != ">"]
