"""The page of the public Python names: signatures and docstrings as they stand in the source, which is not run."""

from __future__ import annotations

import ast

import nanodet_kp_core as package
from reference.markdown import docstring, escaped, fenced, table
from reference.source import definition, fields, signature, text_of

_CALLED = ("__call__", "__iter__", "__len__", "__enter__", "__exit__")
"""Methods that a user calls without their names."""

_TRAINING = ("config", "train", "evaluate", "export")
"""Rooms that need the packages of training."""

_ABOUT = """`from nanodet_kp_core import NAME` gives each of them; everything else may change without notice. Examples:
[python.md](../python.md). `nanodet_kp_core.__version__` is the version of `package.xml`."""


def page() -> str:
    """Markdown without a title."""
    names = [name for name in package.__all__ if name in package._HOMES]
    rows = [(f"[`{name}`](#{name.lower()})", _first_sentence(name), _needs(name)) for name in names]
    overview = table(("name", "what it is", "needs"), rows)
    return "\n\n".join([_ABOUT, overview, *map(_section, names)])


def _needs(name: str) -> str:
    training = package._HOMES[name].split(".")[0] in _TRAINING
    return "`pip install '.[train]'`" if training else ""


def _found(name: str) -> tuple[str, ast.ClassDef | ast.FunctionDef]:
    module = f"{package.__name__}.{package._HOMES[name]}"
    return text_of(module), definition(module, package._NAMES_THERE.get(name, name))


def _first_sentence(name: str) -> str:
    """The first sentence of the docstring, or its first line where that ends without one."""
    text = ast.get_docstring(_found(name)[1]) or ""
    paragraph = " ".join(text.partition("\n\n")[0].split())
    return escaped(paragraph.partition(". ")[0].rstrip("."))


def _section(name: str) -> str:
    source, node = _found(name)
    if isinstance(node, ast.FunctionDef):
        text = signature(source, node).replace(f"def {node.name}(", f"def {name}(", 1)
        return "\n\n".join([f"## {name}", fenced(text, "python"), docstring(ast.get_docstring(node))])
    parts = [f"## {name}", fenced(_head(source, node), "python"), docstring(ast.get_docstring(node))]
    for one in node.body:
        public = isinstance(one, ast.FunctionDef) and (one.name in _CALLED or not one.name.startswith("_"))
        if isinstance(one, ast.FunctionDef) and public and ast.get_docstring(one):
            parts += [fenced(_method(source, one), "python"), docstring(ast.get_docstring(one))]
    return "\n\n".join(filter(None, parts))


def _head(source: str, node: ast.ClassDef) -> str:
    """The class with its fields, or with how it is made."""
    bases = ", ".join(ast.unparse(base) for base in node.bases)
    lines = [f"class {node.name}({bases}):" if bases else f"class {node.name}:"]
    made = [one for one in node.body if isinstance(one, ast.FunctionDef) and one.name == "__init__"]
    body = signature(source, made[0]) if made else fields(source, node)
    return "\n".join([*lines, *(f"    {line}" for line in body.splitlines())]) if body else lines[0].rstrip(":")


def _method(source: str, node: ast.FunctionDef) -> str:
    decorators = [f"@{ast.unparse(one)}" for one in node.decorator_list]
    return "\n".join([*decorators, signature(source, node)])
