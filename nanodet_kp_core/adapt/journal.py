"""What a run has done, in RUN/work/journal.json: the same command goes on where a stopped one was."""

from __future__ import annotations

import json
import time
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

from nanodet_kp_core.errors import TrainingError
from nanodet_kp_core.files import write_atomically


class Journal:
    """Values by the name of their step, written after each.

    begun_with: what the run depends on, plain JSON values. Raises TrainingError when the file belongs to a run that
    began with something else, or is no journal.
    """

    def __init__(self, path: Path, begun_with: Mapping[str, Any]) -> None:
        self.path = path
        self.values: dict[str, Any] = {"begun_with": json.loads(json.dumps(begun_with)), "seconds": 0.0}
        self._since = time.monotonic()
        if not path.exists():
            return
        known = _read(path)
        then, now = known["begun_with"], self.values["begun_with"]
        changed = [_change(name, then.get(name), value) for name, value in now.items() if then.get(name) != value]
        if changed:
            raise TrainingError(
                f"{path}: expected a run that began with the same values, got {', '.join(changed)}; "
                "choose another --out, or remove the folder"
            )
        self.values = known

    @property
    def seconds(self) -> float:
        """That the run has taken so far, over all its starts."""
        return float(self.values["seconds"]) + time.monotonic() - self._since

    def once(self, step: str, make: Callable[[], Any]) -> Any:
        """The value of a step, a plain JSON one: made and written now, or read where that was done before.

        A step that is killed is made again from its beginning, so `make` leaves nothing behind that would change what
        a second call gives.
        """
        if step not in self.values:
            self.values[step] = json.loads(json.dumps(make()))
            self.values["seconds"], self._since = self.seconds, time.monotonic()
            write_atomically(self.path, json.dumps(self.values, indent=1).encode())
        return self.values[step]


def _change(name: str, then: Any, now: Any) -> str:
    """What differs, with both values where they are numbers: others are long."""
    numbers = all(isinstance(value, (int, float)) for value in (then, now))
    return f"{name} {now:g} after {then:g}" if numbers else f"other {name}"


def _read(path: Path) -> dict[str, Any]:
    try:
        known = json.loads(path.read_text(encoding="utf-8"))
    except ValueError:
        known = None
    if not isinstance(known, dict) or not isinstance(known.get("begun_with"), dict) or "seconds" not in known:
        raise TrainingError(f"{path}: expected the journal of a run, got something else; choose another --out")
    return known
