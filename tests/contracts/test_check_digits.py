from __future__ import annotations

import polars as pl
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from contracts.check_digits import WIDTHS, expression, valid
from contracts.model import CheckDigit

METHODS: list[CheckDigit] = list(WIDTHS)


@pytest.mark.parametrize(
    ("method", "value"),
    [
        ("local_government_code", "332020"),
        ("local_government_code", "372013"),
        ("local_government_code", "382019"),
        ("individual_number", "123456789018"),
        ("corporate_number", "7000012050002"),  # 国税庁
        ("corporate_number", "8000012010038"),  # デジタル庁
        ("modulus11_w2_7", "19"),
        ("modulus11_w2_7", "000000000000019"),
        ("modulus11_w2_7", "00"),
    ],
)
def test_known_numbers(method: CheckDigit, value: str) -> None:
    assert valid(method, value)
    for wrong in "0123456789":
        at = 0 if method == "corporate_number" else len(value) - 1
        other = value[:at] + wrong + value[at + 1 :]
        assert valid(method, other) == (other == value)


@pytest.mark.parametrize("method", METHODS)
@pytest.mark.parametrize("value", ["", "1", "33202", "３３２０２０", "33202x", "1234567890123456789", "-12345", "12345678901 "])
def test_what_is_no_number_of_the_method(method: CheckDigit, value: str) -> None:
    expected = method == "modulus11_w2_7" and value.isascii() and value.isdigit() and len(value) > 1 and valid(method, value)
    assert valid(method, value) is expected


def test_remainder_one_gives_zero() -> None:
    """A sum of 12 leaves 1; the standard is silent, and 0 is what numbering systems write."""
    assert valid("modulus11_w2_7", "60")
    assert valid("modulus11_w2_7", "0060")


@settings(max_examples=60, deadline=None)
@given(st.sampled_from(METHODS), st.lists(st.one_of(st.text("0123456789", max_size=20), st.text("01a１ ", max_size=6)), max_size=30))
def test_columns_agree_with_single_values(method: CheckDigit, values: list[str]) -> None:
    frame = pl.DataFrame({"n": values}, schema={"n": pl.String})
    assert frame.select(expression(method, pl.col("n"))).to_series().to_list() == [valid(method, value) for value in values]


def test_nine_in_ten_changed_digits_are_noticed() -> None:
    noticed = [valid("individual_number", f"12345678901{digit}") for digit in range(10)]
    assert sum(noticed) == 1
