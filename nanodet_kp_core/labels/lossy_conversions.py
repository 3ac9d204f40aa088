"""What a format cannot hold of given labels: counted, and taken out where the user agrees."""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence
from dataclasses import replace

from nanodet_kp_core.labels import Format, format_of
from nanodet_kp_core.labels.labels import LabeledImage, Plate, has_hull_box, hull
from nanodet_kp_core.labels.text_files import too_far

_IGNORES = "ignore boxes"
_NO_ID = "plates of classes that it has no id for"
_UNLABELLED = "plates whose corners are not all labeled"
_TOO_FAR = "plates three image sizes or more outside the image"
_HIDDEN = "plates with corners marked as hidden"
_OWN_BOX = "boxes that are not the hull of their corners"
_PARTS = "plates whose coordinates are not whole pixels"
_ALL = (_IGNORES, _NO_ID, _UNLABELLED, _TOO_FAR, _HIDDEN, _OWN_BOX, _PARTS)


def losses(name: str, images: Sequence[LabeledImage], whole_pixels: bool = False) -> list[str]:
    """What would be lost in format `name` (as in data.name): "3 ignore boxes", "2 plates of ..."; empty when nothing.

    whole_pixels: coordinates are going to be rounded, as the published VOC reader needs them.
    """
    target = format_of(name)
    dropped: Counter[str] = Counter()
    changed: Counter[str] = Counter()
    unnamed = set()
    for image in images:
        for plate in image.plates:
            reason = _why_dropped(target, plate, image)
            if reason:
                dropped[reason] += 1
                unnamed |= {plate.name} if reason == _NO_ID else set()
                continue
            changed[_HIDDEN] += not target.visibility and 1 in plate.visible
            changed[_OWN_BOX] += not target.boxes and not has_hull_box(plate)
            changed[_PARTS] += whole_pixels and plate != _rounded(plate)
    counts = {what: count for what, count in (dropped + changed).items() if count}
    names = f" ({', '.join(sorted(unnamed)[:4])})"
    return [f"{counts[what]} {what}{names if what == _NO_ID else ''}" for what in _ALL if what in counts]


def without_losses(name: str, images: Sequence[LabeledImage], whole_pixels: bool = False) -> list[LabeledImage]:
    """The images with only what the format holds: what `losses` counts is dropped, or flattened where a plate stays."""
    target = format_of(name)
    found = []
    for image in images:
        plates = []
        for plate in image.plates:
            if _why_dropped(target, plate, image):
                continue
            if not target.visibility:
                plate = replace(plate, visible=(2, 2, 2, 2))
            if not target.boxes:
                plate = replace(plate, box=hull(plate.corners))
            plates.append(_rounded(plate) if whole_pixels else plate)
        found.append(replace(image, plates=plates))
    return found


def _why_dropped(target: Format, plate: Plate, image: LabeledImage) -> str | None:
    """The first reason why the format cannot hold the plate at all."""
    if plate.ignore:
        return None if target.ignores else _IGNORES
    if target.ids is not None and plate.name not in target.ids:
        return _NO_ID
    if not target.visibility and not all(plate.visible):
        return _UNLABELLED
    return _TOO_FAR if target.shares and too_far(plate, image) else None


def _rounded(plate: Plate) -> Plate:
    left, top, right, bottom = (float(round(value)) for value in plate.box)
    corners = tuple((float(round(x)), float(round(y))) for x, y in plate.corners)
    return replace(plate, corners=corners, box=(left, top, right, bottom))
