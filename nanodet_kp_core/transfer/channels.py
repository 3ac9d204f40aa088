"""Carries weights over to a head with other classes or another corner codec, row by row of its output convolutions.

Class rows go by name. Corners that a box-only checkpoint lacks start as the corners of its box. Unsigned bins become
one half of the signed ones; the other half starts out of reach, so that the output stays what it was.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import torch
from torch import Tensor

from nanodet_kp_core.classes import class_factors
from nanodet_kp_core.geometry import BOX_CORNERS
from nanodet_kp_core.layout import CORNER_SIGNS, HeadLayout

OUT_OF_REACH = 12.0
"""Bins on the new side start as the bin at zero, lower by this much: at most exp(-12) of its probability each."""

ABSENT = 3.0
"""Minus the logit of a color that a plate does not have, about. With 2 half of the plates fall below a score of 0.3,
with 4.6 there are eight times as many detections as with the colors."""

CLASSES, BOX, CORNERS = "classes", "box", "corners"


@dataclass(frozen=True)
class Rows:
    """Output channels of a convolution: weight [rows, in, k, k], bias [rows]."""

    weight: Tensor
    bias: Tensor

    def take(self, index: Sequence[int] | slice) -> Rows:
        """Those rows, in that order."""
        chosen = index if isinstance(index, slice) else list(index)
        return Rows(self.weight[chosen], self.bias[chosen])

    @staticmethod
    def join(parts: Sequence[Rows]) -> Rows:
        """Rows of all parts, one after the other."""
        return Rows(torch.cat([part.weight for part in parts]), torch.cat([part.bias for part in parts]))


def part_sizes(layout: HeadLayout) -> dict[str, int]:
    """Number of channels of each part, in the order of HeadLayout."""
    return {
        CLASSES: layout.num_logits,
        BOX: layout.box_slice.stop - layout.box_slice.start,
        CORNERS: layout.corner_slice.stop - layout.corner_slice.start,
    }


def read_parts(tensors: Mapping[str, Tensor], output: Mapping[str, str], layout: HeadLayout) -> dict[str, Rows]:
    """Rows of each part of `layout` that has channels; output: part -> name of its convolution, parts in order."""
    parts, start = {}, dict.fromkeys(output.values(), 0)
    for part, size in part_sizes(layout).items():
        if not size:
            continue
        name = output[part]
        rows = slice(start[name], start[name] + size)
        parts[part] = Rows(tensors[f"{name}.weight"], tensors[f"{name}.bias"]).take(rows)
        start[name] += size
    return parts


def write_parts(state: dict[str, Tensor], output: Mapping[str, str], parts: Mapping[str, Rows]) -> None:
    """Put rows into the convolutions that `output` names."""
    for name in dict.fromkeys(output.values()):
        rows = [parts[part] for part in output if output[part] == name and part in parts]
        if rows:
            joined = Rows.join(rows)
            state[f"{name}.weight"], state[f"{name}.bias"] = joined.weight, joined.bias


def convert_parts(
    parts: Mapping[str, Rows], fresh: Mapping[str, Rows], old: HeadLayout, new: HeadLayout
) -> dict[str, Rows]:
    """Rows for `new` from rows of `old`; fresh: initialized rows of `new`, for classes that `old` does not have."""
    converted = {CLASSES: convert_classes(parts[CLASSES], fresh[CLASSES], old, new), BOX: parts[BOX]}
    if new.has_corners:
        converted[CORNERS] = convert_corners(parts, old, new)
    return converted


def convert_classes(rows: Rows, fresh: Rows, old: HeadLayout, new: HeadLayout) -> Rows:
    """Rows of classes by name; fresh ones for new names, and for all where the class layout is another."""
    known = class_rows(old)
    weight, bias = fresh.weight.clone(), fresh.bias.clone()
    if is_target_kept(old, new):
        scores = rows.take(slice(0, old.num_scores))
        weight[0], bias[0] = scores.weight.sum(dim=0), scores.bias.sum(dim=0) + ABSENT * (old.num_scores - 1)
    for row, name in enumerate(class_rows(new)):
        if name in known:
            source = known.index(name)
            weight[row], bias[row] = rows.weight[source], rows.bias[source]
    return Rows(weight, bias)


def is_target_kept(old: HeadLayout, new: HeadLayout) -> bool:
    """Whether the one score of `new`, that of a target, starts as that of any color of `old`: the sum of their logits,
    of which all but one say ABSENT."""
    return old.class_layout == "factored" and class_rows(new)[0] == ("color", "")


def class_rows(layout: HeadLayout) -> list[tuple[str, str]]:
    """What each class channel says: ("class", "B_3"), or ("color", "B") and ("number", "3") in the factored layout."""
    if layout.class_layout == "joint":
        return [("class", name) for name in layout.class_names]
    colors, numbers = class_factors(layout.class_names)
    return [*(("color", name) for name in colors), *(("number", name) for name in numbers)]


def convert_corners(parts: Mapping[str, Rows], old: HeadLayout, new: HeadLayout) -> Rows:
    """Rows of the corner distributions in the codec of `new`."""
    if old.corner_codec == new.corner_codec:
        return parts[CORNERS]
    bins = old.box_bins
    if old.has_corners:
        coordinates = [parts[CORNERS].take(slice(k * bins, (k + 1) * bins)) for k in range(8)]
    else:
        # A corner of the box: x0 has the distribution of the left side, y0 that of the top, ...
        coordinates = [parts[BOX].take(slice(side * bins, (side + 1) * bins)) for side in BOX_CORNERS]
    if new.corner_codec == "signed":
        coordinates = [_signed(rows, sign, new.reg_max) for rows, sign in zip(coordinates, CORNER_SIGNS, strict=True)]
    return Rows.join(coordinates)


def _signed(rows: Rows, sign: int, reg_max: int) -> Rows:
    """Bins 0..reg_max in the direction `sign` -> bins -reg_max..reg_max."""
    positions = range(-reg_max, reg_max + 1)
    chosen = rows.take([max(0, sign * position) for position in positions])
    beyond = torch.tensor([OUT_OF_REACH if sign * position < 0 else 0.0 for position in positions])
    return Rows(chosen.weight, chosen.bias - beyond)
