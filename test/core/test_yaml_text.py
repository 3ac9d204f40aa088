"""YAML of strangers: plain values, or one sentence that begins with the file."""

import time
import tracemalloc
from pathlib import Path

import pytest

from nanodet_kp_core.errors import ConfigError, DataError
from nanodet_kp_core.yaml_text import MOST_VALUES, parse_yaml

PATH = Path("some/file.yaml")


@pytest.mark.parametrize(
    ("text", "values"),
    [
        ("", None),
        ("a: 1\nb: [x, 2.5]\n", {"a": 1, "b": ["x", 2.5]}),
        ('1: a\n"1": b\n', {1: "a", "1": "b"}),  # a number and a text are two keys
        ("a: {x: 1}\nb: {x: 2}\n", {"a": {"x": 1}, "b": {"x": 2}}),
        ("a: &a {x: 1, y: 2}\nb: {<<: *a, x: 3}\n", {"a": {"x": 1, "y": 2}, "b": {"x": 3, "y": 2}}),
    ],
)
def test_values(text, values):
    assert parse_yaml(text, PATH, ConfigError) == values


def test_names_are_texts_as_they_stand():
    text = "a: {names: [1, 007, no, 1_2, 1.50, x, null]}\nnames: {0: 3, 1: off}\nother: [1, no]\n"
    assert parse_yaml(text, PATH, ConfigError, named="names") == {
        "a": {"names": ["1", "007", "no", "1_2", "1.50", "x", None]},
        "names": {0: "3", 1: "off"},
        "other": [1, False],
    }
    with pytest.raises(ConfigError, match="could not determine a constructor"):
        parse_yaml("names: [!!python/name:os.getcwd x]", PATH, ConfigError, named="names")


@pytest.mark.parametrize(
    ("text", "got"),
    [
        ("a: [", "expected YAML, got: while parsing"),
        ("a: \0", "expected YAML, got: unacceptable character"),
        ("a: 2020-13-01", "expected YAML, got: month must be"),
        ("[" * 5000, "expected YAML, got: maximum recursion"),
        ("!!python/object/apply:os.getcwd []", "expected YAML, got: could not determine a constructor"),
        ("a: 1\nb: 2\na: 3\n", "expected each key once in a mapping, got 'a' a second time in line 3"),
        ("x: [{b: 1, b: 2}]", "expected each key once in a mapping, got 'b' a second time in line 1"),
        ("a: &a [*a]", f"expected at most {MOST_VALUES} values, got more: aliases"),
        ("a: &a {<<: *a}", f"expected at most {MOST_VALUES} values, got more: aliases"),
    ],
)
@pytest.mark.parametrize("error_type", [ConfigError, DataError])
def test_what_is_refused(text, got, error_type):
    with pytest.raises(error_type) as caught:
        parse_yaml(text, PATH, error_type)
    assert str(caught.value).startswith(f"{PATH}: {got}")
    assert len(str(caught.value).splitlines()) == 1


@pytest.mark.parametrize("container", ["[{}]", "{{<<: [{}]}}"], ids=["lists", "merges"])
def test_aliases_that_explode(container):
    """Nine lines stand for a billion values; merges are written out while the values are made."""
    lines = ["a0: &a0 {x: 1, y: 2}"]
    lines += [f"a{k}: &a{k} " + container.format(", ".join([f"*a{k - 1}"] * 10)) for k in range(1, 10)]
    tracemalloc.start()
    began = time.process_time()
    try:
        with pytest.raises(DataError, match="aliases that repeat each other"):
            parse_yaml("\n".join(lines), PATH, DataError)
        assert tracemalloc.get_traced_memory()[1] < 5e6
        assert time.process_time() - began < 5
    finally:
        tracemalloc.stop()
