"""What a detector for other classes takes over from a checkpoint, and how that is said."""

from __future__ import annotations

from collections.abc import Mapping

from torch import Tensor

from nanodet_kp_core.classes import brief, factors
from nanodet_kp_core.layout import HeadLayout
from nanodet_kp_core.transfer.carry import output_convolutions
from nanodet_kp_core.transfer.channels import class_rows, is_target_kept


def output_tensors(own: Mapping[str, Tensor], with_aux: bool) -> set[str]:
    """Names of the tensors in the state dict `own` whose rows are the head's channels."""
    convolutions = {name for output in output_convolutions(own, with_aux) for name in output.values()}
    return {f"{name}.{kind}" for name in convolutions for kind in ("weight", "bias")} & own.keys()


def other_coordinates(old: HeadLayout, new: HeadLayout) -> str | None:
    """How the channels of box and corners differ; None where they are the same."""
    for name in ("regression", "reg_max", "corner_codec"):
        before, after = getattr(old, name), getattr(new, name)
        if before != after:
            return f"its {name} is {before} instead of {after}"
    return None


def say_kept(old: HeadLayout, new: HeadLayout) -> str:
    """A sentence about weights for the classes of `old` that start a model for those of `new`."""
    known, rows = class_rows(old), class_rows(new)
    kept = [name for kind, name in rows if (kind, name) in known and name]
    fresh = [name for kind, name in rows if (kind, name) not in known and name]
    target = ""
    if is_target_kept(old, new):
        colors = factors(old.class_names)
        target = "; the score of a target starts as " + (
            f"that of any of {', '.join(colors[0])}" if colors else "it was"
        )
    return (
        f"weights for other classes ({brief(old.class_names)}; here {brief(new.class_names)}): backbone, neck, boxes "
        f"and corners are kept, of the class channels {_some(kept)}; fresh: {_some(fresh)}{target}"
    )


def _some(names: list[str]) -> str:
    return ", ".join(names[:12]) + (f" and {len(names) - 12} more" if len(names) > 12 else "") or "none"
