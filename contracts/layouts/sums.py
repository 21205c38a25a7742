"""Exact sums of numeric texts, counted from written bytes: independent of how the records were rendered.

Owns: the sum of one column of texts. What cannot be read as a number of its type adds nothing, as everywhere.
"""

from __future__ import annotations

from decimal import Decimal
from typing import Final

import polars as pl

from contracts.model import ContractField

_SHAPES: Final = {"9": r"\A[0-9]+\z", "S9": r"\A[+-]?[0-9]+\z"}
_SAFE_DIGITS: Final = 12
"""Numbers up to this long cannot overflow 64 bits even when a million of them are added."""


def sum_of(text: pl.Series, field: ContractField) -> Decimal:
    """The exact sum of the readable numbers in `text`."""
    if field.type == "9V":
        whole, fraction = field.digits or (1, 0)
        shape = rf"\A-?[0-9]{{0,{whole}}}(?:\.[0-9]{{0,{fraction}}})?\z"
        return sum((Decimal(value) for value in text.filter(text.str.contains(shape) & text.str.contains("[0-9]"))), Decimal(0))
    longest = text.str.len_bytes().max()
    if isinstance(longest, int) and longest <= _SAFE_DIGITS:
        numbers = text.cast(pl.Int64, strict=False)
        if numbers.null_count() == int((text == "").sum()) and (field.type == "S9" or not text.str.starts_with("-").any()):
            return Decimal(int(numbers.sum()))
    return Decimal(sum(int(value) for value in text.filter(text.str.contains(_SHAPES[field.type]))))
