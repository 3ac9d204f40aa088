"""Small damage to something valid, which gets further into a refiner than noise does."""

from __future__ import annotations

import copy
import json
import random
import re
from typing import Any

WORDS = (
    "", " ", "0", "-1", "1", "2", "3", "1e309", "-1e309", "nan", "inf", "-inf", "1e-400", "9" * 25, "9" * 5000, "-0.0",
    "0x10", "1_0", "1,5", "٣", "½", "true", "null", "~", "B_3", "B_?", "ignore", "..", "../../etc/passwd",
    "/etc/passwd", "a\\b", "C:x", "\0", "\ud800", "\u2028", "\x85", "\x0b", "\x1b[31m", "%s%n", "{0}", "🤖" * 50,
    "x" * 3000, "<!DOCTYPE a [<!ENTITY b 'c'>]>", "&a;", "&lt;", "<![CDATA[", "]]>", "*a", "&a [*a]", "&a", "<<: *a",
    "!!python/object/apply:os.system ['true']", "[" * 50, "{" * 50, "---", "...", "[[[[", "}", "]", ",", ":", '"', "'",
    "\n", "\r\n", "\t", "\ufeff", "2026-13-45", "0o9", "1:99", "? a",
)  # fmt: skip
VALUES = (
    None, True, False, 0, 1, -1, 2, 7, 64, 65536, 2**31, 2**32, 2**63, 10**30, 10**400, 0.0, -0.0, 0.5, 1.5, 1e308,
    -1e308, float("nan"), float("inf"), float("-inf"), "", "x", "..", "a/b", "\0", "\n", "\ud800", "\u2028",
    "é" * 3000, [], {}, [[]], [0], [1, 2, 3], [0, 0, 0], ["a"], [None], {"a": 1}, [[[[[[]]]]]], list(range(2000)),
    "B_1", "joint", "factored", "uint8", "NKD",
)  # fmt: skip
MOST_CHARACTERS = 1 << 20
"""What a model's metadata may have (session.MAX_ENTRY); lists in lists, repeated, would be more."""

_BYTES = (b"\0", b"\xff", b"\xff" * 4, b"\x7f", b"\x80", b"\0" * 4, b"\xff\xd8", b"\xff\xc0", b"IHDR", b"IDAT")
_TOKEN = re.compile(r"[\w.+-]+|\W", re.ASCII)


def damaged_bytes(rng: random.Random, data: bytes) -> bytes:
    """A few bytes changed, taken out, put in or doubled; sometimes cut off, sometimes noise."""
    if rng.random() < 0.03:
        return rng.randbytes(rng.randrange(0, 400))
    for _ in range(_few(rng)):
        start = rng.randrange(len(data) + 1)
        end = min(len(data), start + rng.choice((0, 1, 1, 1, 2, 4, 30)))
        new = rng.choice((*_BYTES, rng.randbytes(1), rng.randbytes(4), data[start:end] * 2, b""))
        data = data[:start] + new + data[end:]
    return data[: rng.randrange(len(data) + 1)] if rng.random() < 0.1 else data


def damaged_text(rng: random.Random, text: str) -> str:
    """A few words or signs changed, taken out, put in or doubled, or lines moved."""
    for _ in range(_few(rng)):
        if rng.random() < 0.2:
            lines = text.splitlines(keepends=True) or [""]
            line = lines.pop(rng.randrange(len(lines)))
            lines[(at := rng.randrange(len(lines) + 1)) : at] = [line] * (
                rng.choice((0, 1, 2, 50)) if len(text) < 20_000 else 1
            )
            text = "".join(lines)
            continue
        found = list(_TOKEN.finditer(text)) if len(text) < 20_000 else []
        start, end = rng.choice(found).span() if found else (0, 0)
        kept = text[start:end] if rng.random() < 0.3 else ""
        text = text[:start] + kept + rng.choice(WORDS) + text[end:]
    return text


def damaged_file(rng: random.Random, text: str) -> bytes:
    """Text as the bytes of a file, with one or the other kind of damage, or both."""
    kind = rng.random()
    if kind < 0.7:
        text = damaged_text(rng, text)
    encoding = "utf-8" if rng.random() < 0.95 else rng.choice(("utf-16", "utf-8-sig", "utf-32", "utf-7"))
    data = text.encode(encoding, "surrogatepass")
    return data if kind < 0.6 else damaged_bytes(rng, data)


def damaged_json(rng: random.Random, document: Any) -> str:
    """A few values, keys or lengths changed; sometimes also damage to the text itself."""
    document = copy.deepcopy(document)
    for _ in range(_few(rng)):
        document = _damaged_value(rng, document)
    text = json.dumps(document)[:MOST_CHARACTERS]
    if rng.random() < 0.02:
        deep = rng.choice((50, 900, 5000, 200_000))
        text = text.replace(rng.choice(("1", "{", "[")), rng.choice(("[", '{"a":')) * deep, 1)
    return damaged_text(rng, text) if rng.random() < 0.15 else text


def _damaged_value(rng: random.Random, value: Any) -> Any:
    """`value` with one place in it changed."""
    if not isinstance(value, (dict, list)) or not value or rng.random() < 0.1:
        return _wrong_value(rng, value)
    key = rng.choice(list(value)) if isinstance(value, dict) else rng.randrange(len(value))
    kind = rng.random()
    if kind < 0.1:
        del value[key]
    elif kind < 0.15 and isinstance(value, dict):
        value[rng.choice(WORDS)] = rng.choice(VALUES)
    elif kind < 0.2 and isinstance(value, list) and len(value) < 500:
        value *= rng.choice((2, 3, 40))
    else:
        value[key] = _damaged_value(rng, value[key])
    return value


def _wrong_value(rng: random.Random, value: Any) -> Any:
    if isinstance(value, (int, float)) and abs(value) < 1e9 and rng.random() < 0.3:
        return value + rng.choice((-1, 1, 0.5, 8, 1e-9))
    return copy.deepcopy(rng.choice((*VALUES, rng.choice(WORDS))))


def _few(rng: random.Random) -> int:
    """Mostly one or two, seldom many: much damage is refused at its first place."""
    return rng.choice((0, 1, 1, 1, 1, 2, 2, 3, 5, 12))
