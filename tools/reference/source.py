"""What only the source of a class or a function has: comments, and signatures as they are written."""

from __future__ import annotations

import ast
import inspect
import textwrap
from pathlib import Path

ROOT = Path(__file__).resolve().parents[2]


def comments_of(kind: type) -> dict[str, str]:
    """The comments of a class's fields and of those it inherits: the lines before a field, and the end of its lines."""
    found: dict[str, str] = {}
    for one in reversed(kind.__mro__):
        if one.__module__.startswith("nanodet_kp_core"):
            found.update(_own_comments(one))
    return found


def _own_comments(kind: type) -> dict[str, str]:
    source = textwrap.dedent(inspect.getsource(kind))
    lines = source.splitlines()
    (tree,) = ast.parse(source).body
    assert isinstance(tree, ast.ClassDef)
    found = {}
    for node in tree.body:
        if not isinstance(node, ast.AnnAssign) or not isinstance(node.target, ast.Name):
            continue
        first = node.lineno - 1
        while lines[first - 1].lstrip().startswith("#"):
            first -= 1
        before = [line.lstrip().removeprefix("#").strip() for line in lines[first : node.lineno - 1]]
        after = lines[(node.end_lineno or node.lineno) - 1][node.end_col_offset or 0 :].partition("#")[2].strip()
        text = " ".join(filter(None, (*before, after)))
        if text:
            found[node.target.id] = text
    return found


def definition(module: str, name: str) -> ast.ClassDef | ast.FunctionDef:
    """The class or function of that name in a module of the package, which is not imported."""
    tree = ast.parse(text_of(module))
    for node in tree.body:
        if isinstance(node, (ast.ClassDef, ast.FunctionDef)) and node.name == name:
            return node
    raise LookupError(f"{module}: expected {name} there, got none")


def text_of(module: str) -> str:
    """The source of a module of the package."""
    return ROOT.joinpath(*module.split(".")).with_suffix(".py").read_text(encoding="utf-8")


def signature(source: str, node: ast.FunctionDef) -> str:
    """From `def` to the end of the annotations, as it is written."""
    lines = source.splitlines()[node.lineno - 1 : node.body[0].lineno - 1]
    text = textwrap.dedent("\n".join(line.partition("  # ")[0].rstrip() for line in lines))
    return text.rstrip().removesuffix(":")


def fields(source: str, node: ast.ClassDef) -> str:
    """The annotated public names of a class, as they are written."""
    found = [one for one in node.body if isinstance(one, ast.AnnAssign) and not _name(one).startswith("_")]
    return "\n".join(textwrap.dedent(_lines(source, one)) for one in found)


def _name(node: ast.AnnAssign) -> str:
    return node.target.id if isinstance(node.target, ast.Name) else ""


def _lines(source: str, node: ast.AST) -> str:
    first, last = getattr(node, "lineno", 0), getattr(node, "end_lineno", 0)
    return "\n".join(line.partition("  # ")[0] for line in source.splitlines()[first - 1 : last])
