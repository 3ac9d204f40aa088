"""Where images come from: neighbors of one recording must not lie in training and validation alike."""

from __future__ import annotations

import re
from collections import defaultdict
from collections.abc import Sequence
from dataclasses import dataclass
from itertools import combinations
from pathlib import PurePosixPath

from nanodet_kp_core.errors import DataError
from nanodet_kp_core.labels.sample import Record

WHOLE, BOTH = 12, 4
"""Number of sources from which on validation consists of whole sources, and from which on of whole sources and of
blocks of the others: whole ones tell about cameras that training has not seen, blocks about those that it has. With
fewer sources each is missed too much."""

WANTED, WANTED_OF_BOTH = 0.2, 0.12
"""Share of the images that validation is to have; where there are whole sources and blocks, each of them."""

SLACK = 2.0
"""Factor by which whole sources may miss their share."""

BLOCK_FRAMES, MOST_BLOCKS = 40, 4
"""A source gives a block of frames for every so many of them, and at most so many blocks."""

_COUNTER = re.compile(r"[-_. ]*\d+$")
_DIGITS = re.compile(r"(\d+)")


@dataclass(frozen=True)
class Split:
    """Records of the two parts. source_of: by record name. how: one sentence. left_out: names of records that lie in
    neither part, because they stand beside a block of the other one."""

    train: list[Record]
    validation: list[Record]
    source_of: dict[str, str]
    how: str
    left_out: tuple[str, ...] = ()


def sources_of(names: Sequence[str]) -> dict[str, str]:
    """The source of each image by its name: its folder, else its name without the counter at the end.

    Names that give a source to nearly every image (a fourth as many sources as images or more) tell nothing; then all
    images are of one source.
    """
    folders = {name: PurePosixPath(name).parent.as_posix() for name in names}
    if len(set(folders.values())) > 1:
        return folders
    prefixes = {name: _COUNTER.sub("", PurePosixPath(name).stem) or "." for name in names}
    if 1 < len(set(prefixes.values())) <= max(1, len(names) // 4):
        return prefixes
    return dict.fromkeys(names, ".")


def split_records(records: Sequence[Record]) -> Split:
    """Split by source: whole sources where there are many, blocks of neighboring frames where there are few, and both
    in between (WHOLE, BOTH).

    Raises DataError when there are too few images, or when a part would have no plate.
    """
    if len(records) < 10:
        raise DataError(f"labels: expected at least 10 images to split, got {len(records)}; label more")
    source_of = sources_of([record.name for record in records])
    groups: dict[str, list[Record]] = defaultdict(list)
    for record in sorted(records, key=lambda record: _natural(record.name)):
        groups[source_of[record.name]].append(record)
    share = WANTED_OF_BOTH if BOTH <= len(groups) < WHOLE else WANTED
    held = held_sources({name: len(group) for name, group in groups.items()}, share) if len(groups) >= BOTH else ()
    whole = [record for name in held for record in groups.pop(name)]
    if held and len(groups) + len(held) >= WHOLE:
        train = [record for group in groups.values() for record in group]
        split = Split(train, whole, source_of, f"validation is {_named(held, groups)}")
    else:
        share = share if held else WANTED
        train, blocks, count, left_out = _blocks(groups, share)
        how = f"{count} block(s) of neighboring frames of {len(groups)} source(s)"
        how = f"validation is {_named(held, groups)}, and {how}" if held else f"validation is {how}"
        split = Split(train, whole + blocks, source_of, how, left_out)
    for part, kept in (("training", split.train), ("validation", split.validation)):
        if not any(len(record.labels) for record in kept):
            raise DataError(f"labels: expected plates in the {part} part, got none in {len(kept)} images; --validation")
    return split


def held_sources(sizes: dict[str, int], share: float) -> tuple[str, ...]:
    """The sources, with so many images each, that together come nearest to a share; none where all miss it by far."""
    total, names = sum(sizes.values()), sorted(sizes)
    if len(names) <= 14:
        chosen = [held for count in range(1, len(names) // 2 + 1) for held in combinations(names, count)]
    else:  # too many sets to try: every n-th source
        step = round(1 / share)
        chosen = [tuple(names[first::step]) for first in range(step)]

    def got(held: tuple[str, ...]) -> float:
        return sum(sizes[name] for name in held) / total

    # Two sources rather than one where the share is as good: what one camera shows says little about others.
    best = min(chosen, key=lambda held: (round(abs(got(held) - share), 2), -len(held), held))
    return best if share / SLACK <= got(best) <= share * SLACK else ()


def _blocks(groups: dict[str, list[Record]], share: float) -> tuple[list[Record], list[Record], int, tuple[str, ...]]:
    """Training and validation part, number of blocks, and the names of what stands between the two."""
    train: list[Record] = []
    validation: list[Record] = []
    left_out: list[str] = []
    total = 0
    for group in groups.values():
        blocks = max(1, min(MOST_BLOCKS, len(group) // BLOCK_FRAMES))
        for k in range(blocks):
            stretch = group[len(group) * k // blocks : len(group) * (k + 1) // blocks]
            size = round(share * len(stretch))
            total += size > 0
            # Validation stands in the middle of a stretch, or two blocks of one source could touch.
            first = (len(stretch) - size) // 2
            gap = 1 if len(stretch) >= 20 else 0
            train += stretch[: first - gap] + stretch[first + size + gap :]
            validation += stretch[first : first + size]
            beside = stretch[first - gap : first] + stretch[first + size : first + size + gap]
            left_out += [record.name for record in beside]
    return train, validation, total, tuple(left_out)


def _natural(name: str) -> list[tuple[int, int, str]]:
    """Order of names as people count: frame 9 before frame 10."""
    return [(0, int(part), "") if part.isdigit() else (1, 0, part) for part in _DIGITS.split(name)]


def _named(held: Sequence[str], others: Sequence[str] | dict[str, list[Record]]) -> str:
    shown = ", ".join(held[:4]) + (f" and {len(held) - 4} more" if len(held) > 4 else "")
    return f"{shown} ({len(held)} of {len(held) + len(others)} sources)"
