"""Class names of armor plates: four colors times nine stickers, in the order of LabelRoboMaster."""

from __future__ import annotations

from collections.abc import Sequence

COLORS = ("B", "R", "N", "P")
"""Blue, red, none (lights off), purple."""

UNLIT = "N"
"""The color of a plate whose lights are off."""

NUMBERS = ("G", "1", "2", "3", "4", "5", "O", "Bs", "Bb")
"""Stickers: sentry (guard), 1 to 5, outpost, base small, base big."""

ARMOR_CLASSES = tuple(f"{color}_{number}" for color in COLORS for number in NUMBERS)
"""The 36 default classes; id = color * 9 + sticker."""


def split_label(label: str) -> tuple[str | None, str]:
    """Color and sticker of a label: "B_3" -> ("B", "3"); (None, "") when it is no COLOR_NUMBER name."""
    color, _, number = label.partition("_")
    if color in COLORS and number in NUMBERS:
        return color, number
    return None, ""


def factors(class_names: Sequence[str]) -> tuple[tuple[str, ...], tuple[str, ...]] | None:
    """Colors and stickers when the names are their full product, color-major (id = color * len(stickers) + sticker).

    Returns None for any other list: such a list has no "factored" class layout.
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
