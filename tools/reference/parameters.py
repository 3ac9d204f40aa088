"""The page of the node parameters, from the dataclasses that declare them."""

from __future__ import annotations

from nanodet_kp_ros.parameters import Setting, settings_of
from nanodet_kp_ros.player_node import PlayerSettings
from nanodet_kp_ros.settings import NodeSettings
from reference.markdown import escaped, table

HEAD = ("parameter", "default", "accepted", "live", "meaning")


def page() -> str:
    """Markdown without a title."""
    return f"""\
A live parameter may be set while the node runs; [node.md](../node.md) says what each then does. The answer to a
rejected value says what is accepted. An integer is accepted for a number, and the parameter stays a double.

## Parameters of `detector_node`

{_table(NodeSettings)}

## Parameters of `player_node`

{_table(PlayerSettings)}"""


def _table(kind: type) -> str:
    return table(HEAD, map(_row, settings_of(kind)))


def _row(one: Setting) -> tuple[str, ...]:
    default = str(one.default).lower() if isinstance(one.default, bool) else str(one.default)
    live = "yes" if one.live else "no"
    return f"`{one.name}`", default or "empty", escaped(one.expected()), live, escaped(one.description)
