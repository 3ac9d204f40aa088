"""The page of the label formats, from nanodet_kp_core/labels."""

from __future__ import annotations

import sys
from dataclasses import replace
from pathlib import Path

from nanodet_kp_core.labels import FORMATS, SHORT_NAMES, written_paths
from nanodet_kp_core.labels.labels import LabeledImage, Plate
from nanodet_kp_core.labels.lossy_conversions import losses, without_losses
from reference.markdown import docstring, table

_OUT = Path("OUT")

_PLATE = Plate(
    where="", name="B_3", corners=((10.0, 10.0), (10.0, 20.0), (40.0, 20.0), (40.0, 10.0)), visible=(2, 2, 2, 2),
    box=(10.0, 10.0, 40.0, 20.0),
)  # fmt: skip
_FAR = tuple((x + 1000.0, y) for x, y in _PLATE.corners)

_HARD = (
    replace(_PLATE, visible=(2, 2, 2, 1)),
    replace(_PLATE, visible=(2, 2, 2, 0)),
    replace(_PLATE, box=(9.0, 9.0, 41.0, 21.0)),
    replace(_PLATE, ignore=True),
    replace(_PLATE, name="B_?"),
    replace(_PLATE, name="N_Bs"),
    replace(_PLATE, corners=_FAR, box=(1010.0, 10.0, 1040.0, 20.0)),
)
"""A plate for each thing that some format cannot hold."""

_ABOUT = """\
A configuration takes the name, in `data.train.name` and `data.val.name`; a command takes the short name, in `--format`
and `--to`. Where the labels are, how they are read, and an example of each format: [data.md](../data.md)."""
_LOST = """\
`nanodet-kp convert` counts what the new format cannot hold, and refuses it. With `--lossy` it goes on: a
plate is dropped, or it is flattened, which means written without what is lost."""


def page() -> str:
    """Markdown without a title."""
    short = {name: short for short, name in SHORT_NAMES.items()}
    rows = [(f"`{name}`", f"`{short[name]}`", *_written(name)) for name in FORMATS]
    parts = [_ABOUT, table(("name", "short name", "images written by convert", "labels written by convert"), rows)]
    lost = [[_what(plate), *(_loss(name, plate) for name in FORMATS)] for plate in _HARD if _what(plate)]
    parts += ["## What a format cannot hold", _LOST, table(("what", *(f"`{short[name]}`" for name in FORMATS)), lost)]
    return "\n\n".join([*parts, *(f"## {short[name]}\n\n{_section(name)}" for name in FORMATS)])


def _written(name: str) -> tuple[str, str]:
    images, labels = written_paths(name, _OUT)
    return f"`{images}`", f"`{labels}`"


def _image(plate: Plate) -> LabeledImage:
    return LabeledImage(name="a.png", path=Path("a.png"), width=100, height=100, plates=[plate], where="")


def _what(plate: Plate) -> str:
    """What some format says is lost; empty where all hold the plate."""
    lost = [loss for name in FORMATS for loss in losses(name, [_image(plate)])]
    return lost[0].partition(" ")[2] if lost else ""


def _loss(name: str, plate: Plate) -> str:
    if not losses(name, [_image(plate)]):
        return "kept"
    return "flattened" if without_losses(name, [_image(plate)])[0].plates else "dropped"


def _section(name: str) -> str:
    one = FORMATS[name]
    about = docstring(sys.modules[one.read.__module__].__doc__)
    if one.ids is None:
        return about
    pairs = [label.split("_") for label in one.ids]
    kinds = list(dict.fromkeys(kind for _, kind in pairs))
    colors = list(dict.fromkeys(color for color, _ in pairs))
    rows = [[f"`{color}`", *(str(one.ids.index(f"{color}_{kind}")) for kind in kinds)] for color in colors]
    ids = table(("id", *(f"`{kind}`" for kind in kinds)), rows)
    return f"{about}\n\nThe id of each color and sticker:\n\n{ids}"
