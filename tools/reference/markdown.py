"""Markdown from texts of the code: tables, paragraphs and lists of docstrings."""

from __future__ import annotations

import inspect
import re
from collections.abc import Iterable, Sequence

_CODE = re.compile(r"(`+[^`]+`+)")
_ITEM = re.compile(r"([a-z_]\w*(?:, [a-z_]\w*)*|\"\w+\"):(?: (.*))?")
_ENTRY = re.compile(r"(\w+(?:, \w+)*|\"\w+\"):(?: (.*))?")
_PROGRAMS = ("nanodet-kp ", "python ")
_LISTS = ("Args:", "Attributes:", "Raises:", "Returns:")


def escaped(text: str) -> str:
    """The text as Markdown that shows it as it stands; what is in backticks stays code."""
    parts = _CODE.split(text)
    return "".join(
        part if k % 2 else re.sub(r"(?<!\w)_|[*\\]", r"\\\g<0>", _html(part)) for k, part in enumerate(parts)
    )


def _html(text: str) -> str:
    return text.replace("&", "&amp;").replace("<", "&lt;")


def code(text: str) -> str:
    """The text as code; empty for an empty one."""
    return f"`{text}`" if text else ""


def table(head: Sequence[str], rows: Iterable[Sequence[str]]) -> str:
    """A table; a bar in a cell is escaped, and a cell that would be empty has a space."""
    lines = [head, ["---"] * len(head), *rows]
    return "\n".join("| " + " | ".join(cell.replace("|", "\\|") for cell in line) + " |" for line in lines)


def fenced(text: str, language: str = "") -> str:
    """A block of code."""
    return f"```{language}\n{text}\n```"


def docstring(text: str | None) -> str:
    """Markdown of a docstring: its paragraphs, lists of `name: meaning`, and indented examples as code."""
    blocks: list[str] = []
    lines = inspect.cleandoc(text or "").splitlines()
    while lines:
        if not lines[0]:
            lines = lines[1:]
            continue
        take = _example if lines[0].startswith("    ") else _list if _begins_list(lines) else _paragraph
        block, lines = take(lines)
        blocks.append(block)
    return "\n\n".join(blocks)


def _begins_list(lines: Sequence[str]) -> bool:
    return lines[0] in _LISTS or _ITEM.fullmatch(lines[0]) is not None


def _example(lines: list[str]) -> tuple[str, list[str]]:
    size = next((k for k, line in enumerate(lines) if line and not line.startswith("    ")), len(lines))
    text = inspect.cleandoc("\n" + "\n".join(lines[:size]))
    return fenced(text, "bash" if text.startswith(_PROGRAMS) else "text"), lines[size:]


def _paragraph(lines: list[str]) -> tuple[str, list[str]]:
    size = 1
    while (
        size < len(lines) and lines[size] and not (lines[size - 1].endswith((".", ":")) and _begins_list(lines[size:]))
    ):
        size += 1
    return escaped("\n".join(lines[:size]).strip()), lines[size:]


def _list(lines: list[str]) -> tuple[str, list[str]]:
    """Items until a line that neither is one nor belongs to one; the lines of an item are joined."""
    title = lines[0] if lines[0] in _LISTS else ""
    body, rest = _body(lines[1:] if title else lines, bool(title))
    least = min((len(line) - len(line.lstrip()) for line in body), default=0)
    items: list[str] = []
    for line in body:
        match = (_ENTRY if title else _ITEM).fullmatch(line[least:])
        if match:
            items.append(f"- `{match[1]}`: {escaped(match[2] or '')}".rstrip())
        elif items:
            items[-1] += " " + escaped(line.strip())
        else:
            items.append(f"- {escaped(line.strip())}")
    return "\n\n".join(filter(None, (title, "\n".join(items)))), rest


def _body(lines: list[str], titled: bool) -> tuple[list[str], list[str]]:
    size = 0
    while size < len(lines) and lines[size]:
        own = size == 0 or _ITEM.fullmatch(lines[size]) or not lines[size - 1].endswith(".")
        if not lines[size].startswith(" ") and (titled or not own):
            break
        size += 1
    return lines[:size], lines[size:]
