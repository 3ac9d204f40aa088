"""Values in messages."""

import pytest

from nanodet_kp_core.errors import shown


@pytest.mark.parametrize(
    ("value", "text"),
    [
        ("B_3", "'B_3'"),
        (0.5, "0.5"),
        ([[1.5, 0, 3], [0, 2, 4]], "[[1.5, 0, 3], [0, 2, 4]]"),
        ("line\nline", r"'line\nline'"),
    ],
)
def test_a_value_is_one_short_line(value, text):
    assert shown(value) == text


def test_a_number_that_python_refuses_to_print():
    assert shown([-(10**5000)]) == "[a number of more than 20 digits]"


def test_long_and_deep_values_are_cut():
    deep = []
    for _ in range(10_000):
        deep = [deep]
    for value in ("x" * 10**6, list(range(10**5)), deep, {"a": deep}):
        assert len(shown(value)) < 200
