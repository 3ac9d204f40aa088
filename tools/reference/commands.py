"""The page of the command line, from the arguments that each command declares.

It is written from the arguments and not from the text of --help, which differs from one Python version to the next.
"""

from __future__ import annotations

import argparse
from collections.abc import Callable, Iterable
from importlib import import_module
from unittest import mock

from nanodet_kp_core import __main__ as program
from reference.markdown import code, docstring, escaped, table

_UNTITLED = ("positional arguments", "options")


class _Declared(Exception):
    """Carries the parser of a command, whose arguments are declared when it begins to read them."""


def page() -> str:
    """Markdown without a title."""
    tour = [
        f"**{title}**\n\n"
        + "\n".join(f"- [`{name}`](#{program.PROG}-{name}): {escaped(line)}" for name, line in commands)
        for title, commands in program.TOUR
    ]
    sections = [_section(name, parser_of(name)) for name in program.COMMANDS]
    about = f"`{program.PROG} --help` shows this list, and `{program.PROG} COMMAND --help` the arguments of a command."
    return "\n\n".join([about, *tour, *sections])


def parser_of(name: str) -> argparse.ArgumentParser:
    """The parser of a command, with all its arguments."""
    return declared(import_module(program.module_of(name)).main)


def declared(main: Callable[[], object]) -> argparse.ArgumentParser:
    """The parser that `main` makes, with all its arguments; `main` goes no further. Raises LookupError without one."""

    def stop(parser: argparse.ArgumentParser, *_: object) -> None:
        raise _Declared(parser)

    with mock.patch.object(argparse.ArgumentParser, "parse_args", stop):
        try:
            main()
        except _Declared as found:
            parser: argparse.ArgumentParser = found.args[0]
            return parser
    raise LookupError("expected a program that reads arguments, got one that does not")


def arguments_of(parser: argparse.ArgumentParser) -> list[argparse.Action]:
    """All arguments but --help."""
    return [one for one in parser._actions if not isinstance(one, argparse._HelpAction)]


def _section(name: str, parser: argparse.ArgumentParser) -> str:
    """What the command is, its own arguments in one table, and a table for each group that has a title."""
    parts = [f"## {program.PROG} {name}", docstring(parser.description)]
    titled = [group for group in parser._action_groups if group.title not in _UNTITLED]
    grouped = [action for group in titled for action in group._group_actions]
    parts.append(_table([action for action in arguments_of(parser) if action not in grouped], parser))
    for group in titled:
        title = group.title or ""
        parts += [f"{title[:1].upper()}{title[1:]}:", _table(group._group_actions, parser)]
    return "\n\n".join(parts)


def _table(actions: Iterable[argparse.Action], parser: argparse.ArgumentParser) -> str:
    return table(("argument", "meaning"), [(_spelled(one), _meaning(one, parser)) for one in actions])


def _spelled(action: argparse.Action) -> str:
    value = _value(action)
    if not action.option_strings:
        return code(value)
    return ", ".join(code(f"{option} {value}".strip()) for option in action.option_strings)


def _value(action: argparse.Action) -> str:
    if action.nargs == 0 or isinstance(action, argparse.BooleanOptionalAction):
        return ""
    names = action.metavar or (action.dest.upper() if action.option_strings or not action.choices else action.dest)
    if not isinstance(names, str):
        return " ".join(names)
    return {"?": f"[{names}]", "+": f"{names} ..."}.get(str(action.nargs), " ".join([names] * _count(action)))


def _count(action: argparse.Action) -> int:
    return action.nargs if isinstance(action.nargs, int) else 1


def _meaning(action: argparse.Action, parser: argparse.ArgumentParser) -> str:
    values = {**vars(action), "prog": parser.prog}
    words = [escaped((action.help or "") % values)]
    if action.required and action.option_strings:
        words.append("required")
    for group in parser._mutually_exclusive_groups:
        if group.required and action in group._group_actions:
            others = [one.option_strings[0] for one in group._group_actions if one is not action]
            words.append(f"this or {_listed(others)} is required")
    if action.choices:
        words.append(f"one of {_listed(action.choices)}")
    return "; ".join(words)


def _listed(choices: Iterable[object]) -> str:
    return " ".join(code(str(choice)) for choice in choices)
