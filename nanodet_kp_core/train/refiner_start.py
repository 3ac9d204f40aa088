"""The weights of one refiner as the start of another that reads other classes."""

from __future__ import annotations

from collections.abc import Mapping

from torch import Tensor

from nanodet_kp_core.classes import brief, class_factors
from nanodet_kp_core.errors import TrainingError

Row = tuple[str, str]
"""What an output of the network says: ("color", "B"), ("number", "3"), ("plate", "") or ("corner", "0")."""


def fit_weights(
    given: Mapping[str, Tensor], old: tuple[str, ...], fresh: Mapping[str, Tensor], new: tuple[str, ...]
) -> tuple[dict[str, Tensor], str]:
    """The weights `given` of a RefinerNetwork for the classes `old` -> those of one for the classes `new`.

    All layers are kept. Of the last one the outputs of the colors and numbers that `old` lacks are those of `fresh`,
    the state dict of an untrained network for `new`.

    Returns:
        The state dict, and a sentence that says what is kept and what is fresh; "" for the same classes.

    Raises TrainingError when they are not the weights of such a network.
    """
    known, wanted = output_rows(old), output_rows(new)
    kept = [row for row in wanted if row in known]
    state: dict[str, Tensor] = {}
    for name, start in fresh.items():
        value, last = given.get(name), name.startswith("output.")
        expected = (len(known), *start.shape[1:]) if last else tuple(start.shape)
        if value is None or tuple(value.shape) != expected:
            got = "none" if value is None else "x".join(map(str, value.shape)) or "a number"
            raise TrainingError(
                f"refiner: expected weights of a second stage for the classes {brief(old)}, with "
                f"{'x'.join(map(str, expected)) or 'a number'} values of {name}, got {got}; name its own checkpoint"
            )
        state[name] = value.clone() if not last else start.clone()
        if last:
            state[name][[wanted.index(row) for row in kept]] = value[[known.index(row) for row in kept]]
    return state, "" if old == new else _sentence(old, new, kept, wanted)


def output_rows(class_names: tuple[str, ...]) -> list[Row]:
    """What each output of a RefinerNetwork for these classes says, in order."""
    colors, numbers = class_factors(class_names)
    return [
        ("plate", ""), *(("color", name) for name in colors), *(("number", name) for name in numbers),
        *(("corner", str(k)) for k in range(8)),
    ]  # fmt: skip


def _sentence(old: tuple[str, ...], new: tuple[str, ...], kept: list[Row], wanted: list[Row]) -> str:
    def named(rows: list[Row]) -> str:
        names = [name for kind, name in rows if kind in ("color", "number") and name]
        return ", ".join(names[:12]) + (f" and {len(names) - 12} more" if len(names) > 12 else "") or "none"

    fresh = [row for row in wanted if row not in kept]
    return (
        f"start from a second stage for other classes ({brief(old)}; here {brief(new)}): all layers and the outputs of "
        f"plate and corners are kept, of the class outputs {named(kept)}; fresh: {named(fresh)}"
    )
