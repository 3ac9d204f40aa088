"""Class names of armor plates: four colors times nine stickers, in the order of LabelRoboMaster."""

from __future__ import annotations

from collections.abc import Sequence
from functools import lru_cache

from nanodet_kp_core.errors import shown

COLORS = ("B", "R", "N", "P")
"""Blue, red, none (lights off), purple."""

UNLIT = "N"
"""The color of a plate whose lights are off."""

NUMBERS = ("G", "1", "2", "3", "4", "5", "O", "Bs", "Bb")
"""Stickers: sentry (guard), 1 to 5, outpost, base small, base big."""

ARMOR_CLASSES = tuple(f"{color}_{number}" for color in COLORS for number in NUMBERS)
"""The 36 default classes; id = color * 9 + sticker."""


def split_label(label: str) -> tuple[str | None, str]:
    """Color and sticker of a label: "B_3" -> ("B", "3"), "3" -> (None, "3"); (None, "") for any other name."""
    color, _, number = label.partition("_")
    if color in COLORS and number in NUMBERS:
        return color, number
    return None, label if label in NUMBERS else ""


def factors(class_names: Sequence[str]) -> tuple[tuple[str, ...], tuple[str, ...]] | None:
    """Colors and stickers when the names are their full product, color-major (id = color * len(stickers) + sticker).

    Returns None for any other list.
    """
    pairs = [tuple(name.split("_")) for name in class_names]
    if not pairs or any(len(pair) != 2 for pair in pairs):
        return None
    colors = tuple(dict.fromkeys(pair[0] for pair in pairs))
    numbers = tuple(dict.fromkeys(pair[1] for pair in pairs))
    if len(colors) * len(numbers) != len(pairs):  # before the product, which would be the square of a hostile list
        return None
    if [f"{c}_{n}" for c in colors for n in numbers] != list(class_names):
        return None
    return colors, numbers


def class_factors(class_names: Sequence[str]) -> tuple[tuple[str, ...], tuple[str, ...]]:
    """What the "factored" class layout and the second stage predict apart: colors and numbers, see `factors`.

    Names that are no such pairs are the numbers of one color without a name. id = color * len(numbers) + number in
    both cases.
    """
    return factors(class_names) or (("",), tuple(class_names))


def brief(class_names: Sequence[str]) -> str:
    """A class list for a message: "36: B_G, B_1, B_2, B_3, ..."."""
    first = [name if name.isprintable() and len(name) <= 40 else shown(name) for name in class_names[:4]]
    return f"{len(class_names)}: {', '.join(first)}{', ...' if len(class_names) > 4 else ''}"


@lru_cache(maxsize=16)
def are_armor(class_names: tuple[str, ...]) -> bool:
    """Whether the targets are armor plates, with two light bars and a size that is known.

    So are names that are all pairs of COLORS and NUMBERS, one of the two alone, or begin with "armor".
    """
    return all(
        name in COLORS or name in NUMBERS or name in ARMOR_CLASSES or name.casefold().startswith("armor")
        for name in class_names
    )
