"""Compares this package with recorded outputs of the published code: `python test/parity.py --golden DIR`.

DIR holds the .npz files that GOLDEN.md describes; seeds and sizes are read from them. One line per file says
the worst error, its tolerance and PASS or FAIL. Exit status 0: every file that is there passed; 1: one
failed; 2: DIR is no directory or holds none of the files.
"""

from __future__ import annotations

import argparse
import sys
from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path
from zipfile import BadZipFile

import numpy as np

sys.path[:0] = [str(Path(__file__).resolve().parent), str(Path(__file__).resolve().parents[1])]


@dataclass(frozen=True)
class Check:
    """One comparison; with tolerance 0 `error` counts mismatches. A wrong shape or a NaN is infinite."""

    name: str
    error: float
    tolerance: float

    @property
    def passed(self) -> bool:
        return self.error <= self.tolerance

    @property
    def badness(self) -> float:
        """Error in tolerances, to find the worst check of a file."""
        if not self.tolerance:
            return float("inf") if self.error else 0.0
        return self.error / self.tolerance


@dataclass
class Checks:
    """The comparisons of one file."""

    done: list[Check] = field(default_factory=list)

    def near(
        self,
        name: str,
        got: object,
        want: object,
        tolerance: float,
        relative: float = 0.0,
        floor: float = 0.0,
    ) -> None:
        """Largest |got - want| - relative * |want|, divided by max(|want|, floor) when there is a floor.

        Equal infinities are no error, an infinity beside another number is an infinite one.
        """
        ours, theirs = np.asarray(got, np.float64), np.asarray(want, np.float64)
        if ours.shape != theirs.shape:
            self.done.append(Check(f"{name}: shape {ours.shape}, expected {theirs.shape}", float("inf"), tolerance))
            return
        differs, is_finite = ours != theirs, np.isfinite(ours) & np.isfinite(theirs)
        if (differs & ~is_finite).any():
            self.done.append(Check(name, float("inf"), tolerance))
            return
        ours, theirs = ours[is_finite], theirs[is_finite]
        error = np.abs(ours - theirs) - relative * np.abs(theirs)
        if floor:
            error = error / np.maximum(np.abs(theirs), floor)
        self.done.append(Check(name, float(np.clip(error, 0, None).max(initial=0)), tolerance))

    def same(self, name: str, got: object, want: object) -> None:
        """Number of elements that differ; tolerance 0."""
        ours, theirs = np.asarray(got), np.asarray(want)
        differing = float((ours != theirs).sum()) if ours.shape == theirs.shape else float("inf")
        self.done.append(Check(name, differing, 0.0))

    @property
    def worst(self) -> Check:
        return max(self.done, key=lambda check: check.badness)


def prefixes(data: np.lib.npyio.NpzFile, suffix: str) -> list[str]:
    """What comes before `suffix` in the keys that end with it, sorted: the cases that a file holds."""
    return sorted(key[: -len(suffix)] for key in data.files if key.endswith(suffix))


def file_of(name: str) -> str:
    """File of a checker: its name as it stands when that has an ending, else an .npz."""
    return name if "." in name else f"{name}.npz"


def main(arguments: list[str] | None = None) -> int:
    parser = argparse.ArgumentParser(description=(__doc__ or "").splitlines()[0])
    parser.add_argument("--golden", type=Path, required=True, help="folder with the recorded .npz files")
    parser.add_argument("--verbose", action="store_true", help="one line per comparison as well")
    options = parser.parse_args(arguments)
    import parity_checkpoints
    import parity_network
    import parity_parts

    checkers: dict[str, Callable[[Path], Checks]] = {
        **parity_parts.CHECKERS,
        **parity_network.CHECKERS,
        **parity_checkpoints.CHECKERS,
    }
    if not options.golden.is_dir():
        print(f"--golden: expected a folder with golden .npz files, got {options.golden}, which is no folder")
        return 2
    files = {name: options.golden / file_of(name) for name in checkers}
    present = [name for name in checkers if files[name].is_file()]
    if not present:
        first = file_of(next(iter(checkers)))
        print(f"--golden: expected files like {first} in {options.golden}, found none of them")
        return 2
    failed = 0
    for name in checkers:
        if name not in present:
            print(f"{name:12s} not in this folder")
            continue
        failed += not report(name, checkers[name], files[name], options.verbose)
    used = {file_of(name) for name in checkers} | parity_checkpoints.RECORDED | {"full_weights.npz", "GOLDEN.md"}
    for path in sorted(options.golden.iterdir()):
        if path.name not in used:
            print(f"{path.name}: not covered")
    print(f"{len(present) - failed} of {len(present)} files pass")
    return 1 if failed else 0


def report(name: str, checker: Callable[[Path], Checks], path: Path, verbose: bool) -> bool:
    """Run one file's checks and print its line; a file without cases or with missing keys fails."""
    try:
        checks = checker(path)
    except (KeyError, ValueError, IndexError, OSError, RuntimeError, BadZipFile) as error:
        print(f"{name:12s} FAIL  {type(error).__name__}: {error}")
        return False
    if not checks.done:
        print(f"{name:12s} FAIL  no case found in the file")
        return False
    for check in checks.done if verbose else ():
        verdict = "ok  " if check.passed else "FAIL"
        print(f"  {verdict} {check.error:9.2e} / {check.tolerance:7.0e}  {check.name}")
    worst, passed = checks.worst, all(check.passed for check in checks.done)
    verdict = "PASS" if passed else "FAIL"
    print(
        f"{name:12s} {verdict}  worst error {worst.error:.2e}, tolerance {worst.tolerance:.0e} "
        f"({worst.name}; {len(checks.done)} checks)"
    )
    return passed


if __name__ == "__main__":
    sys.exit(main())
