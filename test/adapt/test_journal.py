"""The journal of a run: a value is made once, whatever comes in between."""

import json

import pytest

from nanodet_kp_core.adapt.journal import Journal
from nanodet_kp_core.errors import TrainingError


def test_a_step_is_made_once_and_survives(tmp_path):
    path, made = tmp_path / "work" / "journal.json", []

    def make():
        made.append(1)
        return {"steps": (1, 2)}

    for _ in range(2):
        journal = Journal(path, {"labels": "a", "sizes": (3, 4)})
        assert journal.once("first", make) == {"steps": [1, 2]}  # as it will be read back, from the beginning
    assert made == [1] and journal.seconds >= 0


def test_a_step_that_fails_leaves_the_journal_as_it_was(tmp_path):
    journal = Journal(tmp_path / "journal.json", {})
    journal.once("first", lambda: 1)
    with pytest.raises(KeyError):
        journal.once("second", lambda: {}["nothing"])
    assert set(json.loads(journal.path.read_text())) == {"begun_with", "seconds", "first"}


def test_another_run_and_another_file_are_refused(tmp_path):
    path = tmp_path / "journal.json"
    Journal(path, {"labels": "a", "seed": 0}).once("first", lambda: 1)
    with pytest.raises(TrainingError, match="the same values, got other labels; choose another --out"):
        Journal(path, {"labels": "b", "seed": 0})
    with pytest.raises(TrainingError, match="got other labels, seed 2 after 0; choose"):
        Journal(path, {"labels": "b", "seed": 2})
    path.write_text("[1, 2]")
    with pytest.raises(TrainingError, match="expected the journal of a run, got something else"):
        Journal(path, {"labels": "a"})
