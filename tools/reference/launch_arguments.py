"""The page of the launch arguments, from the launch files. They run with stand-ins for launch and launch_ros."""

from __future__ import annotations

import inspect
import runpy
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from types import ModuleType
from typing import Any

from reference.markdown import docstring, escaped, table

ROOT = Path(__file__).resolve().parents[2]
FILES = ("detector.launch.py", "cameras.launch.py")

_MODULES = (
    "ament_index_python", "ament_index_python.packages", "launch", "launch.actions", "launch.event_handlers",
    "launch.launch_description_sources", "launch.substitutions", "launch_ros", "launch_ros.actions",
)  # fmt: skip


class _Anything:
    """Stands for every class and function of launch: keeps what it was made with."""

    def __init__(self, *given: Any, **named: Any) -> None:
        self.given, self.named = given, named


class _Argument(_Anything):
    """Stands for DeclareLaunchArgument."""


class _StandIn(ModuleType):
    DeclareLaunchArgument = _Argument

    @staticmethod
    def get_package_share_directory(name: str) -> str:
        return ""

    def __getattr__(self, name: str) -> type[_Anything]:
        if name.startswith("__"):
            raise AttributeError(name)
        return _Anything


def page() -> str:
    """Markdown without a title."""
    return "\n\n".join(map(_file, FILES))


def arguments_of(name: str) -> dict[str, dict[str, Any]]:
    """What a launch file declares: {name of an argument: what it was declared with}."""
    return _loaded(name)[1]


def _loaded(name: str) -> tuple[str, dict[str, dict[str, Any]]]:
    """The docstring of a launch file, and its arguments."""
    with _stand_ins():
        found = runpy.run_path(str(ROOT / "launch" / name))
        (entities,) = found["generate_launch_description"]().given
    return found["__doc__"], {one.given[0]: one.named for one in entities if isinstance(one, _Argument)}


def _file(name: str) -> str:
    text, arguments = _loaded(name)
    rows = [_row(argument, **named) for argument, named in arguments.items()]
    head = ("argument", "default", "meaning")
    return f"## `{name}`\n\n{docstring(inspect.cleandoc(text))}\n\n{table(head, rows)}"


def _row(name: str, description: str, default_value: str | None = None, choices: tuple[str, ...] = ()) -> list[str]:
    default = "none: must be given" if default_value is None else f"`{default_value}`" if default_value else "empty"
    accepted = f"; {' or '.join(f'`{choice}`' for choice in choices)}" if choices else ""
    return [f"`{name}`", default, escaped(description) + accepted]


@contextmanager
def _stand_ins() -> Iterator[None]:
    before = {name: sys.modules.get(name) for name in _MODULES}
    sys.modules.update({name: _StandIn(name) for name in _MODULES})
    try:
        yield
    finally:
        for name, module in before.items():
            if module is None:
                del sys.modules[name]
            else:
                sys.modules[name] = module
