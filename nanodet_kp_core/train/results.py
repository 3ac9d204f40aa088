"""results.csv: one row for a logged step or a validation; a row leaves the columns of the other kind empty."""

from __future__ import annotations

import csv
import io
import math
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from nanodet_kp_core.errors import TrainingError
from nanodet_kp_core.files import write_atomically

Row = dict[str, str]


class Results:
    """Appends rows; the columns are those of the first training row, then the `validation` ones.

    A resumed run starts with `step`: rows after it are dropped, so that no step is there twice.
    """

    def __init__(self, path: Path, step: int, validation: Sequence[str]) -> None:
        self.path = path
        self.validation = tuple(validation)
        self.columns: tuple[str, ...] = ()
        if not path.is_file():
            return
        self.columns, rows = read_results(path)
        kept = [row for row in rows if int(row["step"]) <= step]
        if not kept:
            self.columns = ()
            path.unlink()
            return
        write_atomically(path, (_line(self.columns) + "".join(_line(list(row.values())) for row in kept)).encode())

    def add(self, row: Mapping[str, Any]) -> None:
        """Append a row, whole or not at all. Raises TrainingError when it has a column that the file lacks."""
        text = ""
        if not self.columns:
            self.columns = (*(name for name in row if name not in self.validation), *self.validation)
            text = _line(self.columns)
        unknown = row.keys() - set(self.columns) - set(self.validation)  # an older file lacks some of these figures
        if unknown:
            raise TrainingError(
                f"{self.path}: expected a file with the column {min(unknown)}, got one without; it belongs to "
                "another loss: move it away or change save_dir"
            )
        text += _line([row.get(name, "") for name in self.columns])
        with self.path.open("a", newline="", encoding="utf-8") as file:
            file.write(text)


def read_results(path: Path) -> tuple[tuple[str, ...], list[Row]]:
    """Columns and rows of a results.csv; a last line that a kill cut off is left out.

    Raises TrainingError when it is something else.
    """
    text = path.read_text(encoding="utf-8")
    whole = text[: text.rfind("\n") + 1]
    table = list(csv.reader(io.StringIO(whole)))
    columns = tuple(table[0]) if table else ()
    if table and (columns[:2] != ("step", "epoch") or any(len(row) != len(columns) for row in table[1:])):
        raise TrainingError(f"{path}: expected the results of a run (step,epoch,...), got something else; move it away")
    return columns, [dict(zip(columns, row)) for row in table[1:]]


def curve(rows: Sequence[Row], name: str) -> tuple[list[float], list[float]]:
    """Steps and values of a column, finite ones only."""
    pairs = [(float(row["step"]), float(row[name])) for row in rows if row.get(name)]
    finite = [(step, value) for step, value in pairs if math.isfinite(value)]
    return [step for step, _ in finite], [value for _, value in finite]


def _line(values: Sequence[Any]) -> str:
    buffer = io.StringIO()
    csv.writer(buffer, lineterminator="\n").writerow(values)
    return buffer.getvalue()
