"""The page of the messages, from the comments in msg/."""

from __future__ import annotations

import re
from pathlib import Path

from reference.markdown import escaped, table

FOLDER = Path(__file__).resolve().parents[2] / "msg"
_ABOUT = """\
When a plate has a pose, and which one where its corners allow two:
[outputs.md](../outputs.md#which-of-two-poses)."""
NAMES = ("ArmorArray", "Armor", "Point2D")

_LINE = re.compile(r"(?P<type>\S+)\s+(?P<name>\w+)(?:=(?P<value>\S+))?\s*(?:#\s*(?P<meaning>.*))?")


def page() -> str:
    """Markdown without a title."""
    return "\n\n".join([_ABOUT, *map(_message, NAMES)])


def _message(name: str) -> str:
    """A comment before the fields describes the message, one at the end of a line its field."""
    lines = (FOLDER / f"{name}.msg").read_text(encoding="utf-8").splitlines()
    about = " ".join(line.removeprefix("#").strip() for line in lines if line.startswith("#"))
    found = [match for match in map(_LINE.fullmatch, lines) if match and not match[0].startswith("#")]
    parts = [f"## `{name}`", escaped(about)]
    constants = [(f"`{one['name']}`", one["value"]) for one in found if one["value"]]
    fields = [
        (f"`{one['name']}`", f"`{one['type']}`", escaped(one["meaning"] or "")) for one in found if not one["value"]
    ]
    parts.append(table(("field", "type", "meaning"), fields))
    if constants:
        parts.append(table(("constant", "value"), constants))
    return "\n\n".join(parts)
