"""YAML out of a stranger's hands: plain values, each key once, and no more of them than somebody may have written."""

from __future__ import annotations

from collections.abc import Iterable
from pathlib import Path
from typing import Any

import yaml

from nanodet_kp_core.errors import NanodetKpError, shown

MOST_VALUES = 100_000
"""Keys and values of a text with its aliases written out: nested aliases turn a few lines into millions."""

# What PyYAML lets through besides its own errors, for such things as a month 13 or brackets nested 5000 deep.
_YAML_ERRORS = (yaml.YAMLError, ValueError, LookupError, AttributeError, TypeError, OverflowError, RecursionError)

_MERGE, _TEXT = "tag:yaml.org,2002:merge", "tag:yaml.org,2002:str"
_VALUES = {f"tag:yaml.org,2002:{kind}" for kind in ("int", "float", "bool", "timestamp")}


def parse_yaml(text: str, path: Path, error_type: type[NanodetKpError], named: str = "") -> Any:
    """The values of a text, None for an empty one. How long it may be is for the caller to say.

    named: key whose value is a list of names, or a mapping from ids to names: these are texts as they stand, `3`, `007`
    and `no` as well. path: the file that it was read from.
    Raises `error_type`, one line that begins with `path`, when it is no YAML or runs code, when a mapping has a key
    twice, and when its aliases stand for more than MOST_VALUES.
    """
    try:
        loader = yaml.SafeLoader(text)
        tree = loader.get_single_node()
        # On the tree: merges (<<) are written out while the values are made, and that would be too late.
        fault = None if tree is None else _fault(tree)
        if fault is None:
            _keep_names(tree, named)
            return None if tree is None else loader.construct_document(tree)
    except _YAML_ERRORS as error:
        fault = f"expected YAML, got: {' '.join(str(error).split())[:200]}"
    raise error_type(f"{path}: {fault}")


def _keep_names(node: yaml.Node | None, key: str) -> None:
    """Makes the plain values below `key` texts, wherever it stands in mappings of mappings."""
    if not key or not isinstance(node, yaml.MappingNode):
        return
    for name, value in node.value:
        if not isinstance(name, yaml.ScalarNode) or name.value != key:
            _keep_names(value, key)
        elif isinstance(value, yaml.SequenceNode | yaml.MappingNode):
            entries = value.value if isinstance(value, yaml.SequenceNode) else [entry for _, entry in value.value]
            for entry in entries:
                if isinstance(entry, yaml.ScalarNode) and entry.tag in _VALUES:
                    entry.tag = _TEXT


def _fault(tree: yaml.Node) -> str | None:
    sizes: dict[int, int] = {}
    repeated: list[yaml.ScalarNode] = []
    if _size(tree, sizes, repeated) > MOST_VALUES:
        return f"expected at most {MOST_VALUES} values, got more: aliases that repeat each other"
    if not repeated:
        return None
    first = min(repeated, key=lambda key: key.start_mark.index)
    line = first.start_mark.line + 1
    return f"expected each key once in a mapping, got {shown(first.value)} a second time in line {line}"


def _size(node: yaml.Node, sizes: dict[int, int], repeated: list[yaml.ScalarNode]) -> int:
    """Number of nodes with aliases written out; each is counted once and looked up afterwards. Finds repeated keys."""
    if isinstance(node, yaml.ScalarNode):
        return 1
    if id(node) not in sizes:
        sizes[id(node)] = MOST_VALUES + 1  # a container inside itself never ends
        children = node.value
        if isinstance(node, yaml.MappingNode):
            repeated += _repeated(key for key, _ in node.value)
            children = [part for pair in node.value for part in pair]
        sizes[id(node)] = min(1 + sum(_size(child, sizes, repeated) for child in children), MOST_VALUES + 1)
    return sizes[id(node)]


def _repeated(keys: Iterable[yaml.Node]) -> list[yaml.ScalarNode]:
    seen, found = set(), []
    for key in keys:
        if not isinstance(key, yaml.ScalarNode) or key.tag == _MERGE:
            continue
        if (key.tag, key.value) in seen:
            found.append(key)
        seen.add((key.tag, key.value))
    return found
