"""Checks the tensors of a published checkpoint and carries them over to a model of this package."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path

import torch
from torch import Tensor

from nanodet_kp_core.errors import ModelError
from nanodet_kp_core.layout import HeadLayout
from nanodet_kp_core.transfer.channels import BOX, CLASSES, CORNERS, convert_parts, read_parts, write_parts

_COUNTER = ".num_batches_tracked"
_PROJECT = "head.distribution_project.project"


def check_tensors(
    tensors: Mapping[str, Tensor], expected: Mapping[str, Tensor], unused: Sequence[str], path: Path
) -> dict[str, Tensor]:
    """Exactly the tensors of `expected`, which is the state dict of the recognized architecture.

    Left out are those that start with one of `unused`; batch counters that a file lacks are zero. Raises ModelError
    that names what is missing, unexpected, of another shape or not finite.
    """
    missing = [name for name in expected if name not in tensors and not name.endswith(_COUNTER)]
    if missing:
        raise ModelError(f"{path}: expected the tensors {_some(missing)}, got a checkpoint without them")
    known = [name for name in tensors if not name.startswith(tuple(unused))]
    surplus = [name for name in known if name not in expected]
    if surplus:
        raise ModelError(
            f"{path}: expected {len(expected)} tensors of the recognized architecture, got others besides: "
            f"{_some(surplus)}"
        )
    for name in known:
        if tensors[name].shape != expected[name].shape:
            raise ModelError(
                f"{path}: {name}: expected shape {list(expected[name].shape)}, got {list(tensors[name].shape)}"
            )
        if not torch.isfinite(tensors[name]).all():
            raise ModelError(f"{path}: {name}: expected finite numbers, got NaN or infinity; take another checkpoint")
    if _PROJECT in known and not torch.equal(tensors[_PROJECT], expected[_PROJECT]):
        raise ModelError(f"{path}: {_PROJECT}: expected bins 0..{len(expected[_PROJECT]) - 1}, got others")
    return {name: tensors.get(name, value) for name, value in expected.items()}


def _some(names: Sequence[str]) -> str:
    more = f" and {len(names) - 3} more" if len(names) > 3 else ""
    return ", ".join(names[:3]) + more


def output_convolutions(names: Sequence[str] | Mapping[str, Tensor], with_aux: bool) -> list[dict[str, str]]:
    """For each output of a model with these tensor names: part -> name of the convolution that holds its rows."""
    outputs = []
    level = 0
    while f"head.gfl_cls.{level}.weight" in names:
        regression = f"head.gfl_reg.{level}" if f"head.gfl_reg.{level}.weight" in names else f"head.gfl_cls.{level}"
        outputs.append({CLASSES: f"head.gfl_cls.{level}", BOX: regression, CORNERS: regression})
        level += 1
    level = 0
    while f"head.rtm_cls.{level}.weight" in names:
        kinds = {CLASSES: "cls", BOX: "reg", CORNERS: "pts"}
        outputs.append({part: f"head.rtm_{kind}.{level}" for part, kind in kinds.items()})
        level += 1
    if with_aux:
        outputs.append({CLASSES: "aux_head.gfl_cls", BOX: "aux_head.gfl_reg", CORNERS: "aux_head.gfl_pts"})
    return outputs


def carry_over(
    tensors: Mapping[str, Tensor], old: HeadLayout, fresh: Mapping[str, Tensor], new: HeadLayout, with_aux: bool
) -> dict[str, Tensor]:
    """State dict of a freshly initialized model (`fresh`, layout `new`) with everything that `tensors` has for it.

    Both have the same architecture but for classes and corner codec, and for the auxiliary branch: that stays fresh
    unless `with_aux`. A corner tower that the old one lacks starts as its box tower.
    """
    state = dict(fresh)
    outputs = output_convolutions(fresh, with_aux)
    rebuilt = {f"{name}.{kind}" for output in outputs for name in output.values() for kind in ("weight", "bias")}
    for name in fresh:
        if name in rebuilt or (name.startswith(("aux_fpn.", "aux_head.")) and not with_aux):
            continue
        source = name if name in tensors else name.replace("aux_head.pts_convs.", "aux_head.reg_convs.")
        state[name] = tensors[source]
    for output in outputs:
        parts = convert_parts(read_parts(tensors, output, old), read_parts(fresh, output, new), old, new)
        write_parts(state, output, parts)
    return state
