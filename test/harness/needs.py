"""What a test module needs, read from its source and from the repository's files that it leads to."""

from __future__ import annotations

import ast
import re
from functools import cache
from pathlib import Path

ROOT = Path(__file__).resolve().parents[2]
FOLDERS = tuple(ROOT / name for name in (".", "test", "test/core", "test/data", "test/fuzz", "test/ros"))
"""Where imports of repository files are looked up, besides the importing file's own folder."""

SCRIPTS = (".", "benchmark", "test", "tools", "training")
"""Where a name such as "train.py" in a string is looked up."""

_ROS = re.compile(r"rclpy|launch_ros|builtin_interfaces|\w+_(msgs|srvs|interfaces)")
_NAME = re.compile(r"[A-Za-z_][\w.]*")
_SCRIPT = re.compile(r"[\w/]+\.py")


def needs(path: Path) -> set[str]:
    """ "torch" and "ros" where the module needs them: it, or a file that it leads to, imports or names them.

    A file leads to the repository's files that it imports, also inside functions, and to those that a string of it
    names whole, as a module or as a script: "nanodet_kp_core.detect", "training/train.py", "train.py". A string "torch"
    or "rclpy", as in pytest.importorskip, counts as an import. A test module also leads to the conftest.py beside it.
    """
    found: set[str] = set()
    seen, waiting = set(), [path.resolve(), *path.resolve().parent.glob("conftest.py")]
    while waiting:
        file = waiting.pop()
        if file in seen:
            continue
        seen.add(file)
        kinds, files = _looked_at(file)
        found |= kinds
        waiting.extend(files)
    return found


@cache
def _looked_at(path: Path) -> tuple[frozenset[str], frozenset[Path]]:
    """What a file itself needs, and the repository's files that it leads to."""
    visitor = _Names()
    visitor.visit(ast.parse(path.read_text(encoding="utf-8")))
    tops = {name.partition(".")[0] for name in visitor.names | visitor.mentioned}
    kinds = {"torch"} & tops | {"ros" for top in tops if _ROS.fullmatch(top)}
    folders = (path.parent, *FOLDERS)
    files = {file for name in visitor.names for file in _files_of_module(name, folders)}
    files |= {file for name in visitor.mentioned for file in _files_of_module(name, FOLDERS)}
    places = [ROOT / folder / script for folder in SCRIPTS for script in visitor.scripts]
    files |= {place for place in places if place.is_file()}
    if path.parent == ROOT / "training":  # a door to the command of the same name
        command = ROOT / "nanodet_kp_core/commands" / path.name
        files |= {command} if command.is_file() else set()
    return frozenset(kinds), frozenset(files)


class _Names(ast.NodeVisitor):
    """Collects the dotted names that a file imports, those that its strings mention, and its paths of scripts."""

    def __init__(self) -> None:
        self.names: set[str] = set()
        self.mentioned: set[str] = set()
        self.scripts: set[str] = set()

    def visit_If(self, node: ast.If) -> None:
        """What only a type checker imports is not needed."""
        if not (isinstance(node.test, ast.Name) and node.test.id == "TYPE_CHECKING"):
            self.generic_visit(node)

    def visit_Import(self, node: ast.Import) -> None:
        self.names |= {alias.name for alias in node.names}

    def visit_ImportFrom(self, node: ast.ImportFrom) -> None:
        module = "." * node.level + (node.module or "")
        self.names |= {module} | {f"{module}.{alias.name}" for alias in node.names}

    def visit_Constant(self, node: ast.Constant) -> None:
        if not isinstance(node.value, str):
            return
        if _SCRIPT.fullmatch(node.value):
            self.scripts.add(node.value)
        elif _NAME.fullmatch(node.value) and ("." in node.value or node.value in ("torch", "rclpy")):
            self.mentioned.add(node.value)


def _files_of_module(name: str, folders: tuple[Path, ...]) -> list[Path]:
    """The repository's file of a module and the __init__.py of the packages around it; none for other modules."""
    parts = name.split(".")
    found = []
    for folder in folders:
        for count in range(1, len(parts) + 1):
            base = folder.joinpath(*parts[:count])
            found += [file.resolve() for file in (base.with_suffix(".py"), base / "__init__.py") if file.is_file()]
    return found
